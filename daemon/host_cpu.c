/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host_cpu.h"

#include <string.h>

void
inv_host_cpu_description_free(InvHostCpuDescription *description)
{
    if (!description)
        return;
    g_free(description->model);
    g_strfreev(description->features);
    g_free(description);
}

gboolean
inv_cpu_model_is_generic(const char *name)
{
    return g_str_equal(name, "host") || g_str_equal(name, "max") || g_str_equal(name, "base");
}

/* "EPYC-v1": clients older than QEMU's versions do not know such names. */
static gboolean
is_versioned(const char *name)
{
    const char *version = strrchr(name, '-');

    return version && version[1] == 'v' && version[2] && !version[2 + strspn(version + 2, "0123456789")];
}

const char *
inv_cpu_model_client_name(const InvCpuTable *table, const char *model)
{
    if (!is_versioned(model))
        return model;
    for (guint i = 0; i < inv_cpu_table_size(table); i++) {
        const InvCpuModel *other = inv_cpu_table_at(table, i);

        if (g_strcmp0(other->alias_of, model) == 0 && !is_versioned(other->name))
            return other->name;
    }
    return model;
}

static const InvCpuExpansion *
expansion_of(const InvCpuTable *table, const InvCpuModel *model)
{
    const InvCpuModel *real;

    if (model->expansion)
        return model->expansion;
    real = inv_cpu_table_resolve_alias(table, model);
    return real ? real->expansion : NULL;
}

const char *
inv_cpu_model_vendor(const InvCpuTable *table, const InvCpuModel *model)
{
    const InvCpuExpansion *expansion = expansion_of(table, model);
    const char *vendor = expansion ? inv_json_get_string(expansion->others, "vendor") : NULL;

    return vendor ? inv_cpu_vendor_from_id(vendor) : NULL;
}

/*
 * A description cannot say "without this". What CPUID does not show of the hardware (MSRs, what
 * accelerators add) cannot be compared, and every guest model has the hypervisor bit.
 */
static gboolean
hardware_lacks(const InvCpuFacts *facts, const InvFeatureSet *model)
{
    g_autoptr(InvFeatureSet) missing = inv_feature_set_copy(model);
    g_autofree const char **names = NULL;

    inv_feature_set_subtract(missing, facts->hardware);
    names = inv_feature_set_list(missing);
    for (const char **name = names; *name; name++) {
        const InvCpuMapFeature *feature = inv_cpu_map_find(facts->map, *name);

        if (feature && !feature->is_msr && feature->mask && !g_str_equal(*name, "hypervisor") &&
            !inv_cpu_map_follows_topology(*name))
            return TRUE;
    }
    return FALSE;
}

static guint
count_beyond(const InvFeatureSet *hardware, const InvFeatureSet *model)
{
    g_autoptr(InvFeatureSet) rest = inv_feature_set_copy(hardware);

    inv_feature_set_subtract(rest, model);
    return inv_feature_set_count(rest);
}

static const InvCpuModel *
nearest_model(const InvCpuFacts *facts)
{
    const InvCpuModel *best = NULL;
    gboolean best_kin = FALSE;
    guint best_rest = 0;
    const char *vendor = facts->host_vendor ? inv_cpu_vendor_from_id(facts->host_vendor) : NULL;

    for (guint i = 0; i < inv_cpu_table_size(facts->table); i++) {
        const InvCpuModel *model = inv_cpu_table_at(facts->table, i);
        const InvCpuExpansion *expansion = expansion_of(facts->table, model);
        gboolean kin = g_strcmp0(inv_cpu_model_vendor(facts->table, model), vendor) == 0;
        guint rest;

        if (!expansion || inv_cpu_model_is_generic(model->name) || is_versioned(model->name) || (best_kin && !kin) ||
            hardware_lacks(facts, expansion->on))
            continue;
        rest = count_beyond(facts->hardware, expansion->on);
        if (!best || kin > best_kin || rest < best_rest) {
            best = model;
            best_kin = kin;
            best_rest = rest;
        }
    }
    return best;
}

InvHostCpuDescription *
inv_host_cpu_describe(const InvCpuFacts *facts)
{
    InvHostCpuDescription *description;
    g_autoptr(InvFeatureSet) rest = NULL;
    g_autofree const char **names = NULL;
    const InvCpuModel *model;

    if (!facts->hardware)
        return NULL;
    description = g_new0(InvHostCpuDescription, 1);
    model = facts->table ? nearest_model(facts) : NULL;
    rest = inv_feature_set_copy(facts->hardware);
    if (model) {
        description->model = g_strdup(model->name);
        inv_feature_set_subtract(rest, expansion_of(facts->table, model)->on);
    }
    names = inv_feature_set_list(rest);
    description->features = g_strdupv((char **)names);
    return description;
}
