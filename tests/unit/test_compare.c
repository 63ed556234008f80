/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cpu_driver/compare.h"
#include "tests/unit/cpu_facts.h"
#include "util/error.h"

static CpuFacts *all;
static InvCpu *cpu, *host;
static InvVerdict *verdict;
static GError *error;
static char *text;

static int
teardown(void **state)
{
    g_clear_pointer(&text, g_free);
    g_clear_pointer(&verdict, inv_verdict_free);
    g_clear_pointer(&cpu, inv_cpu_free);
    g_clear_pointer(&host, inv_cpu_free);
    g_clear_pointer(&all, cpu_facts_free);
    g_clear_error(&error);
    return 0;
}

typedef struct {
    const char *name;
    const char *host; /* NULL: what the recorded QEMU gives under TCG */
    const char *cpu;
    virCPUCompareResult result;
    const char *blockers; /* "feature/layer" apart by spaces, or a part of that list with '~' before it */
    gboolean kvm;
    const char *hardware; /* apart by spaces; NULL: not known */
} CompareCase;

#define HOST(inner) "<cpu><arch>x86_64</arch>" inner "</cpu>"
#define MODEL(name) "<model>" name "</model>"
#define GUEST(inner) "<cpu mode='custom' match='exact'>" inner "</cpu>"
#define STRICT(inner) "<cpu mode='custom' match='strict'>" inner "</cpu>"
#define HAS(name) "<feature name='" name "'/>"
#define POLICY(name, policy) "<feature name='" name "' policy='" policy "'/>"
#define SKYLAKE_MISSING "3dnowprefetch/QEMU hle/QEMU invpcid/QEMU pcid/QEMU rdseed/QEMU rtm/QEMU tsc-deadline/QEMU x2apic/QEMU xsavec/QEMU"

static const CompareCase compare_cases[] = {
    { .name = "the same model", .host = HOST(MODEL("Nehalem")), .cpu = HOST(MODEL("Nehalem")), .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "an alias and what it stands for", .host = HOST(MODEL("Nehalem")), .cpu = GUEST(MODEL("Nehalem-v1")),
      .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "one model is another with a feature", .host = HOST(MODEL("Nehalem-v2")), .cpu = HOST(MODEL("Nehalem-v1") HAS("spec-ctrl")),
      .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "the host has more", .host = HOST(MODEL("Nehalem") HAS("aes")), .cpu = GUEST(MODEL("Nehalem")),
      .result = VIR_CPU_COMPARE_SUPERSET },
    { .name = "the host has a larger model", .host = HOST(MODEL("Westmere")), .cpu = HOST(MODEL("Nehalem")),
      .result = VIR_CPU_COMPARE_SUPERSET },
    { .name = "the host has less", .host = HOST(MODEL("Nehalem")), .cpu = HOST(MODEL("Nehalem") HAS("avx2") HAS("aes")),
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .blockers = "aes/hardware avx2/hardware" },
    { .name = "either has what the other lacks", .host = HOST(MODEL("Nehalem") HAS("avx")), .cpu = GUEST(MODEL("Nehalem") POLICY("aes", "require")),
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .blockers = "aes/hardware" },
    { .name = "disable what the host lacks", .host = HOST(MODEL("Nehalem")), .cpu = GUEST(MODEL("Westmere") POLICY("aes", "disable")),
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .blockers = "arat/hardware pclmuldq/hardware" },
    { .name = "disable everything that the host lacks", .host = HOST(MODEL("Nehalem")),
      .cpu = GUEST(MODEL("Westmere") POLICY("aes", "disable") POLICY("arat", "disable") POLICY("pclmuldq", "disable")), .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "what is disabled is said", .host = HOST(MODEL("Nehalem")), .cpu = GUEST(MODEL("Nehalem") POLICY("popcnt", "disable")),
      .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "optional, and not there", .host = HOST(MODEL("Nehalem")), .cpu = GUEST(MODEL("Nehalem") POLICY("aes", "optional")),
      .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "force, and not there", .host = HOST(MODEL("Nehalem")), .cpu = GUEST(MODEL("Nehalem") POLICY("aes", "force")),
      .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "forbid, and there", .host = HOST(MODEL("Westmere")), .cpu = GUEST(MODEL("Nehalem") POLICY("aes", "forbid")),
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .blockers = "aes/configuration" },
    { .name = "forbid, and not there", .host = HOST(MODEL("Nehalem")), .cpu = GUEST(MODEL("Nehalem") POLICY("aes", "forbid")),
      .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "strict, and nothing more", .host = HOST(MODEL("Nehalem")), .cpu = STRICT(MODEL("Nehalem")), .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "strict, and more", .host = HOST(MODEL("Nehalem") HAS("avx") HAS("aes")), .cpu = STRICT(MODEL("Nehalem")),
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .blockers = "aes/configuration avx/configuration" },
    { .name = "strict, and what is more is named", .host = HOST(MODEL("Nehalem") HAS("avx") HAS("aes")),
      .cpu = STRICT(MODEL("Nehalem") POLICY("aes", "require") POLICY("avx", "disable")), .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "strict, more and less", .host = HOST(MODEL("Nehalem") HAS("aes")), .cpu = STRICT(MODEL("Nehalem") POLICY("avx", "require")),
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .blockers = "aes/configuration avx/hardware" },
    { .name = "topology does not count", .host = HOST(MODEL("Nehalem")), .cpu = HOST(MODEL("Nehalem") HAS("ht") HAS("cmp_legacy")),
      .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "what the guest's system sets does not count", .host = HOST(MODEL("Nehalem")), .cpu = GUEST(MODEL("Nehalem") POLICY("osxsave", "require")),
      .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "a host's feature that no guest gets", .host = HOST(MODEL("Nehalem")), .cpu = HOST(MODEL("Nehalem") HAS("mbm_total")),
      .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "requiring what no guest gets", .host = HOST(MODEL("Nehalem")), .cpu = GUEST(MODEL("Nehalem") POLICY("mbm_total", "require")),
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .blockers = "mbm_total/QEMU" },
    { .name = "a host's feature that does not migrate", .host = HOST(MODEL("Nehalem")), .cpu = HOST(MODEL("Nehalem") HAS("invtsc")),
      .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "requiring what does not migrate", .host = HOST(MODEL("Nehalem")), .cpu = GUEST(MODEL("Nehalem") POLICY("invtsc", "require")),
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .blockers = "invtsc/hardware" },
    { .name = "requiring what does not migrate and is there", .host = HOST(MODEL("Nehalem") HAS("invtsc")),
      .cpu = GUEST(MODEL("Nehalem") POLICY("invtsc", "require")), .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "the same vendor", .host = HOST(MODEL("Nehalem") "<vendor>Intel</vendor>"), .cpu = HOST(MODEL("Nehalem") "<vendor>Intel</vendor>"),
      .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "another vendor", .host = HOST(MODEL("Nehalem") "<vendor>Intel</vendor>"), .cpu = HOST(MODEL("Nehalem") "<vendor>AMD</vendor>"),
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .blockers = "vendor/hardware" },
    { .name = "a vendor only when it is named", .host = HOST(MODEL("Nehalem") "<vendor>AMD</vendor>"), .cpu = GUEST(MODEL("Nehalem")),
      .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "a host by the vendor of its model", .host = HOST(MODEL("Nehalem")), .cpu = GUEST(MODEL("Nehalem") "<vendor>Intel</vendor>"),
      .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "another architecture", .host = HOST(MODEL("Nehalem")), .cpu = "<cpu><arch>s390x</arch>" MODEL("z14") "</cpu>",
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .blockers = "arch/hardware" },
    { .name = "its 32-bit architecture", .host = HOST(MODEL("Nehalem")), .cpu = "<cpu><arch>i686</arch>" MODEL("Nehalem") "</cpu>",
      .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "here: a usable model", .cpu = GUEST(MODEL("Nehalem")), .result = VIR_CPU_COMPARE_SUPERSET },
    { .name = "here: no model means the machine's", .cpu = "<cpu/>", .result = VIR_CPU_COMPARE_SUPERSET },
    { .name = "here: a model that is filtered", .cpu = GUEST(MODEL("Skylake-Client")), .result = VIR_CPU_COMPARE_INCOMPATIBLE,
      .blockers = SKYLAKE_MISSING },
    { .name = "here: a part without its whole", .cpu = GUEST(MODEL("Nehalem") POLICY("rdctl-no", "require")),
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .blockers = "rdctl-no/configuration" },
    { .name = "here: strict", .cpu = STRICT(MODEL("Nehalem")), .result = VIR_CPU_COMPARE_INCOMPATIBLE, .blockers = "~aes/configuration" },
    { .name = "here: the vendor of TCG", .cpu = GUEST(MODEL("Nehalem") "<vendor>Intel</vendor>"), .result = VIR_CPU_COMPARE_INCOMPATIBLE,
      .blockers = "vendor/QEMU" },
    { .name = "here: maximum", .cpu = "<cpu mode='maximum'/>", .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "here: host-model", .cpu = "<cpu mode='host-model'/>", .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "here: host-model and more", .cpu = "<cpu mode='host-model'>" POLICY("avx512f", "require") "</cpu>",
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .blockers = "avx512f/QEMU" },
    { .name = "here: host-passthrough under TCG", .cpu = "<cpu mode='host-passthrough'/>", .result = VIR_CPU_COMPARE_INCOMPATIBLE,
      .blockers = "mode/configuration" },
    { .name = "KVM: host-passthrough", .cpu = "<cpu mode='host-passthrough'/>", .result = VIR_CPU_COMPARE_IDENTICAL, .kvm = TRUE },
    { .name = "KVM: the processor lacks it", .cpu = GUEST(MODEL("Nehalem") POLICY("avx512f", "require")), .kvm = TRUE, .hardware = "sse2",
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .blockers = "avx512f/hardware" },
    { .name = "KVM: the kernel withholds it", .cpu = GUEST(MODEL("Nehalem") POLICY("avx512f", "require")), .kvm = TRUE, .hardware = "sse2 avx512f",
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .blockers = "avx512f/kernel" },
    { .name = "KVM: what does not migrate, and is there", .cpu = GUEST(MODEL("Nehalem") POLICY("invtsc", "require")), .kvm = TRUE,
      .hardware = "sse2 invtsc", .result = VIR_CPU_COMPARE_SUPERSET },
    { .name = "KVM: what does not migrate, and is not there", .cpu = GUEST(MODEL("Nehalem") POLICY("invtsc", "require")), .kvm = TRUE,
      .hardware = "sse2", .result = VIR_CPU_COMPARE_INCOMPATIBLE, .blockers = "invtsc/hardware" },
};

static void
parse(const char *xml, InvCpu **into)
{
    *into = xml ? inv_cpu_parse(xml, &error) : NULL;
    if (xml && !*into)
        fail_msg("%s", error->message);
}

static void
check_blockers(const char *expected)
{
    GString *list = g_string_new(NULL);

    assert_int_equal(verdict->outcome, INV_OUTCOME_REFUSED);
    for (guint i = 0; i < verdict->blockers->len; i++) {
        const InvBlocker *blocker = g_ptr_array_index(verdict->blockers, i);

        assert_true(*blocker->reason && *blocker->remedy);
        g_string_append_printf(list, "%s%s/%s", i ? " " : "", blocker->feature, inv_layer_to_string(blocker->layer));
    }
    text = g_string_free(list, FALSE);
    if (*expected == '~')
        assert_non_null(strstr(text, expected + 1));
    else
        assert_string_equal(text, expected);
}

static void
compare(void **state)
{
    const CompareCase *row = *state;
    virCPUCompareResult result, again;

    all = cpu_facts_load("x86_64");
    parse(row->host, &host);
    parse(row->cpu, &cpu);
    if (row->kvm)
        all->facts.accelerator = INV_VIRT_KVM;
    if (row->hardware) {
        g_auto(GStrv) names = g_strsplit(row->hardware, " ", -1);

        all->hardware = inv_feature_set_new(all->names);
        inv_feature_set_add_list(all->hardware, (const char *const *)names);
        all->facts.hardware = all->hardware;
    }
    if (!inv_cpu_compare(&all->facts, host, cpu, &result, &verdict, &error))
        fail_msg("%s", error->message);
    if (verdict)
        check_blockers(row->blockers ? row->blockers : "");
    assert_int_equal(result, row->result);
    assert_int_equal(verdict != NULL, row->result == VIR_CPU_COMPARE_INCOMPATIBLE);
    assert_true(inv_cpu_compare(&all->facts, host, cpu, &again, NULL, NULL));
    assert_int_equal(again, result);
}

/* What QEMU has a property for and no processor a bit. */
static void
remove_names_without_bits(InvFeatureSet *set)
{
    g_autofree const char **list = inv_feature_set_list(set);

    for (guint i = 0; list[i]; i++) {
        const InvCpuMapFeature *entry = inv_cpu_map_find(all->map, list[i]);

        if (!entry || !entry->mask)
            inv_feature_set_remove(set, list[i]);
    }
}

/* Every model of the QEMU on every other: compatible exactly when it has all of it, and each blocker is a feature that it lacks. */
static void
models_compare_exactly(void **state)
{
    guint pairs = 0;

    all = cpu_facts_load("x86_64");
    for (guint i = 0; i < inv_cpu_table_size(all->table); i++) {
        const InvCpuModel *wanted = inv_cpu_table_at(all->table, i);

        for (guint k = 0; k < inv_cpu_table_size(all->table); k++) {
            const InvCpuModel *has = inv_cpu_table_at(all->table, k);
            g_autoptr(InvFeatureSet) missing = NULL;
            virCPUCompareResult result;

            /* "max" is the host here, which is not the document that a table says. */
            if (!wanted->expansion || !has->expansion || strcmp(wanted->name, "max") == 0 || strcmp(has->name, "max") == 0)
                continue;
            cpu = inv_cpu_new();
            cpu->model = g_strdup(wanted->name);
            host = inv_cpu_new();
            host->model = g_strdup(has->name);
            assert_true(inv_cpu_compare(&all->facts, host, cpu, &result, &verdict, &error));
            missing = inv_feature_set_copy(wanted->expansion->on);
            for (guint f = 0; f < inv_cpu_map_size(all->map); f++) {
                const InvCpuMapFeature *entry = inv_cpu_map_at(all->map, f);

                if (!entry->mask || !entry->passed || inv_cpu_map_follows_topology(entry->name))
                    inv_feature_set_remove(missing, entry->name);
            }
            inv_feature_set_subtract(missing, has->expansion->on);
            remove_names_without_bits(missing);
            assert_int_equal(result == VIR_CPU_COMPARE_INCOMPATIBLE, !inv_feature_set_is_empty(missing));
            assert_int_equal(verdict ? verdict->blockers->len : 0, inv_feature_set_count(missing));
            for (guint b = 0; verdict && b < verdict->blockers->len; b++)
                assert_true(inv_feature_set_has(missing, ((const InvBlocker *)g_ptr_array_index(verdict->blockers, b))->feature));
            g_clear_pointer(&verdict, inv_verdict_free);
            g_clear_pointer(&cpu, inv_cpu_free);
            g_clear_pointer(&host, inv_cpu_free);
            pairs++;
        }
    }
    assert_true(pairs > 2000);
}

typedef struct {
    const char *name;
    const char *arch;
    const char *host, *cpu;
    virErrorNumber code;
    const char *says;
    gboolean forget_host, forget_models;
} RefusalCase;

static const RefusalCase refusal_cases[] = {
    { .name = "unknown model", .arch = "x86_64", .cpu = GUEST(MODEL("Nehalen")), .code = VIR_ERR_CONFIG_UNSUPPORTED, .says = "did you mean Nehalem" },
    { .name = "unknown model of the host", .arch = "x86_64", .host = HOST(MODEL("Haswel")), .cpu = GUEST(MODEL("Nehalem")),
      .code = VIR_ERR_CONFIG_UNSUPPORTED, .says = "did you mean Haswell" },
    { .name = "unknown feature", .arch = "x86_64", .cpu = GUEST(MODEL("Nehalem") POLICY("avx3", "require")), .code = VIR_ERR_CONFIG_UNSUPPORTED,
      .says = "did you mean avx" },
    { .name = "a feature in two spellings", .arch = "x86_64", .cpu = GUEST(MODEL("Nehalem") POLICY("sse4.1", "require") POLICY("sse4-1", "disable")),
      .code = VIR_ERR_CONFIG_UNSUPPORTED, .says = "sse4.1" },
    { .name = "a host without a model", .arch = "x86_64", .cpu = HOST(""), .code = VIR_ERR_XML_ERROR, .says = "<model>" },
    { .name = "a host of another architecture", .arch = "x86_64", .host = "<cpu><arch>s390x</arch>" MODEL("z14") "</cpu>",
      .cpu = GUEST(MODEL("Nehalem")), .code = VIR_ERR_CONFIG_UNSUPPORTED, .says = "s390x" },
    { .name = "the host is not known", .arch = "x86_64", .cpu = GUEST(MODEL("Nehalem")), .code = VIR_ERR_CONFIG_UNSUPPORTED,
      .says = "what the host can give", .forget_host = TRUE },
    { .name = "models were not expanded", .arch = "x86_64", .cpu = GUEST(MODEL("Nehalem")), .code = VIR_ERR_OPERATION_FAILED, .says = "Nehalem",
      .forget_models = TRUE },
    { .name = "s390x", .arch = "s390x", .cpu = GUEST(MODEL("z14")), .code = VIR_ERR_NO_SUPPORT, .says = "not supported by the s390x CPU driver" },
    { .name = "aarch64", .arch = "aarch64", .cpu = GUEST(MODEL("cortex-a57")), .code = VIR_ERR_NO_SUPPORT,
      .says = "not supported by the aarch64 CPU driver" },
    { .name = "ppc64", .arch = "ppc64", .cpu = GUEST(MODEL("power9")), .code = VIR_ERR_NO_SUPPORT, .says = "not supported by the ppc64 CPU driver" },
};

static void
refuse(void **state)
{
    const RefusalCase *row = *state;
    virCPUCompareResult result;

    all = cpu_facts_load(row->arch);
    parse(row->host, &host);
    parse(row->cpu, &cpu);
    if (row->forget_host)
        all->facts.host = NULL;
    if (row->forget_models)
        inv_cpu_table_set_expansion(all->table, "Nehalem-v1", NULL);
    assert_false(inv_cpu_compare(&all->facts, host, cpu, &result, &verdict, &error));
    assert_int_equal(result, VIR_CPU_COMPARE_ERROR);
    assert_null(verdict);
    if (!strstr(error->message, row->says))
        fail_msg("%s", error->message);
    assert_int_equal(inv_error_code(error), row->code);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(compare_cases) + G_N_ELEMENTS(refusal_cases) + 1];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(compare_cases); i++)
        tests[n++] = (struct CMUnitTest){ compare_cases[i].name, compare, NULL, teardown, (void *)&compare_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(refusal_cases); i++)
        tests[n++] = (struct CMUnitTest){ refusal_cases[i].name, refuse, NULL, teardown, (void *)&refusal_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(models_compare_exactly, teardown);
    return cmocka_run_group_tests_name("cpu compare", tests, NULL, NULL);
}
