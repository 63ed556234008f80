/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/description.h"

#include "cpu_driver/driver.h"
#include "util/error.h"

#include <string.h>

void
inv_cpu_description_free(InvCpuDescription *description)
{
    if (!description)
        return;
    inv_feature_set_free(description->on);
    inv_feature_set_free(description->named);
    inv_feature_set_free(description->forced);
    inv_feature_set_free(description->forbidden);
    inv_feature_set_free(description->promised);
    g_free(description);
}

gboolean
inv_cpu_is_generic_model(const char *name)
{
    /* QEMU gives each a vendor id too, since CPUID must say something. */
    return g_str_has_prefix(name, "qemu32") || g_str_has_prefix(name, "qemu64") || g_str_has_prefix(name, "kvm32") ||
           g_str_has_prefix(name, "kvm64") || strcmp(name, "base") == 0;
}

gboolean
inv_cpu_arch_fits(const InvCpuFacts *facts, const char *arch)
{
    return !arch || strcmp(arch, facts->arch) == 0 || (strcmp(arch, "i686") == 0 && strcmp(facts->arch, "x86_64") == 0);
}

gboolean
inv_cpu_can_describe(const InvCpuFacts *facts, const char *what, GError **error)
{
    if (!inv_cpu_driver_find(facts->arch, error))
        return FALSE;
    return inv_cpu_map_size(facts->map) > 0 || inv_cpu_not_supported(facts, error, what);
}

/* Everything with a bit of its own that QEMU can pass on, whether or not it can migrate. */
static InvFeatureSet *
describable(const InvCpuFacts *facts)
{
    InvFeatureSet *set = inv_feature_set_new(inv_cpu_table_names(facts->table));

    for (guint i = 0; i < inv_cpu_map_size(facts->map); i++) {
        const InvCpuMapFeature *feature = inv_cpu_map_at(facts->map, i);

        if (feature->mask && feature->passed && !inv_cpu_map_follows_topology(feature->name))
            inv_feature_set_add(set, feature->name);
    }
    return set;
}

static gboolean
follow_host(const InvCpuFacts *facts, InvCpuDescription *description, const char *what, const InvFeatureSet *host, GError **error)
{
    if (!host)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "%s needs to know what the host can give, and %s did not say that on machine %s", what,
                             facts->emulator, facts->machine);
    inv_feature_set_unite(description->on, host);
    description->vendor = facts->host_vendor;
    return TRUE;
}

static gboolean
take_model(const InvCpuFacts *facts, const InvCpu *cpu, InvCpuDescription *description, const InvFeatureSet *host, GError **error)
{
    const char *name = cpu->model ? cpu->model : facts->default_model;
    const InvCpuExpansion *expansion;
    const InvCpuModel *model;

    if (!cpu->model && cpu->arch)
        return inv_error_set(error, VIR_ERR_XML_ERROR, "<cpu>: the description of a host's CPU needs a <model>");
    if (!name)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "<cpu> needs a <model>: machine %s of %s has no default CPU model",
                             facts->machine, facts->emulator);
    if (strcmp(name, "host") == 0 || strcmp(name, "max") == 0) {
        description->passes_host = *name == 'h';
        return follow_host(facts, description, description->passes_host ? "model 'host'" : "model 'max'", host, error);
    }
    model = inv_cpu_find_model(facts, name, error);
    if (!model)
        return FALSE;
    expansion = inv_cpu_need_expansion(facts, model->name, error);
    if (!expansion)
        return FALSE;
    description->model = model->name;
    if (!inv_cpu_is_generic_model(model->name))
        description->vendor = inv_json_get_string(expansion->others, "vendor");
    inv_feature_set_unite(description->on, expansion->on);
    return TRUE;
}

static gboolean
take_base(const InvCpuFacts *facts, const InvCpu *cpu, InvCpuDescription *description, const InvFeatureSet *host, GError **error)
{
    switch (cpu->mode) {
    case INV_CPU_MODE_UNSET:
    case INV_CPU_MODE_CUSTOM:
        return take_model(facts, cpu, description, host, error);
    case INV_CPU_MODE_HOST_PASSTHROUGH:
        description->passes_host = TRUE;
        return follow_host(facts, description, "mode='host-passthrough'", host, error);
    case INV_CPU_MODE_HOST_MODEL:
        return follow_host(facts, description, "mode='host-model'", host, error);
    case INV_CPU_MODE_MAXIMUM:
        return follow_host(facts, description, "mode='maximum'", host, error);
    }
    return TRUE;
}

static void
take_policy(InvCpuDescription *description, const char *name, InvCpuPolicy policy)
{
    switch (policy) {
    case INV_CPU_POLICY_UNSET:
        inv_feature_set_add(description->on, name);
        return;
    case INV_CPU_POLICY_REQUIRE:
        inv_feature_set_add(description->on, name);
        inv_feature_set_add(description->promised, name);
        return;
    case INV_CPU_POLICY_FORCE:
        inv_feature_set_add(description->on, name);
        inv_feature_set_add(description->forced, name);
        return;
    case INV_CPU_POLICY_FORBID:
        inv_feature_set_add(description->forbidden, name);
        inv_feature_set_remove(description->on, name);
        return;
    case INV_CPU_POLICY_OPTIONAL:
    case INV_CPU_POLICY_DISABLE:
        inv_feature_set_remove(description->on, name);
        return;
    }
}

static gboolean
take_features(const InvCpuFacts *facts, const InvCpu *cpu, InvCpuDescription *description, GError **error)
{
    for (guint i = 0; i < cpu->features->len; i++) {
        const InvCpuFeature *feature = g_ptr_array_index(cpu->features, i);
        const char *name = inv_cpu_canonical_feature(facts, feature->name);
        const InvCpuMapFeature *entry;

        if (!name)
            return inv_cpu_unknown_feature(facts, feature->name, error);
        if (inv_feature_set_has(description->named, name))
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "CPU feature '%s' is given twice, perhaps in two spellings", name);
        inv_feature_set_add(description->named, name);
        entry = inv_cpu_map_find(facts->map, name);
        /* The guest's own system sets it: nothing is promised. A name without a bit tells nothing of the processor. */
        if (entry && entry->mask && !entry->by_guest)
            take_policy(description, name, feature->policy);
    }
    return TRUE;
}

InvCpuDescription *
inv_cpu_describe(const InvCpuFacts *facts, const InvCpu *cpu, const InvFeatureSet *host, GError **error)
{
    g_autoptr(InvCpuDescription) description = g_new0(InvCpuDescription, 1);
    InvFeatureNames *names = inv_cpu_table_names(facts->table);
    g_autoptr(InvFeatureSet) describes = describable(facts);

    description->on = inv_feature_set_new(names);
    description->named = inv_feature_set_new(names);
    description->forced = inv_feature_set_new(names);
    description->forbidden = inv_feature_set_new(names);
    description->promised = inv_feature_set_new(names);
    if (!take_base(facts, cpu, description, host, error) || !take_features(facts, cpu, description, error))
        return NULL;
    if (cpu->vendor)
        description->vendor = inv_cpu_vendor_to_id(cpu->vendor);
    for (guint i = 0; i < inv_cpu_map_size(facts->map); i++) {
        const InvCpuMapFeature *feature = inv_cpu_map_at(facts->map, i);

        if (inv_cpu_map_follows_topology(feature->name))
            inv_feature_set_remove(description->promised, feature->name);
    }
    inv_feature_set_intersect(description->on, describes);
    return g_steal_pointer(&description);
}
