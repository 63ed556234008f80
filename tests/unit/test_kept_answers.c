/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers that outlast the daemon: given again while all that they were made from is as it was, and else never. */
#include "daemon/kept_answers.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define QUESTION "domcapabilities \"/bin/emulator\" - - -"
#define ANSWER "<domainCapabilities>\n\n  <path>/bin/emulator</path>\n</domainCapabilities>\n"

static char *folder, *file, *text_file, *database;
static InvCache *cache;
static InvConfig config;

static int
setup(void **state)
{
    folder = g_dir_make_tmp("kept.XXXXXX", NULL);
    /* A blank, a quote, a backslash and a newline: what the kept form has to carry. */
    file = g_build_filename(folder, "a \"file\\ of\ntwo lines ä", NULL);
    text_file = g_build_filename(folder, "text", NULL);
    database = g_build_filename(folder, "cache.db", NULL);
    config = (InvConfig){ 0 };
    cache = inv_cache_open(database);
    return folder && g_file_set_contents(file, "one", -1, NULL) && g_file_set_contents(text_file, "Y \n", -1, NULL) ? 0 : -1;
}

static int
teardown(void **state)
{
    static const char *const ends[] = { "", "-wal", "-shm" };

    g_clear_pointer(&cache, inv_cache_close);
    g_clear_pointer(&config.emulator_folders, g_strfreev);
    for (gsize i = 0; i < G_N_ELEMENTS(ends); i++) {
        g_autofree char *path = g_strconcat(database, ends[i], NULL);

        g_unlink(path);
    }
    g_unlink(file);
    g_unlink(text_file);
    g_rmdir(folder);
    g_clear_pointer(&database, g_free);
    g_clear_pointer(&text_file, g_free);
    g_clear_pointer(&file, g_free);
    g_clear_pointer(&folder, g_free);
    return 0;
}

static InvFreshness *
watch_all(void)
{
    g_autofree char *absent = g_build_filename(folder, "absent", NULL);
    InvFreshness *freshness = inv_freshness_new();

    inv_freshness_watch(freshness, file);
    inv_freshness_watch(freshness, absent);
    inv_freshness_watch_text(freshness, text_file);
    inv_freshness_watch_text(freshness, absent);
    inv_freshness_watch_memory(freshness);
    return freshness;
}

/* As one daemon does that ends then. */
static void
keep(gboolean kvm)
{
    g_autoptr(InvKeptAnswers) kept = inv_kept_answers_new(cache, &config);
    g_autoptr(InvFreshness) freshness = watch_all();
    g_autofree char *state = inv_kept_answers_state(kept, kvm);

    inv_kept_answers_put(kept, QUESTION, state, freshness, ANSWER);
}

/* As the next daemon does. */
static char *
ask(const char *question, gboolean kvm)
{
    g_autoptr(InvKeptAnswers) kept = NULL;
    g_autoptr(InvFreshness) freshness = NULL;
    char *answer;

    inv_cache_close(cache);
    cache = inv_cache_open(database);
    kept = inv_kept_answers_new(cache, &config);
    answer = inv_kept_answers_get(kept, question, kvm, &freshness);
    assert_true((answer != NULL) == (freshness != NULL));
    assert_true(!freshness || inv_freshness_holds(freshness));
    return answer;
}

static void
test_given_again(void **state)
{
    g_autofree char *answer = NULL;
    g_autofree char *other = NULL;

    keep(FALSE);
    answer = ask(QUESTION, FALSE);
    assert_string_equal(answer, ANSWER);
    other = ask("domcapabilities - - - -", FALSE);
    assert_null(other);
}

static void
replace_file(void)
{
    assert_true(g_file_set_contents(file, "two", -1, NULL));
}

static void
change_permission(void)
{
    assert_int_equal(chmod(file, 0711), 0);
}

static void
remove_watched(void)
{
    assert_int_equal(g_unlink(file), 0);
}

static void
change_text(void)
{
    assert_true(g_file_set_contents(text_file, "N \n", -1, NULL));
}

static void
make_absent(void)
{
    g_autofree char *absent = g_build_filename(folder, "absent", NULL);

    assert_int_equal(g_mkdir(absent, 0700), 0);
}

static void
remove_absent(void)
{
    g_autofree char *absent = g_build_filename(folder, "absent", NULL);

    g_rmdir(absent);
}

static void
search_elsewhere(void)
{
    config.emulator_folders = g_strsplit(folder, "\n", -1);
}

static void
forget(void)
{
    g_autoptr(InvKeptAnswers) kept = inv_kept_answers_new(cache, &config);

    inv_kept_answers_forget(kept);
}

/* An entry that is sound for the cache, and was written by something else. */
static void
spoil(void)
{
    g_autoptr(InvKeptAnswers) kept = inv_kept_answers_new(cache, &config);
    g_autofree char *state = inv_kept_answers_state(kept, FALSE);

    inv_cache_put(cache, "answer " QUESTION, state, "file x 1 2\n\n" ANSWER);
}

static void
test_not_given(void **state)
{
    static const struct {
        const char *name;
        void (*change)(void);
    } rows[] = {
        { "a file is another", replace_file },    { "a file's permissions", change_permission },
        { "a file is gone", remove_watched },     { "a text of the kernel's", change_text },
        { "a file is there now", make_absent },   { "emulators are looked for elsewhere", search_elsewhere },
        { "somebody wants a refresh", forget },   { "the kept form is damaged", spoil },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *before = NULL;
        g_autofree char *after = NULL;

        print_message("%s\n", rows[i].name);
        assert_true(g_file_set_contents(file, "one", -1, NULL));
        assert_true(g_file_set_contents(text_file, "Y \n", -1, NULL));
        keep(FALSE);
        before = ask(QUESTION, FALSE);
        assert_non_null(before);
        rows[i].change();
        after = ask(QUESTION, FALSE);
        assert_null(after);
        remove_absent();
    }
}

/* What depends on KVM is no answer to who asks without it, and the other way round. */
static void
test_kvm(void **state)
{
    g_autofree char *without = NULL;
    g_autofree char *with = NULL;

    keep(TRUE);
    without = ask(QUESTION, FALSE);
    assert_null(without);
    with = ask(QUESTION, TRUE);
    assert_string_equal(with, ANSWER);
}

static void
test_long_question(void **state)
{
    g_autoptr(InvKeptAnswers) kept = inv_kept_answers_new(cache, &config);
    g_autoptr(InvFreshness) freshness = watch_all();
    g_autoptr(InvFreshness) got = NULL;
    g_autofree char *question = g_strnfill(5000, 'q');
    g_autofree char *before = inv_kept_answers_state(kept, FALSE);

    inv_kept_answers_put(kept, question, before, freshness, ANSWER);
    assert_null(inv_kept_answers_get(kept, question, FALSE, &got));
}

static void
test_freshness_text(void **state)
{
    static const struct {
        const char *name, *text;
        gboolean good;
    } rows[] = {
        { "nothing", "", TRUE },
        { "a file that is not there", "none /there\\040is\\040none\n", TRUE },
        { "memory", "memory 4096\n", TRUE },
        { "a text that cannot be read", "text /x -1 \n", TRUE },
        { "an empty line", "none /x\n\nnone /y\n", FALSE },
        { "another word", "dir /x\n", FALSE },
        { "a word alone", "file\n", FALSE },
        { "numbers that lack", "file /x 1 2 3\n", FALSE },
        { "a number that is none", "file /x 1 2 3 4 5 6 7 8 9 10 11 x\n", FALSE },
        { "too many numbers", "file /x 1 2 3 4 5 6 7 8 9 10 11 12 13\n", FALSE },
        { "a text of another length", "text /x 3 ab\n", FALSE },
        { "a text beyond all limits", "text /x 99999 ab\n", FALSE },
        { "memory that is none", "memory -1\n", FALSE },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(InvFreshness) freshness = inv_freshness_from_text(rows[i].text);

        print_message("%s\n", rows[i].name);
        assert_true((freshness != NULL) == rows[i].good);
        if (freshness) {
            g_autofree char *again = inv_freshness_to_text(freshness);

            assert_string_equal(again, rows[i].text);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_given_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_given, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kvm, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_question, setup, teardown),
        cmocka_unit_test(test_freshness_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
