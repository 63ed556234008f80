/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/test_table.h"

TestTable *
test_table_new(CMFixtureFunction setup, CMFixtureFunction teardown)
{
    TestTable *table = g_new0(TestTable, 1);

    table->tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));
    table->names = g_ptr_array_new_with_free_func(g_free);
    test_table_set_fixture(table, setup, teardown);
    return table;
}

void
test_table_set_fixture(TestTable *table, CMFixtureFunction setup, CMFixtureFunction teardown)
{
    table->setup = setup;
    table->teardown = teardown;
}

void
test_table_add(TestTable *table, CMUnitTestFunction function, const void *state, const char *format, ...)
{
    struct CMUnitTest test = { NULL, function, table->setup, table->teardown, (void *)state };
    char *name;
    va_list args;

    va_start(args, format);
    test.name = name = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(table->names, name);
    g_array_append_val(table->tests, test);
}

void
test_table_add_all(TestTable *table, const struct CMUnitTest *tests, guint n)
{
    g_array_append_vals(table->tests, tests, n);
}

int
test_table_run(TestTable *table, const char *group, CMFixtureFunction group_setup, CMFixtureFunction group_teardown)
{
    int failed = _cmocka_run_group_tests(group, (const struct CMUnitTest *)(void *)table->tests->data, table->tests->len, group_setup,
                                         group_teardown);

    g_array_unref(table->tests);
    g_ptr_array_unref(table->names);
    g_free(table);
    return failed;
}
