/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/io_thread.h"

#include <glib.h>
#include <sys/types.h>

G_BEGIN_DECLS

/*
 * A QEMU process: in a session of its own, so that it outlives the daemon; its exit is noticed at
 * once through a pidfd, whether we are its parent or adopted it.
 */
typedef struct InvProcess InvProcess;

/* On the I/O thread, once. @status as waitpid() gives it, or -1 for an adopted process. */
typedef void (*InvProcessExited)(InvProcess *process, int status, gpointer user_data);

typedef struct {
    const char *const *argv;
    const int *inherit_fds; /* descriptors that keep their number in the child */
    guint n_inherit_fds;
    const char *log_path;   /* stdout and stderr are appended to it; the command line is written first. Opened 0600 */
    uid_t uid;              /* (uid_t)-1: ours */
    gid_t gid;
} InvProcessSpec;

/* Spawns it. An exec failure (absent, not executable) is an error here, not an exit. */
InvProcess *inv_process_spawn(InvIoThread *io, const InvProcessSpec *spec, InvProcessExited exited, gpointer user_data,
                              GError **error);

/* Takes up a process of an earlier daemon; an error when it is gone or @start_time tells that the pid is another's now. */
InvProcess *inv_process_adopt(InvIoThread *io, pid_t pid, guint64 start_time, InvProcessExited exited, gpointer user_data,
                              GError **error);

InvProcess *inv_process_ref(InvProcess *process);
void inv_process_unref(InvProcess *process);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvProcess, inv_process_unref)

pid_t inv_process_pid(const InvProcess *process);
guint64 inv_process_start_time(const InvProcess *process);
/* Where in the log the process's own words begin, behind the command line; 0 for an adopted process. */
goffset inv_process_log_start(const InvProcess *process);
gboolean inv_process_is_alive(InvProcess *process);

/* SIGTERM, after @grace_ms SIGKILL, and waits for the end: at most @grace_ms plus a few seconds. Not on the I/O thread. */
gboolean inv_process_kill(InvProcess *process, guint grace_ms, GError **error);

/* SIGTERM alone, and waits for the end at most until the deadline (VIR_ERR_OPERATION_TIMEOUT). Not on the I/O thread. */
gboolean inv_process_terminate(InvProcess *process, guint deadline_ms, GError **error);

/* After this the callback does not run any more (when called on the I/O thread, or once it has run there). */
void inv_process_forget_callback(InvProcess *process);

/* The last @max_bytes of the log from @offset on, for an error message; owned by the caller, never NULL. */
char *inv_process_log_tail(const char *log_path, goffset offset, gsize max_bytes);

/* Field 22 of /proc/PID/stat, 0 when there is no such process. */
guint64 inv_process_read_start_time(pid_t pid);

G_END_DECLS
