/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/cpu_driver.h"

#include "cpu_driver/basis.h"
#include "cpu_driver/driver.h"
#include "cpu_driver/nearest.h"
#include "util/error.h"

#include <string.h>

static const InvCpuDriver *const drivers[] = {
    &inv_cpu_driver_x86, &inv_cpu_driver_s390, &inv_cpu_driver_arm, &inv_cpu_driver_ppc, &inv_cpu_driver_riscv,
};

const InvCpuDriver *
inv_cpu_driver_find(const char *arch, GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(drivers); i++) {
        if (g_strv_contains(drivers[i]->arches, arch))
            return drivers[i];
    }
    inv_error_set(error, VIR_ERR_NO_SUPPORT, "CPUs of architecture '%s' are not supported: Invar has no CPU driver for it", arch);
    return NULL;
}

gboolean
inv_cpu_not_supported(const InvCpuFacts *facts, GError **error, const char *what)
{
    return inv_error_set(error, VIR_ERR_NO_SUPPORT, "%s is not supported by the %s CPU driver", what, facts->arch);
}

InvCpuModelCheck
inv_cpu_effective_check(const InvCpu *cpu, InvCpuModelCheck default_check)
{
    if (cpu && cpu->model_check != INV_CPU_MODEL_CHECK_UNSET)
        return cpu->model_check;
    if (cpu) {
        switch (cpu->check) {
        case INV_CPU_CHECK_FULL:
            return INV_CPU_MODEL_CHECK_STRICT;
        case INV_CPU_CHECK_NONE:
        case INV_CPU_CHECK_PARTIAL:
            return INV_CPU_MODEL_CHECK_RELAXED;
        case INV_CPU_CHECK_UNSET:
            break;
        }
    }
    return default_check == INV_CPU_MODEL_CHECK_UNSET ? INV_CPU_MODEL_CHECK_RELAXED : default_check;
}

gboolean
inv_cpu_needs_expansions(const InvCpu *cpu)
{
    return cpu && (cpu->mode == INV_CPU_MODE_HOST_MODEL || cpu->match == INV_CPU_MATCH_MINIMUM || cpu->match == INV_CPU_MATCH_STRICT ||
                   cpu->deprecated_features != INV_TRISTATE_UNSET);
}

const InvFeatureSet *
inv_cpu_known_features(const InvCpuFacts *facts, const char *model)
{
    const InvCpuModel *found = model ? inv_cpu_table_find(facts->table, model) : NULL;

    if (found && found->expansion)
        return found->expansion->known;
    return facts->host ? facts->host->known : NULL;
}

const char *
inv_cpu_canonical_feature(const InvCpuFacts *facts, const char *name)
{
    const InvCpuMapFeature *feature = inv_cpu_map_find(facts->map, name);
    const InvFeatureSet *known = inv_cpu_known_features(facts, NULL);
    g_autofree char *dashed = NULL;

    if (feature)
        return feature->name;
    if (known && inv_feature_set_has(known, name))
        return g_intern_string(name);
    dashed = g_strdelimit(g_strdup(name), "_", '-');
    if (known && inv_feature_set_has(known, dashed))
        return g_intern_string(dashed);
    return NULL;
}

InvFeatureSet *
inv_cpu_host_gives(const InvCpuFacts *facts)
{
    InvFeatureSet *gives;

    if (!facts->host)
        return NULL;
    gives = inv_feature_set_copy(facts->host->on);
    for (const char *const *name = facts->host_unavailable; name && *name; name++)
        inv_feature_set_remove(gives, *name);
    return gives;
}

gboolean
inv_cpu_is_comparable(const InvCpuMapFeature *feature)
{
    return feature->mask && feature->passed && feature->migratable && !inv_cpu_map_follows_topology(feature->name);
}

InvFeatureSet *
inv_cpu_comparable(const InvCpuMap *map, InvFeatureNames *names)
{
    return inv_feature_set_copy(inv_cpu_comparable_of(map, names));
}

const InvCpuModel *
inv_cpu_find_model(const InvCpuFacts *facts, const char *name, GError **error)
{
    const InvCpuModel *model = inv_cpu_table_find(facts->table, name);
    g_autoptr(GPtrArray) names = NULL;
    g_autofree char *nearest = NULL;

    /* libvirt writes POWER9, QEMU power9, and QEMU's own command line takes either. */
    if (!model && g_str_has_prefix(facts->arch, "ppc")) {
        g_autofree char *lower = g_ascii_strdown(name, -1);

        model = inv_cpu_table_find(facts->table, lower);
    }
    if (model)
        return inv_cpu_table_resolve_alias(facts->table, model);
    /* To find the nearest names takes longer than all else. */
    if (!error)
        return NULL;

    names = g_ptr_array_new();
    for (guint i = 0; i < inv_cpu_table_size(facts->table); i++)
        g_ptr_array_add(names, inv_cpu_table_at(facts->table, i)->name);
    nearest = inv_nearest_names(name, (const char *const *)names->pdata, names->len);
    inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s has no CPU model '%.100s' on machine %s%s%s%s", facts->emulator, name,
                  facts->machine, nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    return NULL;
}

const InvCpuExpansion *
inv_cpu_need_expansion(const InvCpuFacts *facts, const char *model, GError **error)
{
    const InvCpuModel *found = model ? inv_cpu_table_find(facts->table, model) : NULL;

    if (found && found->expansion)
        return found->expansion;
    inv_error_set(error, VIR_ERR_OPERATION_FAILED, "%s did not say what CPU model '%s' consists of on machine %s", facts->emulator,
                  model ? model : "default", facts->machine);
    return NULL;
}

InvFeatureSet *
inv_cpu_model_gives(const InvCpuFacts *facts, const InvCpuModel *model, const InvFeatureSet *comparable)
{
    InvFeatureSet *gives = inv_feature_set_copy(model->expansion->on);

    for (char **name = model->unavailable; name && *name; name++)
        inv_feature_set_remove(gives, *name);
    inv_feature_set_intersect(gives, comparable);
    return gives;
}

gboolean
inv_cpu_is_versioned(const char *name)
{
    const char *end = strrchr(name, '-');

    return end && end[1] == 'v' && g_ascii_isdigit(end[2]);
}

const InvCpuModel *
inv_cpu_nearest_model(const InvCpuFacts *facts, const char *vendor, const InvFeatureSet *target)
{
    g_autoptr(InvCpuBasis) basis = inv_cpu_basis_of_facts(facts);
    InvCpuRanking ranking = { .vendor = vendor, .any_vendor = !vendor, .here = TRUE, .target = target,
                              .within = inv_cpu_basis_comparable(basis) };
    InvCpuBasisModel best;

    return inv_cpu_basis_choose(basis, &ranking, &best) ? best.model : NULL;
}
