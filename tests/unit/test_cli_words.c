/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/words.h"
#include "util/error.h"

typedef struct {
    const char *name;
    const char *line;
    gboolean partial;
    const char *words; /* joined by "|"; ";" is the end of a command; NULL: refused */
    const char *error;
} Case;

static const Case cases[] = {
    { .name = "nothing", .line = "", .words = "" },
    { .name = "blanks alone", .line = " \t ", .words = "" },
    { .name = "plain words", .line = "list --all", .words = "list|--all" },
    { .name = "several commands", .line = "list;uri ; hostname", .words = "list|;|uri|;|hostname" },
    { .name = "a newline ends a command", .line = "list\nuri\n", .words = "list|;|uri|;" },
    { .name = "single quotes keep all", .line = "start 'a \"b; #c\\'", .words = "start|a \"b; #c\\" },
    { .name = "double quotes escape", .line = "echo \"c\\\"d\"", .words = "echo|c\"d" },
    { .name = "backslash outside quotes", .line = "e\\ f", .words = "e f" },
    { .name = "quotes inside a word", .line = "a'b c'd", .words = "ab cd" },
    { .name = "an empty word", .line = "echo ''", .words = "echo|" },
    { .name = "a comment", .line = "list # all; of it", .words = "list" },
    { .name = "no comment inside a word", .line = "a#b", .words = "a#b" },
    { .name = "a comment ends with the line", .line = "#x\nuri", .words = ";|uri" },
    { .name = "an open single quote", .line = "echo 'a", .error = "closing '" },
    { .name = "an open double quote", .line = "echo \"a", .error = "closing \"" },
    { .name = "a backslash at the end", .line = "echo \\", .error = "backslash" },
    { .name = "partial: an open quote", .line = "start 'my gu", .partial = TRUE, .words = "start|my gu" },
    { .name = "partial: a backslash at the end", .line = "start a\\", .partial = TRUE, .words = "start|a" },
};

typedef struct {
    GPtrArray *words;
    GString *joined;
    GError *error;
    char *quoted;
} Fixture;

static Fixture fixture;

static int
teardown(void **state)
{
    g_clear_pointer(&fixture.words, g_ptr_array_unref);
    if (fixture.joined)
        g_string_free(g_steal_pointer(&fixture.joined), TRUE);
    g_clear_error(&fixture.error);
    g_clear_pointer(&fixture.quoted, g_free);
    return 0;
}

static void
splits(void **state)
{
    const Case *row = *state;

    fixture.words = inv_words_split(row->line, row->partial, &fixture.error);
    if (!row->words) {
        assert_null(fixture.words);
        assert_non_null(fixture.error);
        assert_int_equal(fixture.error->code, VIR_ERR_INVALID_ARG);
        assert_non_null(strstr(fixture.error->message, row->error));
        return;
    }
    assert_non_null(fixture.words);
    fixture.joined = g_string_new(NULL);
    for (guint i = 0; i < fixture.words->len; i++) {
        const InvWord *word = g_ptr_array_index(fixture.words, i);

        g_string_append_printf(fixture.joined, "%s%s", i ? "|" : "", word->text ? word->text : ";");
    }
    assert_string_equal(fixture.joined->str, row->words);
}

static void
a_quoted_word_comes_back_as_it_was(void **state)
{
    static const char *const words[] = { "", "plain", "two words", "it's", "a\"b", "back\\slash", "semi;colon", "#x", "it's \"all\\\"" };

    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        fixture.quoted = inv_word_quote(words[i]);
        fixture.words = inv_words_split(fixture.quoted, FALSE, NULL);
        assert_non_null(fixture.words);
        assert_int_equal(fixture.words->len, 1);
        assert_string_equal(((InvWord *)g_ptr_array_index(fixture.words, 0))->text, words[i]);
        teardown(NULL);
    }
}

static void
an_option_in_quotes_is_marked(void **state)
{
    fixture.words = inv_words_split("start '--all' --all", FALSE, NULL);
    assert_int_equal(fixture.words->len, 3);
    assert_true(((InvWord *)g_ptr_array_index(fixture.words, 1))->quoted);
    assert_false(((InvWord *)g_ptr_array_index(fixture.words, 2))->quoted);
    assert_int_equal(((InvWord *)g_ptr_array_index(fixture.words, 2))->start, 14);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(cases) + 2];

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        tests[i] = (struct CMUnitTest){
            .name = cases[i].name, .test_func = splits, .teardown_func = teardown, .initial_state = (void *)&cases[i]
        };
    }
    tests[G_N_ELEMENTS(cases)] = (struct CMUnitTest)cmocka_unit_test_teardown(a_quoted_word_comes_back_as_it_was, teardown);
    tests[G_N_ELEMENTS(cases) + 1] = (struct CMUnitTest)cmocka_unit_test_teardown(an_option_in_quotes_is_marked, teardown);
    return cmocka_run_group_tests_name("cli words", tests, NULL, NULL);
}
