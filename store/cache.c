/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/cache.h"

#include "store/database.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_VERSION 1

/* A subject that is no longer asked for (a removed emulator) leaves when this many others were put after it. */
#define MAX_ENTRIES "4096"

/* The largest answers that are kept, QEMU's schema and all its models expanded, have some MiB. */
#define MAX_TEXT (64u * 1024 * 1024)

#define MAX_SET_ASIDE 100

/* Another process writes for some milliseconds; one that was stopped meanwhile costs an entry, not everybody's time. */
#define BUSY_MS 1000

struct InvCache {
    GMutex lock;
    char *path;            /* NULL: in memory */
    InvDatabase *database; /* guarded by lock; NULL only when SQLite has not even memory */
};

/* FNV-1a: a damaged page can hold a well-formed row with a wrong text. */
static gint64
digest(const char *subject, const char *key, const char *text)
{
    const char *const parts[] = { subject, key, text };
    guint64 hash = 0xcbf29ce484222325u;

    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
        for (const char *p = parts[i];; p++) {
            hash = (hash ^ (guint8)*p) * 0x100000001b3u;
            if (!*p)
                break;
        }
    }
    return (gint64)hash;
}

static gboolean
read_version(InvDatabase *database, int *version, GError **error)
{
    inv_autoreset sqlite3_stmt *row = inv_database_query(database, error, "PRAGMA user_version", "");

    if (!row || inv_database_step(database, row, error) == INV_STEP_FAILED)
        return FALSE;
    *version = sqlite3_column_int(row, 0);
    return TRUE;
}

/* Another version's entries are worth a probe, not a migration. */
static gboolean
make_table(InvDatabase *database, GError **error)
{
    g_autofree char *make =
        g_strdup_printf("DROP TABLE IF EXISTS entry;"
                        "CREATE TABLE entry (number INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL UNIQUE,"
                        " key TEXT NOT NULL, digest INTEGER NOT NULL, text TEXT NOT NULL);"
                        "PRAGMA user_version = %d",
                        CACHE_VERSION);

    return inv_database_exec(database, make, error);
}

static gboolean
set_up(InvDatabase *database, GError **error)
{
    int version = 0;

    if (!read_version(database, &version, error))
        return FALSE;
    if (version == CACHE_VERSION)
        return TRUE;
    if (!inv_database_exec(database, "BEGIN EXCLUSIVE", error))
        return FALSE;
    /* Another process may have made it, and filled it, before we had the lock. */
    if (read_version(database, &version, error) && (version == CACHE_VERSION || make_table(database, error)) &&
        inv_database_exec(database, "COMMIT", error))
        return TRUE;
    inv_database_rollback(database);
    return FALSE;
}

/* *@code: SQLite's result, for the decision what to do about it. */
static InvDatabase *
open_file(const char *path, int *code, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_autoptr(InvDatabase) database = NULL;

    g_mkdir_with_parents(folder, 0700);
    /*
     * Not open() and close(): a close would drop the locks that another connection of this process
     * has on the file. Whatever is wrong with the file, SQLite tells next.
     */
    (void)!mknod(path, S_IFREG | 0600, 0);
    /* A cache may lose its last entries to a power failure. */
    database = inv_database_open(path, "NORMAL", code, error);
    if (database && set_up(database, error)) {
        sqlite3_busy_timeout(database->handle, BUSY_MS);
        *code = SQLITE_OK;
        return g_steal_pointer(&database);
    }
    if (database)
        *code = database->failure;
    return NULL;
}

static void
use_memory(InvCache *cache, const char *why)
{
    g_autoptr(GError) error = NULL;

    g_clear_pointer(&cache->database, inv_database_close);
    if (why)
        g_warning("the capability cache '%s' cannot be used: %s; what is probed is kept in memory only", cache->path, why);
    g_clear_pointer(&cache->path, g_free);
    cache->database = inv_database_open(":memory:", "OFF", NULL, &error);
    if (cache->database && !set_up(cache->database, &error))
        g_clear_pointer(&cache->database, inv_database_close);
    if (error)
        g_warning("there is no capability cache: %s", error->message);
}

/*
 * Moves the damaged file out of the way, so that somebody can look at it. Other processes that have
 * it open meet the damage themselves: the file that they open next is the new one.
 */
static void
move_damaged(const char *path)
{
    static const char *const logs[] = { "-wal", "-shm", "-journal" };
    g_autofree char *aside = NULL;

    for (int i = 1; i <= MAX_SET_ASIDE; i++) {
        g_free(aside);
        aside = g_strdup_printf("%s.damaged-%d", path, i);
        if (!g_file_test(aside, G_FILE_TEST_EXISTS))
            break;
    }
    if (rename(path, aside) < 0) {
        g_warning("cannot set the damaged capability cache '%s' aside: %s", path, g_strerror(errno));
        return;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(logs); i++) {
        g_autofree char *log = g_strconcat(path, logs[i], NULL);

        unlink(log);
    }
    g_warning("the capability cache '%s' is damaged: it was set aside as '%s' and is filled again by probing", path, aside);
}

static void
open_or_replace(InvCache *cache)
{
    g_autoptr(GError) error = NULL;
    int code = SQLITE_OK;

    cache->database = open_file(cache->path, &code, &error);
    if (!cache->database && inv_database_is_damage(code)) {
        g_clear_error(&error);
        move_damaged(cache->path);
        cache->database = open_file(cache->path, &code, &error);
    }
    if (!cache->database)
        use_memory(cache, error->message);
}

InvCache *
inv_cache_open(const char *path)
{
    InvCache *cache = g_new0(InvCache, 1);

    g_mutex_init(&cache->lock);
    cache->path = g_strdup(path);
    if (path)
        open_or_replace(cache);
    else
        use_memory(cache, NULL);
    return cache;
}

void
inv_cache_close(InvCache *cache)
{
    if (!cache)
        return;
    inv_database_close(cache->database);
    g_mutex_clear(&cache->lock);
    g_free(cache->path);
    g_free(cache);
}

/* After a failed statement: what to go on with. FALSE: the file is merely held by another, and is tried again next time. */
static gboolean
recover_locked(InvCache *cache, const GError *error)
{
    int code = cache->database->failure;

    if (!cache->path) {
        g_warning("the capability cache in memory: %s", error->message);
    } else if (inv_database_is_damage(code)) {
        g_clear_pointer(&cache->database, inv_database_close);
        move_damaged(cache->path);
        open_or_replace(cache);
    } else if ((code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED) {
        g_warning("the capability cache was not used: %s", error->message);
        return FALSE;
    } else {
        use_memory(cache, error->message);
    }
    return TRUE;
}

static char *
get_locked(InvCache *cache, const char *subject, const char *key, GError **error)
{
    inv_autoreset sqlite3_stmt *row =
        inv_database_query(cache->database, error, "SELECT text, digest FROM entry WHERE subject = ? AND key = ?", "ss",
                           subject, key);
    g_autofree char *text = NULL;

    if (!row || inv_database_step(cache->database, row, error) != INV_STEP_ROW)
        return NULL;
    text = inv_database_text(row, 0);
    if (!text || digest(subject, key, text) != sqlite3_column_int64(row, 1)) {
        g_warning("the capability cache holds a damaged entry for '%s': it is not used", subject);
        return NULL;
    }
    return g_steal_pointer(&text);
}

char *
inv_cache_get(InvCache *cache, const char *subject, const char *key)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    g_autoptr(GError) error = NULL;
    char *text;

    if (!cache->database)
        return NULL;
    text = get_locked(cache, subject, key, &error);
    if (error)
        recover_locked(cache, error);
    return text;
}

static gboolean
has_locked(InvCache *cache, const char *subject, const char *key, GError **error)
{
    inv_autoreset sqlite3_stmt *row =
        inv_database_query(cache->database, error, "SELECT 1 FROM entry WHERE subject = ? AND key = ?", "ss", subject, key);

    return row && inv_database_step(cache->database, row, error) == INV_STEP_ROW;
}

gboolean
inv_cache_has(InvCache *cache, const char *subject, const char *key)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    g_autoptr(GError) error = NULL;
    gboolean has;

    if (!cache->database)
        return FALSE;
    has = has_locked(cache, subject, key, &error);
    if (error)
        recover_locked(cache, error);
    return has;
}

static gboolean
put_locked(InvCache *cache, const char *subject, const char *key, const char *text, GError **error)
{
    return inv_database_run(cache->database, error,
                            "INSERT OR REPLACE INTO entry (subject, key, digest, text) VALUES (?, ?, ?, ?)", "ssis", subject,
                            key, digest(subject, key, text), text) &&
           inv_database_run(cache->database, error,
                            "DELETE FROM entry WHERE number <= (SELECT max(number) FROM entry) - " MAX_ENTRIES, "");
}

void
inv_cache_put(InvCache *cache, const char *subject, const char *key, const char *text)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    g_autoptr(GError) error = NULL;

    if (!cache->database)
        return;
    if (strnlen(text, MAX_TEXT + 1) > MAX_TEXT) {
        g_warning("the answer about '%s' is too large for the capability cache", subject);
        return;
    }
    if (put_locked(cache, subject, key, text, &error))
        return;
    /* What is left may be a fresh file or memory: the answer in hand still belongs there. */
    if (recover_locked(cache, error) && cache->database)
        put_locked(cache, subject, key, text, NULL);
}

void
inv_cache_forget(InvCache *cache, const char *first_word)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    g_autoptr(GError) error = NULL;

    /* '!' is the character behind the space. */
    if (cache->database && !inv_database_run(cache->database, &error,
                                             "DELETE FROM entry WHERE subject = ?1 OR (subject > ?1 || ' ' AND subject < ?1 || '!')",
                                             "s", first_word))
        recover_locked(cache, error);
}
