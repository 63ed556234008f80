/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/compare.h"

#include "cpu_driver/description.h"
#include "cpu_driver/driver.h"
#include "util/error.h"

#include <string.h>

/* The two sides. All borrowed but @has. */
typedef struct {
    const InvCpuFacts *facts;
    gboolean described;    /* the host is a document, not what facts say */
    InvFeatureSet *has;    /* of the host */
    const char *vendor;    /* of the host, an id; NULL: not known */
    const InvCpu *cpu;
    const InvCpuDescription *wanted;
    InvCpuRequest *request; /* what @cpu asks for, for the architecture's explanations */
} Comparison;

/* What guests get of this host, and what they get when they ask for it although it cannot migrate. */
static InvFeatureSet *
given_here(const InvCpuFacts *facts)
{
    g_autoptr(InvFeatureSet) gives = inv_cpu_host_gives(facts);

    if (!gives || facts->accelerator != INV_VIRT_KVM || !facts->hardware)
        return g_steal_pointer(&gives);
    for (guint i = 0; i < inv_cpu_map_size(facts->map); i++) {
        const InvCpuMapFeature *feature = inv_cpu_map_at(facts->map, i);

        if (feature->mask && feature->passed && !feature->migratable && inv_feature_set_has(facts->hardware, feature->name) &&
            inv_feature_set_has(facts->host->known, feature->name))
            inv_feature_set_add(gives, feature->name);
    }
    return g_steal_pointer(&gives);
}

static gboolean
find_host(const InvCpuFacts *facts, const InvCpu *host, Comparison *comparison, GError **error)
{
    g_autoptr(InvFeatureSet) here = given_here(facts);
    g_autoptr(InvCpuDescription) description = NULL;

    if (host) {
        if (!inv_cpu_arch_fits(facts, host->arch))
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the host's CPU is %.32s, and models of %s are at hand",
                                 host->arch, facts->arch);
        description = inv_cpu_describe(facts, host, here, error);
        if (!description)
            return FALSE;
        comparison->described = TRUE;
        comparison->vendor = description->vendor;
        comparison->has = g_steal_pointer(&description->on);
        return TRUE;
    }
    if (!here)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "comparing a CPU with the host needs to know what the host can give, and %s did not say that on machine %s",
                             facts->emulator, facts->machine);
    comparison->vendor = facts->host_vendor;
    comparison->has = g_steal_pointer(&here);
    return TRUE;
}

static InvCpuRequest *
make_request(const InvCpuFacts *facts, const InvCpu *cpu, const InvCpuDescription *wanted)
{
    InvCpuRequest *request = inv_cpu_request_new();

    request->model = g_strdup(wanted->model);
    for (guint i = 0; i < cpu->features->len; i++) {
        const InvCpuFeature *feature = g_ptr_array_index(cpu->features, i);

        inv_cpu_request_ask(request, facts->map, inv_cpu_canonical_feature(facts, feature->name), feature->policy, INV_ORIGIN_USER);
    }
    return request;
}

static void
add_missing(const Comparison *comparison, const char *name, InvVerdict *verdict)
{
    const InvCpuFacts *facts = comparison->facts;
    const InvCpuDriver *driver = inv_cpu_driver_find(facts->arch, NULL);
    const InvCpuMapFeature *entry = inv_cpu_map_find(facts->map, name);
    g_autofree char *reason = NULL;
    g_autofree char *remedy = NULL;
    InvLayer layer = INV_LAYER_HARDWARE;

    if (entry && !entry->passed) {
        layer = INV_LAYER_QEMU;
        reason = g_strdup_printf("QEMU does not know %s", name);
        remedy = g_strdup_printf("take it out: no QEMU can give '%s' to a guest", name);
    } else if (comparison->described || !driver || !driver->explain) {
        reason = g_strdup_printf("the host's CPU does not have %s", name);
        remedy = g_strdup_printf("compare with a host that has it, or take it out: <feature name='%s' policy='disable'/>", name);
    } else {
        driver->explain(facts, comparison->cpu, comparison->request, name, &layer, &reason, &remedy);
    }
    inv_verdict_add(verdict, name, layer, reason, remedy);
}

static void
find_missing(const Comparison *comparison, const InvFeatureSet *comparable, InvVerdict *verdict)
{
    const InvCpuDescription *wanted = comparison->wanted;
    g_autoptr(InvFeatureSet) missing = inv_feature_set_copy(wanted->on);
    g_autoptr(InvFeatureSet) forbidden = inv_feature_set_copy(wanted->forbidden);
    g_autofree const char **list = NULL;
    g_autofree const char **refused = NULL;

    inv_feature_set_intersect(missing, comparable);
    inv_feature_set_unite(missing, wanted->promised);
    inv_feature_set_subtract(missing, comparison->has);
    inv_feature_set_subtract(missing, wanted->forced);
    list = inv_feature_set_list(missing);
    for (guint i = 0; list[i]; i++)
        add_missing(comparison, list[i], verdict);

    inv_feature_set_intersect(forbidden, comparison->has);
    refused = inv_feature_set_list(forbidden);
    for (guint i = 0; refused[i]; i++) {
        g_autofree char *reason = g_strdup_printf("%s is forbidden and the host has it", refused[i]);
        g_autofree char *remedy =
            g_strdup_printf("take a host without it, or only hide it from the guest: <feature name='%s' policy='disable'/>", refused[i]);

        inv_verdict_add(verdict, refused[i], INV_LAYER_CONFIGURATION, reason, remedy);
    }
}

static void
find_extra(const Comparison *comparison, const InvFeatureSet *extra, InvVerdict *verdict)
{
    g_autofree const char **list = inv_feature_set_list(extra);

    for (guint i = 0; list[i]; i++) {
        g_autofree char *reason = g_strdup_printf("match='strict' allows no feature beyond the model's, and the host has %s", list[i]);
        g_autofree char *remedy =
            g_strdup_printf("name it: <feature name='%s' policy='require'/> or policy='disable', or take match='exact'", list[i]);

        inv_verdict_add(verdict, list[i], INV_LAYER_CONFIGURATION, reason, remedy);
    }
}

static void
check_vendor(const Comparison *comparison, InvVerdict *verdict)
{
    gboolean hardware = comparison->described || comparison->facts->accelerator == INV_VIRT_KVM;
    g_autofree char *reason = NULL;

    if (!comparison->cpu->vendor || g_strcmp0(comparison->wanted->vendor, comparison->vendor) == 0)
        return;
    reason = g_strdup_printf("the CPU is by %s, %s is by %s", inv_cpu_vendor_from_id(comparison->wanted->vendor),
                             hardware ? "the host's" : "what QEMU emulates here",
                             comparison->vendor ? inv_cpu_vendor_from_id(comparison->vendor) : "a vendor that is not known");
    inv_verdict_add(verdict, "vendor", hardware ? INV_LAYER_HARDWARE : INV_LAYER_QEMU, reason,
                    "take a host of that vendor, or take <vendor> out");
}

static void
check_mode(const Comparison *comparison, InvVerdict *verdict)
{
    if (comparison->wanted->passes_host && comparison->facts->accelerator != INV_VIRT_KVM)
        inv_verdict_add(verdict, "mode", INV_LAYER_CONFIGURATION, "only KVM can pass on the host's own CPU; this is TCG",
                        "take mode='maximum' for all that TCG can emulate, or run the domain under KVM (<domain type='kvm'>)");
}

static void
judge(const Comparison *comparison, virCPUCompareResult *result, InvVerdict *verdict)
{
    const InvCpuFacts *facts = comparison->facts;
    g_autoptr(InvFeatureSet) comparable = inv_cpu_comparable(facts->map, inv_cpu_table_names(facts->table));
    g_autoptr(InvFeatureSet) extra = inv_feature_set_copy(comparison->has);

    verdict->machine = g_strdup(facts->machine);
    verdict->model = g_strdup(comparison->wanted->model);
    check_mode(comparison, verdict);
    check_vendor(comparison, verdict);
    find_missing(comparison, comparable, verdict);
    inv_feature_set_intersect(extra, comparable);
    inv_feature_set_subtract(extra, comparison->wanted->on);
    inv_feature_set_subtract(extra, comparison->wanted->named);
    if (comparison->cpu->match == INV_CPU_MATCH_STRICT)
        find_extra(comparison, extra, verdict);
    if (verdict->blockers->len)
        *result = VIR_CPU_COMPARE_INCOMPATIBLE;
    else
        *result = inv_feature_set_is_empty(extra) ? VIR_CPU_COMPARE_IDENTICAL : VIR_CPU_COMPARE_SUPERSET;
}

static void
refuse_arch(const InvCpuFacts *facts, const InvCpu *cpu, InvVerdict *verdict)
{
    g_autofree char *reason = g_strdup_printf("the CPU is %.32s, the host's is %s", cpu->arch, facts->arch);

    inv_verdict_add(verdict, "arch", INV_LAYER_HARDWARE, reason, "take a host of that architecture");
}

gboolean
inv_cpu_compare(const InvCpuFacts *facts, const InvCpu *host, const InvCpu *cpu, virCPUCompareResult *result, InvVerdict **why,
                GError **error)
{
    Comparison comparison = { .facts = facts, .cpu = cpu };
    g_autoptr(InvVerdict) verdict = inv_verdict_new();
    g_autoptr(InvCpuDescription) wanted = NULL;
    g_autoptr(InvFeatureSet) has = NULL;
    g_autoptr(InvCpuRequest) request = NULL;

    *result = VIR_CPU_COMPARE_ERROR;
    if (why)
        *why = NULL;
    if (!inv_cpu_can_describe(facts, "comparing CPUs", error))
        return FALSE;
    if (!inv_cpu_arch_fits(facts, cpu->arch)) {
        refuse_arch(facts, cpu, verdict);
        *result = VIR_CPU_COMPARE_INCOMPATIBLE;
    } else {
        if (!find_host(facts, host, &comparison, error))
            return FALSE;
        has = comparison.has;
        wanted = inv_cpu_describe(facts, cpu, has, error);
        if (!wanted)
            return FALSE;
        request = make_request(facts, cpu, wanted);
        comparison.wanted = wanted;
        comparison.request = request;
        judge(&comparison, result, verdict);
    }
    verdict->outcome = INV_OUTCOME_REFUSED;
    if (why && *result == VIR_CPU_COMPARE_INCOMPATIBLE)
        *why = g_steal_pointer(&verdict);
    return TRUE;
}
