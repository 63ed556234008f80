/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cpu_driver/baseline.h"
#include "cpu_driver/compare.h"
#include "cpu_driver/description.h"
#include "cpu_driver/driver.h"
#include "tests/unit/cpu_facts.h"
#include "util/error.h"

#define MAX_CPUS 4u

static CpuFacts *all;
static InvCpu *cpus[MAX_CPUS];
static InvCpu *baseline, *again;
static GError *error;
static char *text, *more;

static int
teardown(void **state)
{
    g_clear_pointer(&text, g_free);
    g_clear_pointer(&more, g_free);
    for (guint i = 0; i < MAX_CPUS; i++)
        g_clear_pointer(&cpus[i], inv_cpu_free);
    g_clear_pointer(&baseline, inv_cpu_free);
    g_clear_pointer(&again, inv_cpu_free);
    g_clear_pointer(&all, cpu_facts_free);
    g_clear_error(&error);
    return 0;
}

#define HOST(inner) "<cpu><arch>x86_64</arch>" inner "</cpu>"
#define MODEL(name) "<model>" name "</model>"
#define GUEST(inner) "<cpu mode='custom' match='exact'>" inner "</cpu>"
#define HAS(name) "<feature name='" name "'/>"
#define POLICY(name, policy) "<feature name='" name "' policy='" policy "'/>"
#define VENDOR(name) "<vendor>" name "</vendor>"

typedef struct {
    const char *name;
    const char *cpus[MAX_CPUS];
    const char *expected; /* "Model vendor +feature -feature", vendor "-": none */
    gboolean migratable;
} BaselineCase;

static const BaselineCase baseline_cases[] = {
    { .name = "one", .cpus = { HOST(MODEL("Nehalem")) }, .expected = "Nehalem-v1 -" },
    { .name = "twice the same", .cpus = { HOST(MODEL("Nehalem") VENDOR("Intel")), HOST(MODEL("Nehalem") VENDOR("Intel")) },
      .expected = "Nehalem-v1 Intel" },
    { .name = "a vendor that one does not name", .cpus = { HOST(MODEL("Nehalem") VENDOR("Intel")), HOST(MODEL("Nehalem")) },
      .expected = "Nehalem-v1 -" },
    { .name = "the smaller model", .cpus = { HOST(MODEL("Westmere")), HOST(MODEL("Nehalem")) }, .expected = "Nehalem-v1 -" },
    { .name = "a common feature more", .cpus = { HOST(MODEL("Nehalem") HAS("avx") HAS("aes")), HOST(MODEL("Nehalem") HAS("aes")) },
      .expected = "Nehalem-v1 - +aes" },
    { .name = "a model with a feature is a larger model", .cpus = { HOST(MODEL("Nehalem") HAS("spec-ctrl")), HOST(MODEL("Nehalem-v2")) },
      .expected = "Nehalem-v2 -" },
    { .name = "three", .cpus = { HOST(MODEL("Westmere")), HOST(MODEL("Haswell")), HOST(MODEL("Nehalem") HAS("aes") HAS("avx")) },
      .expected = "Nehalem-v1 - +aes" },
    { .name = "policies", .cpus = { GUEST(MODEL("Nehalem") POLICY("aes", "force") POLICY("avx", "optional")),
                                    GUEST(MODEL("Westmere") POLICY("avx", "require") POLICY("pclmuldq", "disable")) },
      .expected = "Nehalem-v1 - +aes" },
    { .name = "topology and what no guest gets", .cpus = { HOST(MODEL("Nehalem") HAS("ht") HAS("mbm_total") HAS("osxsave")) },
      .expected = "Nehalem-v1 -" },
    { .name = "what does not migrate", .cpus = { HOST(MODEL("Nehalem") HAS("invtsc")), HOST(MODEL("Nehalem") HAS("invtsc")) },
      .expected = "Nehalem-v1 - +invtsc" },
    { .name = "without what does not migrate", .cpus = { HOST(MODEL("Nehalem") HAS("invtsc")), HOST(MODEL("Nehalem") HAS("invtsc")) },
      .expected = "Nehalem-v1 -", .migratable = TRUE },
    { .name = "no vendor's", .cpus = { HOST(MODEL("kvm64")), HOST(MODEL("kvm64")) }, .expected = "kvm64-v1 -" },
    { .name = "no vendor's with a vendor's", .cpus = { HOST(MODEL("kvm64") HAS("aes")), HOST(MODEL("Westmere")) }, .expected = "~" },
    { .name = "two that share little", .cpus = { HOST(MODEL("Haswell") VENDOR("Intel")), HOST(MODEL("Penryn") VENDOR("Intel")) }, .expected = "~" },
    { .name = "AMD's", .cpus = { HOST(MODEL("EPYC") VENDOR("AMD")), HOST(MODEL("Opteron_G3") VENDOR("AMD")) }, .expected = "~" },
    { .name = "servers", .cpus = { HOST(MODEL("Cascadelake-Server")), HOST(MODEL("Icelake-Server")), HOST(MODEL("Skylake-Client")) },
      .expected = "~" },
    { .name = "less than any model of the vendor", .cpus = { GUEST(MODEL("Opteron_G1") POLICY("sse2", "disable") POLICY("mmx", "disable")) },
      .expected = "~" },
    { .name = "what this host gives", .cpus = { "<cpu mode='host-model'/>", "<cpu mode='maximum'/>" }, .expected = "~", .migratable = TRUE },
};

static guint
parse(const char *const *xml)
{
    guint n = 0;

    for (; n < MAX_CPUS && xml[n]; n++) {
        cpus[n] = inv_cpu_parse(xml[n], &error);
        if (!cpus[n])
            fail_msg("%s", error->message);
    }
    return n;
}

static char *
summary(const InvCpu *cpu)
{
    GString *line = g_string_new(NULL);

    g_string_append_printf(line, "%s %s", cpu->model, cpu->vendor ? cpu->vendor : "-");
    for (guint i = 0; i < cpu->features->len; i++) {
        const InvCpuFeature *feature = g_ptr_array_index(cpu->features, i);

        g_string_append_printf(line, " %c%s", feature->policy == INV_CPU_POLICY_DISABLE ? '-' : '+', feature->name);
    }
    return g_string_free(line, FALSE);
}

/* Every CPU that it came from can run it, and it lacks nothing that they all have. */
static void
assert_is_largest(guint n, gboolean migratable)
{
    g_autoptr(InvFeatureSet) comparable = inv_cpu_comparable(all->map, all->names);
    g_autoptr(InvCpuBasis) basis = inv_cpu_basis_of_facts(&all->facts);
    g_autoptr(InvCpuDescription) has = inv_cpu_describe(basis, baseline, NULL, NULL);
    g_autoptr(InvFeatureSet) common = NULL;

    for (guint i = 0; i < n; i++) {
        virCPUCompareResult result;

        assert_true(inv_cpu_compare(&all->facts, cpus[i], baseline, &result, NULL, NULL));
        assert_int_not_equal(result, VIR_CPU_COMPARE_INCOMPATIBLE);
    }
    for (guint i = 0; i < n; i++) {
        g_autoptr(InvCpuDescription) one = inv_cpu_describe(basis, cpus[i], all->host->on, NULL);

        if (common)
            inv_feature_set_intersect(common, one->on);
        else
            common = g_steal_pointer(&one->on);
    }
    if (migratable)
        inv_feature_set_intersect(common, comparable);
    assert_true(inv_feature_set_is_equal(has->on, common));
    again = inv_cpu_baseline(&all->facts, (const InvCpu *const[]){ baseline, baseline }, 2, FALSE, FALSE, &error);
    assert_non_null(again);
    more = summary(again);
    assert_string_equal(more, text);
    g_clear_pointer(&again, inv_cpu_free);
    g_clear_pointer(&more, g_free);
}

static void
assert_any_order(guint n, gboolean migratable)
{
    const InvCpu *order[MAX_CPUS];

    for (guint turn = 0; turn < 2 * n; turn++) {
        for (guint i = 0; i < n; i++)
            order[i] = cpus[turn < n ? (i + turn) % n : (2 * n - i - turn % n) % n];
        again = inv_cpu_baseline(&all->facts, order, n, FALSE, migratable, &error);
        assert_non_null(again);
        more = summary(again);
        assert_string_equal(more, text);
        g_clear_pointer(&again, inv_cpu_free);
        g_clear_pointer(&more, g_free);
    }
}

static void
find_baseline(void **state)
{
    const BaselineCase *row = *state;
    guint n;

    all = cpu_facts_load("x86_64");
    n = parse(row->cpus);
    baseline = inv_cpu_baseline(&all->facts, (const InvCpu *const *)cpus, n, FALSE, row->migratable, &error);
    if (!baseline)
        fail_msg("%s", error->message);
    text = summary(baseline);
    if (*row->expected != '~')
        assert_string_equal(text, row->expected);
    assert_int_equal(baseline->mode, INV_CPU_MODE_CUSTOM);
    assert_int_equal(baseline->match, INV_CPU_MATCH_EXACT);
    assert_is_largest(n, row->migratable);
    assert_any_order(n, row->migratable);
}

/* For every model: its baseline with itself is itself, feature by feature. */
static void
a_model_is_its_own_baseline(void **state)
{
    guint tried = 0;

    all = cpu_facts_load("x86_64");
    for (guint i = 0; i < inv_cpu_table_size(all->table); i++) {
        const InvCpuModel *model = inv_cpu_table_at(all->table, i);
        virCPUCompareResult result;

        if (!model->expansion || strcmp(model->name, "base") == 0)
            continue;
        cpus[0] = inv_cpu_new();
        cpus[0]->model = g_strdup(model->name);
        baseline = inv_cpu_baseline(&all->facts, (const InvCpu *const[]){ cpus[0], cpus[0] }, 2, FALSE, FALSE, &error);
        assert_non_null(baseline);
        if (baseline->features->len)
            fail_msg("%s became %s", model->name, (text = summary(baseline)));
        assert_true(inv_cpu_compare(&all->facts, cpus[0], baseline, &result, NULL, &error));
        assert_int_equal(result, VIR_CPU_COMPARE_IDENTICAL);
        g_clear_pointer(&cpus[0], inv_cpu_free);
        g_clear_pointer(&baseline, inv_cpu_free);
        tried++;
    }
    assert_true(tried > 50);
}

static void
the_text_is_what_clients_print(void **state)
{
    static const char *const xml[] = { HOST(MODEL("Nehalem") VENDOR("Intel") HAS("aes") HAS("avx")),
                                       HOST(MODEL("Westmere") VENDOR("Intel")), NULL };

    all = cpu_facts_load("x86_64");
    baseline = inv_cpu_baseline(&all->facts, (const InvCpu *const *)cpus, parse(xml), FALSE, FALSE, &error);
    text = inv_cpu_format(baseline);
    g_strdelimit(text, "\"", '\'');
    assert_string_equal(text, "<cpu mode='custom' match='exact'>\n"
                              "  <model fallback='forbid'>Nehalem-v1</model>\n"
                              "  <vendor>Intel</vendor>\n"
                              "  <feature policy='require' name='aes'/>\n"
                              "</cpu>\n");
}

static void
expanded_names_every_feature(void **state)
{
    static const char *const xml[] = { HOST(MODEL("Nehalem") HAS("aes")), NULL };

    all = cpu_facts_load("x86_64");
    baseline = inv_cpu_baseline(&all->facts, (const InvCpu *const *)cpus, parse(xml), TRUE, TRUE, &error);
    assert_string_equal(baseline->model, "Nehalem-v1");
    assert_non_null(inv_cpu_find_feature(baseline, "aes"));
    assert_non_null(inv_cpu_find_feature(baseline, "sse4.2"));
    assert_null(inv_cpu_find_feature(baseline, "ht"));
    for (guint i = 0; i < baseline->features->len; i++) {
        const InvCpuFeature *feature = g_ptr_array_index(baseline->features, i);

        assert_int_equal(feature->policy, INV_CPU_POLICY_REQUIRE);
        if (strcmp(feature->name, "aes") != 0)
            assert_true(inv_feature_set_has(inv_cpu_table_find(all->table, "Nehalem-v1")->expansion->on, feature->name));
    }
    assert_true(baseline->features->len > 20);
}

typedef struct {
    const char *name;
    const char *arch;
    const char *cpus[MAX_CPUS];
    virErrorNumber code;
    const char *says, *and_says;
    gboolean forget_host;
} RefusalCase;

static const RefusalCase refusal_cases[] = {
    { .name = "no CPUs", .arch = "x86_64", .code = VIR_ERR_INVALID_ARG, .says = "no CPUs" },
    { .name = "unknown model", .arch = "x86_64", .cpus = { HOST(MODEL("Nehalen")) }, .code = VIR_ERR_CONFIG_UNSUPPORTED, .says = "did you mean Nehalem" },
    { .name = "unknown model after a good one", .arch = "x86_64", .cpus = { HOST(MODEL("Nehalem")), HOST(MODEL("Haswel")) },
      .code = VIR_ERR_CONFIG_UNSUPPORTED, .says = "did you mean Haswell" },
    { .name = "unknown feature", .arch = "x86_64", .cpus = { HOST(MODEL("Nehalem") HAS("avx3")) }, .code = VIR_ERR_CONFIG_UNSUPPORTED,
      .says = "did you mean avx" },
    { .name = "vendors that are named", .arch = "x86_64", .cpus = { HOST(MODEL("Nehalem") VENDOR("Intel")), HOST(MODEL("EPYC") VENDOR("AMD")) },
      .code = VIR_ERR_OPERATION_FAILED, .says = "by Intel", .and_says = "by AMD" },
    { .name = "vendors of the models", .arch = "x86_64", .cpus = { HOST(MODEL("EPYC")), HOST(MODEL("Nehalem")) }, .code = VIR_ERR_OPERATION_FAILED,
      .says = "by Intel", .and_says = "by AMD" },
    { .name = "a vendor of which QEMU has no model", .arch = "x86_64", .cpus = { HOST(MODEL("kvm64") VENDOR("VIA")) },
      .code = VIR_ERR_OPERATION_FAILED, .says = "VIA" },
    { .name = "another architecture", .arch = "x86_64", .cpus = { HOST(MODEL("Nehalem")), "<cpu><arch>s390x</arch><model>z14</model></cpu>" },
      .code = VIR_ERR_INVALID_ARG, .says = "s390x", .and_says = "x86_64" },
    { .name = "a host that is not known", .arch = "x86_64", .cpus = { "<cpu mode='host-model'/>" }, .code = VIR_ERR_CONFIG_UNSUPPORTED,
      .says = "host-model", .forget_host = TRUE },
    { .name = "s390x", .arch = "s390x", .cpus = { "<cpu><arch>s390x</arch><model>z14</model></cpu>" }, .code = VIR_ERR_NO_SUPPORT,
      .says = "not supported by the s390x CPU driver" },
};

static void
refuse(void **state)
{
    const RefusalCase *row = *state;
    guint n;

    all = cpu_facts_load(row->arch);
    if (row->forget_host)
        all->facts.host = NULL;
    n = parse(row->cpus);
    baseline = inv_cpu_baseline(&all->facts, (const InvCpu *const *)cpus, n, FALSE, FALSE, &error);
    assert_null(baseline);
    if (!strstr(error->message, row->says) || (row->and_says && !strstr(error->message, row->and_says)))
        fail_msg("%s", error->message);
    assert_int_equal(inv_error_code(error), row->code);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(baseline_cases) + G_N_ELEMENTS(refusal_cases) + 3];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(baseline_cases); i++)
        tests[n++] = (struct CMUnitTest){ baseline_cases[i].name, find_baseline, NULL, teardown, (void *)&baseline_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(refusal_cases); i++)
        tests[n++] = (struct CMUnitTest){ refusal_cases[i].name, refuse, NULL, teardown, (void *)&refusal_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(a_model_is_its_own_baseline, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(the_text_is_what_clients_print, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(expanded_names_every_feature, teardown);
    return cmocka_run_group_tests_name("cpu baseline", tests, NULL, NULL);
}
