/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/error.h"
#include "xml/domain.h"

/*
 * Every tests/data/xml/{cpu,domain}/NAME.xml beside NAME.out: what it is formatted as (a domain:
 * completed first), or "error CODE: MESSAGE". INVAR_REGENERATE=1 writes the .out files.
 */
typedef struct {
    gboolean domain;
    char *path;
} DataCase;

static char *text;
static char *golden;
static char *again;
static GError *error;

static int
teardown(void **state)
{
    g_clear_pointer(&text, g_free);
    g_clear_pointer(&golden, g_free);
    g_clear_pointer(&again, g_free);
    g_clear_error(&error);
    return 0;
}

static char *
run_cpu(const char *xml)
{
    g_autoptr(InvCpu) cpu = inv_cpu_parse(xml, &error);

    return cpu ? inv_cpu_format(cpu) : NULL;
}

static char *
run_domain(const char *xml)
{
    g_autoptr(InvDomain) domain = inv_domain_parse(xml, &error);
    g_autoptr(InvDomain) copy = NULL;

    if (!domain || !inv_domain_complete(domain, "x86_64", NULL, &error) || !inv_domain_validate(domain, &error))
        return NULL;
    copy = inv_domain_copy(domain);
    return inv_domain_format(copy, INV_FORMAT_INACTIVE);
}

static void
matches_golden(void **state)
{
    const DataCase *row = *state;
    g_autofree char *xml = NULL;
    g_autofree char *stem = g_strndup(row->path, strlen(row->path) - strlen(".xml"));
    g_autofree char *path = g_strconcat(stem, ".out", NULL);
    gboolean good;

    assert_true(g_file_get_contents(row->path, &xml, NULL, NULL));
    text = row->domain ? run_domain(xml) : run_cpu(xml);
    good = text != NULL;
    if (!good)
        text = g_strdup_printf("error %d: %s\n", (int)inv_error_code(error), error->message);
    if (g_getenv("INVAR_REGENERATE"))
        assert_true(g_file_set_contents(path, text, -1, NULL));
    assert_true(g_file_get_contents(path, &golden, NULL, NULL));
    assert_string_equal(text, golden);
    if (good) {
        again = row->domain ? run_domain(text) : run_cpu(text);
        assert_non_null(again);
        assert_string_equal(again, text);
    }
}

static void
add_folder(GArray *tests, const char *name, gboolean domain)
{
    const char *top = g_getenv("INVAR_TOP_SRCDIR");
    g_autofree char *path = g_build_filename(top ? top : ".", "tests/data/xml", name, NULL);
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    const char *file;

    while (folder && (file = g_dir_read_name(folder))) {
        DataCase *row;
        struct CMUnitTest test = { .test_func = matches_golden, .teardown_func = teardown };

        if (!g_str_has_suffix(file, ".xml"))
            continue;
        row = g_new0(DataCase, 1);
        row->domain = domain;
        row->path = g_build_filename(path, file, NULL);
        test.name = row->path + strlen(path) + 1;
        test.initial_state = row;
        g_array_append_val(tests, test);
    }
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, TRUE, sizeof(struct CMUnitTest));
    int failed;

    add_folder(tests, "cpu", FALSE);
    add_folder(tests, "domain", TRUE);
    if (!tests->len)
        return 1;
    failed = _cmocka_run_group_tests("xml data", (struct CMUnitTest *)tests->data, tests->len, NULL, NULL);
    for (guint i = 0; i < tests->len; i++) {
        DataCase *row = g_array_index(tests, struct CMUnitTest, i).initial_state;

        g_free(row->path);
        g_free(row);
    }
    return failed;
}
