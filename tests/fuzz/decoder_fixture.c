/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/fuzz/decoder_fixture.h"

#include "cpu_driver/expand.h"

static InvCpuMap *map;

InvCpuDecoder *
decoder_fixture(void)
{
    static InvCpuDecoder *decoder;
    static InvCpuModels *models;
    static InvFeatureNames *names;
    g_autoptr(GError) error = NULL;
    const char *folder = inv_cpu_map_default_folder();

    if (decoder)
        return decoder;
    map = inv_cpu_map_load(folder, "x86_64", &error);
    g_assert_no_error(error);
    models = inv_cpu_models_load(folder, "x86_64", &error);
    g_assert_no_error(error);
    names = inv_feature_names_new();
    decoder = inv_cpu_decoder_new(folder, map, models, names, &error);
    g_assert_no_error(error);
    return decoder;
}

/* vmx-* are not described when the source does not say which there are. */
static InvFeatureSet *
told_features(const InvCpuSeen *seen)
{
    InvFeatureSet *told = inv_feature_set_copy(seen->features);

    for (guint i = 0; i < inv_cpu_map_size(map) && !seen->vmx_known; i++) {
        if (g_str_has_prefix(inv_cpu_map_at(map, i)->name, "vmx-"))
            inv_feature_set_remove(told, inv_cpu_map_at(map, i)->name);
    }
    return told;
}

void
check_description(const InvCpuSeen *seen)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvCpu) cpu = seen ? inv_cpu_describe_seen(decoder_fixture(), seen, &error) : NULL;
    g_autoptr(InvCpu) again = NULL;
    g_autoptr(InvFeatureSet) expanded = NULL, told = NULL;
    g_autofree char *xml = NULL;

    g_assert(!seen || !cpu == !!error);
    if (!cpu)
        return;
    xml = inv_cpu_format(cpu);
    again = inv_cpu_parse(xml, &error);
    g_assert_no_error(error);
    expanded = inv_cpu_expand(decoder_fixture(), again, &error);
    g_assert_no_error(error);
    told = told_features(seen);
    g_assert(inv_feature_set_is_equal(expanded, told));
}
