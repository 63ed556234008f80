/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cpu_driver/baseline.h"
#include "cpu_driver/expand.h"
#include "tests/unit/algebra_fixture.h"
#include "util/error.h"

/* From @first on, and around. */
static InvCpu *
baseline_of(const GPtrArray *cpus, guint first, gboolean backwards, gboolean expand_features, gboolean migratable)
{
    g_autoptr(InvCpuBaseliner) baseliner = inv_cpu_baseliner_new(world->basis);
    InvCpu *cpu;

    for (guint i = 0; i < cpus->len; i++) {
        guint at = backwards ? (first + cpus->len - i) % cpus->len : (first + i) % cpus->len;

        if (!inv_cpu_baseliner_add(baseliner, g_ptr_array_index(cpus, at), "a CPU", &error))
            fail_msg("%s", error->message);
    }
    assert_int_equal(inv_cpu_baseliner_count(baseliner), cpus->len);
    cpu = inv_cpu_baseliner_result(baseliner, expand_features, migratable, &error);
    if (!cpu)
        fail_msg("%s", error->message);
    return cpu;
}

/* What clients get: text. Returns what that means. */
static InvCpuDescription *
read_back(const InvCpu *cpu, char **xml)
{
    g_autoptr(InvCpu) again = NULL;
    g_autoptr(InvFeatureSet) expanded = NULL;
    InvCpuDescription *description;

    *xml = inv_cpu_format(cpu);
    again = inv_cpu_parse(*xml, &error);
    if (!again)
        fail_msg("%s", error->message);
    description = describe(again);
    /* The other reading of the same text. */
    expanded = inv_cpu_expand(world->tools.decoder, again, &error);
    assert_same_features(again->model, description->on, expanded);
    return description;
}

static void
assert_is_common(const GPtrArray *cpus, gboolean expand_features, gboolean migratable)
{
    g_autoptr(InvCpu) baseline = baseline_of(cpus, 0, FALSE, expand_features, migratable);
    g_autoptr(InvFeatureSet) common = NULL;
    g_autofree char *xml = NULL;
    g_autoptr(InvCpuDescription) has = read_back(baseline, &xml);
    const InvCpuModelEntry *model = inv_cpu_models_find(world->tools.models, baseline->model);

    for (guint i = 0; i < cpus->len; i++) {
        const InvCpuDescription *one = g_ptr_array_index(cpus, i);

        assert_true(inv_feature_set_is_subset(has->on, one->on));
        inv_cpu_difference_find(world->basis, one, has, difference);
        if (difference->result == VIR_CPU_COMPARE_INCOMPATIBLE)
            fail_msg("an input may not run %s", xml);
        if (one->vendor)
            assert_string_equal(model->vendor, one->vendor);
        if (common)
            inv_feature_set_intersect(common, one->on);
        else
            common = inv_feature_set_copy(one->on);
    }
    if (migratable)
        inv_feature_set_intersect(common, inv_cpu_basis_comparable(world->basis));
    assert_same_features(baseline->model, has->on, common);
    for (guint i = 0; expand_features && i < baseline->features->len; i++) {
        const InvCpuFeature *feature = g_ptr_array_index(baseline->features, i);

        assert_int_equal(feature->policy != INV_CPU_POLICY_DISABLE, inv_feature_set_has(common, feature->name));
    }
}

/* Whatever the order, however often: the same text. */
static void
assert_one_answer(GPtrArray *cpus, GRand *rand)
{
    g_autoptr(InvCpu) baseline = baseline_of(cpus, 0, FALSE, FALSE, FALSE);
    g_autoptr(InvCpu) turned = baseline_of(cpus, (guint)g_rand_int_range(rand, 0, (gint32)cpus->len), FALSE, FALSE, FALSE);
    g_autoptr(InvCpu) back = baseline_of(cpus, cpus->len - 1, TRUE, FALSE, FALSE);
    g_autofree char *xml = inv_cpu_format(baseline);
    g_autofree char *turned_xml = inv_cpu_format(turned);
    g_autofree char *back_xml = inv_cpu_format(back);
    g_autoptr(InvCpu) again = NULL;
    g_autoptr(InvCpuDescription) itself = describe(baseline);
    g_autofree char *again_xml = NULL;
    guint n = cpus->len;

    assert_string_equal(turned_xml, xml);
    assert_string_equal(back_xml, xml);
    /* One of them once more, and the answer itself, change nothing. */
    g_ptr_array_add(cpus, g_ptr_array_index(cpus, (guint)g_rand_int_range(rand, 0, (gint32)n)));
    g_ptr_array_add(cpus, itself);
    again = baseline_of(cpus, 0, FALSE, FALSE, FALSE);
    again_xml = inv_cpu_format(again);
    assert_string_equal(again_xml, xml);
    g_ptr_array_set_size(cpus, (gint)n);
}

static void
assert_all_properties(GPtrArray *cpus, GRand *rand)
{
    assert_is_common(cpus, FALSE, FALSE);
    assert_is_common(cpus, FALSE, TRUE);
    assert_is_common(cpus, TRUE, FALSE);
    assert_is_common(cpus, TRUE, TRUE);
    assert_one_answer(cpus, rand);
}

static void
assert_is_itself(const InvCpuDescription *one)
{
    g_autoptr(GPtrArray) twice = g_ptr_array_new();
    g_autoptr(InvCpu) baseline = NULL;
    g_autoptr(InvCpuDescription) has = NULL;
    g_autofree char *xml = NULL;

    g_ptr_array_add(twice, (gpointer)one);
    g_ptr_array_add(twice, (gpointer)one);
    baseline = baseline_of(twice, 0, FALSE, FALSE, FALSE);
    has = read_back(baseline, &xml);
    assert_same_features(baseline->model, has->on, one->on);
    inv_cpu_difference_find(world->basis, one, has, difference);
    assert_int_equal(difference->result, VIR_CPU_COMPARE_IDENTICAL);
    inv_cpu_difference_find(world->basis, has, one, difference);
    assert_int_equal(difference->missing ? inv_feature_set_count(difference->missing) : 1, 0);
}

/* By CPUID, by QEMU, and as a document: some tell of vmx-*, some do not. */
static GPtrArray *
descriptions_of_machines(void)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)inv_cpu_description_free);

    for (guint i = 0; i < world->machines->len; i++) {
        const CpuMachine *machine = g_ptr_array_index(world->machines, i);
        g_autoptr(InvCpu) document = inv_cpu_describe_seen(world->tools.decoder, machine->cpuid, &error);

        assert_non_null(document);
        g_ptr_array_add(list, inv_cpu_describe_machine(world->basis, machine->cpuid, &error));
        g_ptr_array_add(list, describe(document));
        if (machine->qemu)
            g_ptr_array_add(list, inv_cpu_describe_machine(world->basis, machine->qemu, &error));
    }
    return list;
}

static GPtrArray *
descriptions_of_models(void)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)inv_cpu_description_free);

    for (guint i = 0; i < inv_cpu_models_size(world->tools.models); i++) {
        const InvCpuModelEntry *entry = inv_cpu_models_at(world->tools.models, i);
        g_autoptr(InvCpu) cpu = inv_cpu_new();

        cpu->model = g_strdup(entry->name);
        g_ptr_array_add(list, describe(cpu));
        if (entry->with_vmx[0]) {
            inv_cpu_set_feature(cpu, "vmx", INV_CPU_POLICY_REQUIRE);
            g_ptr_array_add(list, describe(cpu));
        }
    }
    return list;
}

static gboolean
may_meet(const InvCpuDescription *a, const InvCpuDescription *b)
{
    return !a->vendor || !b->vendor || inv_cpu_same_vendor(a->vendor, b->vendor);
}

/* All pairs when @stride is 1, else each with every @stride-th. */
static guint
try_pairs(GPtrArray *all, guint stride, GRand *rand)
{
    guint pairs = 0;

    for (guint a = 0; a < all->len; a++) {
        assert_is_itself(g_ptr_array_index(all, a));
        for (guint b = a + 1; b < all->len; b += stride) {
            g_autoptr(GPtrArray) pair = g_ptr_array_new();

            if (!may_meet(g_ptr_array_index(all, a), g_ptr_array_index(all, b)))
                continue;
            g_ptr_array_add(pair, g_ptr_array_index(all, a));
            g_ptr_array_add(pair, g_ptr_array_index(all, b));
            assert_is_common(pair, FALSE, FALSE);
            assert_is_common(pair, TRUE, TRUE);
            assert_one_answer(pair, rand);
            pairs++;
        }
    }
    return pairs;
}

static void
try_subsets(GPtrArray *all, guint times, GRand *rand)
{
    for (guint i = 0; i < times; i++) {
        g_autoptr(GPtrArray) some = g_ptr_array_new();
        const InvCpuDescription *first = g_ptr_array_index(all, (guint)g_rand_int_range(rand, 0, (gint32)all->len));
        const char *vendor = first->vendor;
        guint n = (guint)g_rand_int_range(rand, 3, 12);

        g_ptr_array_add(some, (gpointer)first);
        while (some->len < n) {
            const InvCpuDescription *next = g_ptr_array_index(all, (guint)g_rand_int_range(rand, 0, (gint32)all->len));

            if (vendor && next->vendor && !inv_cpu_same_vendor(vendor, next->vendor))
                continue;
            vendor = vendor ? vendor : next->vendor;
            g_ptr_array_add(some, (gpointer)next);
        }
        assert_all_properties(some, rand);
    }
}

static void
machines_have_a_baseline(void **state)
{
    g_autoptr(GRand) rand = NULL;
    g_autoptr(GPtrArray) all = NULL;

    /* It leaves by a jump, past everything that would be freed. */
    if (!world->machines->len)
        skip();
    rand = g_rand_new_with_seed(22);
    all = descriptions_of_machines();
    print_message("# %u pairs of machines\n", try_pairs(all, 1, rand));
    try_subsets(all, 300, rand);
}

static void
models_have_a_baseline(void **state)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(23);
    g_autoptr(GPtrArray) all = descriptions_of_models();

    print_message("# %u pairs of models\n", try_pairs(all, 7, rand));
    try_subsets(all, 300, rand);
}

static void
the_source_that_tells_least_decides(void **state)
{
    g_autoptr(InvCpu) nested = inv_cpu_parse("<cpu><model>Skylake-Server</model><feature name='vmx' policy='require'/>"
                                           "<feature name='vmx-ept' policy='require'/></cpu>", NULL);
    g_autoptr(InvCpuDescription) told = describe(nested);
    g_autoptr(InvFeatureSet) features = inv_feature_set_copy(inv_cpu_decoder_model(world->tools.decoder, "Skylake-Server", FALSE));
    InvCpuSeen seen = { .vendor = (char *)"GenuineIntel", .features = features };
    g_autoptr(InvCpuDescription) dumb = NULL;
    g_autoptr(GPtrArray) both = g_ptr_array_new();
    g_autoptr(InvCpu) baseline = NULL;
    g_autoptr(GRand) rand = g_rand_new_with_seed(24);

    inv_feature_set_add(features, "vmx");
    dumb = inv_cpu_describe_machine(world->basis, &seen, &error);
    g_ptr_array_add(both, told);
    g_ptr_array_add(both, dumb);
    assert_all_properties(both, rand);
    baseline = baseline_of(both, 0, FALSE, FALSE, FALSE);
    assert_int_equal(inv_cpu_find_feature(baseline, "vmx")->policy, INV_CPU_POLICY_REQUIRE);
    assert_null(inv_cpu_find_feature(baseline, "vmx-ept"));
    assert_int_equal(baseline->features->len, 1);
}

/* An error leaves everything as it was, and the answer may be asked for again. */
static void
a_baseline_streams(void **state)
{
    g_autoptr(InvCpuBaseliner) baseliner = inv_cpu_baseliner_new(world->basis);
    g_autoptr(InvCpu) haswell = inv_cpu_parse("<cpu><model>Haswell</model><vendor>Intel</vendor></cpu>", NULL);
    g_autoptr(InvCpu) nehalem = inv_cpu_parse("<cpu><model>Nehalem</model><vendor>Intel</vendor></cpu>", NULL);
    g_autoptr(InvCpu) epyc = inv_cpu_parse("<cpu><model>EPYC</model></cpu>", NULL);
    g_autoptr(InvCpu) mainframe = inv_cpu_parse("<cpu><arch>s390x</arch><model>z14</model></cpu>", NULL);
    g_autoptr(InvCpuDescription) first = describe(haswell);
    g_autoptr(InvCpuDescription) second = describe(nehalem);
    g_autoptr(InvCpuDescription) other = describe(epyc);
    g_autoptr(InvCpuDescription) foreign = describe(mainframe);
    g_autoptr(InvCpu) one = NULL, same = NULL, two = NULL;

    assert_null(inv_cpu_baseliner_result(baseliner, FALSE, FALSE, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_INVALID_ARG);
    assert_non_null(strstr(error->message, "no CPUs"));
    g_clear_error(&error);
    assert_true(inv_cpu_baseliner_add(baseliner, first, "rack1.xml", &error));
    one = inv_cpu_baseliner_result(baseliner, FALSE, FALSE, &error);
    assert_string_equal(one->model, "Haswell-v1");

    assert_false(inv_cpu_baseliner_add(baseliner, other, "rack2.xml", &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_FAILED);
    assert_non_null(strstr(error->message, "rack1.xml is by Intel"));
    assert_non_null(strstr(error->message, "rack2.xml is by AMD"));
    g_clear_error(&error);
    assert_false(inv_cpu_baseliner_add(baseliner, foreign, "rack3.xml", &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_INVALID_ARG);
    assert_non_null(strstr(error->message, "rack3.xml"));
    assert_non_null(strstr(error->message, "s390x"));
    g_clear_error(&error);
    assert_int_equal(inv_cpu_baseliner_count(baseliner), 1);
    same = inv_cpu_baseliner_result(baseliner, FALSE, FALSE, &error);
    assert_string_equal(same->model, "Haswell-v1");
    assert_int_equal(same->features->len, 0);

    assert_true(inv_cpu_baseliner_add(baseliner, second, "rack4.xml", &error));
    two = inv_cpu_baseliner_result(baseliner, FALSE, FALSE, &error);
    assert_string_equal(two->model, "Nehalem-v1");
    assert_string_equal(two->vendor, "Intel");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(machines_have_a_baseline, algebra_teardown),
        cmocka_unit_test_teardown(models_have_a_baseline, algebra_teardown),
        cmocka_unit_test_teardown(the_source_that_tells_least_decides, algebra_teardown),
        cmocka_unit_test_teardown(a_baseline_streams, algebra_teardown),
    };

    return cmocka_run_group_tests_name("cpu algebra baseline", tests, algebra_load, algebra_unload);
}
