/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"
#include "daemon/migration_options.h"

G_BEGIN_DECLS

/*
 * A migration's destination. All of these wait for QEMU: never on the I/O thread.
 *
 * From Prepare on a QEMU waits for the state, with exactly the CPU of the source's record or not at
 * all. Finish makes the guest this host's, once and for good (inv_store_decide_migration()), and only
 * then lets it run. Whatever ends before that (the client, the source's attempt, or Finish's patience for
 * a state that does not arrive whole) ends that QEMU. One whose client neither finishes nor goes waits.
 */
typedef struct InvMigrationIn InvMigrationIn;

/* What comes with Prepare, and goes with its answer. */
typedef struct {
    const InvMigrationOptions *options; /* `xml` is what the source's Begin gave */
    const char *cookie;                 /* the source's */
    gsize cookie_length;
    guint64 client;                     /* the number of who asks */
    gboolean tunnel;                    /* the state comes through the client's stream */
    GBytes *cookie_out;                 /* owned by the caller, as all below */
    char *uri_out;
    int tunnel_fd;                      /* -1: none */
    InvVm *vm;                          /* a reference of the caller's */
} InvMigrationPrepare;

gboolean inv_migration_in_prepare(InvDaemon *daemon, InvMigrationPrepare *prepare, GError **error);

/*
 * `options->dname` names the domain. @cancelled: the source has given up, QEMU is ended, and the result is an error too
 * (VIR_ERR_MIGRATE_FINISH_OK, by which clients know that this is none). A new reference.
 */
InvVm *inv_migration_in_finish(InvDaemon *daemon, const InvMigrationOptions *options, const char *cookie, gsize cookie_length,
                               gboolean cancelled, GBytes **cookie_out, GError **error);

/*
 * What became of the migration @token of the domain @uuid: FINISHED or CANCELLED. One that is not
 * decided yet is cancelled by the question, so that both sides can rely on the answer.
 */
gboolean inv_migration_in_outcome(InvDaemon *daemon, const char *token, const char *uuid, InvMigrationPhase *outcome,
                                  GError **error);

/* The client @client of a migration of @vm to this host is gone: what waits for it is ended. */
void inv_migration_in_client_gone(InvDaemon *daemon, InvVm *vm, guint64 client);

/* The QEMU of @vm has ended and its run is forgotten. Does nothing for a domain that no migration brought. */
void inv_migration_in_run_ended(InvDaemon *daemon, InvVm *vm);

/* After a restart of the daemon: a finished one is completed; what was prepared only is called off. */
void inv_migration_in_adopt(InvDaemon *daemon, const InvStoredMigration *stored);

void inv_migration_in_free(InvMigrationIn *in);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvMigrationIn, inv_migration_in_free)

G_END_DECLS
