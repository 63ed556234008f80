/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* First, for renameat2(). */
#include "config.h"

#include "store/store_private.h"

#include "util/error.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* "Invr": tells our file from any other SQLite database. */
#define APPLICATION_ID 0x496e7672

/* Reading a whole file larger than this at every start of the daemon would take too long. */
#define QUICK_CHECK_MAX_BYTES (256 * 1024 * 1024)

/*
 * steps[n] brings a database of version n to version n + 1. A step that has been released is never
 * changed.
 *
 * A revision holds what is in force from it on: name, definition, ABI record. The current state of
 * a domain is its revision number domain.revision. `running` has no key into `domain`: a transient
 * domain runs without a definition.
 */
static const char *const steps[] = {
    "CREATE TABLE domain ("
    "  uuid TEXT NOT NULL PRIMARY KEY,"
    "  name TEXT NOT NULL UNIQUE,"
    "  autostart INTEGER NOT NULL DEFAULT 0,"
    "  revision INTEGER NOT NULL,"
    "  FOREIGN KEY (uuid, revision) REFERENCES revision (uuid, number) DEFERRABLE INITIALLY DEFERRED"
    ") WITHOUT ROWID;"
    "CREATE TABLE revision ("
    "  uuid TEXT NOT NULL REFERENCES domain (uuid) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,"
    "  number INTEGER NOT NULL CHECK (number > 0),"
    "  time INTEGER NOT NULL,"
    "  reason TEXT NOT NULL,"
    "  name TEXT NOT NULL,"
    "  xml TEXT NOT NULL,"
    "  record TEXT,"
    "  PRIMARY KEY (uuid, number)"
    ");"
    "CREATE TABLE running ("
    "  uuid TEXT NOT NULL PRIMARY KEY,"
    "  pid INTEGER NOT NULL,"
    "  start_time INTEGER NOT NULL,"
    "  id INTEGER NOT NULL,"
    "  monitor TEXT NOT NULL,"
    "  live_xml TEXT NOT NULL,"
    "  persistent INTEGER NOT NULL,"
    "  record TEXT,"
    "  started INTEGER NOT NULL,"
    "  paused INTEGER NOT NULL"
    ");",
    /* A token is of one attempt, and both its sides may be on one host. */
    "CREATE TABLE migration ("
    "  token TEXT NOT NULL,"
    "  role INTEGER NOT NULL,"
    "  uuid TEXT NOT NULL,"
    "  phase INTEGER NOT NULL,"
    "  peer TEXT,"
    "  flags INTEGER NOT NULL,"
    "  running INTEGER NOT NULL,"
    "  xml TEXT,"
    "  record TEXT,"
    "  time INTEGER NOT NULL,"
    "  PRIMARY KEY (token, role)"
    ") WITHOUT ROWID;",
};

static gboolean
pragma_number(InvDatabase *database, const char *sql, gint64 *value, GError **error)
{
    inv_autoreset sqlite3_stmt *statement = inv_database_query(database, error, sql, "");

    if (!statement || inv_database_step(database, statement, error) == INV_STEP_FAILED)
        return FALSE;
    *value = sqlite3_column_int64(statement, 0);
    return TRUE;
}

/* Runs the steps from @version on in the transaction that is open. */
static gboolean
run_steps(InvDatabase *database, gint64 version, GError **error)
{
    g_autofree char *stamp =
        g_strdup_printf("PRAGMA application_id = %d; PRAGMA user_version = %u", APPLICATION_ID, (guint)G_N_ELEMENTS(steps));

    for (gsize i = (gsize)version; i < G_N_ELEMENTS(steps); i++) {
        if (!inv_database_exec(database, steps[i], error))
            return FALSE;
    }
    return inv_database_exec(database, stamp, error);
}

static gboolean
upgrade(InvDatabase *database, gint64 version, GError **error)
{
    if (!inv_database_exec(database, "BEGIN EXCLUSIVE", error))
        return FALSE;
    /* Another process may have done it between our look and the lock. */
    if (pragma_number(database, "PRAGMA user_version", &version, error) &&
        (version >= (gint64)G_N_ELEMENTS(steps) || run_steps(database, version, error)) &&
        inv_database_exec(database, "COMMIT", error))
        return TRUE;
    inv_database_rollback(database);
    return FALSE;
}

static gboolean
quick_check(InvDatabase *database, GError **error)
{
    inv_autoreset sqlite3_stmt *statement = NULL;
    struct stat status;

    if (stat(database->path, &status) < 0 || status.st_size > QUICK_CHECK_MAX_BYTES)
        return TRUE;
    statement = inv_database_query(database, error, "PRAGMA quick_check(1)", "");
    if (!statement || inv_database_step(database, statement, error) == INV_STEP_FAILED)
        return FALSE;
    if (g_strcmp0((const char *)sqlite3_column_text(statement, 0), "ok") != 0)
        return inv_database_fail(database, SQLITE_CORRUPT, "read", error);
    return TRUE;
}

static gboolean
check_version(InvDatabase *database, GError **error)
{
    gint64 application = 0;
    gint64 version = 0;

    if (!pragma_number(database, "PRAGMA application_id", &application, error) ||
        !pragma_number(database, "PRAGMA user_version", &version, error))
        return FALSE;
    if (application != APPLICATION_ID)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                             "'%s' is a SQLite database, but not one of Invar's: move it away or set another state folder",
                             database->path);
    if (version < 1 || version > (gint64)G_N_ELEMENTS(steps))
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                             "the database '%s' has version %" G_GINT64_FORMAT " and this invard knows versions 1 to %u: "
                             "use the newer invard that wrote it",
                             database->path, version, (guint)G_N_ELEMENTS(steps));
    if (version < (gint64)G_N_ELEMENTS(steps))
        return upgrade(database, version, error);
    return TRUE;
}

static void
remove_files(const char *path)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };

    for (gsize i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *file = g_strconcat(path, suffixes[i], NULL);

        unlink(file);
    }
}

static gboolean
make_empty_file(const char *path, GError **error)
{
    /* Definitions hold passwords (VNC): nobody else reads them. SQLite gives its other files this mode too. */
    inv_autofd int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return inv_error_set_errno(error, errno, "cannot make the database '%s'", path);
    return TRUE;
}

static gboolean
sync_path(const char *path, int flags, GError **error)
{
    inv_autofd int fd = open(path, flags | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return inv_error_set_errno(error, errno, "cannot make the database lasting: '%s'", path);
    return TRUE;
}

/*
 * A new database is made whole under another name and then linked into place. So a file that is
 * empty or half written is always damage, never a creation that was interrupted.
 */
static gboolean
create(const char *path, GError **error)
{
    g_autofree char *draft = g_strdup_printf("%s.new-%ld", path, (long)getpid());
    g_autofree char *folder = g_path_get_dirname(path);
    g_autoptr(InvDatabase) database = NULL;
    gboolean done = FALSE;

    remove_files(draft);
    if (!make_empty_file(draft, error))
        return FALSE;
    database = inv_database_open(draft, "FULL", NULL, error);
    done = database && upgrade(database, 0, error);
    /* Closing the last connection brings all of the log into the file. */
    g_clear_pointer(&database, inv_database_close);
    done = done && sync_path(draft, O_RDWR, error);
    if (done && renameat2(AT_FDCWD, draft, AT_FDCWD, path, RENAME_NOREPLACE) < 0 && errno != EEXIST)
        done = inv_error_set_errno(error, errno, "cannot make the database '%s'", path);
    done = done && sync_path(folder, O_RDONLY | O_DIRECTORY, error);
    remove_files(draft);
    return done;
}

static gboolean
check_file(const char *path, gboolean *absent, GError **error)
{
    g_autofree char *log = g_strconcat(path, "-wal", NULL);
    struct stat status;

    *absent = FALSE;
    if (stat(path, &status) == 0) {
        if (!S_ISREG(status.st_mode))
            return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the database '%s' is not a regular file", path);
        if (status.st_size == 0)
            return inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                                 "the database '%s' is damaged (it is empty): restore it from a backup, or remove it with "
                                 "its '-wal' file to begin without any domain",
                                 path);
        return TRUE;
    }
    if (errno != ENOENT)
        return inv_error_set_errno(error, errno, "cannot open the database '%s'", path);
    /* SQLite would bring the old log into whatever new file stands beside it. */
    if (g_file_test(log, G_FILE_TEST_EXISTS))
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                             "the database '%s' is missing while its log '%s' is there: put the database back, or remove "
                             "the log to begin without any domain",
                             path, log);
    *absent = TRUE;
    return TRUE;
}

InvDatabase *
inv_store_open_database(const char *path, GError **error)
{
    g_autoptr(InvDatabase) database = NULL;
    gboolean absent = FALSE;

    if (!check_file(path, &absent, error) || (absent && !create(path, error)))
        return NULL;
    database = inv_database_open(path, "FULL", NULL, error);
    if (!database || !check_version(database, error) || !quick_check(database, error))
        return NULL;
    return g_steal_pointer(&database);
}
