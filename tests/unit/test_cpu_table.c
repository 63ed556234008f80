/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cpu_facts.h"
#include "util/error.h"

static CpuFacts *all;
static InvJson *json;
static InvCpuExpansion *expansion;
static InvCpuTable *table;
static GError *error;
static char *text, *again;

static int
setup(void **state)
{
    all = cpu_facts_load("x86_64");
    return 0;
}

static int
teardown(void **state)
{
    g_clear_pointer(&text, g_free);
    g_clear_pointer(&again, g_free);
    g_clear_pointer(&json, inv_json_free);
    g_clear_pointer(&expansion, inv_cpu_expansion_free);
    g_clear_pointer(&table, inv_cpu_table_unref);
    g_clear_pointer(&all, cpu_facts_free);
    g_clear_error(&error);
    return 0;
}

typedef struct {
    const char *name;
    const char *props;
    const char *on;     /* apart by spaces, sorted */
    const char *known;
    const char *others;
} ExpansionCase;

static const ExpansionCase expansion_cases[] = {
    { .name = "libvirt's names", .props = "{\"pclmulqdq\":true,\"aes\":false}", .on = "pclmuldq", .known = "aes pclmuldq", .others = "{}" },
    { .name = "the dashed spelling wins, first", .props = "{\"tsc-adjust\":true,\"tsc_adjust\":false}", .on = "tsc_adjust",
      .known = "tsc_adjust", .others = "{}" },
    { .name = "the dashed spelling wins, last", .props = "{\"tsc_adjust\":true,\"tsc-adjust\":false}", .on = "", .known = "tsc_adjust",
      .others = "{}" },
    { .name = "unknown to the map, twice", .props = "{\"kvm_steal_time\":true,\"kvm-steal-time\":false}", .on = "",
      .known = "kvm-steal-time", .others = "{}" },
    { .name = "an underscore alone stays", .props = "{\"new_bit\":true}", .on = "new_bit", .known = "new_bit", .others = "{}" },
    { .name = "housekeeping is left out",
      .props = "{\"realized\":true,\"hotplugged\":true,\"check\":true,\"enforce\":false,\"migratable\":true,\"x-force-features\":true,"
               "\"start-powered-off\":false,\"x-migrate-smi-count\":true,\"host-phys-bits\":false,\"sse\":true}",
      .on = "sse", .known = "sse", .others = "{}" },
    { .name = "what CPUID shows stays in", .props = "{\"l3-cache\":true,\"kvm\":true,\"pmu\":false}", .on = "kvm l3-cache",
      .known = "kvm l3-cache pmu", .others = "{}" },
    { .name = "numbers and texts apart", .props = "{\"family\":6,\"vendor\":\"GenuineIntel\",\"apic-id\":3,\"sse\":true}", .on = "sse",
      .known = "sse", .others = "{\"family\":6,\"vendor\":\"GenuineIntel\"}" },
    { .name = "no name that breaks a command line", .props = "{\"a,b\":true,\"c=d\":true,\"\":true}", .on = "", .known = "", .others = "{}" },
    { .name = "no object", .props = "[true]", .on = "", .known = "", .others = "{}" },
};

static void
assert_set(const InvFeatureSet *set, const char *words)
{
    g_autofree const char **list = inv_feature_set_list(set);

    g_free(text);
    text = g_strjoinv(" ", (char **)list);
    assert_string_equal(text, words);
}

static void
expansion_is_read(void **state)
{
    const ExpansionCase *row = *state;

    json = inv_json_parse(row->props, strlen(row->props), &error);
    assert_non_null(json);
    expansion = inv_cpu_expansion_new(all->map, all->names, json);
    assert_set(expansion->on, row->on);
    assert_set(expansion->known, row->known);
    g_free(text);
    text = inv_json_format(expansion->others, FALSE);
    assert_string_equal(text, row->others);
}

static void
a_real_expansion(void **state)
{
    InvCpuExpansion *max = all->host;

    assert_true(inv_feature_set_has(max->on, "pni"));
    assert_false(inv_feature_set_has(max->known, "sse3"));
    assert_true(inv_feature_set_has(max->on, "lahf_lm"));
    assert_false(inv_feature_set_has(max->known, "lahf-lm"));
    assert_true(inv_feature_set_has(max->known, "rtm"));
    assert_false(inv_feature_set_has(max->on, "rtm"));
    assert_true(inv_feature_set_is_subset(max->on, max->known));
    assert_int_equal(inv_json_get_int(max->others, "family", -1), 15);
    assert_string_equal(inv_json_get_string(max->others, "vendor"), "AuthenticAMD");

    expansion = inv_cpu_expansion_copy(max);
    assert_true(inv_feature_set_is_equal(expansion->on, max->on));
    assert_true(inv_feature_set_is_equal(expansion->known, max->known));
}

static void
real_definitions(void **state)
{
    const InvCpuModel *alias = inv_cpu_table_find(all->table, "Skylake-Client");
    const InvCpuModel *model = inv_cpu_table_resolve_alias(all->table, alias);
    const InvCpuModel *opteron = inv_cpu_table_find(all->table, "Opteron_G5-v1");

    assert_int_equal(inv_cpu_table_size(all->table), 132);
    assert_string_equal(model->name, "Skylake-Client-v1");
    assert_ptr_equal(inv_cpu_table_resolve_alias(all->table, model), model);
    assert_true(model->has_usable);
    text = g_strjoinv(" ", model->unavailable);
    assert_string_equal(text, "3dnowprefetch hle invpcid pcid rdseed rtm tsc-deadline x2apic xsavec");
    g_free(text);
    text = g_strjoinv(" ", opteron->unavailable);
    assert_string_equal(text, "3dnowprefetch fma4 misalignsse nrip-save tbm xop");
    assert_int_equal(g_strv_length(inv_cpu_table_find(all->table, "Nehalem")->unavailable), 0);
    assert_null(inv_cpu_table_find(all->table, "nehalem"));
    assert_null(inv_cpu_table_at(all->table, 132));
}

static void
a_name_that_comes_twice_is_listed_once(void **state)
{
    static const char definition[] = "[{\"name\":\"A\",\"unavailable-features\":[\"xd\",\"nx\",\"aes\",\"\",7]},"
                                     "{\"name\":\"B\",\"alias-of\":\"gone\"}]";

    json = inv_json_parse(definition, strlen(definition), &error);
    table = inv_cpu_table_new("x86_64", "pc", all->names);
    assert_true(inv_cpu_table_set_definitions(table, all->map, json, &error));
    text = g_strjoinv(" ", inv_cpu_table_at(table, 0)->unavailable);
    assert_string_equal(text, "aes nx");
    assert_false(inv_cpu_table_at(table, 1)->has_usable);
    assert_null(inv_cpu_table_at(table, 1)->unavailable);
    assert_ptr_equal(inv_cpu_table_resolve_alias(table, inv_cpu_table_at(table, 1)), inv_cpu_table_at(table, 1));
    assert_false(inv_cpu_table_set_expansion(table, "C", inv_cpu_expansion_copy(all->host)));
}

typedef struct {
    const char *name;
    const char *definitions;
    const char *message;
} DefinitionCase;

static const DefinitionCase definition_cases[] = {
    { .name = "no list", .definitions = "{}", .message = "is not a list" },
    { .name = "no name", .definitions = "[{\"static\":true}]", .message = "CPU model 0 has no usable name" },
    { .name = "no object in the list", .definitions = "[7]", .message = "has no usable name" },
    { .name = "a comma in a name", .definitions = "[{\"name\":\"A,check=off\"}]", .message = "has no usable name" },
    { .name = "a name twice", .definitions = "[{\"name\":\"A\"},{\"name\":\"A\"}]", .message = "'A' is listed twice" },
};

static void
bad_definitions_are_refused(void **state)
{
    const DefinitionCase *row = *state;

    json = inv_json_parse(row->definitions, strlen(row->definitions), &error);
    assert_non_null(json);
    table = inv_cpu_table_new("x86_64", "pc", all->names);
    assert_false(inv_cpu_table_set_definitions(table, all->map, json, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_INVALID_ARG);
    assert_non_null(strstr(error->message, row->message));
}

static void
json_and_back_without_loss(void **state)
{
    g_autoptr(InvFeatureNames) other_names = inv_feature_names_new();

    json = inv_cpu_table_to_json(all->table);
    text = inv_json_format(json, FALSE);
    g_clear_pointer(&json, inv_json_free);
    json = inv_json_parse(text, strlen(text), &error);
    table = inv_cpu_table_from_json(json, all->names, &error);
    assert_non_null(table);
    assert_string_equal(inv_cpu_table_arch(table), "x86_64");
    assert_string_equal(inv_cpu_table_machine(table), "pc-q35-7.2");
    assert_int_equal(inv_cpu_table_size(table), inv_cpu_table_size(all->table));
    for (guint i = 0; i < inv_cpu_table_size(table); i++) {
        const InvCpuModel *was = inv_cpu_table_at(all->table, i), *is = inv_cpu_table_at(table, i);

        assert_string_equal(was->name, is->name);
        assert_int_equal(was->has_usable, is->has_usable);
        assert_int_equal(was->migration_safe, is->migration_safe);
        assert_int_equal(was->expansion != NULL, is->expansion != NULL);
        if (was->expansion) {
            assert_true(inv_feature_set_is_equal(was->expansion->on, is->expansion->on));
            assert_true(inv_feature_set_is_equal(was->expansion->known, is->expansion->known));
        }
    }
    g_clear_pointer(&json, inv_json_free);
    json = inv_cpu_table_to_json(table);
    again = inv_json_format(json, FALSE);
    assert_string_equal(again, text);

    /* Another process numbers the names in another order. */
    inv_cpu_table_unref(table);
    table = inv_cpu_table_from_json(json, other_names, &error);
    g_clear_pointer(&json, inv_json_free);
    json = inv_cpu_table_to_json(table);
    g_free(again);
    again = inv_json_format(json, FALSE);
    g_clear_pointer(&table, inv_cpu_table_unref);
    assert_string_equal(again, text);
}

typedef struct {
    const char *name;
    const char *json;
    const char *message;
} JsonCase;

#define TABLE(features, models) "{\"version\":1,\"arch\":\"x86_64\",\"machine\":\"pc\",\"features\":" features ",\"models\":" models "}"

static const JsonCase json_cases[] = {
    { .name = "another version", .json = "{\"version\":2}", .message = "form of this version" },
    { .name = "no models", .json = "{\"version\":1,\"arch\":\"a\",\"machine\":\"b\",\"features\":[]}", .message = "form of this version" },
    { .name = "features that are no names", .json = TABLE("[1,2]", "[]"), .message = "form of this version" },
    { .name = "a set too short", .json = TABLE("[\"a\",\"b\",\"c\",\"d\",\"e\"]", "[{\"name\":\"A\",\"on\":\"1\",\"known\":\"11\"}]"),
      .message = "'A': a set of CPU features has the wrong length" },
    { .name = "a set too long", .json = TABLE("[\"a\"]", "[{\"name\":\"A\",\"on\":\"1\",\"known\":\"11\"}]"), .message = "wrong length" },
    { .name = "no digit", .json = TABLE("[\"a\"]", "[{\"name\":\"A\",\"on\":\"x\",\"known\":\"1\"}]"), .message = "a digit that is none" },
    { .name = "a model twice", .json = TABLE("[]", "[{\"name\":\"A\"},{\"name\":\"A\"}]"), .message = "twice" },
};

static void
bad_json_is_refused(void **state)
{
    const JsonCase *row = *state;

    json = inv_json_parse(row->json, strlen(row->json), &error);
    assert_non_null(json);
    table = inv_cpu_table_from_json(json, all->names, &error);
    assert_null(table);
    assert_non_null(strstr(error->message, row->message));
}

static void
deprecated_props_are_kept(void **state)
{
    static const char list[] = "[\"csske\",\"bpb\"]";

    json = inv_json_parse(list, strlen(list), &error);
    expansion = inv_cpu_expansion_copy(all->host);
    inv_cpu_expansion_set_deprecated(expansion, all->map, json);
    text = g_strjoinv(" ", expansion->deprecated);
    assert_string_equal(text, "bpb csske");
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(expansion_cases) + G_N_ELEMENTS(definition_cases) + G_N_ELEMENTS(json_cases) + 5];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(expansion_cases); i++)
        tests[n++] = (struct CMUnitTest){ expansion_cases[i].name, expansion_is_read, setup, teardown, (void *)&expansion_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(definition_cases); i++)
        tests[n++] =
            (struct CMUnitTest){ definition_cases[i].name, bad_definitions_are_refused, setup, teardown, (void *)&definition_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(json_cases); i++)
        tests[n++] = (struct CMUnitTest){ json_cases[i].name, bad_json_is_refused, setup, teardown, (void *)&json_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(a_real_expansion, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(real_definitions, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(a_name_that_comes_twice_is_listed_once, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(json_and_back_without_loss, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(deprecated_props_are_kept, setup, teardown);
    return cmocka_run_group_tests_name("cpu table", tests, NULL, NULL);
}
