/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rpc/typed_params.h"
#include "util/error.h"

static const InvTypedParamSpec known[] = {
    { "bandwidth", VIR_TYPED_PARAM_ULLONG, FALSE },  { "migrate_disks", VIR_TYPED_PARAM_STRING, TRUE },
    { "destination_name", VIR_TYPED_PARAM_STRING, FALSE }, { "parallel.connections", VIR_TYPED_PARAM_INT, FALSE },
    { NULL, 0, FALSE },
};

#define PARAMS(list) ((const remote_typed_param *)(list)->data), (list)->len

static void
fill_good(InvTypedParams *list)
{
    inv_typed_params_add_string(list, "migrate_disks", "vda");
    inv_typed_params_add_ullong(list, "bandwidth", G_MAXUINT64);
    inv_typed_params_add_string(list, "migrate_disks", "vdb");
    inv_typed_params_add_int(list, "parallel.connections", -3);
}

static void
fill_nothing(InvTypedParams *list)
{
}

static void
fill_unknown(InvTypedParams *list)
{
    inv_typed_params_add_string(list, "graphics_uri", "x");
}

static void
fill_wrong_type(InvTypedParams *list)
{
    inv_typed_params_add_int(list, "bandwidth", 1);
}

static void
fill_duplicate(InvTypedParams *list)
{
    inv_typed_params_add_string(list, "destination_name", "a");
    inv_typed_params_add_string(list, "destination_name", "b");
}

static void
fill_too_many(InvTypedParams *list)
{
    for (guint i = 0; i <= INV_TYPED_PARAMS_MAX; i++)
        inv_typed_params_add_string(list, "migrate_disks", "vda");
}

static const struct {
    const char *name;
    void (*fill)(InvTypedParams *list);
    virErrorNumber code; /* VIR_ERR_OK: accepted */
    const char *message; /* part of it */
} rows[] = {
    { "all that is known", fill_good, VIR_ERR_OK, NULL },
    { "none", fill_nothing, VIR_ERR_OK, NULL },
    { "an unknown name", fill_unknown, VIR_ERR_ARGUMENT_UNSUPPORTED, "'graphics_uri' is not supported" },
    { "a wrong type", fill_wrong_type, VIR_ERR_INVALID_ARG, "invalid type 'int' for parameter 'bandwidth', expected 'ullong'" },
    { "a duplicate", fill_duplicate, VIR_ERR_INVALID_ARG, "'destination_name' occurs multiple times" },
    { "one too many", fill_too_many, VIR_ERR_INVALID_ARG, "65 parameters are more than the 64" },
};

static void
what_is_not_known_is_refused(void **state)
{
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(InvTypedParams) list = inv_typed_params_new();
        g_autoptr(GError) error = NULL;
        gboolean ok;

        rows[i].fill(list);
        ok = inv_typed_params_validate(PARAMS(list), known, &error);
        if (ok != (rows[i].code == VIR_ERR_OK) || (!ok && (inv_error_code(error) != rows[i].code || !strstr(error->message, rows[i].message))))
            fail_msg("%s: %s", rows[i].name, error ? error->message : "accepted");
    }
}

static void
values_are_read_by_name_and_type(void **state)
{
    g_autoptr(InvTypedParams) list = inv_typed_params_new();
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) disks = NULL;
    g_auto(GStrv) none = NULL;
    const char *name = "untouched";
    guint64 bandwidth = 0;
    gint connections = 0;

    fill_good(list);
    assert_true(inv_typed_params_get_ullong(PARAMS(list), "bandwidth", &bandwidth, &error));
    assert_true(bandwidth == G_MAXUINT64);
    assert_true(inv_typed_params_get_int(PARAMS(list), "parallel.connections", &connections, &error));
    assert_int_equal(connections, -3);
    assert_true(inv_typed_params_get_string(PARAMS(list), "destination_name", &name, &error));
    assert_string_equal(name, "untouched");
    assert_true(inv_typed_params_get_strings(PARAMS(list), "migrate_disks", &disks, &error));
    assert_int_equal(g_strv_length(disks), 2);
    assert_string_equal(disks[1], "vdb");
    assert_true(inv_typed_params_get_strings(PARAMS(list), "destination_name", &none, &error));
    assert_null(none);
    inv_typed_params_set_string(list, "destination_name", "first");
    inv_typed_params_set_string(list, "destination_name", "second");
    assert_true(inv_typed_params_validate(PARAMS(list), known, &error));
    assert_true(inv_typed_params_get_string(PARAMS(list), "destination_name", &name, &error));
    assert_string_equal(name, "second");
    assert_false(inv_typed_params_get_string(PARAMS(list), "bandwidth", &name, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_INVALID_ARG);
}

static void
a_list_becomes_part_of_a_message(void **state)
{
    g_autoptr(InvTypedParams) list = inv_typed_params_new();
    remote_domain_get_job_stats_ret message = { 0 };

    fill_good(list);
    inv_typed_params_add_string(list, "not there", NULL);
    inv_typed_params_steal(list, &message.params.params_val, &message.params.params_len);
    assert_int_equal(list->len, 0);
    assert_int_equal(message.params.params_len, 4);
    assert_string_equal(message.params.params_val[0].value.remote_typed_param_value_u.s, "vda");
    inv_typed_params_add_copy(list, &message.params.params_val[0]);
    xdr_free((xdrproc_t)xdr_remote_domain_get_job_stats_ret, (char *)&message);
    assert_string_equal(g_array_index(list, remote_typed_param, 0).value.remote_typed_param_value_u.s, "vda");
}

static void
values_are_written_as_virsh_writes_them(void **state)
{
    static const char *const texts[] = { "a: -1", "b: 2", "c: -3", "d: 4", "e: 0.500000", "f: yes", "g: text" };
    g_autoptr(InvTypedParams) list = inv_typed_params_new();

    inv_typed_params_add_int(list, "a", -1);
    inv_typed_params_add_uint(list, "b", 2);
    inv_typed_params_add_llong(list, "c", -3);
    inv_typed_params_add_ullong(list, "d", 4);
    inv_typed_params_add_double(list, "e", 0.5);
    inv_typed_params_add_boolean(list, "f", TRUE);
    inv_typed_params_add_string(list, "g", "text");
    assert_int_equal(list->len, G_N_ELEMENTS(texts));
    for (guint i = 0; i < list->len; i++) {
        g_autofree char *text = inv_typed_param_format(&g_array_index(list, remote_typed_param, i));

        assert_string_equal(text, texts[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_known_is_refused),
        cmocka_unit_test(values_are_read_by_name_and_type),
        cmocka_unit_test(a_list_becomes_part_of_a_message),
        cmocka_unit_test(values_are_written_as_virsh_writes_them),
    };

    return cmocka_run_group_tests_name("typed_params", tests, NULL, NULL);
}
