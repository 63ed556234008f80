/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mode='host-model' stands on the same model whether QEMU told of all models or of the followed alone. */
#include "cpu_driver/followed.h"

#include "cpu_driver/driver.h"
#include "tests/unit/cpu_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static CpuFacts *all;
static InvCpuModels *models;

static int
group_setup(void **state)
{
    all = cpu_facts_load("x86_64");
    models = inv_cpu_models_load(inv_cpu_map_default_folder(), "x86_64", NULL);
    return models ? 0 : -1;
}

static int
group_teardown(void **state)
{
    inv_cpu_models_free(models);
    cpu_facts_free(all);
    return 0;
}

static void
give(InvCpuTable *table, const GPtrArray *names, const char *vendor)
{
    for (guint i = 0; i < names->len; i++) {
        const InvCpuModel *model = inv_cpu_table_find(all->table, g_ptr_array_index(names, i));
        InvCpuExpansion *expansion;

        assert_non_null(model->expansion);
        expansion = inv_cpu_expansion_copy(model->expansion);
        /* As QEMU does under KVM. */
        if (vendor)
            inv_json_object_set_string(expansion->others, "vendor", vendor);
        assert_true(inv_cpu_table_set_expansion(table, model->name, expansion));
    }
}

static InvCpuTable *
new_table(void)
{
    InvCpuTable *table = inv_cpu_table_new("x86_64", all->facts.machine, all->names);

    assert_true(inv_cpu_table_set_definitions(table, all->map, inv_json_get(all->json, "definitions"), NULL));
    return table;
}

/* As the conversation with a QEMU fills it; *@n: how many models were asked about. */
static InvCpuTable *
followed_table(InvVirtType accelerator, const char *vendor, guint *n)
{
    InvCpuTable *table = new_table();

    *n = 0;
    for (guint rank = 0; rank < INV_CPU_CLASSES && !(rank && inv_cpu_followed_suffices(table, models, accelerator, vendor, rank - 1)); rank++) {
        g_autoptr(GPtrArray) names = inv_cpu_followed_names(table, models, vendor, rank);

        *n += names->len;
        give(table, names, accelerator == INV_VIRT_KVM ? vendor : NULL);
    }
    return table;
}

static InvCpuTable *
whole_table(InvVirtType accelerator, const char *vendor)
{
    InvCpuTable *table = new_table();
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (guint i = 0; i < inv_cpu_table_size(all->table); i++) {
        if (inv_cpu_table_at(all->table, i)->expansion)
            g_ptr_array_add(names, inv_cpu_table_at(all->table, i)->name);
    }
    give(table, names, accelerator == INV_VIRT_KVM ? vendor : NULL);
    return table;
}

static void
test_same_choice(void **state)
{
    static const struct {
        const char *name, *vendor;
        InvVirtType accelerator;
    } rows[] = {
        { "AMD under TCG", "AuthenticAMD", INV_VIRT_QEMU },   { "Intel under TCG", "GenuineIntel", INV_VIRT_QEMU },
        { "Hygon under TCG", "HygonGenuine", INV_VIRT_QEMU }, { "anybody under TCG", NULL, INV_VIRT_QEMU },
        { "AMD under KVM", "AuthenticAMD", INV_VIRT_KVM },    { "Intel under KVM", "GenuineIntel", INV_VIRT_KVM },
        { "nobody under TCG", "NoSuchVendor", INV_VIRT_QEMU },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        guint asked;
        g_autoptr(InvCpuTable) some = followed_table(rows[i].accelerator, rows[i].vendor, &asked);
        g_autoptr(InvCpuTable) whole = whole_table(rows[i].accelerator, rows[i].vendor);
        InvCpuFacts few = all->facts, many = all->facts;

        few.models = many.models = models;
        few.accelerator = many.accelerator = rows[i].accelerator;
        few.table = some;
        many.table = whole;
        print_message("%s: %u models were asked about\n", rows[i].name, asked);
        /* The host is like each of the models in turn. */
        for (guint k = 0; k < inv_cpu_table_size(whole); k++) {
            const InvCpuModel *like = inv_cpu_table_at(whole, k);
            const InvCpuModel *a, *b;

            if (!like->expansion)
                continue;
            a = inv_cpu_nearest_model(&few, rows[i].vendor, like->expansion->on);
            b = inv_cpu_nearest_model(&many, rows[i].vendor, like->expansion->on);
            assert_string_equal(a ? a->name : "none", b ? b->name : "none");
        }
    }
}

static void
test_fewer_questions(void **state)
{
    guint asked;
    g_autoptr(InvCpuTable) table = followed_table(INV_VIRT_QEMU, "AuthenticAMD", &asked);

    assert_in_range(asked, 1, inv_cpu_table_size(table) / 3);
}

static void
test_strangers(void **state)
{
    static const char definitions[] =
        "[{\"name\":\"EPYC-v1\",\"typename\":\"EPYC-v1-x86_64-cpu\",\"static\":false},"
        "{\"name\":\"EPYC\",\"alias-of\":\"EPYC-v1\",\"typename\":\"EPYC-x86_64-cpu\",\"static\":false},"
        "{\"name\":\"Novel-v1\",\"typename\":\"Novel-v1-x86_64-cpu\",\"static\":false},"
        "{\"name\":\"Novel\",\"alias-of\":\"Novel-v1\",\"typename\":\"Novel-x86_64-cpu\",\"static\":false},"
        "{\"name\":\"max\",\"typename\":\"max-x86_64-cpu\",\"static\":false}]";
    g_autoptr(InvJson) json = inv_json_parse(definitions, strlen(definitions), NULL);
    g_autoptr(InvJson) props = inv_json_parse("{\"vendor\":\"CentaurHauls\"}", strlen("{\"vendor\":\"CentaurHauls\"}"), NULL);
    g_autoptr(InvCpuTable) table = inv_cpu_table_new("x86_64", "q35", all->names);
    g_autoptr(GPtrArray) names = NULL;
    g_autoptr(GPtrArray) left = NULL;

    assert_true(inv_cpu_table_set_definitions(table, all->map, json, NULL));
    names = inv_cpu_strange_names(table, models);
    assert_int_equal(names->len, 1);
    assert_string_equal(g_ptr_array_index(names, 0), "Novel-v1");
    assert_null(inv_cpu_vendor_of_model(table, models, INV_VIRT_QEMU, inv_cpu_table_find(table, "Novel")));
    assert_true(inv_cpu_table_set_expansion(table, "Novel-v1", inv_cpu_expansion_new(all->map, all->names, props)));
    left = inv_cpu_strange_names(table, models);
    assert_int_equal(left->len, 0);
    assert_string_equal(inv_cpu_vendor_of_model(table, models, INV_VIRT_QEMU, inv_cpu_table_find(table, "Novel")), "CentaurHauls");
    assert_string_equal(inv_cpu_vendor_of_model(table, models, INV_VIRT_KVM, inv_cpu_table_find(table, "EPYC")), "AuthenticAMD");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_choice),
        cmocka_unit_test(test_fewer_questions),
        cmocka_unit_test(test_strangers),
    };

    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
