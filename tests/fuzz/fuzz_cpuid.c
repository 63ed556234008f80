/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <stdint.h>

#include "cpu_driver/decode.h"
#include "cpu_driver/expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static InvCpuDecoder *decoder;

/* The map is read once: it is the program's own, the input is not. */
static void
prepare(void)
{
    static InvCpuMap *map;
    static InvCpuModels *models;
    static InvFeatureNames *names;
    g_autoptr(GError) error = NULL;
    const char *folder = inv_cpu_map_default_folder();

    map = inv_cpu_map_load(folder, "x86_64", &error);
    g_assert_no_error(error);
    models = inv_cpu_models_load(folder, "x86_64", &error);
    g_assert_no_error(error);
    names = inv_feature_names_new();
    decoder = inv_cpu_decoder_new(folder, map, models, names, &error);
    g_assert_no_error(error);
}

static void
check_description(const InvCpuSeen *seen)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvCpu) cpu = inv_cpu_describe_seen(decoder, seen, &error);
    g_autoptr(InvFeatureSet) expanded = NULL;

    g_assert(!cpu == !!error);
    if (!cpu)
        return;
    expanded = inv_cpu_expand(decoder, cpu, seen->vmx_known, &error);
    g_assert_no_error(error);
    if (seen->vmx_known)
        g_assert(inv_feature_set_is_equal(expanded, seen->features));
}

/* What is read can be decoded or is refused; what is described expands to what was seen. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvCpuidData) dump = NULL;
    g_autoptr(InvJson) json = NULL;
    g_autoptr(InvCpuSeen) seen = NULL;

    if (!decoder)
        prepare();
    json = inv_json_parse((const char *)data, size, NULL);
    if (json) {
        seen = inv_cpu_seen_from_expansion(decoder, json, &error);
    } else {
        dump = inv_cpuid_data_parse((const char *)data, size, &error);
        g_assert(!dump == !!error);
        seen = dump ? inv_cpu_seen_from_cpuid(decoder, dump, &error) : NULL;
    }
    g_assert(!seen == !!error);
    if (seen)
        check_description(seen);
    return 0;
}
