/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/answer_cache.h"
#include "daemon/config.h"
#include "daemon/events.h"
#include "daemon/paths.h"
#include "daemon/registry.h"
#include "qemu/emulator.h"
#include "rpc/server.h"
#include "store/cache.h"
#include "store/store.h"
#include "util/io_thread.h"

#include <glib.h>
#include <sys/types.h>

G_BEGIN_DECLS

/* Everything that one daemon is made of. The pointers are immutable once it serves. */
typedef struct {
    InvPaths *paths;
    InvConfig *config;
    InvIoThread *io;
    InvStore *store;
    InvCache *cache;
    InvEmulators *emulators;
    struct InvProber *prober; /* prober.h */
    struct InvMigrations *migrations; /* migrations.h */
    InvAnswerCache *answers; /* replies about hosts and emulators that are ready to be sent again */
    struct InvKeptAnswers *kept; /* kept_answers.h: those of them that the next daemon gives too */
    struct InvCpuSubjects *cpu_subjects; /* cpu_subject.h */
    InvRegistry *registry;
    InvEvents *events;
    InvRpcServer *server;
    GThreadPool *tasks;    /* work that no client waits for: exits of QEMU, autostart */
    GMutex tasks_lock;
    GCond tasks_done;
    guint n_tasks;         /* posted and not done; guarded by tasks_lock */
    gint ending;           /* atomic: no domain is started any more */
    const char *host_arch; /* libvirt's name of this host's architecture */
    uid_t qemu_uid;        /* (uid_t)-1: the daemon's own account */
    gid_t qemu_gid;
} InvDaemon;

/*
 * Opens store and cache, loads the definitions, and adopts the guests that an earlier daemon left.
 * Takes @paths and @config over. Nothing is served yet.
 */
InvDaemon *inv_daemon_new(InvPaths *paths, InvConfig *config, GError **error);

/* Listens on the sockets and starts the domains that are marked for it. */
gboolean inv_daemon_serve(InvDaemon *daemon, GError **error);

/* Stops serving; guests go on. */
void inv_daemon_free(InvDaemon *daemon);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvDaemon, inv_daemon_free)

/* Runs @function(@data) on a thread of its own soon; @data is the function's. */
void inv_daemon_post(InvDaemon *daemon, GSourceOnceFunc function, gpointer data);

/* TRUE once the daemon ends: long work breaks off where nothing is half done. */
gboolean inv_daemon_is_ending(InvDaemon *daemon);

/* The deadline of each call to a QEMU that is being started, in milliseconds. */
guint inv_daemon_start_deadline(const InvDaemon *daemon);

/* The deadline of a question to an emulator, in milliseconds. */
guint inv_daemon_probe_deadline(const InvDaemon *daemon);

G_END_DECLS
