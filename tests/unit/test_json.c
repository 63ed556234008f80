/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/error.h"
#include "util/json.h"

typedef struct {
    const char *name;
    const char *text;
    const char *formatted; /* NULL: refused */
    const char *message;   /* a part of the error's message */
} ParseCase;

static const ParseCase parse_cases[] = {
    { .name = "empty object", .text = "{}", .formatted = "{}" },
    { .name = "order is kept", .text = "{\"b\":1,\"a\":[true,null,\"x\"]}", .formatted = "{\"b\":1,\"a\":[true,null,\"x\"]}" },
    { .name = "large number keeps every digit", .text = "[18446744073709551615]", .formatted = "[18446744073709551615]" },
    { .name = "escapes", .text = "[\"\\u00e9\\n\"]", .formatted = "[\"\303\251\\n\"]" },
    { .name = "truncated", .text = "{\"a\":", .message = "malformed" },
    { .name = "garbage", .text = "hello", .message = "malformed" },
    { .name = "empty text", .text = "", .message = "malformed" },
    { .name = "trailing text", .text = "{} {}", .message = "malformed" },
    { .name = "a name twice", .text = "{\"a\":1,\"a\":2}", .message = "'a' twice" },
    { .name = "invalid UTF-8", .text = "[\"\xff\"]", .message = "malformed" },
};

static InvJson *json;
static GError *error;
static char *text;

static int
teardown(void **state)
{
    g_clear_pointer(&json, inv_json_free);
    g_clear_pointer(&text, g_free);
    g_clear_error(&error);
    return 0;
}

static void
parse_and_format(void **state)
{
    const ParseCase *row = *state;

    json = inv_json_parse(row->text, strlen(row->text), &error);
    if (!row->formatted) {
        assert_null(json);
        assert_int_equal(inv_error_code(error), VIR_ERR_INVALID_ARG);
        assert_non_null(strstr(error->message, row->message));
        return;
    }
    assert_non_null(json);
    text = inv_json_format(json, FALSE);
    assert_string_equal(text, row->formatted);
}

static void
nesting_is_limited(void **state)
{
    GString *deep = g_string_new(NULL);

    for (int i = 0; i < 100000; i++)
        g_string_append_c(deep, '[');
    text = g_string_free(deep, FALSE);
    json = inv_json_parse(text, strlen(text), &error);
    assert_null(json);
    assert_non_null(strstr(error->message, "deeper"));
}

static void
getters_check_types(void **state)
{
    const char *source = "{\"s\":\"x\",\"n\":-5,\"u\":18446744073709551615,\"t\":true,\"l\":[\"a\",\"b\"],\"f\":1.5}";
    guint64 unsigned_value = 0;
    gint64 value = 0;

    json = inv_json_parse(source, strlen(source), &error);
    assert_non_null(json);
    assert_string_equal(inv_json_get_string(json, "s"), "x");
    assert_null(inv_json_get_string(json, "n"));
    assert_int_equal(inv_json_get_int(json, "n", 0), -5);
    assert_false(inv_json_int(inv_json_get(json, "u"), &value));
    assert_false(inv_json_int(inv_json_get(json, "f"), &value));
    assert_true(inv_json_uint(inv_json_get(json, "u"), &unsigned_value));
    assert_true(unsigned_value == G_MAXUINT64);
    assert_false(inv_json_uint(inv_json_get(json, "n"), &unsigned_value));
    assert_true(inv_json_get_boolean(json, "t", FALSE));
    assert_false(inv_json_get_boolean(json, "s", FALSE));
    assert_int_equal(inv_json_size(inv_json_get(json, "l")), 2);
    assert_null(inv_json_get(inv_json_get(json, "l"), "a"));
}

static void
a_large_object_is_indexed(void **state)
{
    json = inv_json_new_object();
    for (int i = 0; i < 1000; i++) {
        g_autofree char *name = g_strdup_printf("n%d", i);

        inv_json_object_set_int(json, name, i);
    }
    inv_json_object_set_int(json, "n500", -1);
    assert_int_equal(inv_json_size(json), 1000);
    assert_int_equal(inv_json_get_int(json, "n999", 0), 999);
    assert_int_equal(inv_json_get_int(json, "n500", 0), -1);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(parse_cases) + 3] = {
        cmocka_unit_test_teardown(nesting_is_limited, teardown),
        cmocka_unit_test_teardown(getters_check_types, teardown),
        cmocka_unit_test_teardown(a_large_object_is_indexed, teardown),
    };

    for (gsize i = 0; i < G_N_ELEMENTS(parse_cases); i++) {
        tests[3 + i] = (struct CMUnitTest){
            .name = parse_cases[i].name,
            .test_func = parse_and_format,
            .teardown_func = teardown,
            .initial_state = (void *)&parse_cases[i],
        };
    }
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
