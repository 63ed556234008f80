/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/line_diff.h"

typedef struct {
    const char *name;
    const char *old;
    const char *new;
    const char *diff; /* what follows the two lines of names */
} Case;

static const Case cases[] = {
    { .name = "equal", .old = "a\nb\n", .new = "a\nb\n", .diff = NULL },
    { .name = "the last newline is no line", .old = "a\nb\n", .new = "a\nb", .diff = NULL },
    { .name = "a line changed", .old = "a\nb\nc\n", .new = "a\nB\nc\n", .diff = "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n" },
    { .name = "from nothing", .old = "", .new = "a\nb\n", .diff = "@@ -0,0 +1,2 @@\n+a\n+b\n" },
    { .name = "to nothing", .old = "a\n", .new = "", .diff = "@@ -1 +0,0 @@\n-a\n" },
    { .name = "a line added at the end", .old = "a\n", .new = "a\nb\n", .diff = "@@ -1 +1,2 @@\n a\n+b\n" },
    { .name = "context is two lines", .old = "1\n2\n3\n4\n5\n6\n7\n", .new = "1\n2\n3\nx\n4\n5\n6\n7\n",
      .diff = "@@ -2,4 +2,5 @@\n 2\n 3\n+x\n 4\n 5\n" },
    { .name = "near changes share a hunk", .old = "a\n1\n2\n3\n4\nb\n", .new = "A\n1\n2\n3\n4\nB\n",
      .diff = "@@ -1,6 +1,6 @@\n-a\n+A\n 1\n 2\n 3\n 4\n-b\n+B\n" },
    { .name = "far changes do not", .old = "a\n1\n2\n3\n4\n5\n6\nb\n", .new = "A\n1\n2\n3\n4\n5\n6\nB\nC\n",
      .diff = "@@ -1,3 +1,3 @@\n-a\n+A\n 1\n 2\n@@ -6,3 +6,4 @@\n 5\n 6\n-b\n+B\n+C\n" },
    { .name = "a moved line", .old = "a\nb\nc\n", .new = "b\nc\na\n", .diff = "@@ -1,3 +1,3 @@\n-a\n b\n c\n+a\n" },
};

static char *diff;

static int
teardown(void **state)
{
    g_clear_pointer(&diff, g_free);
    return 0;
}

static void
shows_what_changed(void **state)
{
    const Case *row = *state;

    diff = inv_line_diff(row->old, row->new, "one", "two", 2);
    if (!row->diff) {
        assert_string_equal(diff, "");
        return;
    }
    assert_true(g_str_has_prefix(diff, "--- one\n+++ two\n"));
    assert_string_equal(diff + strlen("--- one\n+++ two\n"), row->diff);
}

/* Two texts without a common line, larger than the table may be: all goes, all comes. */
static void
huge_texts_stay_bounded(void **state)
{
    enum { LINES = 6000 };
    g_autoptr(GString) old = g_string_new(NULL);
    g_autoptr(GString) new = g_string_new(NULL);

    for (guint i = 0; i < LINES; i++) {
        g_string_append_printf(old, "o%u\n", i);
        g_string_append_printf(new, "n%u\n", i);
    }
    diff = inv_line_diff(old->str, new->str, "one", "two", 3);
    assert_non_null(strstr(diff, "@@ -1,6000 +1,6000 @@\n-o0\n"));
    assert_true(g_str_has_suffix(diff, "+n5999\n"));
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(cases) + 1];

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        tests[i] = (struct CMUnitTest){
            .name = cases[i].name, .test_func = shows_what_changed, .teardown_func = teardown, .initial_state = (void *)&cases[i]
        };
    }
    tests[G_N_ELEMENTS(cases)] = (struct CMUnitTest)cmocka_unit_test_teardown(huge_texts_stay_bounded, teardown);
    return cmocka_run_group_tests_name("cli diff", tests, NULL, NULL);
}
