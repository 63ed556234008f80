/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sqlite3.h>

G_BEGIN_DECLS

/*
 * One SQLite file and its prepared statements: what the store and the cache have in common. Not
 * thread-safe; who owns it has a lock. Internal to store/.
 */
typedef struct {
    sqlite3 *handle;
    char *path;
    GHashTable *statements; /* SQL → sqlite3_stmt, owned */
    int failure;            /* SQLite's result of the last thing that failed */
} InvDatabase;

/*
 * Opens @path, which must exist unless it is ":memory:". WAL, foreign keys on, busy timeout.
 * @failure (may be NULL): SQLite's result when it fails.
 */
InvDatabase *inv_database_open(const char *path, const char *synchronous, int *failure, GError **error);
/* The same to read only, where nothing can be written, not even beside it: what other processes write meanwhile may show as damage. */
InvDatabase *inv_database_open_unchanging(const char *path, GError **error);
void inv_database_close(InvDatabase *database);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvDatabase, inv_database_close)

/*
 * Sets @error from @code, SQLite's result of doing @what; returns FALSE. Names the file and, for
 * damage, a full disk and a file that cannot be written, what to do.
 */
gboolean inv_database_fail(InvDatabase *database, int code, const char *what, GError **error);

/* Does this result say that the file is no sound database? */
gboolean inv_database_is_damage(int code);

/* A statement without parameters and rows. */
gboolean inv_database_exec(InvDatabase *database, const char *sql, GError **error);

/* Ends an open transaction without a trace. SQLite has already done it after some errors. */
void inv_database_rollback(InvDatabase *database);

/*
 * A prepared statement with its parameters bound: one letter of @types for each, 's' const char *
 * (NULL: SQL's NULL; must live until the statement is reset), 'i' gint64. Reset it with inv_autoreset.
 */
sqlite3_stmt *inv_database_query(InvDatabase *database, GError **error, const char *sql, const char *types, ...);

/* The same, run to its end. */
gboolean inv_database_run(InvDatabase *database, GError **error, const char *sql, const char *types, ...);

typedef enum {
    INV_STEP_ROW,
    INV_STEP_DONE,
    INV_STEP_FAILED,
} InvStep;

InvStep inv_database_step(InvDatabase *database, sqlite3_stmt *statement, GError **error);

/* A copy of a text column, NULL for SQL's NULL. */
char *inv_database_text(sqlite3_stmt *statement, int column);

void inv_statement_reset(sqlite3_stmt **statement);
#define inv_autoreset __attribute__((cleanup(inv_statement_reset)))

G_END_DECLS
