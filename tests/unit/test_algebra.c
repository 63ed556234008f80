/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cpu_driver/baseline.h"
#include "cpu_driver/driver.h"
#include "cpu_driver/expand.h"
#include "tests/unit/algebra_fixture.h"
#include "tests/unit/cpu_facts.h"
#include "tests/unit/test_table.h"
#include "util/error.h"

static InvCpu *
parse(const char *xml)
{
    InvCpu *cpu = inv_cpu_parse(xml, &error);

    if (!cpu)
        fail_msg("%s", error->message);
    return cpu;
}

static InvCpuDescription *
describe_machine(const InvCpuSeen *seen)
{
    InvCpuDescription *description = inv_cpu_describe_machine(world->basis, seen, &error);

    if (!description)
        fail_msg("%s", error->message);
    return description;
}

/* What a host-model guest of the machine has for its <cpu>: described, written, read. */
static InvCpu *
host_model_of(const InvCpuSeen *seen)
{
    g_autoptr(InvCpu) cpu = inv_cpu_describe_seen(world->tools.decoder, seen, &error);
    g_autofree char *xml = NULL;

    if (!cpu)
        fail_msg("%s", error->message);
    xml = inv_cpu_format(cpu);
    return parse(xml);
}

/* Both sides without what follows the topology or is the guest system's own. */
static InvFeatureSet *
what_counts(const InvFeatureSet *set)
{
    InvFeatureSet *counts = inv_feature_set_copy(set);
    static const char *const never[] = { "ht", "cmp_legacy", "osxsave", "ospke" };

    for (guint i = 0; i < G_N_ELEMENTS(never); i++)
        inv_feature_set_remove(counts, never[i]);
    return counts;
}

/* May a CPU of @vendor with @wanted run on a host of @host_vendor with @has, and is the answer exactly that? */
static void
assert_exact(const char *pair, const char *vendor, const InvFeatureSet *wanted, const char *host_vendor, const InvFeatureSet *has)
{
    g_autoptr(InvFeatureSet) counts = what_counts(wanted);
    g_autoptr(InvFeatureSet) missing = inv_feature_set_difference(counts, has);
    gboolean compatible = strcmp(vendor, host_vendor) == 0 && inv_feature_set_is_empty(missing);

    if (compatible != (difference->result != VIR_CPU_COMPARE_INCOMPATIBLE))
        fail_msg("%s: %s", pair, compatible ? "refused" : "allowed");
    assert_same_features(pair, difference->missing, missing);
    assert_true(inv_feature_set_is_empty(difference->refused));
    assert_int_equal(difference->other_vendor, strcmp(vendor, host_vendor) != 0);
    assert_false(difference->other_arch);
    assert_false(difference->phys_bits_short);
}

/* Between machines all that is not there is named, what counts and what does not. */
static void
assert_names_everything(const char *pair, const InvFeatureSet *wanted, const InvFeatureSet *has)
{
    g_autoptr(InvFeatureSet) lacking = inv_feature_set_difference(wanted, has);
    g_autoptr(InvFeatureSet) named = inv_feature_set_copy(difference->missing);
    g_autoptr(InvFeatureSet) counts = what_counts(difference->aside);

    inv_feature_set_unite(named, difference->aside);
    assert_same_features(pair, named, lacking);
    assert_true(inv_feature_set_is_empty(counts));
}

static void
guests_move_where_all_their_features_are(void **state)
{
    guint pairs = 0, allowed = 0;

    for (guint a = 0; a < world->machines->len; a++) {
        const CpuMachine *from = g_ptr_array_index(world->machines, a);
        g_autoptr(InvCpu) guest = from->qemu ? host_model_of(from->qemu) : NULL;
        g_autoptr(InvCpuDescription) by_document = guest ? describe(guest) : NULL;
        g_autoptr(InvCpuDescription) by_machine = guest ? describe_machine(from->qemu) : NULL;
        g_autoptr(InvFeatureSet) said = guest ? inv_cpu_expand(world->tools.decoder, guest, NULL) : NULL;

        if (!guest || !from->enabled)
            continue;
        assert_same_features(from->name, from->qemu->features, from->enabled);
        for (guint b = 0; b < world->machines->len; b++) {
            const CpuMachine *to = g_ptr_array_index(world->machines, b);
            g_autoptr(InvCpuDescription) host = to->qemu ? describe_machine(to->qemu) : NULL;
            g_autofree char *pair = g_strdup_printf("%s → %s", from->name, to->name);

            if (!host || !to->enabled)
                continue;
            inv_cpu_difference_find(world->basis, host, by_machine, difference);
            assert_exact(pair, from->qemu->vendor, from->enabled, to->qemu->vendor, to->enabled);
            assert_names_everything(pair, from->enabled, to->enabled);
            allowed += difference->result != VIR_CPU_COMPARE_INCOMPATIBLE;
            /* A document of a machine that does not tell its vmx-* says by its vmx that they are all there. */
            inv_cpu_difference_find(world->basis, host, by_document, difference);
            assert_exact(pair, from->qemu->vendor, said, to->qemu->vendor, to->enabled);
            if (from->qemu->vmx_known || !inv_feature_set_has(from->enabled, "vmx"))
                assert_same_features(pair, said, from->enabled);
            pairs++;
        }
    }
    if (!pairs)
        skip();
    print_message("# %u pairs of machines, %u moves allowed\n", pairs, allowed);
    assert_true(allowed > 0 && allowed < pairs);
}

/* By CPUID too, where every machine answers; and whoever moves to itself is identical. */
static void
machines_compare_by_cpuid(void **state)
{
    guint pairs = 0;

    for (guint a = 0; a < world->machines->len; a++) {
        const CpuMachine *from = g_ptr_array_index(world->machines, a);
        g_autoptr(InvCpuDescription) wanted = describe_machine(from->cpuid);

        for (guint b = 0; b < world->machines->len; b++) {
            const CpuMachine *to = g_ptr_array_index(world->machines, b);
            g_autoptr(InvCpuDescription) host = describe_machine(to->cpuid);
            g_autofree char *pair = g_strdup_printf("%s → %s", from->name, to->name);

            inv_cpu_difference_find(world->basis, host, wanted, difference);
            assert_exact(pair, from->cpuid->vendor, from->cpuid->features, to->cpuid->vendor, to->cpuid->features);
            assert_names_everything(pair, from->cpuid->features, to->cpuid->features);
            if (a == b)
                assert_int_equal(difference->result, VIR_CPU_COMPARE_IDENTICAL);
            assert_int_equal(difference->level_more, (gint64)to->cpuid->level - (gint64)from->cpuid->level);
            pairs++;
        }
    }
    if (!pairs)
        skip();
}

static InvCpu *
cpu_of_model(const InvCpuModelEntry *entry)
{
    InvCpu *cpu = inv_cpu_new();

    cpu->model = g_strdup(entry->name);
    if (entry->vendor && !inv_cpu_is_generic_model(entry->name))
        cpu->vendor = g_strdup(inv_cpu_vendor_from_id(entry->vendor));
    return cpu;
}

static void
models_compare_exactly(void **state)
{
    guint n = inv_cpu_models_size(world->tools.models), allowed = 0;

    for (guint a = 0; a < n; a++) {
        const InvCpuModelEntry *from = inv_cpu_models_at(world->tools.models, a);
        g_autoptr(InvCpu) cpu = cpu_of_model(from);
        g_autoptr(InvCpuDescription) wanted = describe(cpu);
        g_autoptr(InvFeatureSet) wants = what_counts(inv_cpu_decoder_model(world->tools.decoder, from->name, FALSE));

        for (guint b = 0; b < n; b++) {
            const InvCpuModelEntry *to = inv_cpu_models_at(world->tools.models, b);
            g_autoptr(InvCpu) other = cpu_of_model(to);
            g_autoptr(InvCpuDescription) host = describe(other);
            g_autoptr(InvFeatureSet) missing = inv_feature_set_difference(wants, inv_cpu_decoder_model(world->tools.decoder, to->name, FALSE));
            gboolean vendors = !cpu->vendor || g_strcmp0(cpu->vendor, other->vendor) == 0;

            inv_cpu_difference_find(world->basis, host, wanted, difference);
            assert_same_features(from->name, difference->missing, missing);
            assert_int_equal(difference->other_vendor, !vendors);
            assert_int_equal(difference->result != VIR_CPU_COMPARE_INCOMPATIBLE, vendors && inv_feature_set_is_empty(missing));
            allowed += difference->result != VIR_CPU_COMPARE_INCOMPATIBLE;
        }
    }
    assert_true(allowed > n && allowed < n * n);
}

/* Any host, any document: what is disabled besides is never a reason more. */
static void
disable_never_hurts(const InvCpu *cpu, const InvCpuDescription *host, GRand *rand)
{
    g_autoptr(InvCpuDescription) before = describe(cpu);
    virCPUCompareResult result;

    inv_cpu_difference_find(world->basis, host, before, difference);
    result = difference->result;
    for (guint i = 0; i < 3; i++) {
        const InvCpuMapFeature *entry = inv_cpu_map_at(world->tools.map, (guint)g_rand_int_range(rand, 0, (gint32)inv_cpu_map_size(world->tools.map)));
        g_autoptr(InvCpu) less = inv_cpu_copy(cpu);
        g_autoptr(InvCpuDescription) after = NULL;

        inv_cpu_set_feature(less, entry->name, INV_CPU_POLICY_DISABLE);
        after = describe(less);
        inv_cpu_difference_find(world->basis, host, after, difference);
        if (result != VIR_CPU_COMPARE_INCOMPATIBLE && difference->result == VIR_CPU_COMPARE_INCOMPATIBLE)
            fail_msg("%s: without %s it may not run any more", cpu->model, entry->name);
    }
}

static void
a_disable_never_makes_incompatible(void **state)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(20);
    guint n = inv_cpu_models_size(world->tools.models);

    for (guint i = 0; i < 3000; i++) {
        const InvCpuModelEntry *from = inv_cpu_models_at(world->tools.models, (guint)g_rand_int_range(rand, 0, (gint32)n));
        g_autoptr(InvCpu) cpu = cpu_of_model(from);
        g_autoptr(InvCpu) other = cpu_of_model(i % 2 ? from : inv_cpu_models_at(world->tools.models, (guint)g_rand_int_range(rand, 0, (gint32)n)));
        g_autoptr(InvCpuDescription) host = NULL;

        if (i % 3 == 0 && from->with_vmx[0]) {
            inv_cpu_set_feature(cpu, "vmx", INV_CPU_POLICY_REQUIRE);
            inv_cpu_set_feature(other, "vmx", INV_CPU_POLICY_REQUIRE);
        }
        cpu->match = i % 5 ? INV_CPU_MATCH_EXACT : INV_CPU_MATCH_STRICT;
        host = describe(other);
        disable_never_hurts(cpu, host, rand);
    }
    for (guint a = 0; a < world->machines->len; a++) {
        const CpuMachine *machine = g_ptr_array_index(world->machines, a);
        g_autoptr(InvCpu) cpu = host_model_of(machine->cpuid);
        g_autoptr(InvCpuDescription) host = describe_machine(machine->cpuid);

        for (guint i = 0; i < 20; i++)
            disable_never_hurts(cpu, host, rand);
    }
}

static void
shuffle(GRand *rand, GPtrArray *array)
{
    for (guint i = array->len; i > 1; i--) {
        guint k = (guint)g_rand_int_range(rand, 0, (gint32)i);
        gpointer kept = array->pdata[i - 1];

        array->pdata[i - 1] = array->pdata[k];
        array->pdata[k] = kept;
    }
}

static void
the_order_of_features_never_matters(void **state)
{
    static const InvCpuPolicy policies[] = { INV_CPU_POLICY_UNSET,   INV_CPU_POLICY_REQUIRE, INV_CPU_POLICY_FORCE, INV_CPU_POLICY_OPTIONAL,
                                             INV_CPU_POLICY_DISABLE, INV_CPU_POLICY_FORBID };
    g_autoptr(GRand) rand = g_rand_new_with_seed(21);
    guint n = inv_cpu_models_size(world->tools.models);

    for (guint i = 0; i < 300; i++) {
        const InvCpuModelEntry *entry = inv_cpu_models_at(world->tools.models, (guint)g_rand_int_range(rand, 0, (gint32)n));
        g_autoptr(InvCpu) cpu = cpu_of_model(entry);
        g_autoptr(InvCpuDescription) first = NULL;

        for (guint k = 0; k < 40; k++)
            inv_cpu_set_feature(cpu, inv_cpu_map_at(world->tools.map, (guint)g_rand_int_range(rand, 0, (gint32)inv_cpu_map_size(world->tools.map)))->name,
                                policies[g_rand_int_range(rand, 0, G_N_ELEMENTS(policies))]);
        if (i % 2)
            inv_cpu_set_feature(cpu, "vmx", policies[i / 2 % G_N_ELEMENTS(policies)]);
        first = describe(cpu);
        for (guint k = 0; k < 4; k++) {
            g_autoptr(InvCpuDescription) again = NULL;

            shuffle(rand, cpu->features);
            again = describe(cpu);
            assert_same_features("on", again->on, first->on);
            assert_same_features("named", again->named, first->named);
            assert_same_features("forced", again->forced, first->forced);
            assert_same_features("forbidden", again->forbidden, first->forbidden);
            assert_same_features("promised", again->promised, first->promised);
        }
    }
}

typedef struct {
    const char *name;
    const char *host, *cpu;
    virCPUCompareResult result;
    const char *missing, *refused; /* apart by spaces */
    gboolean other_vendor, other_arch, phys_bits_short;
    gint phys_bits_more;
} DifferenceCase;

#define CPU(inner) "<cpu>" inner "</cpu>"
#define STRICT(inner) "<cpu match='strict'>" inner "</cpu>"
#define MODEL(name) "<model>" name "</model>"
#define POLICY(name, policy) "<feature name='" name "' policy='" policy "'/>"
#define BITS(bits) "<maxphysaddr mode='emulate' bits='" bits "'/>"

static const DifferenceCase difference_cases[] = {
    { .name = "the same", .host = CPU(MODEL("Nehalem")), .cpu = CPU(MODEL("Nehalem-v1")), .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "a larger host", .host = CPU(MODEL("Westmere")), .cpu = CPU(MODEL("Nehalem")), .result = VIR_CPU_COMPARE_SUPERSET },
    { .name = "minimum", .host = CPU(MODEL("Westmere")), .cpu = "<cpu match='minimum'>" MODEL("Nehalem") "</cpu>", .result = VIR_CPU_COMPARE_SUPERSET },
    { .name = "missing", .host = CPU(MODEL("Nehalem")), .cpu = CPU(MODEL("Nehalem") POLICY("aes", "require") POLICY("avx", "require")),
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .missing = "aes avx" },
    { .name = "QEMU's spelling", .host = CPU(MODEL("Nehalem") POLICY("pclmulqdq", "require")), .cpu = CPU(MODEL("Nehalem") POLICY("pclmuldq", "require")),
      .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "forced", .host = CPU(MODEL("Nehalem")), .cpu = CPU(MODEL("Nehalem") POLICY("aes", "force")), .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "optional", .host = CPU(MODEL("Nehalem")), .cpu = CPU(MODEL("Nehalem") POLICY("aes", "optional")), .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "forbidden", .host = CPU(MODEL("Westmere")), .cpu = CPU(MODEL("Westmere") POLICY("aes", "forbid")),
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .refused = "aes" },
    { .name = "strict", .host = CPU(MODEL("Nehalem") POLICY("avx", "require")), .cpu = STRICT(MODEL("Nehalem")),
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .refused = "avx" },
    { .name = "strict, forbidden and missing", .host = CPU(MODEL("Nehalem") POLICY("avx", "require")),
      .cpu = STRICT(MODEL("Nehalem") POLICY("popcnt", "forbid") POLICY("aes", "require")), .result = VIR_CPU_COMPARE_INCOMPATIBLE, .missing = "aes",
      .refused = "avx popcnt" },
    { .name = "vmx brings its parts", .host = CPU(MODEL("Penryn") POLICY("vmx", "require") POLICY("vmx-hlt-exit", "require") POLICY("vmx-flexpriority", "disable")),
      .cpu = CPU(MODEL("Penryn") POLICY("vmx", "require") POLICY("vmx-hlt-exit", "require")), .result = VIR_CPU_COMPARE_INCOMPATIBLE, .missing = "vmx-flexpriority" },
    { .name = "vmx alone tells of no parts", .host = CPU(MODEL("Penryn") POLICY("vmx", "require")), .cpu = CPU(MODEL("Penryn") POLICY("vmx", "require")),
      .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "without vmx no parts", .host = CPU(MODEL("Penryn")), .cpu = CPU(MODEL("Penryn") POLICY("vmx", "disable")), .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "a part that is named", .host = CPU(MODEL("Penryn") POLICY("vmx", "require")),
      .cpu = CPU(MODEL("Penryn") POLICY("vmx-ept", "require") POLICY("vmx", "require")), .result = VIR_CPU_COMPARE_INCOMPATIBLE, .missing = "vmx-ept" },
    { .name = "required although it cannot migrate", .host = CPU(MODEL("Nehalem")), .cpu = CPU(MODEL("Nehalem") POLICY("xsaves", "require")),
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .missing = "xsaves" },
    { .name = "a model's own that cannot migrate", .host = CPU(MODEL("Snowridge-v4") POLICY("xsaves", "disable")), .cpu = CPU(MODEL("Snowridge-v4")),
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .missing = "xsaves" },
    { .name = "topology", .host = CPU(MODEL("Nehalem")), .cpu = CPU(MODEL("Nehalem") POLICY("ht", "require") POLICY("cmp_legacy", "require")),
      .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "the guest system's own", .host = CPU(MODEL("Nehalem")), .cpu = CPU(MODEL("Nehalem") POLICY("osxsave", "require")),
      .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "vendor", .host = CPU(MODEL("EPYC")), .cpu = CPU(MODEL("qemu64") "<vendor>Intel</vendor>" POLICY("svm", "disable")),
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .other_vendor = TRUE },
    { .name = "architecture", .host = CPU(MODEL("Nehalem")), .cpu = CPU("<arch>s390x</arch>" MODEL("z14")), .result = VIR_CPU_COMPARE_INCOMPATIBLE,
      .other_arch = TRUE },
    { .name = "architecture of the host", .host = CPU("<arch>s390x</arch>" MODEL("z14")), .cpu = CPU(MODEL("Nehalem")),
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .other_arch = TRUE },
    { .name = "its 32-bit architecture", .host = CPU(MODEL("Nehalem")), .cpu = CPU("<arch>i686</arch>" MODEL("Nehalem")), .result = VIR_CPU_COMPARE_IDENTICAL },
    { .name = "wider addresses", .host = CPU(MODEL("Nehalem") BITS("46")), .cpu = CPU(MODEL("Nehalem") BITS("40")), .result = VIR_CPU_COMPARE_IDENTICAL,
      .phys_bits_more = 6 },
    { .name = "narrower addresses", .host = CPU(MODEL("Nehalem") BITS("39")), .cpu = CPU(MODEL("Nehalem") BITS("46")),
      .result = VIR_CPU_COMPARE_INCOMPATIBLE, .phys_bits_short = TRUE, .phys_bits_more = -7 },
    { .name = "addresses that are not known", .host = CPU(MODEL("Nehalem")), .cpu = CPU(MODEL("Nehalem") BITS("46")), .result = VIR_CPU_COMPARE_IDENTICAL },
};

static void
assert_list(const InvFeatureSet *set, const char *expected)
{
    g_autofree const char **list = inv_feature_set_list(set);
    g_autofree char *text = g_strjoinv(" ", (char **)list);

    if (expected || *text)
        assert_string_equal(text, expected ? expected : "");
}

static void
difference_tells_why(void **state)
{
    const DifferenceCase *row = *state;
    g_autoptr(InvCpu) host_cpu = parse(row->host);
    g_autoptr(InvCpu) cpu = parse(row->cpu);
    g_autoptr(InvCpuDescription) host = describe(host_cpu);
    g_autoptr(InvCpuDescription) wanted = describe(cpu);

    inv_cpu_difference_find(world->basis, host, wanted, difference);
    if (!row->other_arch) {
        if (row->missing && !strchr(row->missing, ' ') && !inv_feature_set_has(difference->missing, row->missing))
            fail_msg("%s is not missed", row->missing);
        if (!row->missing || !g_str_has_prefix(row->missing, "vmx"))
            assert_list(difference->missing, row->missing);
        assert_list(difference->refused, row->refused);
    }
    assert_int_equal(difference->result, row->result);
    assert_int_equal(difference->other_vendor, row->other_vendor);
    assert_int_equal(difference->other_arch, row->other_arch);
    assert_int_equal(difference->phys_bits_short, row->phys_bits_short);
    assert_int_equal(difference->phys_bits_more, row->phys_bits_more);
}

typedef struct {
    const char *name;
    const char *xml;
    virErrorNumber code;
    const char *says;
} RefusalCase;

static const RefusalCase refusal_cases[] = {
    { .name = "unknown model", .xml = CPU(MODEL("Penrin")), .code = VIR_ERR_CONFIG_UNSUPPORTED, .says = "did you mean Penryn" },
    { .name = "unknown feature", .xml = CPU(MODEL("Penryn") POLICY("avx3", "require")), .code = VIR_ERR_CONFIG_UNSUPPORTED, .says = "did you mean avx" },
    { .name = "two spellings", .xml = CPU(MODEL("Penryn") POLICY("sse4.1", "require") POLICY("sse4-1", "disable")), .code = VIR_ERR_CONFIG_UNSUPPORTED,
      .says = "sse4.1" },
    { .name = "no model", .xml = "<cpu/>", .code = VIR_ERR_XML_ERROR, .says = "<model>" },
    { .name = "a host without a model", .xml = CPU("<arch>x86_64</arch>"), .code = VIR_ERR_XML_ERROR, .says = "<model>" },
    { .name = "what follows a host", .xml = "<cpu mode='host-model'/>", .code = VIR_ERR_CONFIG_UNSUPPORTED, .says = "host-model" },
};

static void
what_is_no_cpu_is_refused(void **state)
{
    const RefusalCase *row = *state;
    g_autoptr(InvCpu) cpu = parse(row->xml);
    g_autoptr(InvCpuDescription) description = inv_cpu_describe(world->basis, cpu, NULL, &error);

    assert_null(description);
    if (!strstr(error->message, row->says))
        fail_msg("%s", error->message);
    assert_int_equal(inv_error_code(error), row->code);
}

static void
a_hundred_thousand_features_are_refused(void **state)
{
    CpuFacts *all = cpu_facts_load("x86_64");
    g_autoptr(InvCpuBasis) basis = inv_cpu_basis_of_facts(&all->facts);
    g_autoptr(InvCpu) cpu = inv_cpu_new();

    cpu->model = g_strdup("Nehalem");
    for (guint i = 0; i < 100000; i++) {
        InvCpuFeature *feature = g_new0(InvCpuFeature, 1);

        feature->name = g_strdup_printf("feature-%u", i);
        g_ptr_array_add(cpu->features, feature);
    }
    assert_null(inv_cpu_describe(world->basis, cpu, NULL, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_INVALID_ARG);
    assert_non_null(strstr(error->message, "100000 features"));
    g_clear_error(&error);
    assert_null(inv_cpu_baseline(&all->facts, (const InvCpu *const[]){ cpu }, 1, FALSE, FALSE, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_INVALID_ARG);
    g_clear_pointer(&basis, inv_cpu_basis_free);
    cpu_facts_free(all);
}

static void
an_architecture_without_dictionary_is_not_supported(void **state)
{
    g_autoptr(InvCpuMap) map = inv_cpu_map_load(inv_cpu_map_default_folder(), "s390x", NULL);
    g_autoptr(InvCpuModels) models = inv_cpu_models_load(inv_cpu_map_default_folder(), "s390x", NULL);
    g_autoptr(InvFeatureNames) names = inv_feature_names_new();
    g_autoptr(InvCpuDecoder) decoder = inv_cpu_decoder_new(inv_cpu_map_default_folder(), map, models, names, NULL);
    g_autoptr(InvCpuBasis) basis = inv_cpu_basis_of_map(decoder, "s390x");
    g_autoptr(InvCpu) cpu = parse(CPU(MODEL("z14")));

    assert_null(inv_cpu_describe(basis, cpu, NULL, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_NO_SUPPORT);
    assert_non_null(strstr(error->message, "not supported by the s390x CPU driver"));
}

int
main(void)
{
    TestTable *table = test_table_new(NULL, algebra_teardown);

    test_table_add(table, guests_move_where_all_their_features_are, NULL, "a guest moves exactly where all its features are");
    test_table_add(table, machines_compare_by_cpuid, NULL, "machines compare by CPUID");
    test_table_add(table, models_compare_exactly, NULL, "models compare exactly");
    test_table_add(table, a_disable_never_makes_incompatible, NULL, "a disable never makes incompatible");
    test_table_add(table, the_order_of_features_never_matters, NULL, "the order of features never matters");
    TEST_TABLE_ADD_ROWS(table, difference_cases, difference_tells_why);
    TEST_TABLE_ADD_ROWS(table, refusal_cases, what_is_no_cpu_is_refused);
    test_table_add(table, a_hundred_thousand_features_are_refused, NULL, "a hundred thousand features");
    test_table_add(table, an_architecture_without_dictionary_is_not_supported, NULL, "an architecture without a dictionary");
    return test_table_run(table, "cpu algebra", algebra_load, algebra_unload);
}
