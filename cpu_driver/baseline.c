/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/baseline.h"

#include "cpu_driver/driver.h"
#include "cpu_driver/expand.h"
#include "util/error.h"

#include <string.h>

struct InvCpuBaseliner {
    const InvCpuBasis *basis; /* borrowed */
    InvFeatureSet *features;  /* what they have in common; NULL: before the first */
    char *vendor;             /* id; NULL: none of them is of a vendor */
    char *vendor_label;       /* of the first that is */
    gboolean all_name_vendor;
    guint64 count;
};

InvCpuBaseliner *
inv_cpu_baseliner_new(const InvCpuBasis *basis)
{
    InvCpuBaseliner *baseliner = g_new0(InvCpuBaseliner, 1);

    baseliner->basis = basis;
    baseliner->all_name_vendor = TRUE;
    return baseliner;
}

void
inv_cpu_baseliner_free(InvCpuBaseliner *baseliner)
{
    if (!baseliner)
        return;
    inv_feature_set_free(baseliner->features);
    g_free(baseliner->vendor);
    g_free(baseliner->vendor_label);
    g_free(baseliner);
}

guint64
inv_cpu_baseliner_count(const InvCpuBaseliner *baseliner)
{
    return baseliner->count;
}

static gboolean
check(const InvCpuBaseliner *baseliner, const InvCpuDescription *description, const char *label, GError **error)
{
    if (description->foreign)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "%s: a CPU of architecture '%.32s' has no baseline with CPUs of %s", label,
                             description->arch, inv_cpu_basis_arch(baseliner->basis));
    if (baseliner->vendor && description->vendor && !inv_cpu_same_vendor(baseliner->vendor, description->vendor))
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                             "no CPU is common to different vendors: %s is by %.64s, %s is by %.64s; ask for each vendor apart",
                             baseliner->vendor_label, inv_cpu_vendor_from_id(baseliner->vendor), label,
                             inv_cpu_vendor_from_id(description->vendor));
    return TRUE;
}

gboolean
inv_cpu_baseliner_add(InvCpuBaseliner *baseliner, const InvCpuDescription *description, const char *label, GError **error)
{
    if (!check(baseliner, description, label, error))
        return FALSE;
    if (!baseliner->vendor && description->vendor) {
        baseliner->vendor = g_strdup(description->vendor);
        baseliner->vendor_label = g_strdup(label);
    }
    if (!description->names_vendor)
        baseliner->all_name_vendor = FALSE;
    if (baseliner->features)
        inv_feature_set_intersect(baseliner->features, description->on);
    else
        baseliner->features = inv_feature_set_copy(description->on);
    baseliner->count++;
    return TRUE;
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

static gboolean
refuse_no_model(const InvCpuBaseliner *baseliner, GError **error)
{
    const InvCpuFacts *facts = inv_cpu_basis_facts(baseliner->basis);
    const char *vendor = baseliner->vendor ? inv_cpu_vendor_from_id(baseliner->vendor) : "that is none (qemu64, kvm64)";

    if (facts)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "%s has no CPU model of vendor %.64s on machine %s, of which it says what it consists of",
                             facts->emulator, vendor, facts->machine);
    return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the map has no CPU model of vendor %.64s", vendor);
}

InvCpu *
inv_cpu_baseliner_result(const InvCpuBaseliner *baseliner, gboolean expand_features, gboolean migratable, GError **error)
{
    const InvFeatureSet *describable = inv_cpu_basis_describable(baseliner->basis);
    g_autoptr(InvFeatureSet) common = NULL;
    g_autoptr(InvFeatureSet) has = NULL;
    g_autoptr(InvFeatureSet) more = NULL;
    g_autoptr(InvFeatureSet) less = NULL;
    InvCpuBasisModel model;
    InvCpu *cpu;

    if (!baseliner->features) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "no CPUs were given, and nothing is common to none");
        return NULL;
    }
    common = inv_feature_set_copy(baseliner->features);
    if (migratable)
        inv_feature_set_intersect(common, inv_cpu_basis_comparable(baseliner->basis));
    if (!inv_cpu_basis_choose(baseliner->basis, &(InvCpuRanking){ .vendor = baseliner->vendor, .target = common, .within = describable }, &model)) {
        refuse_no_model(baseliner, error);
        return NULL;
    }
    /* All that its name means, whatever this host filters of it: the answer is for any host. */
    has = inv_feature_set_copy(inv_cpu_basis_model_set(&model, inv_feature_set_meets(common, inv_cpu_basis_vmx_parts(baseliner->basis))));
    inv_feature_set_intersect(has, describable);
    less = inv_feature_set_difference(has, common);
    more = expand_features ? inv_feature_set_copy(common) : inv_feature_set_difference(common, has);
    cpu = inv_cpu_new();
    cpu->mode = INV_CPU_MODE_CUSTOM;
    cpu->match = INV_CPU_MATCH_EXACT;
    cpu->model = g_strdup(model.name);
    cpu->fallback = INV_CPU_FALLBACK_FORBID;
    if (baseliner->all_name_vendor && baseliner->vendor)
        cpu->vendor = g_strdup(inv_cpu_vendor_from_id(baseliner->vendor));
    name_features(cpu, more, less);
    inv_cpu_tell_vmx_parts(cpu, common, inv_cpu_basis_vmx_parts(baseliner->basis));
    return cpu;
}

static gboolean
add_document(InvCpuBaseliner *baseliner, const InvCpu *cpu, const InvFeatureSet *host, guint number, GError **error)
{
    g_autoptr(InvCpuDescription) description = inv_cpu_describe(baseliner->basis, cpu, host, error);
    char label[128];

    if (!description)
        return FALSE;
    g_snprintf(label, sizeof(label), "CPU %u (%s)", number, description->model ? description->model : "the host's");
    return inv_cpu_baseliner_add(baseliner, description, label, error);
}

InvCpu *
inv_cpu_baseline(const InvCpuFacts *facts, const InvCpu *const *cpus, guint n, gboolean expand_features, gboolean migratable, GError **error)
{
    g_autoptr(InvCpuBasis) basis = inv_cpu_basis_of_facts(facts);
    g_autoptr(InvCpuBaseliner) baseliner = inv_cpu_baseliner_new(basis);
    g_autoptr(InvFeatureSet) host = NULL;

    if (!inv_cpu_basis_can_describe(basis, "the baseline of CPUs", error))
        return NULL;
    host = inv_cpu_host_gives(facts);
    for (guint i = 0; i < n; i++) {
        if (!add_document(baseliner, cpus[i], host, i + 1, error))
            return NULL;
    }
    return inv_cpu_baseliner_result(baseliner, expand_features, migratable, error);
}
