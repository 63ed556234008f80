/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glib.h>

/* Tests that are made of rows: how many there are, and their names, is not known when they are compiled. */
typedef struct {
    GArray *tests;    /* of struct CMUnitTest */
    GPtrArray *names; /* of char *, theirs */
    CMFixtureFunction setup, teardown;
} TestTable;

/* @setup, @teardown: of each test, or NULL. */
TestTable *test_table_new(CMFixtureFunction setup, CMFixtureFunction teardown);
/* The same for those that are added from now on. */
void test_table_set_fixture(TestTable *table, CMFixtureFunction setup, CMFixtureFunction teardown);

/* @state: its initial one, borrowed. The name is @format's. */
void test_table_add(TestTable *table, CMUnitTestFunction function, const void *state, const char *format, ...) G_GNUC_PRINTF(4, 5);

/* Tests as they are, with their own names and fixtures, borrowed. */
void test_table_add_all(TestTable *table, const struct CMUnitTest *tests, guint n);

/* A test for each of @rows, an array of structs with a name. */
#define TEST_TABLE_ADD_ROWS(table, rows, function) \
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) \
        test_table_add(table, function, &(rows)[i], "%s", (rows)[i].name)

/* The exit status of a test program. Frees @table. */
int test_table_run(TestTable *table, const char *group, CMFixtureFunction group_setup, CMFixtureFunction group_teardown);
