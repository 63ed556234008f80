/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <glib/gstdio.h>

#include "cpu_driver/baseline.h"
#include "cpu_driver/compare.h"
#include "tests/unit/cpu_facts.h"
#include "tests/unit/cpu_machines.h"
#include "tests/unit/test_folder.h"
#include "util/error.h"

/* No verdict looks at the map's models: without any of them every one stays the same, word for word. */

static char *folder; /* holds cpu_map/ without models */

static void
copy_file(const char *from, const char *to, gboolean without_rows)
{
    g_autofree char *text = NULL;
    gsize length;

    assert_true(g_file_get_contents(from, &text, &length, NULL));
    if (without_rows) {
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        GString *kept = g_string_new(NULL);
        gboolean header = FALSE;

        /* Comments, and the line that names the columns. */
        for (char **line = lines; *line && !header; line++) {
            g_string_append_printf(kept, "%s\n", *line);
            header = **line != '#';
        }
        g_free(text);
        text = g_string_free(kept, FALSE);
        length = strlen(text);
    }
    assert_true(g_file_set_contents(to, text, (gssize)length, NULL));
}

static int
empty_the_map(void **state)
{
    g_autofree char *map = NULL, *x86 = NULL, *from = NULL;
    g_autoptr(GDir) dir = NULL;
    const char *name;

    folder = g_dir_make_tmp("invar-models-XXXXXX", NULL);
    map = g_build_filename(folder, "cpu_map", NULL);
    x86 = g_build_filename(map, "x86", NULL);
    from = g_build_filename(inv_cpu_map_default_folder(), "x86", NULL);
    assert_int_equal(g_mkdir(map, 0755), 0);
    assert_int_equal(g_mkdir(x86, 0755), 0);
    dir = g_dir_open(from, 0, NULL);
    assert_non_null(dir);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *source = g_build_filename(from, name, NULL);
        g_autofree char *target = g_build_filename(x86, name, NULL);

        copy_file(source, target, strcmp(name, "models.tsv") == 0);
    }
    return 0;
}

static int
remove_the_map(void **state)
{
    test_folder_remove(folder);
    g_clear_pointer(&folder, g_free);
    return 0;
}

static const char *const documents[] = {
    "<cpu/>",
    "<cpu mode='host-model'/>",
    "<cpu mode='maximum'/>",
    "<cpu mode='host-passthrough'/>",
    "<cpu mode='host-model'><feature name='avx512f' policy='require'/></cpu>",
    "<cpu match='minimum'><model>Nehalem</model></cpu>",
    "<cpu match='strict'><model>Nehalem</model></cpu>",
    "<cpu><model>Skylake-Client</model><feature name='aes' policy='disable'/></cpu>",
    "<cpu><model>Nehalem</model><vendor>Intel</vendor><feature name='avx512f' policy='optional'/></cpu>",
    "<cpu><model>no-such</model></cpu>",
    "<cpu><model>Nehalem</model><feature name='no-such' policy='require'/></cpu>",
};

static void
say_error(GString *said, GError *error)
{
    g_string_append_printf(said, "error %d: %s\n", inv_error_code(error), error->message);
    g_error_free(error);
}

/* Everything that is decided about @cpu. QEMU is taken to filter what its table says it filters of the model. */
static void
say(const CpuFacts *all, const InvCpu *cpu, GString *said)
{
    static const char *const nothing[] = { NULL };
    GError *error = NULL;
    g_autoptr(InvCpuRequest) request = inv_cpu_resolve(&all->facts, cpu, &error);
    g_autoptr(InvVerdict) why = NULL;
    virCPUCompareResult result;

    if (request) {
        const InvCpuModel *model = inv_cpu_request_model(request) ? inv_cpu_table_find(all->table, inv_cpu_request_model(request)) : NULL;
        const char *const *unavailable = model && model->unavailable ? (const char *const *)model->unavailable : nothing;
        g_autofree char *argument = inv_cpu_request_argument(request, FALSE);
        g_autoptr(InvVerdict) verdict = inv_cpu_verdict(&all->facts, cpu, request, unavailable);
        g_autofree char *text = inv_verdict_to_text(verdict);

        g_string_append_printf(said, "%s\n%s\n", argument ? argument : "-", text);
        if (verdict->outcome != INV_OUTCOME_REFUSED) {
            g_autoptr(InvCpu) pinned = NULL;
            g_autofree char *xml = NULL;

            inv_cpu_settle(&all->facts, request, unavailable);
            pinned = inv_cpu_pin(&all->facts, cpu, request);
            xml = pinned ? inv_cpu_format(pinned) : NULL;
            g_string_append_printf(said, "%s\n", xml ? xml : "-");
        }
    } else {
        say_error(said, g_steal_pointer(&error));
    }
    if (inv_cpu_compare(&all->facts, NULL, cpu, &result, &why, &error)) {
        g_autofree char *text = why ? inv_verdict_to_text(why) : NULL;

        g_string_append_printf(said, "%d %s\n", result, text ? text : "");
    } else {
        say_error(said, g_steal_pointer(&error));
    }
}

static void
say_baseline(const CpuFacts *all, const InvCpu *a, const InvCpu *b, GString *said)
{
    GError *error = NULL;
    g_autoptr(InvCpu) common = inv_cpu_baseline(&all->facts, (const InvCpu *const[]){ a, b }, 2, FALSE, FALSE, &error);
    g_autofree char *xml = common ? inv_cpu_format(common) : NULL;

    if (common)
        g_string_append(said, xml);
    else
        say_error(said, error);
}

static char *
everything(const char *map, guint *decisions)
{
    CpuFacts *all = cpu_facts_load_with("x86_64", map);
    GString *said = g_string_new(NULL);
    g_autoptr(InvCpu) before = NULL;

    for (guint i = 0; i < inv_cpu_table_size(all->table) + G_N_ELEMENTS(documents); i++) {
        guint k = i - G_N_ELEMENTS(documents);
        g_autofree char *xml = i < G_N_ELEMENTS(documents) ? g_strdup(documents[i])
                                                           : g_strdup_printf("<cpu><model>%s</model></cpu>", inv_cpu_table_at(all->table, k)->name);
        g_autoptr(InvCpu) cpu = inv_cpu_parse(xml, NULL);

        assert_non_null(cpu);
        say(all, cpu, said);
        if (before)
            say_baseline(all, before, cpu, said);
        g_clear_pointer(&before, inv_cpu_free);
        before = g_steal_pointer(&cpu);
        (*decisions)++;
    }
    g_clear_pointer(&before, inv_cpu_free);
    cpu_facts_free(all);
    return g_string_free(said, FALSE);
}

static void
no_verdict_changes(void **state)
{
    g_autofree char *map = g_build_filename(folder, "cpu_map", NULL);
    guint decisions = 0, again = 0;
    g_autofree char *with = everything(inv_cpu_map_default_folder(), &decisions);
    g_autofree char *without = everything(map, &again);

    assert_true(decisions > 80 && again == decisions);
    assert_string_equal(without, with);
    print_message("# %u CPUs, %u bytes of decisions\n", decisions, (guint)strlen(with));
}

/* What does need models says so. */
static void
what_needs_models_says_so(void **state)
{
    g_autofree char *map = g_build_filename(folder, "cpu_map", NULL);
    CpuWorld *world = cpu_world_load(map);
    g_autoptr(InvFeatureSet) features = inv_feature_set_new(world->tools.names);
    InvCpuSeen seen = { .vendor = (char *)"GenuineIntel", .features = features };
    g_autoptr(InvCpuDescription) description = inv_cpu_describe_machine(world->basis, &seen, NULL);
    g_autoptr(InvCpuBaseliner) baseliner = inv_cpu_baseliner_new(world->basis);
    g_autoptr(GError) error = NULL;

    assert_int_equal(inv_cpu_models_size(world->tools.models), 0);
    assert_true(inv_cpu_baseliner_add(baseliner, description, "this", NULL));
    assert_null(inv_cpu_baseliner_result(baseliner, FALSE, FALSE, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_FAILED);
    assert_non_null(strstr(error->message, "no CPU model of vendor Intel"));
    g_clear_pointer(&baseliner, inv_cpu_baseliner_free);
    g_clear_pointer(&description, inv_cpu_description_free);
    g_clear_pointer(&features, inv_feature_set_free);
    cpu_world_free(world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_verdict_changes),
        cmocka_unit_test(what_needs_models_says_so),
    };

    return cmocka_run_group_tests_name("cpu algebra without models", tests, empty_the_map, remove_the_map);
}
