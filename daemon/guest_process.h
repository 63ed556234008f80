/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/decision.h"

G_BEGIN_DECLS

/* A QEMU that was spawned for a domain and has not run its guest yet, or was adopted. */
typedef struct {
    InvProcess *process;
    InvQmp *qmp;
    char *folder;  /* of this run: monitor socket, … */
    char *monitor; /* path of the QMP socket */
} InvGuestProcess;

void inv_guest_process_free(InvGuestProcess *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvGuestProcess, inv_guest_process_free)

/* The folder of a domain's run below the runtime folder; the caller owns the text. */
char *inv_guest_process_folder(const InvDaemon *daemon, const InvVm *vm);
/* The log of a domain's QEMUs. */
char *inv_guest_process_log(const InvDaemon *daemon, const char *name);

/*
 * Spawns QEMU for @live with the settled @cpu_argument, stopped, and connects its monitor. When it
 * exits instead, the error carries the last lines that it wrote. The process is recorded in the
 * store before it exists, so that a daemon that dies now finds it again. @incoming: NULL, or "defer"
 * for a guest whose state a migration brings.
 */
InvGuestProcess *inv_guest_process_spawn(InvDaemon *daemon, InvVm *vm, InvDomain *live, const InvDecision *decision,
                                         const char *cpu_argument, int id, const char *incoming, GError **error);

/* Ends it and removes what it left, store entry included. */
void inv_guest_process_abandon(InvDaemon *daemon, InvVm *vm, InvGuestProcess *guest);

/* Reads what only the running QEMU knows (pty paths, VNC port) into @live. */
gboolean inv_guest_process_read_devices(InvDaemon *daemon, InvGuestProcess *guest, InvDomain *live, GError **error);

/* Removes the folder of a run and what is in it. */
void inv_guest_process_remove_folder(const char *folder);

G_END_DECLS
