/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/compare.h"

#include "cpu_driver/difference.h"
#include "cpu_driver/driver.h"
#include "util/error.h"

#include <string.h>

/* The two sides and how they differ. All borrowed. */
typedef struct {
    const InvCpuFacts *facts;
    gboolean described; /* the host is a document, not what facts say */
    const InvCpuDescription *host, *wanted;
    const InvCpuDifference *difference;
    const InvCpu *cpu;
    const InvCpuRequest *request; /* what @cpu asks for, for the architecture's explanations */
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

InvCpuDescription *
inv_cpu_describe_here(const InvCpuBasis *basis, GError **error)
{
    const InvCpuFacts *facts = inv_cpu_basis_facts(basis);
    g_autoptr(InvFeatureSet) here = given_here(facts);
    g_autoptr(InvCpu) follows = inv_cpu_new();

    if (!here) {
        inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                      "comparing a CPU with the host needs to know what the host can give, and %s did not say that on machine %s",
                      facts->emulator, facts->machine);
        return NULL;
    }
    follows->mode = INV_CPU_MODE_MAXIMUM;
    return inv_cpu_describe(basis, follows, here, error);
}

static InvCpuDescription *
describe_host(const InvCpuBasis *basis, const InvCpu *host, const InvFeatureSet *here, GError **error)
{
    if (!host)
        return inv_cpu_describe_here(basis, error);
    if (!inv_cpu_basis_arch_fits(basis, host->arch)) {
        inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the host's CPU is %.32s, and models of %s are at hand", host->arch,
                      inv_cpu_basis_arch(basis));
        return NULL;
    }
    return inv_cpu_describe(basis, host, here, error);
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
add_refused(const Comparison *comparison, const char *name, InvVerdict *verdict)
{
    g_autofree char *reason = NULL;
    g_autofree char *remedy = NULL;

    if (inv_feature_set_has(comparison->wanted->forbidden, name)) {
        reason = g_strdup_printf("%s is forbidden and the host has it", name);
        remedy = g_strdup_printf("take a host without it, or only hide it from the guest: <feature name='%s' policy='disable'/>", name);
    } else {
        reason = g_strdup_printf("match='strict' allows no feature beyond the model's, and the host has %s", name);
        remedy = g_strdup_printf("name it: <feature name='%s' policy='require'/> or policy='disable', or take match='exact'", name);
    }
    inv_verdict_add(verdict, name, INV_LAYER_CONFIGURATION, reason, remedy);
}

static void
add_each(const Comparison *comparison, const InvFeatureSet *set, void (*add)(const Comparison *, const char *, InvVerdict *),
         InvVerdict *verdict)
{
    g_autofree const char **list = inv_feature_set_list(set);

    for (guint i = 0; list[i]; i++)
        add(comparison, list[i], verdict);
}

static void
add_vendor(const Comparison *comparison, InvVerdict *verdict)
{
    gboolean hardware = comparison->described || comparison->facts->accelerator == INV_VIRT_KVM;
    const char *vendor = comparison->host->vendor;
    g_autofree char *reason = NULL;

    reason = g_strdup_printf("the CPU is by %.64s, %s is by %.64s", inv_cpu_vendor_from_id(comparison->wanted->vendor),
                             hardware ? "the host's" : "what QEMU emulates here",
                             vendor ? inv_cpu_vendor_from_id(vendor) : "a vendor that is not known");
    inv_verdict_add(verdict, "vendor", hardware ? INV_LAYER_HARDWARE : INV_LAYER_QEMU, reason,
                    "take a host of that vendor, or take <vendor> out");
}

static void
add_phys_bits(const Comparison *comparison, InvVerdict *verdict)
{
    g_autofree char *reason = g_strdup_printf("the host's physical addresses have %u bits, the CPU wants %u", comparison->host->phys_bits,
                                              comparison->wanted->phys_bits);

    inv_verdict_add(verdict, "maxphysaddr", INV_LAYER_HARDWARE, reason, "ask for at most as many bits as the host has, or take a host that has more");
}

static void
check_mode(const Comparison *comparison, InvVerdict *verdict)
{
    if (comparison->wanted->passes_host && comparison->facts->accelerator != INV_VIRT_KVM)
        inv_verdict_add(verdict, "mode", INV_LAYER_CONFIGURATION, "only KVM can pass on the host's own CPU; this is TCG",
                        "take mode='maximum' for all that TCG can emulate, or run the domain under KVM (<domain type='kvm'>)");
}

static void
judge(const Comparison *comparison, InvVerdict *verdict)
{
    const InvCpuDifference *difference = comparison->difference;

    verdict->machine = g_strdup(comparison->facts->machine);
    verdict->model = g_strdup(comparison->wanted->model);
    check_mode(comparison, verdict);
    if (difference->other_vendor)
        add_vendor(comparison, verdict);
    if (difference->phys_bits_short)
        add_phys_bits(comparison, verdict);
    add_each(comparison, difference->missing, add_missing, verdict);
    add_each(comparison, difference->refused, add_refused, verdict);
}

static void
refuse_arch(const InvCpuFacts *facts, const InvCpu *cpu, InvVerdict *verdict)
{
    g_autofree char *reason = g_strdup_printf("the CPU is %.32s, the host's is %s", cpu->arch, facts->arch);

    inv_verdict_add(verdict, "arch", INV_LAYER_HARDWARE, reason, "take a host of that architecture");
}

static gboolean
compare(const InvCpuBasis *basis, const InvCpu *host, const InvCpu *cpu, virCPUCompareResult *result, InvVerdict *verdict, GError **error)
{
    const InvCpuFacts *facts = inv_cpu_basis_facts(basis);
    g_autoptr(InvFeatureSet) here = given_here(facts);
    g_autoptr(InvCpuDescription) has = describe_host(basis, host, here, error);
    g_autoptr(InvCpuDescription) wanted = has ? inv_cpu_describe(basis, cpu, host ? has->on : here, error) : NULL;
    g_autoptr(InvCpuDifference) difference = inv_cpu_difference_new(basis);
    g_autoptr(InvCpuRequest) request = NULL;

    if (!wanted)
        return FALSE;
    inv_cpu_difference_find(basis, has, wanted, difference);
    *result = difference->result;
    if (difference->result != VIR_CPU_COMPARE_INCOMPATIBLE && !wanted->passes_host)
        return TRUE;
    request = make_request(facts, cpu, wanted);
    judge(&(Comparison){ .facts = facts,
                         .described = host != NULL,
                         .host = has,
                         .wanted = wanted,
                         .difference = difference,
                         .cpu = cpu,
                         .request = request },
          verdict);
    if (verdict->blockers->len)
        *result = VIR_CPU_COMPARE_INCOMPATIBLE;
    return TRUE;
}

gboolean
inv_cpu_compare_on(const InvCpuBasis *basis, const InvCpu *host, const InvCpu *cpu, virCPUCompareResult *result, InvVerdict **why,
                   GError **error)
{
    g_autoptr(InvVerdict) verdict = inv_verdict_new();

    *result = VIR_CPU_COMPARE_ERROR;
    if (why)
        *why = NULL;
    if (!inv_cpu_basis_can_describe(basis, "comparing CPUs", error))
        return FALSE;
    if (!inv_cpu_basis_arch_fits(basis, cpu->arch)) {
        refuse_arch(inv_cpu_basis_facts(basis), cpu, verdict);
        *result = VIR_CPU_COMPARE_INCOMPATIBLE;
    } else if (!compare(basis, host, cpu, result, verdict, error)) {
        *result = VIR_CPU_COMPARE_ERROR;
        return FALSE;
    }
    verdict->outcome = INV_OUTCOME_REFUSED;
    if (why && *result == VIR_CPU_COMPARE_INCOMPATIBLE)
        *why = g_steal_pointer(&verdict);
    return TRUE;
}

gboolean
inv_cpu_compare(const InvCpuFacts *facts, const InvCpu *host, const InvCpu *cpu, virCPUCompareResult *result, InvVerdict **why,
                GError **error)
{
    g_autoptr(InvCpuBasis) basis = inv_cpu_basis_of_facts(facts);

    return inv_cpu_compare_on(basis, host, cpu, result, why, error);
}
