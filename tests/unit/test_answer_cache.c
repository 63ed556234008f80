/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/answer_cache.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ROOMY (1024u * 1024)

static char *folder;
static char *file, *other;
static InvAnswerCache *cache;

static int
setup(void **state)
{
    folder = g_dir_make_tmp("answers.XXXXXX", NULL);
    file = g_build_filename(folder, "file", NULL);
    other = g_build_filename(folder, "other", NULL);
    cache = inv_answer_cache_new(ROOMY);
    return folder && g_file_set_contents(file, "one", -1, NULL) ? 0 : -1;
}

static int
teardown(void **state)
{
    g_clear_pointer(&cache, inv_answer_cache_free);
    g_unlink(file);
    g_unlink(other);
    g_rmdir(folder);
    g_clear_pointer(&file, g_free);
    g_clear_pointer(&other, g_free);
    g_clear_pointer(&folder, g_free);
    return 0;
}

static void
keep(guint generation, guint32 procedure, const char *question, const char *answer, gboolean as_text)
{
    InvFreshness *freshness = inv_freshness_new();
    g_autoptr(GBytes) result = g_bytes_new(answer, strlen(answer));

    if (as_text)
        inv_freshness_watch_text(freshness, file);
    else
        inv_freshness_watch(freshness, file);
    inv_answer_cache_put(cache, generation, procedure, (const guint8 *)question, strlen(question), freshness, result);
}

static char *
ask(guint generation, guint32 procedure, const char *question)
{
    g_autoptr(GBytes) result = inv_answer_cache_get(cache, generation, procedure, (const guint8 *)question, strlen(question));

    return result ? g_strndup(g_bytes_get_data(result, NULL), g_bytes_get_size(result)) : NULL;
}

static void
assert_answer(guint generation, guint32 procedure, const char *question, const char *expected)
{
    g_autofree char *answer = ask(generation, procedure, question);

    if (g_strcmp0(answer, expected) != 0)
        print_error("%u '%s': '%s' and not '%s'\n", procedure, question, answer ? answer : "nothing", expected ? expected : "nothing");
    assert_true(g_strcmp0(answer, expected) == 0);
}

static void
change_nothing(void)
{
}

static void
change_content(void)
{
    assert_true(g_file_set_contents_full(file, "two", -1, G_FILE_SET_CONTENTS_NONE, 0644, NULL));
}

/* In place, as a package manager that does not rename would: the same inode and size. */
static void
change_in_place(void)
{
    int fd;

    g_usleep(20000); /* the clock of file times is coarser than ours */
    fd = open(file, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "two", 3), 3);
    close(fd);
}

static void
change_mode(void)
{
    assert_int_equal(chmod(file, 0700), 0);
}

static void
change_times_back(void)
{
    struct timespec times[2];
    struct stat info;

    g_usleep(20000);
    assert_int_equal(stat(file, &info), 0);
    times[0] = info.st_atim;
    times[1] = info.st_mtim;
    change_in_place();
    assert_int_equal(utimensat(AT_FDCWD, file, times, 0), 0);
}

static void
change_remove(void)
{
    assert_int_equal(g_unlink(file), 0);
}

static void
change_to_link(void)
{
    assert_int_equal(g_rename(file, other), 0);
    assert_int_equal(symlink("/dev/null", file), 0);
}

typedef struct {
    const char *name;
    void (*change)(void);
    gboolean as_text;
    gboolean holds;
} ChangeCase;

static const ChangeCase change_cases[] = {
    { "a file that nobody touched", change_nothing, FALSE, TRUE },
    { "another file under the name", change_content, FALSE, FALSE },
    { "written in place", change_in_place, FALSE, FALSE },
    { "written in place, with the old time put back", change_times_back, FALSE, FALSE },
    { "other permissions", change_mode, FALSE, FALSE },
    { "removed", change_remove, FALSE, FALSE },
    { "a link to a device in its place", change_to_link, FALSE, FALSE },
    { "a text that nobody touched", change_nothing, TRUE, TRUE },
    { "a text of other permissions is the same text", change_mode, TRUE, TRUE },
    { "another text", change_in_place, TRUE, FALSE },
    { "a text that is gone", change_remove, TRUE, FALSE },
};

static void
change_is_noticed(void **state)
{
    const ChangeCase *row = *state;
    gsize bytes;

    keep(1, 7, "question", "answer", row->as_text);
    assert_answer(1, 7, "question", "answer");
    row->change();
    assert_answer(1, 7, "question", row->holds ? "answer" : NULL);
    assert_int_equal(inv_answer_cache_size(cache, &bytes), row->holds);
    assert_true((bytes != 0) == row->holds);
}

static void
appearing_is_noticed(void **state)
{
    g_autoptr(InvFreshness) freshness = inv_freshness_new();

    inv_freshness_watch(freshness, other);
    inv_freshness_watch_memory(freshness);
    assert_true(inv_freshness_holds(freshness));
    assert_true(g_file_set_contents(other, "", -1, NULL));
    assert_false(inv_freshness_holds(freshness));
}

static void
questions_are_told_apart(void **state)
{
    keep(1, 7, "question", "answer", FALSE);
    assert_answer(1, 8, "question", NULL);
    assert_answer(1, 7, "questio", NULL);
    assert_answer(1, 7, "questiom", NULL);
    assert_answer(1, 7, "", NULL);
    keep(1, 7, "", "nothing asked", FALSE);
    assert_answer(1, 7, "", "nothing asked");
    keep(1, 7, "question", "better", FALSE);
    assert_answer(1, 7, "question", "better");
    assert_int_equal(inv_answer_cache_size(cache, NULL), 2);
}

static void
generations_end_answers(void **state)
{
    keep(1, 7, "question", "answer", FALSE);
    assert_answer(2, 7, "question", NULL);
    assert_int_equal(inv_answer_cache_size(cache, NULL), 0);
}

static void
size_is_bounded(void **state)
{
    g_autofree char *large = g_strnfill(ROOMY / 4, 'x');
    g_autofree char *medium = g_strnfill(ROOMY / 8, 'y');
    gsize bytes;

    keep(1, 7, "too large", large, FALSE);
    assert_answer(1, 7, "too large", NULL);
    keep(1, 7, "first", "1", FALSE);
    for (guint i = 0; i < 100; i++) {
        g_autofree char *question = g_strdup_printf("%u", i);

        keep(1, 7, question, medium, FALSE);
        /* What is asked for stays. */
        assert_answer(1, 7, "first", "1");
        inv_answer_cache_size(cache, &bytes);
        assert_true(bytes <= ROOMY);
    }
    assert_answer(1, 7, "0", NULL);
    assert_answer(1, 7, "99", medium);
}

static gpointer
stress(gpointer data)
{
    guint seed = GPOINTER_TO_UINT(data);

    for (guint i = 0; i < 3000; i++) {
        g_autofree char *question = g_strdup_printf("%u", (seed * 7919 + i * 31) % 41);
        g_autofree char *wanted = g_strdup_printf("answer to %s", question);
        g_autofree char *answer = ask(1, 7, question);

        if (answer && !g_str_equal(answer, wanted))
            return GINT_TO_POINTER(1);
        if (!answer || i % 16 == seed)
            keep(1, 7, question, wanted, FALSE);
        if (i % 500 == seed)
            g_chmod(file, i % 1000 < 500 ? 0600 : 0640);
    }
    return NULL;
}

static void
threads_get_their_own(void **state)
{
    GThread *threads[8];

    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("stress", stress, GUINT_TO_POINTER(i));
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        assert_null(g_thread_join(threads[i]));
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(change_cases) + 5];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(change_cases); i++)
        tests[n++] = (struct CMUnitTest){ change_cases[i].name, change_is_noticed, setup, teardown, (void *)&change_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(appearing_is_noticed, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(questions_are_told_apart, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(generations_end_answers, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(size_is_bounded, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(threads_get_their_own, setup, teardown);
    return cmocka_run_group_tests_name("answer cache", tests, NULL, NULL);
}
