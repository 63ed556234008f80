/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/name_order.h"
#include "cli/table.h"
#include "cli/text.h"

typedef struct {
    const char *name;
    const char *text;
    InvTextKind kind;
    const char *shown;
} Escape;

static const Escape escapes[] = {
    { "escape: plain", "guest-1", INV_TEXT_LINE, "guest-1" },
    { "escape: none", NULL, INV_TEXT_LINE, "" },
    { "escape: colours", "a\033[31mb", INV_TEXT_LINE, "a\\x1b[31mb" },
    { "escape: a newline in a name", "a\nb\tc", INV_TEXT_LINE, "a\\nb\\tc" },
    { "escape: a newline in a document", "a\nb\tc\r", INV_TEXT_DOCUMENT, "a\nb\tc\\x0d" },
    { "escape: C1 controls", "a\xc2\x9b" "31m", INV_TEXT_DOCUMENT, "a\\x9b31m" },
    { "escape: right-to-left override", "a\xe2\x80\xae" "b", INV_TEXT_LINE, "a\\u202eb" },
    { "escape: not UTF-8", "a\xff" "b\xc3", INV_TEXT_LINE, "a\\xffb\\xc3" },
    { "escape: letters of the world stay", "Gäste 虚拟", INV_TEXT_LINE, "Gäste 虚拟" },
};

typedef struct {
    const char *name;
    const char *text;
    guint width;
    const char *lines; /* joined by "|" */
} Wrap;

static const Wrap wraps[] = {
    { "wrap: short", "a b", 10, "a b" },
    { "wrap: nothing", "", 10, "" },
    { "wrap: exactly", "abcd efgh ij", 9, "abcd efgh|ij" },
    { "wrap: a long word", "a abcdefghijkl b", 5, "a|abcdefghijkl|b" },
    { "wrap: newlines stay", "a b\nc", 10, "a b|c" },
    { "wrap: wide letters", "虚拟 虚拟", 8, "虚拟|虚拟" },
};

static char *text;
static InvTable *table;

static int
teardown(void **state)
{
    g_clear_pointer(&text, g_free);
    g_clear_pointer(&table, inv_table_free);
    return 0;
}

static void
escapes_what_a_terminal_obeys(void **state)
{
    const Escape *row = *state;

    text = inv_text_escape(row->text, row->kind);
    assert_string_equal(text, row->shown);
}

static void
wraps_between_words(void **state)
{
    const Wrap *row = *state;
    g_auto(GStrv) lines = inv_text_wrap(row->text, row->width);

    text = g_strjoinv("|", lines);
    assert_string_equal(text, row->lines);
}

static void
table_looks_like_virsh(void **state)
{
    table = inv_table_new("Id", "Name", "State", "Title", NULL);
    inv_table_add(table, "1", "test", "running", NULL);
    inv_table_add(table, "-", "a\033b", "shut off", "x", NULL);
    assert_int_equal(inv_table_rows(table), 2);
    text = inv_table_format(table, TRUE, 0);
    assert_string_equal(text, " Id   Name     State      Title\n"
                              "---------------------------------\n"
                              " 1    test     running    \n"
                              " -    a\\x1bb   shut off   x\n");
}

static void
table_without_header_is_narrow(void **state)
{
    table = inv_table_new("Id", "Name", "State", NULL);
    inv_table_add(table, "1", "test", "running", NULL);
    text = inv_table_format(table, FALSE, 0);
    assert_string_equal(text, " 1   test   running\n");
}

static void
empty_table_has_its_header(void **state)
{
    table = inv_table_new("Id", "Name", "State", NULL);
    text = inv_table_format(table, TRUE, 0);
    assert_string_equal(text, " Id   Name   State\n--------------------\n");
}

static void
table_wraps_its_last_column(void **state)
{
    table = inv_table_new("Model", "Notes", NULL);
    inv_table_add(table, "Denverton", "missing: avx avx2 bmi1 bmi2 fma", NULL);
    text = inv_table_format(table, TRUE, 36);
    assert_string_equal(text, " Model       Notes\n"
                              "------------------------------------\n"
                              " Denverton   missing: avx avx2 bmi1\n"
                              "             bmi2 fma\n");
}

static void
names_are_ordered_by_family_and_version(void **state)
{
    static const char *const sorted[] = { "isapc", "microvm", "none", "Opteron_G5", "Opteron_G4", "pc", "pc-i440fx-7.2",
                                          "pc-i440fx-2.12", "pc-i440fx-2.9", "pc-q35-4.0.1", "pc-q35-4.0", "q35",
                                          "Skylake-Client", "Skylake-Client-v10", "Skylake-Client-v4", "virt", "virt-..", "virt-." };

    for (gsize i = 0; i < G_N_ELEMENTS(sorted); i++) {
        for (gsize k = 0; k < G_N_ELEMENTS(sorted); k++) {
            int order = inv_name_order(sorted[i], sorted[k]);

            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
    }
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(escapes) + G_N_ELEMENTS(wraps) + 5];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(escapes); i++) {
        tests[n++] = (struct CMUnitTest){ .name = escapes[i].name, .test_func = escapes_what_a_terminal_obeys,
                                          .teardown_func = teardown, .initial_state = (void *)&escapes[i] };
    }
    for (gsize i = 0; i < G_N_ELEMENTS(wraps); i++) {
        tests[n++] = (struct CMUnitTest){
            .name = wraps[i].name, .test_func = wraps_between_words, .teardown_func = teardown, .initial_state = (void *)&wraps[i]
        };
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(table_looks_like_virsh, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(table_without_header_is_narrow, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(empty_table_has_its_header, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(table_wraps_its_last_column, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(names_are_ordered_by_family_and_version);
    return cmocka_run_group_tests_name("cli text", tests, NULL, NULL);
}
