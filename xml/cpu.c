/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/cpu.h"
#include "xml/cpu_words.h"

#include <string.h>

#define CPU_WORDS(name, last, ...)                                        \
    static const char *const name##_list[] = { __VA_ARGS__ };             \
    G_STATIC_ASSERT(G_N_ELEMENTS(name##_list) == (gsize)(last) + 1);      \
    const InvWords inv_cpu_##name = { name##_list, G_N_ELEMENTS(name##_list) }

CPU_WORDS(modes, INV_CPU_MODE_MAXIMUM, NULL, "custom", "host-model", "host-passthrough", "maximum");
CPU_WORDS(matches, INV_CPU_MATCH_STRICT, NULL, "exact", "minimum", "strict");
CPU_WORDS(checks, INV_CPU_CHECK_FULL, NULL, "none", "partial", "full");
CPU_WORDS(model_checks, INV_CPU_MODEL_CHECK_RELAXED, NULL, "strict", "relaxed");
CPU_WORDS(fallbacks, INV_CPU_FALLBACK_FORBID, NULL, "allow", "forbid");
CPU_WORDS(policies, INV_CPU_POLICY_FORBID, NULL, "force", "require", "optional", "disable", "forbid");
CPU_WORDS(caches, INV_CPU_CACHE_DISABLE, NULL, "emulate", "passthrough", "disable");
CPU_WORDS(maxphysaddrs, INV_CPU_MAXPHYSADDR_PASSTHROUGH, NULL, "emulate", "passthrough");

const char *const inv_cpu_children[] = {
    "arch", "model", "vendor", "microcode", "signature", "counter", "topology", "cache", "maxphysaddr", "feature", "numa",
    "pages", NULL,
};

static void
feature_free(InvCpuFeature *feature)
{
    g_free(feature->name);
    g_free(feature);
}

void
inv_numa_cell_free(InvNumaCell *cell)
{
    g_free(cell->cpus);
    g_free(cell->mem_access);
    g_clear_pointer(&cell->distances, g_array_unref);
    g_free(cell);
}

InvCpu *
inv_cpu_new(void)
{
    InvCpu *cpu = g_new0(InvCpu, 1);

    cpu->cache_level = -1;
    cpu->features = g_ptr_array_new_with_free_func((GDestroyNotify)feature_free);
    cpu->cells = g_ptr_array_new_with_free_func((GDestroyNotify)inv_numa_cell_free);
    return cpu;
}

void
inv_cpu_free(InvCpu *cpu)
{
    if (!cpu)
        return;
    if (cpu->source)
        xmlFreeNode(cpu->source);
    g_free(cpu->arch);
    g_free(cpu->model);
    g_free(cpu->vendor_id);
    g_free(cpu->vendor);
    g_ptr_array_unref(cpu->features);
    g_ptr_array_unref(cpu->cells);
    g_free(cpu);
}

static void
append_feature(InvCpu *cpu, const char *name, InvCpuPolicy policy)
{
    InvCpuFeature *feature = g_new0(InvCpuFeature, 1);

    feature->name = g_strdup(name);
    feature->policy = policy;
    g_ptr_array_add(cpu->features, feature);
}

InvCpu *
inv_cpu_copy(const InvCpu *cpu)
{
    InvCpu *copy = inv_cpu_new();
    g_autoptr(GPtrArray) features = copy->features;
    g_autoptr(GPtrArray) cells = copy->cells;

    *copy = *cpu;
    copy->features = g_steal_pointer(&features);
    copy->cells = g_steal_pointer(&cells);
    copy->source = cpu->source ? xmlDocCopyNode(cpu->source, NULL, 1) : NULL;
    copy->arch = g_strdup(cpu->arch);
    copy->model = g_strdup(cpu->model);
    copy->vendor_id = g_strdup(cpu->vendor_id);
    copy->vendor = g_strdup(cpu->vendor);
    for (guint i = 0; i < cpu->features->len; i++) {
        const InvCpuFeature *feature = g_ptr_array_index(cpu->features, i);

        append_feature(copy, feature->name, feature->policy);
    }
    for (guint i = 0; i < cpu->cells->len; i++) {
        InvNumaCell *cell = g_memdup2(g_ptr_array_index(cpu->cells, i), sizeof(InvNumaCell));

        cell->cpus = g_strdup(cell->cpus);
        cell->mem_access = g_strdup(cell->mem_access);
        cell->distances = cell->distances ? g_array_copy(cell->distances) : NULL;
        g_ptr_array_add(copy->cells, cell);
    }
    return copy;
}

InvCpuFeature *
inv_cpu_find_feature(const InvCpu *cpu, const char *name)
{
    for (guint i = 0; i < cpu->features->len; i++) {
        InvCpuFeature *feature = g_ptr_array_index(cpu->features, i);

        if (strcmp(feature->name, name) == 0)
            return feature;
    }
    return NULL;
}

void
inv_cpu_set_feature(InvCpu *cpu, const char *name, InvCpuPolicy policy)
{
    InvCpuFeature *feature = inv_cpu_find_feature(cpu, name);

    if (feature)
        feature->policy = policy;
    else
        append_feature(cpu, name, policy);
}

const char *
inv_cpu_mode_to_string(InvCpuMode mode)
{
    return inv_words_to_string(&inv_cpu_modes, mode);
}

const char *
inv_cpu_match_to_string(InvCpuMatch match)
{
    return inv_words_to_string(&inv_cpu_matches, match);
}

const char *
inv_cpu_policy_to_string(InvCpuPolicy policy)
{
    return inv_words_to_string(&inv_cpu_policies, policy);
}
