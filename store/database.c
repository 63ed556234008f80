/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/database.h"

#include "util/error.h"

#include <stdarg.h>

/* Another process holds the file for one short transaction at a time. */
#define BUSY_TIMEOUT_MS 10000
#define BUSY_RETRY_MS 5

static void
finalize(gpointer statement)
{
    sqlite3_finalize(statement);
}

/*
 * SQLite does not ask its busy handler where two processes that switch to WAL at once could wait for
 * each other: one of them is told SQLITE_BUSY at once, and is to ask again. Nothing tells when.
 */
static gboolean
apply_settings(InvDatabase *database, const char *settings, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + BUSY_TIMEOUT_MS * G_TIME_SPAN_MILLISECOND;
    int code;

    while ((code = sqlite3_exec(database->handle, settings, NULL, NULL, NULL)) != SQLITE_OK) {
        if ((code & 0xff) != SQLITE_BUSY || g_get_monotonic_time() > deadline)
            return inv_database_fail(database, code, "open", error);
        sqlite3_sleep(BUSY_RETRY_MS);
    }
    return TRUE;
}

static gboolean
open_handle(InvDatabase *database, const char *synchronous, GError **error)
{
    g_autofree char *settings =
        g_strdup_printf("PRAGMA journal_mode = WAL; PRAGMA synchronous = %s; PRAGMA foreign_keys = ON;"
                        "PRAGMA trusted_schema = OFF; PRAGMA journal_size_limit = 16777216",
                        synchronous);
    int code = sqlite3_open_v2(database->path, &database->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    if (code != SQLITE_OK)
        return inv_database_fail(database, code, "open", error);
    sqlite3_extended_result_codes(database->handle, 1);
    sqlite3_busy_timeout(database->handle, BUSY_TIMEOUT_MS);
    if (sqlite3_db_readonly(database->handle, "main") == 1)
        return inv_database_fail(database, SQLITE_READONLY, "open", error);
    return apply_settings(database, settings, error);
}

static InvDatabase *
database_new(const char *path)
{
    InvDatabase *database = g_new0(InvDatabase, 1);

    database->path = g_strdup(path);
    database->statements = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, finalize);
    return database;
}

InvDatabase *
inv_database_open_unchanging(const char *path, GError **error)
{
    g_autoptr(InvDatabase) database = database_new(path);
    g_autofree char *escaped = g_uri_escape_string(path, "/", FALSE);
    g_autofree char *uri = g_strdup_printf("file:%s?immutable=1", escaped);
    int code = sqlite3_open_v2(uri, &database->handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);

    if (code != SQLITE_OK)
        return inv_database_fail(database, code, "open", error), NULL;
    sqlite3_extended_result_codes(database->handle, 1);
    return g_steal_pointer(&database);
}

InvDatabase *
inv_database_open(const char *path, const char *synchronous, int *failure, GError **error)
{
    g_autoptr(InvDatabase) database = database_new(path);

    if (open_handle(database, synchronous, error))
        return g_steal_pointer(&database);
    if (failure)
        *failure = database->failure;
    return NULL;
}

void
inv_database_close(InvDatabase *database)
{
    if (!database)
        return;
    g_hash_table_unref(database->statements);
    sqlite3_close(database->handle);
    g_free(database->path);
    g_free(database);
}

gboolean
inv_database_is_damage(int code)
{
    return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
}

gboolean
inv_database_fail(InvDatabase *database, int code, const char *what, GError **error)
{
    const char *reason = database->handle ? sqlite3_errmsg(database->handle) : sqlite3_errstr(code);

    database->failure = code;
    if (inv_database_is_damage(code))
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                             "the database '%s' is damaged (%s): stop invard, keep a copy of the file, then restore it "
                             "from a backup or save what is left with \"sqlite3 '%s' .recover\"",
                             database->path, sqlite3_errstr(code), database->path);
    switch (code & 0xff) {
    case SQLITE_FULL:
        return inv_error_set(error, VIR_ERR_SYSTEM_ERROR, "cannot %s the database '%s': the disk is full; free some space",
                             what, database->path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
        return inv_error_set(error, VIR_ERR_SYSTEM_ERROR,
                             "cannot %s the database '%s': %s; it and its folder must be readable and writable for invard",
                             what, database->path, reason);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                             "cannot %s the database '%s': another process has held it for more than %d seconds", what,
                             database->path, BUSY_TIMEOUT_MS / 1000);
    default:
        return inv_error_set(error, VIR_ERR_SYSTEM_ERROR, "cannot %s the database '%s': %s", what, database->path, reason);
    }
}

gboolean
inv_database_exec(InvDatabase *database, const char *sql, GError **error)
{
    int code = sqlite3_exec(database->handle, sql, NULL, NULL, NULL);

    return code == SQLITE_OK || inv_database_fail(database, code, "use", error);
}

void
inv_database_rollback(InvDatabase *database)
{
    if (!sqlite3_get_autocommit(database->handle))
        sqlite3_exec(database->handle, "ROLLBACK", NULL, NULL, NULL);
}

static int
bind(sqlite3_stmt *statement, const char *types, va_list args)
{
    int code = SQLITE_OK;

    for (int i = 0; types[i] && code == SQLITE_OK; i++) {
        if (types[i] == 's')
            code = sqlite3_bind_text(statement, i + 1, va_arg(args, const char *), -1, SQLITE_STATIC);
        else
            code = sqlite3_bind_int64(statement, i + 1, va_arg(args, gint64));
    }
    return code;
}

static sqlite3_stmt *
query(InvDatabase *database, GError **error, const char *sql, const char *types, va_list args)
{
    sqlite3_stmt *statement = g_hash_table_lookup(database->statements, sql);
    int code = SQLITE_OK;

    if (!statement) {
        code = sqlite3_prepare_v3(database->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
        if (code == SQLITE_OK)
            g_hash_table_insert(database->statements, (gpointer)sql, statement);
    }
    if (code == SQLITE_OK)
        code = bind(statement, types, args);
    if (code != SQLITE_OK) {
        inv_database_fail(database, code, "use", error);
        return NULL;
    }
    return statement;
}

sqlite3_stmt *
inv_database_query(InvDatabase *database, GError **error, const char *sql, const char *types, ...)
{
    sqlite3_stmt *statement;
    va_list args;

    va_start(args, types);
    statement = query(database, error, sql, types, args);
    va_end(args);
    return statement;
}

gboolean
inv_database_run(InvDatabase *database, GError **error, const char *sql, const char *types, ...)
{
    inv_autoreset sqlite3_stmt *statement = NULL;
    InvStep step = INV_STEP_FAILED;
    va_list args;

    va_start(args, types);
    statement = query(database, error, sql, types, args);
    va_end(args);
    if (!statement)
        return FALSE;
    do
        step = inv_database_step(database, statement, error);
    while (step == INV_STEP_ROW);
    return step == INV_STEP_DONE;
}

InvStep
inv_database_step(InvDatabase *database, sqlite3_stmt *statement, GError **error)
{
    int code = sqlite3_step(statement);

    if (code == SQLITE_ROW)
        return INV_STEP_ROW;
    if (code == SQLITE_DONE)
        return INV_STEP_DONE;
    inv_database_fail(database, code, sqlite3_stmt_readonly(statement) ? "read" : "write", error);
    return INV_STEP_FAILED;
}

char *
inv_database_text(sqlite3_stmt *statement, int column)
{
    return g_strdup((const char *)sqlite3_column_text(statement, column));
}

void
inv_statement_reset(sqlite3_stmt **statement)
{
    if (!*statement)
        return;
    sqlite3_reset(*statement);
    sqlite3_clear_bindings(*statement);
}
