/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/store_private.h"

#include "util/error.h"
#include "util/fault.h"

/*
 * What was called off need not be kept for good: one that nobody has heard of is called off as well. That a
 * guest runs here is kept, since whoever asks after years must not let it run there, too.
 */
#define CANCELLED_KEPT_SECONDS (30 * 24 * 60 * 60)

#define MIGRATION_COLUMNS "token, role, uuid, phase, peer, flags, running, xml, record"

void
inv_stored_migration_free(InvStoredMigration *migration)
{
    if (!migration)
        return;
    g_free(migration->token);
    g_free(migration->uuid);
    g_free(migration->peer);
    g_free(migration->xml);
    g_free(migration->record);
    g_free(migration);
}

/* The phase in force, or INV_PHASE_UNKNOWN; FALSE and an error when it cannot be read. */
static gboolean
phase_of_locked(InvStore *store, const char *token, InvMigrationPhase *phase, GError **error)
{
    inv_autoreset sqlite3_stmt *row = inv_database_query(
        store->database, error, "SELECT phase FROM migration WHERE token = ? AND role = ?", "si", token, (gint64)INV_MIGRATION_IN);
    InvStep step = row ? inv_database_step(store->database, row, error) : INV_STEP_FAILED;

    if (step == INV_STEP_FAILED)
        return FALSE;
    *phase = step == INV_STEP_ROW ? (InvMigrationPhase)sqlite3_column_int(row, 0) : INV_PHASE_UNKNOWN;
    return TRUE;
}

gboolean
inv_store_set_migration(InvStore *store, const InvStoredMigration *migration, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);
    InvMigrationPhase before = INV_PHASE_UNKNOWN;

    if (!inv_store_check_uuid(migration->uuid, error) ||
        !inv_store_check_text("migration's definition", migration->xml, INV_STORE_MAX_XML, error) ||
        !inv_store_check_text("ABI record", migration->record, INV_STORE_MAX_RECORD, error))
        return FALSE;
    /* Whoever asked was told so, and relies on it. */
    if (migration->phase == INV_PHASE_PREPARED) {
        if (!phase_of_locked(store, migration->token, &before, error))
            return FALSE;
        if (before == INV_PHASE_FINISHED || before == INV_PHASE_CANCELLED)
            return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                                 "the migration '%s' of domain %s to this host has ended before: begin another one",
                                 migration->token, migration->uuid);
    }
    return inv_database_run(store->database, error,
                            "INSERT OR REPLACE INTO migration (" MIGRATION_COLUMNS ", time)"
                            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, unixepoch())",
                            "sisisiiss", migration->token, (gint64)migration->role, migration->uuid, (gint64)migration->phase,
                            migration->peer, (gint64)migration->flags, (gint64)(migration->running ? 1 : 0), migration->xml,
                            migration->record);
}

gboolean
inv_store_clear_migration(InvStore *store, const char *token, InvMigrationRole role, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

    return inv_database_run(store->database, error, "DELETE FROM migration WHERE token = ? AND role = ?", "si", token,
                            (gint64)role);
}

static InvStoredMigration *
read_row(sqlite3_stmt *row)
{
    InvStoredMigration *migration = g_new0(InvStoredMigration, 1);

    migration->token = inv_database_text(row, 0);
    migration->role = (InvMigrationRole)sqlite3_column_int(row, 1);
    migration->uuid = inv_database_text(row, 2);
    migration->phase = (InvMigrationPhase)sqlite3_column_int(row, 3);
    migration->peer = inv_database_text(row, 4);
    migration->flags = (unsigned int)sqlite3_column_int64(row, 5);
    migration->running = sqlite3_column_int(row, 6) != 0;
    migration->xml = inv_database_text(row, 7);
    migration->record = inv_database_text(row, 8);
    return migration;
}

GPtrArray *
inv_store_list_migrations(InvStore *store, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)inv_stored_migration_free);
    inv_autoreset sqlite3_stmt *row = NULL;
    InvStep step = INV_STEP_FAILED;

    if (!inv_database_run(store->database, error, "DELETE FROM migration WHERE role = ? AND phase = ? AND time < unixepoch() - ?", "iii",
                          (gint64)INV_MIGRATION_IN, (gint64)INV_PHASE_CANCELLED, (gint64)CANCELLED_KEPT_SECONDS))
        return NULL;
    row = inv_database_query(store->database, error, "SELECT " MIGRATION_COLUMNS " FROM migration ORDER BY time", "");
    while (row && (step = inv_database_step(store->database, row, error)) == INV_STEP_ROW)
        g_ptr_array_add(list, read_row(row));
    return step == INV_STEP_DONE ? g_steal_pointer(&list) : NULL;
}

gboolean
inv_store_decide_migration(InvStore *store, const char *token, const char *uuid, InvMigrationPhase wanted,
                           InvMigrationPhase *decided, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);
    g_autoptr(InvTransaction) transaction = inv_transaction_begin_locked(store, error);
    InvMigrationPhase phase = INV_PHASE_UNKNOWN;

    if (!transaction || !phase_of_locked(store, token, &phase, error))
        return FALSE;
    *decided = phase;
    if (phase == INV_PHASE_FINISHED || phase == INV_PHASE_CANCELLED)
        return TRUE;
    /* What was never prepared can only be called off: whoever is late with it finds that. */
    if (phase == INV_PHASE_UNKNOWN && wanted == INV_PHASE_FINISHED)
        return TRUE;
    if (!inv_database_run(store->database, error,
                          "INSERT INTO migration (token, role, uuid, phase, flags, running, time) VALUES (?, ?, ?, ?, 0, 0, unixepoch())"
                          " ON CONFLICT (token, role) DO UPDATE SET phase = excluded.phase, time = excluded.time",
                          "sisi", token, (gint64)INV_MIGRATION_IN, uuid, (gint64)wanted))
        return FALSE;
    /* What was to be done once it is finished is not done any more. */
    if (wanted == INV_PHASE_CANCELLED &&
        !inv_database_run(store->database, error,
                          "UPDATE migration SET running = 0, xml = NULL, record = NULL WHERE token = ? AND role = ?", "si", token,
                          (gint64)INV_MIGRATION_IN))
        return FALSE;
    /* From here on the guest is this host's: a successor takes it up instead of ending it. */
    if (wanted == INV_PHASE_FINISHED &&
        !inv_database_run(store->database, error, "UPDATE running SET started = 1 WHERE uuid = ?", "s", uuid))
        return FALSE;
    inv_fault_point("store-decide-before-commit");
    if (!inv_transaction_commit(transaction, error))
        return FALSE;
    *decided = wanted;
    return TRUE;
}
