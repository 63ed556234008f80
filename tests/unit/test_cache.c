/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/cache.h"
#include "tests/unit/test_folder.h"

#include <glib/gstdio.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char *folder;
static char *path;
static InvCache *cache;
static char *text;
static guint warnings;

static GLogWriterOutput
count_warnings(GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
    if (level & G_LOG_LEVEL_WARNING) {
        warnings++;
        return G_LOG_WRITER_HANDLED;
    }
    return g_log_writer_default(level, fields, n_fields, data);
}

static int
setup(void **state)
{
    folder = g_dir_make_tmp("invar-cache-XXXXXX", NULL);
    path = g_build_filename(folder, "capabilities.db", NULL);
    warnings = 0;
    return folder ? 0 : -1;
}

static int
teardown(void **state)
{
    g_clear_pointer(&cache, inv_cache_close);
    g_clear_pointer(&text, g_free);
    g_chmod(folder, 0700);
    test_folder_remove(folder);
    g_clear_pointer(&folder, g_free);
    g_clear_pointer(&path, g_free);
    return 0;
}

static void
assert_holds(InvCache *of, const char *subject, const char *key, const char *expected)
{
    g_autofree char *got = inv_cache_get(of, subject, key);

    if (g_strcmp0(got, expected) != 0)
        fail_msg("'%s' under '%s' is '%s', not '%s'", subject, key, got ? got : "(none)", expected ? expected : "(none)");
}

static void
keys_decide(void **state)
{
    gboolean in_memory = *state != NULL;

    cache = inv_cache_open(in_memory ? NULL : path);
    assert_holds(cache, "qemu", "k1", NULL);
    inv_cache_put(cache, "qemu", "k1", "one");
    inv_cache_put(cache, "other", "k1", "its own");
    assert_holds(cache, "qemu", "k1", "one");
    assert_holds(cache, "qemu", "k2", NULL);
    inv_cache_put(cache, "qemu", "k2", "two");
    assert_holds(cache, "qemu", "k1", NULL);
    assert_holds(cache, "qemu", "k2", "two");
    assert_holds(cache, "other", "k1", "its own");
    inv_cache_close(cache);
    cache = inv_cache_open(in_memory ? NULL : path);
    assert_holds(cache, "qemu", "k2", in_memory ? NULL : "two");
    assert_int_equal(warnings, 0);
}

static void
a_missing_folder_is_made(void **state)
{
    g_autofree char *sub = g_build_filename(folder, "sub", NULL);
    g_autofree char *deeper = g_build_filename(sub, "c.db", NULL);

    cache = inv_cache_open(deeper);
    inv_cache_put(cache, "qemu", "k", "kept");
    g_clear_pointer(&cache, inv_cache_close);
    cache = inv_cache_open(deeper);
    assert_holds(cache, "qemu", "k", "kept");
    g_clear_pointer(&cache, inv_cache_close);
    test_folder_remove(sub);
    assert_int_equal(warnings, 0);
}

static void
fill(void)
{
    cache = inv_cache_open(path);
    for (int i = 0; i < 40; i++) {
        g_autofree char *subject = g_strdup_printf("subject %d", i);
        g_autofree char *large = g_strnfill(3000, 'x');

        inv_cache_put(cache, subject, "k", large);
    }
    g_clear_pointer(&cache, inv_cache_close);
}

typedef struct {
    const char *name;
    int cut;             /* >= 0: the file is cut to this many bytes */
    int overwrite;       /* > 0: from this byte on, 16 KiB of garbage */
    const char *garbage; /* the whole content */
    gboolean while_open; /* it happens below a cache that is in use */
} DamageCase;

static const DamageCase damage_cases[] = {
    { "garbage", .cut = -1, .garbage = "not a database, but long enough to hold what SQLite looks at: a header of one hundred "
                                       "bytes and then some" },
    { "truncated", .cut = 9000 },
    { "truncated in the header", .cut = 50 },
    { "overwritten in the middle", .cut = -1, .overwrite = 4096 },
    { "overwritten while open", .cut = -1, .overwrite = 4096, .while_open = TRUE },
};

static void
make_damage(const DamageCase *row)
{
    if (row->garbage)
        assert_true(g_file_set_contents(path, row->garbage, -1, NULL));
    if (row->cut >= 0)
        assert_int_equal(truncate(path, row->cut), 0);
    if (row->overwrite) {
        g_autofree char *junk = g_strnfill(16384, '\xa5');
        FILE *file = fopen(path, "r+");

        assert_non_null(file);
        assert_int_equal(fseek(file, row->overwrite, SEEK_SET), 0);
        assert_int_equal(fwrite(junk, 1, 16384, file), 16384);
        fclose(file);
    }
}

static void
damage_is_set_aside(void **state)
{
    const DamageCase *row = *state;
    g_autofree char *aside = g_strconcat(path, ".damaged-1", NULL);

    fill();
    if (row->while_open)
        cache = inv_cache_open(path);
    make_damage(row);
    if (!row->while_open)
        cache = inv_cache_open(path);
    for (int i = 0; i < 40; i++) {
        g_autofree char *subject = g_strdup_printf("subject %d", i);

        g_free(inv_cache_get(cache, subject, "k"));
    }
    inv_cache_put(cache, "qemu", "k", "new");
    assert_holds(cache, "qemu", "k", "new");
    assert_true(warnings > 0);
    assert_true(g_file_test(aside, G_FILE_TEST_EXISTS));
    g_clear_pointer(&cache, inv_cache_close);
    warnings = 0;
    cache = inv_cache_open(path);
    assert_holds(cache, "qemu", "k", "new");
    assert_int_equal(warnings, 0);
}

static void
a_changed_text_is_not_believed(void **state)
{
    sqlite3 *handle = NULL;

    cache = inv_cache_open(path);
    inv_cache_put(cache, "qemu", "k", "right");
    g_clear_pointer(&cache, inv_cache_close);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "UPDATE entry SET text = 'wrong'", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
    cache = inv_cache_open(path);
    assert_holds(cache, "qemu", "k", NULL);
    assert_int_equal(warnings, 1);
    inv_cache_put(cache, "qemu", "k", "right");
    assert_holds(cache, "qemu", "k", "right");
}

static void
another_version_is_emptied(void **state)
{
    sqlite3 *handle = NULL;

    fill();
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "PRAGMA user_version = 77", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
    cache = inv_cache_open(path);
    assert_holds(cache, "subject 1", "k", NULL);
    inv_cache_put(cache, "qemu", "k", "new");
    assert_holds(cache, "qemu", "k", "new");
    assert_int_equal(warnings, 0);
}

static void
a_path_that_cannot_be_is_memory(void **state)
{
    g_autofree char *below_file = g_build_filename(path, "below.db", NULL);

    assert_true(g_file_set_contents(path, "a file", -1, NULL));
    cache = inv_cache_open(below_file);
    assert_int_equal(warnings, 1);
    inv_cache_put(cache, "qemu", "k", "kept");
    assert_holds(cache, "qemu", "k", "kept");
}

static void
a_read_only_folder_is_read(void **state)
{
    int status = 0;
    pid_t child;

    fill();
    assert_int_equal(g_chmod(path, 0444), 0);
    assert_int_equal(g_chmod(folder, 0555), 0);
    child = fork();
    if (child == 0) {
        /* Root writes everywhere: it becomes nobody for this. */
        if (geteuid() == 0 && setuid(65534) < 0)
            _exit(3);
        cache = inv_cache_open(path);
        inv_cache_put(cache, "qemu", "k", "kept");
        text = inv_cache_get(cache, "qemu", "k");
        _exit(warnings == 1 && g_strcmp0(text, "kept") == 0 && inv_cache_has(cache, "subject 1", "k") ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void
old_entries_leave(void **state)
{
    cache = inv_cache_open(NULL);
    for (int i = 0; i < 4200; i++) {
        g_autofree char *subject = g_strdup_printf("subject %d", i);

        inv_cache_put(cache, subject, "k", "x");
    }
    assert_holds(cache, "subject 0", "k", NULL);
    assert_holds(cache, "subject 103", "k", NULL);
    assert_holds(cache, "subject 104", "k", "x");
    assert_holds(cache, "subject 4199", "k", "x");
}

static void
two_handles_see_each_other(void **state)
{
    InvCache *other = inv_cache_open(path);

    cache = inv_cache_open(path);
    for (int i = 0; i < 50; i++) {
        g_autofree char *value = g_strdup_printf("value %d", i);

        inv_cache_put(i % 2 ? cache : other, "qemu", "k", value);
        assert_holds(i % 2 ? other : cache, "qemu", "k", value);
    }
    inv_cache_close(other);
    assert_int_equal(warnings, 0);
}

/* Large enough that a file cannot hold a few of them, of bytes that a disk cannot press together. */
#define LARGE (256u * 1024)
#define FULL_AT (1024u * 1024)

/* Puts more than there is room for, and reads it all back: what the disk did not take is in memory. For a child: its exit status. */
static int
work_on_a_full_disk(void)
{
    g_autofree char *large = g_strnfill(LARGE, 'x');
    int status = 0;

    cache = inv_cache_open(path);
    inv_cache_put(cache, "before", "k", "kept");
    inv_cache_put(cache, "/usr/bin/qemu basic", "k", "kept");
    for (int i = 0; i < 20; i++) {
        g_autofree char *subject = g_strdup_printf("subject %d", i);
        g_autofree char *found = NULL;

        inv_cache_put(cache, subject, "k", large);
        found = inv_cache_get(cache, subject, "k");
        if (g_strcmp0(found, large) != 0)
            status |= 1;
    }
    if (warnings != 1)
        status |= 2;
    /* What the file has can still be read, unless it was forgotten meanwhile. */
    if (!inv_cache_has(cache, "before", "k") || !inv_cache_has(cache, "/usr/bin/qemu basic", "k"))
        status |= 4;
    inv_cache_forget(cache, "/usr/bin/qemu");
    if (!inv_cache_has(cache, "before", "k") || inv_cache_has(cache, "/usr/bin/qemu basic", "k"))
        status |= 8;
    text = inv_cache_get(cache, "before", "k");
    if (g_strcmp0(text, "kept") != 0)
        status |= 16;
    g_clear_pointer(&text, g_free);
    if (warnings != 1)
        status |= 2;
    return status;
}

/* There is room again: what was put and forgotten meanwhile is so in the file too. For a child: its exit status. */
static int
work_with_room_again(void)
{
    InvCache *other;
    int status = 0;

    inv_cache_put(cache, "too soon", "k", "x");
    /* The next time that it is tried. */
    g_usleep(2500 * 1000);
    inv_cache_put(cache, "again", "k", "x");
    other = inv_cache_open(path);
    if (!inv_cache_has(other, "again", "k") || !inv_cache_has(other, "too soon", "k") || !inv_cache_has(other, "subject 19", "k"))
        status |= 32;
    if (inv_cache_has(other, "/usr/bin/qemu basic", "k") || !inv_cache_has(other, "before", "k"))
        status |= 64;
    inv_cache_close(other);
    if (warnings != 1)
        status |= 2;
    return status;
}

static int
wait_for_child(pid_t child)
{
    int status = -1;

    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* What was in the file before is there for who comes when there is room again. */
static void
assert_file_is_whole(void)
{
    cache = inv_cache_open(path);
    inv_cache_put(cache, "after", "k", "room");
    assert_holds(cache, "after", "k", "room");
    assert_int_equal(warnings, 0);
}

static void
a_file_that_may_not_grow_is_read(void **state)
{
    pid_t child = fork();

    if (child == 0) {
        struct rlimit limit;
        int result;

        signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &limit);
        limit.rlim_cur = FULL_AT;
        setrlimit(RLIMIT_FSIZE, &limit);
        result = work_on_a_full_disk();
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_FSIZE, &limit);
        result |= work_with_room_again();
        inv_cache_close(cache);
        _exit(result);
    }
    assert_int_equal(wait_for_child(child), 0);
    assert_file_is_whole();
}

#define NO_DISK 77

static void
a_full_disk_is_read(void **state)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        g_autofree char *size = g_strdup_printf("size=%u", FULL_AT);

        /* A file system of its own, that goes with the process. */
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", folder, "tmpfs", 0, size) < 0)
            _exit(NO_DISK);
        status = work_on_a_full_disk();
        inv_cache_close(cache);
        _exit(status);
    }
    status = wait_for_child(child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_DISK) {
        print_message("only root can mount a disk that is full\n");
        skip();
    }
    assert_int_equal(status, 0);
}

/* A process that was stopped in the middle of a write: readers go on, a writer waits for a while and then for nothing. */
static void
a_holder_of_the_file_blocks_nobody_for_ever(void **state)
{
    sqlite3 *handle = NULL;
    gint64 before;

    fill();
    cache = inv_cache_open(path);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    before = g_get_monotonic_time();
    for (int i = 0; i < 100; i++)
        assert_true(inv_cache_has(cache, "subject 1", "k"));
    assert_true(g_get_monotonic_time() - before < G_USEC_PER_SEC);
    inv_cache_put(cache, "qemu", "k", "lost");
    assert_true(g_get_monotonic_time() - before < 5 * G_USEC_PER_SEC);
    assert_int_equal(warnings, 1);
    sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(handle);
    /* The next time it is as ever. */
    inv_cache_put(cache, "qemu", "k", "kept");
    assert_holds(cache, "qemu", "k", "kept");
}

static void
what_is_forgotten_is_one_subject_s(void **state)
{
    static const char *const kept[] = { "/usr/bin/qemu-10 basic", "/usr/bin/qem", "/usr/bin/qemu!basic", "/usr/bin/" };

    cache = inv_cache_open(path);
    inv_cache_put(cache, "/usr/bin/qemu basic", "k", "x");
    inv_cache_put(cache, "/usr/bin/qemu tcg pc", "k", "x");
    for (gsize i = 0; i < G_N_ELEMENTS(kept); i++)
        inv_cache_put(cache, kept[i], "k", "x");
    inv_cache_forget(cache, "/usr/bin/qemu");
    assert_false(inv_cache_has(cache, "/usr/bin/qemu basic", "k"));
    assert_false(inv_cache_has(cache, "/usr/bin/qemu tcg pc", "k"));
    for (gsize i = 0; i < G_N_ELEMENTS(kept); i++)
        assert_true(inv_cache_has(cache, kept[i], "k"));
    assert_false(inv_cache_has(cache, kept[0], "another"));
    assert_int_equal(warnings, 0);
}

#define WRITERS 4

static void
processes_share_one_file(void **state)
{
    pid_t children[WRITERS];

    for (int i = 0; i < WRITERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            InvCache *mine = inv_cache_open(path);

            for (int j = 0; j < 50; j++) {
                g_autofree char *subject = g_strdup_printf("%d %d", i, j);

                inv_cache_put(mine, subject, "k", subject);
            }
            inv_cache_close(mine);
            _exit(warnings ? 1 : 0);
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        int status = 0;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    cache = inv_cache_open(path);
    for (int i = 0; i < WRITERS; i++) {
        for (int j = 0; j < 50; j++) {
            g_autofree char *subject = g_strdup_printf("%d %d", i, j);

            assert_holds(cache, subject, "k", subject);
        }
    }
    assert_int_equal(warnings, 0);
}

int
main(void)
{
    static const char memory[] = "memory";
    struct CMUnitTest tests[14 + G_N_ELEMENTS(damage_cases)] = {
        cmocka_unit_test_setup_teardown(keys_decide, setup, teardown),
        { "keys decide, in memory", keys_decide, setup, teardown, (void *)memory },
        cmocka_unit_test_setup_teardown(a_missing_folder_is_made, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_text_is_not_believed, setup, teardown),
        cmocka_unit_test_setup_teardown(another_version_is_emptied, setup, teardown),
        cmocka_unit_test_setup_teardown(a_path_that_cannot_be_is_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(a_read_only_folder_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(old_entries_leave, setup, teardown),
        cmocka_unit_test_setup_teardown(two_handles_see_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(processes_share_one_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_may_not_grow_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_holder_of_the_file_blocks_nobody_for_ever, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_forgotten_is_one_subject_s, setup, teardown),
    };

    g_log_set_writer_func(count_warnings, NULL, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(damage_cases); i++) {
        tests[14 + i] = (struct CMUnitTest){
            .name = damage_cases[i].name,
            .test_func = damage_is_set_aside,
            .setup_func = setup,
            .teardown_func = teardown,
            .initial_state = (void *)&damage_cases[i],
        };
    }
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
