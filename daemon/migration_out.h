/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"
#include "daemon/migration_options.h"

G_BEGIN_DECLS

/*
 * A migration's source. All of these wait for QEMU: never on the I/O thread.
 *
 * The guest is this host's until Perform has sent the last byte. From then on only the destination
 * knows whose it is (UNDECIDED): the guest stands still here until Confirm, or the destination's own
 * answer, tells whether it goes on here or is ended. Nothing is ended before.
 */
typedef struct InvMigrationOut InvMigrationOut;

/* Looks after something else meanwhile, at least twice a second; FALSE ends the migration with @error. */
typedef gboolean (*InvMigrationTick)(gpointer user_data, GError **error);

/*
 * What the destination needs to know: the definition (*@xml) and a cookie, both the caller's. With
 * VIR_MIGRATE_CHANGE_PROTECTION the domain is held from here on, for the client @client.
 */
gboolean inv_migration_out_begin(InvDaemon *daemon, InvVm *vm, const InvMigrationOptions *options, guint64 client,
                                 GBytes **cookie, char **xml, GError **error);

/* What comes with Perform, and goes with its answer. */
typedef struct {
    const InvMigrationOptions *options; /* `uri`: where the state goes */
    const char *cookie;                 /* the destination's */
    gsize cookie_length;
    guint64 client;                     /* the number of who asks; 0: this daemon itself */
    const char *peer;                   /* "UUID URI": who knows the outcome; NULL: as the cookie says */
    InvMigrationTick tick;              /* or NULL */
    gpointer user_data;
    GBytes *cookie_out;                 /* owned by the caller */
} InvMigrationPerform;

/* Sends the state. On failure the guest is as it was. */
gboolean inv_migration_out_perform(InvDaemon *daemon, InvVm *vm, InvMigrationPerform *perform, GError **error);

/*
 * The end: @cancelled FALSE: the guest runs at the destination and is ended here; TRUE: it goes on
 * here, but if all was sent only by the destination's own word, which is asked for. Where no migration is under way a cancelled one needs nothing.
 */
gboolean inv_migration_out_confirm(InvDaemon *daemon, InvVm *vm, unsigned int flags, gboolean cancelled, GError **error);

/* Is the cookie that comes with Confirm that of the destination's Finish? */
gboolean inv_migration_out_is_confirmed_by(InvVm *vm, const char *cookie, gsize length, GError **error);

/* The client @client of a migration of @vm is gone. */
void inv_migration_out_client_gone(InvDaemon *daemon, InvVm *vm, guint64 client);

/* Must the guest stand still here, because it is being sent, may run elsewhere, or is not whole yet? */
gboolean inv_migration_holds_guest_locked(const InvVm *vm);
/* Does the guest stand still because only the destination knows whose it is? */
gboolean inv_migration_out_is_undecided(InvVm *vm);
/* Takes an undecided or unfinished one to its end, by the destination's answer. FALSE: not yet; it has to be called again. */
gboolean inv_migration_out_resolve(InvDaemon *daemon, InvVm *vm, GError **error);

/* The QEMU of @vm has ended and its run is forgotten. */
void inv_migration_out_run_ended(InvDaemon *daemon, InvVm *vm);

/* After a restart of the daemon. */
void inv_migration_out_adopt(InvDaemon *daemon, const InvStoredMigration *stored);

void inv_migration_out_free(InvMigrationOut *out);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvMigrationOut, inv_migration_out_free)

G_END_DECLS
