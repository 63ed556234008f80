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

/* A disk that was full is tried again at most so often. */
#define RETRY_US (2 * G_TIME_SPAN_SECOND)

struct InvCache {
    GMutex lock;
    char *path;            /* NULL: in memory */
    /* Guarded by lock. */
    InvDatabase *database; /* NULL only when SQLite has not even memory */
    InvDatabase *behind;   /* or NULL: the file, where the first is in memory because it cannot be written */
    GPtrArray *forgotten;  /* first words of subjects that stand there still, and are not to be read */
    gint64 retry;          /* when it may be written again; of no meaning for one that is open to be read only */
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

static InvDatabase *
open_memory(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvDatabase) database = inv_database_open(":memory:", "OFF", NULL, &error);

    if (database && set_up(database, &error))
        return g_steal_pointer(&database);
    g_warning("there is no capability cache: %s", error->message);
    return NULL;
}

/* The file can be read no more, or never could. */
static void
use_memory(InvCache *cache, const char *why)
{
    g_clear_pointer(&cache->database, inv_database_close);
    if (why)
        g_warning("the capability cache '%s' cannot be used: %s; what is probed is kept in memory only", cache->path, why);
    g_clear_pointer(&cache->path, g_free);
    cache->database = open_memory();
}

/* The file can be read but not written: what is in it still holds, as far as keys go. */
static void
write_to_memory(InvCache *cache, InvDatabase *file, const char *why)
{
    g_warning("the capability cache '%s' can only be read: %s; what is probed is kept in memory until it can be written", cache->path,
              why);
    cache->behind = file;
    cache->retry = g_get_monotonic_time() + RETRY_US;
    cache->database = open_memory();
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

/* A file that cannot be opened to be written. FALSE: nor to be read. */
static gboolean
read_only(InvCache *cache, const char *why)
{
    g_autoptr(InvDatabase) file = inv_database_open_unchanging(cache->path, NULL);
    int version = 0;

    if (!file || !read_version(file, &version, NULL) || version != CACHE_VERSION)
        return FALSE;
    write_to_memory(cache, g_steal_pointer(&file), why);
    /* There is nothing to come back to. */
    g_clear_pointer(&cache->path, g_free);
    return TRUE;
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
    if (!cache->database && !read_only(cache, error->message))
        use_memory(cache, error->message);
}

InvCache *
inv_cache_open(const char *path)
{
    InvCache *cache = g_new0(InvCache, 1);

    g_mutex_init(&cache->lock);
    cache->path = g_strdup(path);
    cache->forgotten = g_ptr_array_new_with_free_func(g_free);
    if (path)
        open_or_replace(cache);
    else
        use_memory(cache, NULL);
    return cache;
}

/*
 * After a failed statement: what to go on with. FALSE: the file is merely held by another, and is tried
 * again next time. @writing: reading may still do.
 */
static gboolean
recover_locked(InvCache *cache, const GError *error, gboolean writing)
{
    int code = cache->database->failure;

    if (!cache->path || cache->behind) {
        g_warning("the capability cache in memory: %s", error->message);
    } else if (inv_database_is_damage(code)) {
        g_clear_pointer(&cache->database, inv_database_close);
        move_damaged(cache->path);
        open_or_replace(cache);
    } else if ((code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED) {
        g_warning("the capability cache was not used: %s", error->message);
        return FALSE;
    } else if (writing) {
        write_to_memory(cache, g_steal_pointer(&cache->database), error->message);
    } else {
        use_memory(cache, error->message);
    }
    return TRUE;
}

static gboolean
is_forgotten(const InvCache *cache, const char *subject)
{
    for (guint i = 0; i < cache->forgotten->len; i++) {
        const char *first_word = g_ptr_array_index(cache->forgotten, i);
        gsize length = strlen(first_word);

        if (strncmp(subject, first_word, length) == 0 && (!subject[length] || subject[length] == ' '))
            return TRUE;
    }
    return FALSE;
}

static char *
get_from(InvDatabase *database, const char *subject, const char *key, GError **error)
{
    inv_autoreset sqlite3_stmt *row =
        inv_database_query(database, error, "SELECT text, digest FROM entry WHERE subject = ? AND key = ?", "ss", subject, key);
    g_autofree char *text = NULL;

    if (!row || inv_database_step(database, row, error) != INV_STEP_ROW)
        return NULL;
    text = inv_database_text(row, 0);
    if (!text || digest(subject, key, text) != sqlite3_column_int64(row, 1)) {
        g_warning("the capability cache holds a damaged entry for '%s': it is not used", subject);
        return NULL;
    }
    return g_steal_pointer(&text);
}

static gboolean
has_in(InvDatabase *database, const char *subject, const char *key, GError **error)
{
    inv_autoreset sqlite3_stmt *row =
        inv_database_query(database, error, "SELECT 1 FROM entry WHERE subject = ? AND key = ?", "ss", subject, key);

    return row && inv_database_step(database, row, error) == INV_STEP_ROW;
}

/* The file behind, when it may be looked into for @subject; NULL: not. */
static InvDatabase *
behind_for(const InvCache *cache, const char *subject)
{
    return cache->behind && !is_forgotten(cache, subject) ? cache->behind : NULL;
}

static void
drop_behind(InvCache *cache, const char *why)
{
    g_warning("the capability cache's file is read no more: %s", why);
    g_clear_pointer(&cache->behind, inv_database_close);
    g_ptr_array_set_size(cache->forgotten, 0);
    g_clear_pointer(&cache->path, g_free);
}

char *
inv_cache_get(InvCache *cache, const char *subject, const char *key)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) error_behind = NULL;
    InvDatabase *behind;
    char *text;

    if (!cache->database)
        return NULL;
    text = get_from(cache->database, subject, key, &error);
    if (error)
        recover_locked(cache, error, FALSE);
    behind = text ? NULL : behind_for(cache, subject);
    if (behind)
        text = get_from(behind, subject, key, &error_behind);
    if (error_behind)
        drop_behind(cache, error_behind->message);
    return text;
}

gboolean
inv_cache_has(InvCache *cache, const char *subject, const char *key)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) error_behind = NULL;
    InvDatabase *behind;
    gboolean has;

    if (!cache->database)
        return FALSE;
    has = has_in(cache->database, subject, key, &error);
    if (error)
        recover_locked(cache, error, FALSE);
    behind = has ? NULL : behind_for(cache, subject);
    if (behind)
        has = has_in(behind, subject, key, &error_behind);
    if (error_behind)
        drop_behind(cache, error_behind->message);
    return has;
}

static gboolean
put_into(InvDatabase *database, const char *subject, const char *key, const char *text, GError **error)
{
    return inv_database_run(database, error, "INSERT OR REPLACE INTO entry (subject, key, digest, text) VALUES (?, ?, ?, ?)",
                            "ssis", subject, key, digest(subject, key, text), text) &&
           inv_database_run(database, error,
                            "DELETE FROM entry WHERE number <= (SELECT max(number) FROM entry) - " MAX_ENTRIES, "");
}

static gboolean
forget_in(InvDatabase *database, const char *first_word, GError **error)
{
    /* '!' is the character behind the space. */
    return inv_database_run(database, error,
                            "DELETE FROM entry WHERE subject = ?1 OR (subject > ?1 || ' ' AND subject < ?1 || '!')", "s",
                            first_word);
}

/* All that was forgotten and put meanwhile. FALSE: there is still no room. */
static gboolean
write_back(InvCache *cache)
{
    inv_autoreset sqlite3_stmt *row = NULL;
    InvStep step;

    for (guint i = 0; i < cache->forgotten->len; i++) {
        if (!forget_in(cache->behind, g_ptr_array_index(cache->forgotten, i), NULL))
            return FALSE;
    }
    row = inv_database_query(cache->database, NULL, "SELECT subject, key, text FROM entry ORDER BY number", "");
    if (!row)
        return FALSE;
    while ((step = inv_database_step(cache->database, row, NULL)) == INV_STEP_ROW) {
        g_autofree char *subject = inv_database_text(row, 0);
        g_autofree char *key = inv_database_text(row, 1);
        g_autofree char *text = inv_database_text(row, 2);

        if (!put_into(cache->behind, subject, key, text, NULL))
            return FALSE;
    }
    return step == INV_STEP_DONE;
}

/* To the file, when it can be written again. */
static void
come_back_locked(InvCache *cache)
{
    if (!cache->behind || !cache->path || !cache->database)
        return;
    cache->retry = g_get_monotonic_time() + RETRY_US;
    if (!write_back(cache))
        return;
    g_message("the capability cache '%s' can be written again", cache->path);
    g_clear_pointer(&cache->database, inv_database_close);
    cache->database = g_steal_pointer(&cache->behind);
    g_ptr_array_set_size(cache->forgotten, 0);
}

void
inv_cache_close(InvCache *cache)
{
    if (!cache)
        return;
    come_back_locked(cache);
    inv_database_close(cache->behind);
    inv_database_close(cache->database);
    g_ptr_array_unref(cache->forgotten);
    g_mutex_clear(&cache->lock);
    g_free(cache->path);
    g_free(cache);
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
    if (cache->behind && g_get_monotonic_time() >= cache->retry)
        come_back_locked(cache);
    if (put_into(cache->database, subject, key, text, &error))
        return;
    /* What is left may be a fresh file or memory: the answer in hand still belongs there. */
    if (recover_locked(cache, error, TRUE) && cache->database)
        put_into(cache->database, subject, key, text, NULL);
}

void
inv_cache_forget(InvCache *cache, const char *first_word)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    g_autoptr(GError) error = NULL;

    if (!cache->database)
        return;
    if (!forget_in(cache->database, first_word, &error))
        recover_locked(cache, error, TRUE);
    if (cache->behind && !is_forgotten(cache, first_word))
        g_ptr_array_add(cache->forgotten, g_strdup(first_word));
}
