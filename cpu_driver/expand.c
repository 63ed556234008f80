/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/expand.h"

#include "cpu_driver/nearest.h"
#include "util/error.h"

#include <string.h>

static gboolean
adds(InvCpuPolicy policy)
{
    return policy == INV_CPU_POLICY_UNSET || policy == INV_CPU_POLICY_FORCE || policy == INV_CPU_POLICY_REQUIRE;
}

static gboolean
removes(InvCpuPolicy policy)
{
    return policy == INV_CPU_POLICY_DISABLE || policy == INV_CPU_POLICY_FORBID;
}

static void
remove_vmx_parts(InvFeatureSet *set)
{
    g_autofree const char **list = inv_feature_set_list(set);

    for (guint i = 0; list[i]; i++) {
        if (g_str_has_prefix(list[i], "vmx-"))
            inv_feature_set_remove(set, list[i]);
    }
}

gboolean
inv_cpu_refuse_feature(const InvCpuMap *map, const char *name, GError **error)
{
    g_autofree char *nearest = inv_nearest_features(name, map);

    return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "CPU feature '%.100s' is not known%s%s%s", name,
                         nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

gboolean
inv_cpu_refuse_model(const InvCpuModels *models, const char *name, GError **error)
{
    g_autofree char *nearest = inv_nearest_names(name, inv_cpu_models_names(models), inv_cpu_models_names_size(models));

    return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "CPU model '%.100s' is not in the map%s%s%s", name,
                         nearest ? "; did you mean " : "; ask a QEMU that knows it", nearest ? nearest : "", nearest ? "?" : "");
}

gboolean
inv_cpu_tells_vmx_parts(const InvCpu *cpu)
{
    for (guint i = 0; i < cpu->features->len; i++) {
        const InvCpuFeature *feature = g_ptr_array_index(cpu->features, i);

        if (adds(feature->policy) && g_str_has_prefix(feature->name, "vmx-"))
            return TRUE;
    }
    return FALSE;
}

void
inv_cpu_tell_vmx_parts(InvCpu *cpu, const InvFeatureSet *has, const InvFeatureSet *vmx_parts)
{
    g_autoptr(InvFeatureSet) parts = inv_feature_set_copy(vmx_parts);
    g_autofree const char **list = NULL;

    inv_feature_set_intersect(parts, has);
    list = inv_feature_set_list(parts);
    if (*list && !inv_cpu_tells_vmx_parts(cpu))
        inv_cpu_set_feature(cpu, *list, INV_CPU_POLICY_REQUIRE);
}

/* The model's features, with what vmx brings along when it is switched on. */
static InvFeatureSet *
start_from(const InvCpuDecoder *decoder, const InvCpu *cpu, gboolean nested, GError **error)
{
    const InvFeatureSet *base;

    if (!cpu->model)
        return inv_feature_set_new(inv_cpu_decoder_names(decoder));
    base = inv_cpu_decoder_model(decoder, cpu->model, nested);
    if (!base)
        inv_cpu_refuse_model(inv_cpu_decoder_models(decoder), cpu->model, error);
    return base ? inv_feature_set_copy(base) : NULL;
}

InvFeatureSet *
inv_cpu_expand(const InvCpuDecoder *decoder, const InvCpu *cpu, GError **error)
{
    const InvCpuMap *map = inv_cpu_decoder_map(decoder);
    const InvCpuFeature *vmx = inv_cpu_find_feature(cpu, "vmx");
    g_autoptr(InvFeatureSet) set = NULL;

    if (cpu->features->len > INV_CPU_MAX_PROPERTIES) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the <cpu> names %u features; no CPU has more than %u", cpu->features->len,
                      INV_CPU_MAX_PROPERTIES);
        return NULL;
    }
    set = start_from(decoder, cpu, vmx && adds(vmx->policy) && inv_cpu_tells_vmx_parts(cpu), error);
    if (!set)
        return NULL;
    /* The parts go before anything named, so that the order of the document never matters. */
    if (vmx && removes(vmx->policy))
        remove_vmx_parts(set);
    for (guint i = 0; i < cpu->features->len; i++) {
        const InvCpuFeature *feature = g_ptr_array_index(cpu->features, i);
        const InvCpuMapFeature *entry = inv_cpu_map_find(map, feature->name);

        const char *name = entry ? entry->name : feature->name;

        /* Of an architecture without a dictionary any name may be one of its QEMU's. */
        if (!entry && inv_cpu_map_size(map) > 0) {
            inv_cpu_refuse_feature(map, name, error);
            return NULL;
        }
        if (adds(feature->policy))
            inv_feature_set_add(set, name);
        else if (removes(feature->policy))
            inv_feature_set_remove(set, name);
    }
    return g_steal_pointer(&set);
}
