/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/baseline.h"

#include "cpu_driver/description.h"
#include "cpu_driver/driver.h"
#include "util/error.h"

#include <string.h>

/* What the documents have in common so far. */
typedef struct {
    InvFeatureSet *features; /* NULL: before the first document */
    const char *vendor;      /* id; NULL: none of them is of a vendor. Borrowed from table, facts or document */
    const char *vendor_of;   /* the model that said so, for messages; NULL: it follows the host */
    gboolean all_name_vendor;
} Common;

static gboolean
join_vendor(Common *common, const InvCpuDescription *description, GError **error)
{
    const char *first = common->vendor_of, *second = description->model;

    if (!description->vendor)
        return TRUE;
    if (common->vendor && strcmp(common->vendor, description->vendor) != 0)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                             "no CPU is common to different vendors: %s is by %s, %s is by %s; ask for each vendor apart",
                             first ? first : "the host", inv_cpu_vendor_from_id(common->vendor), second ? second : "the host",
                             inv_cpu_vendor_from_id(description->vendor));
    common->vendor = description->vendor;
    common->vendor_of = description->model;
    return TRUE;
}

static gboolean
join(const InvCpuFacts *facts, Common *common, const InvCpu *cpu, const InvFeatureSet *host, GError **error)
{
    g_autoptr(InvCpuDescription) description = NULL;

    if (!inv_cpu_arch_fits(facts, cpu->arch))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "a CPU of architecture '%.32s' has no baseline with CPUs of %s", cpu->arch,
                             facts->arch);
    description = inv_cpu_describe(facts, cpu, host, error);
    if (!description || !join_vendor(common, description, error))
        return FALSE;
    if (!cpu->vendor)
        common->all_name_vendor = FALSE;
    if (common->features)
        inv_feature_set_intersect(common->features, description->on);
    else
        common->features = g_steal_pointer(&description->on);
    return TRUE;
}

typedef struct {
    const InvCpuModel *model;
    gboolean deprecated, disables, unversioned;
    guint changes;
} Candidate;

static gboolean
is_better(const Candidate *a, const Candidate *b)
{
    if (!b->model)
        return TRUE;
    if (a->deprecated != b->deprecated)
        return !a->deprecated;
    if (a->disables != b->disables)
        return !a->disables;
    if (a->changes != b->changes)
        return a->changes < b->changes;
    if (a->unversioned != b->unversioned)
        return !a->unversioned;
    return strcmp(a->model->name, b->model->name) < 0;
}

/* Documents of no vendor's chip (qemu64, kvm32, …) get such a model again. */
static gboolean
may_stand(const InvCpuModel *model, const char *vendor)
{
    static const char *const no_models[] = { "host", "max", "base", NULL };

    if (model->alias_of || !model->expansion || g_strv_contains(no_models, model->name))
        return FALSE;
    return vendor ? g_strcmp0(inv_json_get_string(model->expansion->others, "vendor"), vendor) == 0 : inv_cpu_is_generic_model(model->name);
}

static const InvCpuModel *
choose_model(const InvCpuFacts *facts, const Common *common, const InvFeatureSet *comparable)
{
    Candidate best = { NULL };

    for (guint i = 0; i < inv_cpu_table_size(facts->table); i++) {
        const InvCpuModel *model = inv_cpu_table_at(facts->table, i);
        g_autoptr(InvFeatureSet) has = NULL;
        Candidate candidate = { .model = model };

        if (!may_stand(model, common->vendor))
            continue;
        /* All that its name means, whatever this host filters of it: the answer is for any host. */
        has = inv_feature_set_copy(model->expansion->on);
        inv_feature_set_intersect(has, comparable);
        candidate.deprecated = model->deprecated;
        candidate.disables = !inv_feature_set_is_subset(has, common->features);
        candidate.unversioned = !inv_cpu_is_versioned(model->name);
        candidate.changes = inv_feature_set_distance(has, common->features);
        if (is_better(&candidate, &best))
            best = candidate;
    }
    return best.model;
}

static void
name_features(InvCpu *cpu, const InvFeatureSet *add, const InvFeatureSet *remove)
{
    g_autoptr(InvFeatureSet) all = inv_feature_set_copy(add);
    g_autofree const char **list = NULL;

    inv_feature_set_unite(all, remove);
    list = inv_feature_set_list(all);
    for (guint i = 0; list[i]; i++)
        inv_cpu_set_feature(cpu, list[i], inv_feature_set_has(add, list[i]) ? INV_CPU_POLICY_REQUIRE : INV_CPU_POLICY_DISABLE);
}

static InvCpu *
write_cpu(const InvCpuFacts *facts, const Common *common, gboolean expand_features, GError **error)
{
    g_autoptr(InvFeatureSet) comparable = inv_cpu_comparable(facts->map, inv_cpu_table_names(facts->table));
    const InvCpuModel *model = choose_model(facts, common, comparable);
    g_autoptr(InvFeatureSet) has = NULL;
    g_autoptr(InvFeatureSet) more = NULL;
    g_autoptr(InvFeatureSet) less = NULL;
    InvCpu *cpu;

    if (!model) {
        inv_error_set(error, VIR_ERR_OPERATION_FAILED, "%s has no CPU model of vendor %s on machine %s, of which it says what it consists",
                      facts->emulator, common->vendor ? inv_cpu_vendor_from_id(common->vendor) : "that is none (qemu64, kvm64)",
                      facts->machine);
        return NULL;
    }
    has = inv_feature_set_copy(model->expansion->on);
    inv_feature_set_intersect(has, comparable);
    less = inv_feature_set_difference(has, common->features);
    more = expand_features ? inv_feature_set_copy(common->features) : inv_feature_set_difference(common->features, model->expansion->on);
    cpu = inv_cpu_new();
    cpu->mode = INV_CPU_MODE_CUSTOM;
    cpu->match = INV_CPU_MATCH_EXACT;
    cpu->model = g_strdup(model->name);
    cpu->fallback = INV_CPU_FALLBACK_FORBID;
    if (common->all_name_vendor)
        cpu->vendor = g_strdup(inv_cpu_vendor_from_id(common->vendor));
    name_features(cpu, more, less);
    return cpu;
}

InvCpu *
inv_cpu_baseline(const InvCpuFacts *facts, const InvCpu *const *cpus, guint n, gboolean expand_features, gboolean migratable, GError **error)
{
    Common common = { .all_name_vendor = TRUE };
    g_autoptr(InvFeatureSet) host = NULL;
    g_autoptr(InvFeatureSet) features = NULL;
    gboolean joined = TRUE;

    if (!inv_cpu_can_describe(facts, "the baseline of CPUs", error))
        return NULL;
    if (!n) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "no CPUs were given, and nothing is common to none");
        return NULL;
    }
    host = inv_cpu_host_gives(facts);
    for (guint i = 0; i < n && joined; i++)
        joined = join(facts, &common, cpus[i], host, error);
    features = common.features;
    if (!joined)
        return NULL;
    if (migratable) {
        g_autoptr(InvFeatureSet) comparable = inv_cpu_comparable(facts->map, inv_cpu_table_names(facts->table));

        inv_feature_set_intersect(features, comparable);
    }
    return write_cpu(facts, &common, expand_features, error);
}
