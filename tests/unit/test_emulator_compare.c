/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/emulator_compare.h"
#include "tests/unit/emulator_test.h"
#include "tests/unit/test_table.h"
#include "util/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define DEADLINE_MS 20000

#define BASIC_ANSWERS \
    "\"query-target\":{\"return\":{\"arch\":\"s390x\"}},\"query-kvm\":{\"return\":{\"enabled\":false,\"present\":false}}," \
    "\"qom-list-types\":[{\"arguments\":{\"implements\":\"accel\"},\"return\":[{\"name\":\"tcg-accel\"}]}," \
    "{\"arguments\":{\"implements\":\"device\"},\"return\":[]}]," \
    "\"query-machines\":{\"return\":[{\"name\":\"s390-ccw-virtio-7.2\",\"is-default\":true,\"cpu-max\":248}]}"

/* An emulator that answers as @answers say, beside what every probe asks. */
static void
start(const char *more, const char *answers)
{
    g_autofree char *config = NULL;

    log_path = g_build_filename(fixture->folder, "log", NULL);
    config = g_strdup_printf("{%s\"log\":\"%s\",\"answers\":{" BASIC_ANSWERS "%s%s}}", more, log_path, *answers ? "," : "", answers);
    path = emulator_fixture_fake(fixture, "qemu-system-s390x", config);
    emulator = inv_emulators_get(fixture->emulators, path, NULL, DEADLINE_MS, &error);
    if (error)
        fail_msg("%s", error->message);
    assert_non_null(emulator);
}

static InvJson *
model(const char *text)
{
    InvJson *json = inv_json_parse(text, strlen(text), &error);

    assert_null(error);
    return json;
}

static InvModelComparison *
compare(const char *first, const char *second)
{
    g_autoptr(InvJson) a = model(first);
    g_autoptr(InvJson) b = model(second);

    return inv_emulator_compare_models(emulator, INV_VIRT_QEMU, "s390-ccw-virtio-7.2", a, b, DEADLINE_MS, &error);
}

typedef struct {
    const char *name;
    const char *more;    /* of the fake emulator's configuration */
    const char *answers;
    InvModelsRelation relation;
    const char *responsible;
    int code;            /* or this error */
    const char *message;
} Case;

#define COMPARISON(word, properties) \
    "\"query-cpu-model-comparison\":{\"return\":{\"result\":\"" word "\",\"responsible-properties\":[" properties "]}}"

static const Case cases[] = {
    { "identical", "", COMPARISON("identical", ""), INV_MODELS_IDENTICAL, "" },
    { "superset", "", COMPARISON("superset", "\"vx\",\"edat\""), INV_MODELS_SUPERSET, "edat vx" },
    { "subset", "", COMPARISON("subset", "\"type\""), INV_MODELS_SUBSET, "type" },
    { "incompatible", "", COMPARISON("incompatible", "\"c\",\"b\",\"a\""), INV_MODELS_INCOMPATIBLE, "a b c" },
    { "properties that are none", "", "\"query-cpu-model-comparison\":{\"return\":{\"result\":\"subset\",\"responsible-properties\":[1]}}",
      INV_MODELS_SUBSET, "" },
    { "no properties", "", "\"query-cpu-model-comparison\":{\"return\":{\"result\":\"subset\"}}", INV_MODELS_SUBSET, "" },
    { "a word that is not known", "", COMPARISON("similar", ""), .code = VIR_ERR_OPERATION_FAILED, .message = "similar" },
    { "no word", "", "\"query-cpu-model-comparison\":{\"return\":{}}", .code = VIR_ERR_OPERATION_FAILED, .message = "result" },
    { "QEMU refuses", "",
      "\"query-cpu-model-comparison\":{\"error\":{\"class\":\"GenericError\",\"desc\":\"The CPU definition 'b' is unknown.\"}}",
      .code = VIR_ERR_CONFIG_UNSUPPORTED, .message = "'b' is unknown" },
    { "QEMU has no such command", "\"lacks\":[\"query-cpu-model-comparison\"],", "", .code = VIR_ERR_NO_SUPPORT,
      .message = "comparing CPUs is not supported by the s390x CPU driver" },
};

static void
comparison(void **state)
{
    const Case *row = *state;
    g_autoptr(InvModelComparison) first = NULL;
    g_autoptr(InvModelComparison) again = NULL;
    g_autofree char *words = NULL;
    guint runs;

    start(row->more, row->answers);
    runs = emulator_fixture_count(log_path);
    first = compare("{\"name\":\"a\"}", "{\"name\":\"b\"}");
    if (row->code) {
        assert_null(first);
        assert_int_equal(error->code, row->code);
        assert_non_null(strstr(error->message, row->message));
        return;
    }
    assert_null(error);
    assert_int_equal(first->relation, row->relation);
    words = g_strjoinv(" ", first->responsible);
    assert_string_equal(words, row->responsible);
    /* The same question starts no second process; the other way around is another one. */
    again = compare("{\"name\":\"a\"}", "{\"name\":\"b\"}");
    assert_int_equal(again->relation, row->relation);
    assert_int_equal(emulator_fixture_count(log_path), runs + 1);
    inv_model_comparison_free(compare("{\"name\":\"b\"}", "{\"name\":\"a\"}"));
    assert_int_equal(emulator_fixture_count(log_path), runs + 2);
}

#define BASELINE(a, b, result) \
    "{\"arguments\":{\"modela\":{\"name\":\"" a "\"},\"modelb\":{\"name\":\"" b "\"}},\"return\":{\"model\":{\"name\":\"" result "\"}}}"
#define FOLD \
    "\"query-cpu-model-baseline\":[" BASELINE("a", "a", "a0") "," BASELINE("a0", "b", "ab") "," BASELINE("ab", "c", "abc") "]," \
    "\"query-cpu-model-expansion\":{\"return\":{\"model\":{\"name\":\"abc\",\"props\":{\"x\":true}}}}"

static void
baseline_is_folded_in_one_process(void **state)
{
    g_autoptr(InvJson) a = model("{\"name\":\"a\"}");
    g_autoptr(InvJson) b = model("{\"name\":\"b\"}");
    g_autoptr(InvJson) c = model("{\"name\":\"c\"}");
    const InvJson *const models[] = { a, b, a, b, c };
    g_autoptr(InvJson) full = NULL;
    g_autoptr(InvJson) common = NULL;
    guint runs;

    start("", FOLD);
    runs = emulator_fixture_count(log_path);
    common = inv_emulator_common_model(emulator, INV_VIRT_QEMU, "s390-ccw-virtio-7.2", models, G_N_ELEMENTS(models), DEADLINE_MS, &full, &error);
    assert_null(error);
    assert_string_equal(inv_json_get_string(common, "name"), "abc");
    assert_true(inv_json_get_boolean(inv_json_get(full, "props"), "x", FALSE));
    assert_int_equal(emulator_fixture_count(log_path), runs + 1);
}

static void
baseline_without_a_model_is_refused(void **state)
{
    g_autoptr(InvJson) a = model("{\"name\":\"a\"}");
    const InvJson *const models[] = { a };

    start("", "\"query-cpu-model-baseline\":{\"return\":{}}");
    assert_null(inv_emulator_common_model(emulator, INV_VIRT_QEMU, "s390-ccw-virtio-7.2", models, 1, DEADLINE_MS, NULL, &error));
    assert_int_equal(error->code, VIR_ERR_OPERATION_FAILED);
    assert_non_null(strstr(error->message, "without a model"));
}

static void
hanging_emulator_costs_the_deadline(void **state)
{
    g_autofree char *config = g_strdup_printf("{\"mode\":\"hang-after-greeting\"}");
    g_autoptr(InvModelComparison) never = NULL;
    g_autoptr(InvJson) a = model("{\"name\":\"a\"}");

    start("", "");
    /* The binary is the same; what it does from now on is not. */
    g_free(emulator_fixture_file(fixture, "qemu-system-s390x.json", config, 0644));
    never = inv_emulator_compare_models(emulator, INV_VIRT_QEMU, "s390-ccw-virtio-7.2", a, a, 300, &error);
    assert_null(never);
    assert_int_equal(error->code, VIR_ERR_OPERATION_TIMEOUT);
}

int
main(void)
{
    const struct CMUnitTest single[] = {
        cmocka_unit_test_setup_teardown(baseline_is_folded_in_one_process, emulator_test_setup, emulator_test_teardown),
        cmocka_unit_test_setup_teardown(baseline_without_a_model_is_refused, emulator_test_setup, emulator_test_teardown),
        cmocka_unit_test_setup_teardown(hanging_emulator_costs_the_deadline, emulator_test_setup, emulator_test_teardown),
    };
    TestTable *table = test_table_new(emulator_test_setup, emulator_test_teardown);

    test_table_add_all(table, single, G_N_ELEMENTS(single));
    TEST_TABLE_ADD_ROWS(table, cases, comparison);
    return test_table_run(table, "emulator_compare", NULL, NULL);
}
