/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/driver.h"

#include <string.h>

/* The user's entry under whatever spelling it was written. */
static InvCpuFeature *
find_written(const InvCpuFacts *facts, InvCpu *cpu, const char *name)
{
    for (guint i = 0; i < cpu->features->len; i++) {
        InvCpuFeature *feature = g_ptr_array_index(cpu->features, i);
        const char *canonical = inv_cpu_canonical_feature(facts, feature->name);

        if (strcmp(feature->name, name) == 0 || g_strcmp0(canonical, name) == 0)
            return feature;
    }
    return NULL;
}

/* Writes the policy under the user's own spelling where there is one, else adds an entry. */
static void
set_feature(const InvCpuFacts *facts, InvCpu *cpu, const char *name, InvCpuPolicy policy)
{
    const InvCpuFeature *written = find_written(facts, cpu, name);
    g_autofree char *spelling = g_strdup(written ? written->name : name);

    inv_cpu_set_feature(cpu, spelling, policy);
}

static gboolean
follows_host(InvCpuMode mode)
{
    return mode == INV_CPU_MODE_HOST_MODEL || mode == INV_CPU_MODE_HOST_PASSTHROUGH || mode == INV_CPU_MODE_MAXIMUM;
}

static void
pin_model(InvCpu *cpu, const InvCpuRequest *settled)
{
    g_free(cpu->model);
    cpu->model = g_strdup(settled->model);
    cpu->model_check = INV_CPU_MODEL_CHECK_STRICT;
    if (cpu->mode == INV_CPU_MODE_UNSET)
        cpu->mode = INV_CPU_MODE_CUSTOM;
    /* What minimum came to is written out as features, and exact keeps it. */
    if (cpu->match == INV_CPU_MATCH_UNSET || cpu->match == INV_CPU_MATCH_MINIMUM)
        cpu->match = INV_CPU_MATCH_EXACT;
}

static void
pin_optional(const InvCpuFacts *facts, InvCpu *cpu, const InvCpuRequest *settled)
{
    for (guint i = 0; i < cpu->features->len; i++) {
        InvCpuFeature *feature = g_ptr_array_index(cpu->features, i);
        const char *canonical = inv_cpu_canonical_feature(facts, feature->name);
        const InvAsked *asked = canonical ? inv_cpu_request_find(settled, canonical) : NULL;

        if (feature->policy == INV_CPU_POLICY_OPTIONAL)
            feature->policy = asked && asked->on ? INV_CPU_POLICY_REQUIRE : INV_CPU_POLICY_DISABLE;
    }
}

InvCpu *
inv_cpu_pin(const InvCpuFacts *facts, const InvCpu *cpu, const InvCpuRequest *settled)
{
    g_autoptr(InvCpu) pinned = NULL;
    g_autoptr(GPtrArray) list = inv_cpu_request_list(settled);

    if (!cpu && !settled->model)
        return NULL;
    pinned = cpu ? inv_cpu_copy(cpu) : inv_cpu_new();
    pin_optional(facts, pinned, settled);
    for (guint i = 0; i < list->len; i++) {
        const InvAsked *asked = g_ptr_array_index(list, i);

        if (asked->origin == INV_ORIGIN_FILTERED)
            set_feature(facts, pinned, asked->name, INV_CPU_POLICY_DISABLE);
        else if (asked->origin == INV_ORIGIN_MINIMUM)
            set_feature(facts, pinned, asked->name, asked->on ? INV_CPU_POLICY_REQUIRE : INV_CPU_POLICY_DISABLE);
    }
    if (!follows_host(pinned->mode) && settled->model)
        pin_model(pinned, settled);
    return g_steal_pointer(&pinned);
}

static gboolean
list_has(char *const *list, const char *name)
{
    return list && g_strv_contains((const char *const *)list, name);
}

/* Features whose state differs from the model's own; without an expansion, those that somebody named. */
static void
name_differences(const InvCpuFacts *facts, InvCpu *live, const InvCpuRecord *record, const InvCpuExpansion *expansion)
{
    for (char **name = record->on; *name; name++) {
        const InvCpuMapFeature *entry = inv_cpu_map_find(facts->map, *name);

        if (entry && entry->mask && !inv_cpu_map_follows_topology(*name) && !inv_feature_set_has(expansion->on, *name))
            set_feature(facts, live, *name, INV_CPU_POLICY_REQUIRE);
    }
    for (guint i = 0; i < inv_cpu_map_size(facts->map); i++) {
        const InvCpuMapFeature *entry = inv_cpu_map_at(facts->map, i);

        if (entry->mask && inv_feature_set_has(expansion->on, entry->name) && !list_has(record->on, entry->name) &&
            !inv_cpu_map_follows_topology(entry->name))
            set_feature(facts, live, entry->name, INV_CPU_POLICY_DISABLE);
    }
}

/* What somebody named is said as it came out. */
static void
settle_named(const InvCpuFacts *facts, InvCpu *live, const InvCpuRecord *record)
{
    for (guint i = 0; i < live->features->len; i++) {
        InvCpuFeature *feature = g_ptr_array_index(live->features, i);
        const char *canonical = inv_cpu_canonical_feature(facts, feature->name);
        gboolean on = list_has(record->on, canonical ? canonical : feature->name);

        if (on && feature->policy != INV_CPU_POLICY_FORCE)
            feature->policy = INV_CPU_POLICY_REQUIRE;
        else if (!on)
            feature->policy = INV_CPU_POLICY_DISABLE;
    }
}

InvCpu *
inv_cpu_update(const InvCpuFacts *facts, const InvCpu *cpu, const InvCpuRecord *record, GError **error)
{
    g_autoptr(InvCpu) live = cpu ? inv_cpu_copy(cpu) : inv_cpu_new();
    const InvCpuModel *model = record->model ? inv_cpu_table_find(facts->table, record->model) : NULL;

    /* These two name no model; what they came to is in the record, and in every query of it. */
    if (live->mode == INV_CPU_MODE_HOST_PASSTHROUGH || live->mode == INV_CPU_MODE_MAXIMUM)
        return g_steal_pointer(&live);
    if (!record->model)
        return g_steal_pointer(&live);

    live->mode = INV_CPU_MODE_CUSTOM;
    live->match = INV_CPU_MATCH_EXACT;
    live->check = INV_CPU_CHECK_FULL;
    g_free(live->model);
    live->model = g_strdup(record->model);
    live->model_check = INV_CPU_MODEL_CHECK_STRICT;
    live->fallback = INV_CPU_FALLBACK_FORBID;
    settle_named(facts, live, record);
    if (model && model->expansion)
        name_differences(facts, live, record, model->expansion);
    return g_steal_pointer(&live);
}
