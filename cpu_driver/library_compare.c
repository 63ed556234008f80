/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/baseline.h"
#include "cpu_driver/difference.h"
#include "cpu_driver/library.h"
#include "cpu_driver/verdict.h"
#include "util/error.h"

#include <string.h>

struct InvarCpuComparison {
    InvarCpuRelation relation;
    GArray *reasons;       /* of InvarCpuReason; their strings are the chunk's, or static */
    GStringChunk *strings;
};

struct InvarCpuBaseline {
    InvarCpuContext *context; /* a reference */
    char *arch;
    InvCpuBaseliner *baseliner;
};

const char *
invar_cpu_relation_name(InvarCpuRelation relation)
{
    switch (relation) {
    case INVAR_CPU_INCOMPATIBLE:
        return "incompatible";
    case INVAR_CPU_IDENTICAL:
        return "identical";
    case INVAR_CPU_SUPERSET:
        return "superset";
    }
    return "unknown";
}

const char *
invar_cpu_reason_kind_name(InvarCpuReasonKind kind)
{
    switch (kind) {
    case INVAR_CPU_REASON_MISSING:
        return "missing";
    case INVAR_CPU_REASON_EXTRA:
        return "extra";
    case INVAR_CPU_REASON_FORBIDDEN:
        return "forbidden";
    case INVAR_CPU_REASON_VENDOR:
        return "vendor";
    case INVAR_CPU_REASON_ARCH:
        return "arch";
    case INVAR_CPU_REASON_LEVEL:
        return "level";
    case INVAR_CPU_REASON_PHYS_BITS:
        return "phys-bits";
    }
    return "unknown";
}

static const char *
keep(InvarCpuComparison *comparison, const char *format, ...) G_GNUC_PRINTF(2, 3);

static const char *
keep(InvarCpuComparison *comparison, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    return g_string_chunk_insert(comparison->strings, text);
}

static void
add(InvarCpuComparison *comparison, InvarCpuReason reason)
{
    g_array_append_val(comparison->reasons, reason);
}

typedef struct {
    InvarCpuComparison *comparison;
    const InvarCpu *host, *cpu;
    const InvCpuDescription *has, *wanted;
    const InvCpuDifference *difference;
} Telling;

/* Who says no? A processor's own CPUID tells; what QEMU or libvirt made of it may have lost the feature on its way. */
static const char *
layer_of_missing(const Telling *telling, const InvCpuMapFeature *entry)
{
    if (entry && !entry->passed && !entry->by_guest)
        return inv_layer_to_string(INV_LAYER_QEMU);
    switch (telling->host->format) {
    case INVAR_CPU_FORMAT_CPUID:
    case INVAR_CPU_FORMAT_CPUDATA:
    case INVAR_CPU_FORMAT_HOST:
        /* A dump without MSRs does not tell. */
        return entry && entry->is_msr ? NULL : inv_layer_to_string(INV_LAYER_HARDWARE);
    case INVAR_CPU_FORMAT_AUTO:
    case INVAR_CPU_FORMAT_DOMAIN:
    case INVAR_CPU_FORMAT_CPU:
    case INVAR_CPU_FORMAT_CAPABILITIES:
    case INVAR_CPU_FORMAT_DOMCAPABILITIES:
    case INVAR_CPU_FORMAT_QMP:
        break;
    }
    return NULL;
}

static void
add_missing(const Telling *telling, const char *name)
{
    const InvCpuMapFeature *entry = inv_cpu_map_find(telling->cpu->dictionary->map, name);
    gboolean never = entry && !entry->passed && !entry->by_guest;
    InvarCpuReason reason = { .kind = INVAR_CPU_REASON_MISSING, .blocks = 1, .feature = name };

    reason.layer = layer_of_missing(telling, entry);
    reason.text = never ? keep(telling->comparison, "no QEMU can give %s to a guest", name) : keep(telling->comparison, "the host lacks %s", name);
    reason.remedy = keep(telling->comparison, "take a host that has it, or do without it: <feature policy='disable' name='%s'/>", name);
    if (never)
        reason.remedy = keep(telling->comparison, "take '%s' out", name);
    add(telling->comparison, reason);
}

/* It depends on the guest's topology or its system: the host's lack of it says nothing against the move. */
static void
add_aside(const Telling *telling, const char *name)
{
    InvarCpuReason reason = { .kind = INVAR_CPU_REASON_MISSING, .feature = name };

    reason.text = keep(telling->comparison, "the host lacks %s, which %s", name,
                       inv_cpu_map_follows_topology(name) ? "follows the topology of a guest" : "a guest's own system sets");
    add(telling->comparison, reason);
}

static void
add_extra(const Telling *telling, const char *name)
{
    gboolean strict = telling->wanted->match == INV_CPU_MATCH_STRICT;
    InvarCpuReason reason = { .kind = INVAR_CPU_REASON_EXTRA, .blocks = strict, .feature = name };

    reason.text = keep(telling->comparison, "the host has %s, and the CPU does not say so", name);
    if (strict) {
        reason.layer = inv_layer_to_string(INV_LAYER_CONFIGURATION);
        reason.text = keep(telling->comparison, "match='strict' allows no feature that is not said, and the host has %s", name);
        reason.remedy = keep(telling->comparison, "say it: <feature policy='require' name='%s'/> or policy='disable', or take match='exact'", name);
    }
    add(telling->comparison, reason);
}

static void
add_forbidden(const Telling *telling, const char *name)
{
    InvarCpuReason reason = { .kind = INVAR_CPU_REASON_FORBIDDEN, .blocks = 1, .feature = name };

    reason.layer = inv_layer_to_string(INV_LAYER_CONFIGURATION);
    reason.text = keep(telling->comparison, "%s is forbidden, and the host has it", name);
    reason.remedy = keep(telling->comparison, "take a host without it, or only hide it from the guest: <feature policy='disable' name='%s'/>", name);
    add(telling->comparison, reason);
}

static void
add_each(const Telling *telling, const InvFeatureSet *set, void (*add_one)(const Telling *, const char *))
{
    g_autofree const char **list = inv_feature_set_list(set);

    for (guint i = 0; list[i]; i++)
        add_one(telling, list[i]);
}

static const char *
vendor_name(const char *id)
{
    return id ? inv_cpu_vendor_from_id(id) : "a vendor that is not known";
}

static void
add_vendor(const Telling *telling)
{
    InvarCpuReason reason = { .kind = INVAR_CPU_REASON_VENDOR, .blocks = 1, .layer = inv_layer_to_string(INV_LAYER_HARDWARE) };

    reason.text = keep(telling->comparison, "the CPU is by %s, the host's is by %s", vendor_name(telling->wanted->vendor), vendor_name(telling->has->vendor));
    reason.remedy = "take a host of that vendor, or take <vendor> out";
    add(telling->comparison, reason);
}

static void
add_arch(InvarCpuComparison *comparison, const InvarCpu *host, const InvarCpu *cpu)
{
    InvarCpuReason reason = { .kind = INVAR_CPU_REASON_ARCH, .blocks = 1, .layer = inv_layer_to_string(INV_LAYER_HARDWARE) };

    reason.text = keep(comparison, "the CPU is of %s, the host is of %s", cpu->arch, host->arch);
    reason.remedy = "take a host of that architecture";
    add(comparison, reason);
    comparison->relation = INVAR_CPU_INCOMPATIBLE;
}

static void
add_level(const Telling *telling, const char *what, guint has, guint wanted, gint64 more)
{
    InvarCpuReason reason = { .kind = INVAR_CPU_REASON_LEVEL };

    if (!more)
        return;
    reason.text = keep(telling->comparison, "the host's highest %s of CPUID is 0x%x, the CPU's is 0x%x", what, has, wanted);
    add(telling->comparison, reason);
}

static void
add_phys_bits(const Telling *telling)
{
    gboolean blocks = telling->difference->phys_bits_short;
    InvarCpuReason reason = { .kind = INVAR_CPU_REASON_PHYS_BITS, .blocks = blocks };

    if (!blocks && !telling->difference->phys_bits_more)
        return;
    reason.text = keep(telling->comparison, "the host's physical addresses have %u bits, the CPU's have %u", telling->has->phys_bits,
                       telling->wanted->phys_bits);
    if (blocks) {
        reason.layer = inv_layer_to_string(INV_LAYER_HARDWARE);
        reason.remedy = "ask for at most as many bits as the host has, or take a host that has more";
    }
    add(telling->comparison, reason);
}

static void
tell(const Telling *telling)
{
    const InvCpuDifference *difference = telling->difference;
    g_autoptr(InvFeatureSet) forbidden = inv_feature_set_copy(difference->refused);

    /* With match='strict' what is extra is refused, too. */
    inv_feature_set_intersect(forbidden, telling->wanted->forbidden);
    add_each(telling, difference->missing, add_missing);
    add_each(telling, difference->aside, add_aside);
    add_each(telling, difference->extra, add_extra);
    add_each(telling, forbidden, add_forbidden);
    if (difference->other_vendor)
        add_vendor(telling);
    add_level(telling, "leaf", telling->has->level, telling->wanted->level, difference->level_more);
    add_level(telling, "extended leaf", telling->has->xlevel, telling->wanted->xlevel, difference->xlevel_more);
    add_phys_bits(telling);
}

static gboolean
compare_features(InvarCpuComparison *comparison, const InvarCpu *host, const InvarCpu *cpu, GError **error)
{
    const InvCpuBasis *basis = host->dictionary->basis;
    const InvCpuDescription *has = inv_library_description(host, error);
    g_autoptr(InvCpuDescription) follows = has && cpu->follows_host ? inv_cpu_describe(basis, cpu->document, has->on, error) : NULL;
    const InvCpuDescription *wanted = !has ? NULL : cpu->follows_host ? follows : inv_library_description(cpu, error);
    g_autoptr(InvCpuDifference) difference = NULL;

    if (!wanted)
        return FALSE;
    difference = inv_cpu_difference_new(basis);
    inv_cpu_difference_find(basis, has, wanted, difference);
    tell(&(Telling){ comparison, host, cpu, has, wanted, difference });
    comparison->relation = difference->result == VIR_CPU_COMPARE_IDENTICAL  ? INVAR_CPU_IDENTICAL
                           : difference->result == VIR_CPU_COMPARE_SUPERSET ? INVAR_CPU_SUPERSET
                                                                            : INVAR_CPU_INCOMPATIBLE;
    return TRUE;
}

/* A host of x86_64 runs guests of i686, and not the other way round. */
static gboolean
arch_fits(const InvarCpu *host, const InvarCpu *cpu)
{
    return host->dictionary->arches == cpu->dictionary->arches &&
           (strcmp(host->arch, cpu->arch) == 0 || strcmp(host->arch, host->dictionary->arches[0]) == 0);
}

InvarCpuStatus
invar_cpu_compare(InvarCpuContext *context, const InvarCpu *host, const InvarCpu *cpu, InvarCpuComparison **comparison, char **error)
{
    InvarCpuComparison *made = g_new0(InvarCpuComparison, 1);
    GError *fault = NULL;

    *comparison = NULL;
    made->reasons = g_array_new(FALSE, FALSE, sizeof(InvarCpuReason));
    made->strings = g_string_chunk_new(1024);
    if (host->context != context || cpu->context != context)
        inv_error_set(&fault, VIR_ERR_INVALID_ARG, "the CPUs were read with another context than the one that compares them");
    else if (!arch_fits(host, cpu))
        add_arch(made, host, cpu);
    else
        compare_features(made, host, cpu, &fault);
    if (!fault) {
        *comparison = made;
        return INVAR_CPU_OK;
    }
    invar_cpu_comparison_free(made);
    return inv_library_fail(fault, error);
}

void
invar_cpu_comparison_free(InvarCpuComparison *comparison)
{
    if (!comparison)
        return;
    g_array_unref(comparison->reasons);
    g_string_chunk_free(comparison->strings);
    g_free(comparison);
}

InvarCpuRelation
invar_cpu_comparison_relation(const InvarCpuComparison *comparison)
{
    return comparison->relation;
}

const InvarCpuReason *
invar_cpu_comparison_reason(const InvarCpuComparison *comparison, size_t index)
{
    return index < comparison->reasons->len ? &g_array_index(comparison->reasons, InvarCpuReason, index) : NULL;
}

InvarCpuStatus
invar_cpu_baseline_new(InvarCpuContext *context, const char *arch, InvarCpuBaseline **baseline, char **error)
{
    GError *fault = NULL;
    const InvDictionary *dictionary = inv_library_dictionary(context, arch ? arch : "x86_64", &fault);

    *baseline = NULL;
    if (dictionary && !dictionary->basis)
        inv_error_set(&fault, VIR_ERR_NO_SUPPORT, "a baseline of CPUs of %s is not supported without QEMU, which alone knows their features", arch);
    if (fault)
        return inv_library_fail(fault, error);
    *baseline = g_new0(InvarCpuBaseline, 1);
    (*baseline)->context = inv_library_context_ref(context);
    (*baseline)->arch = g_strdup(arch ? arch : "x86_64");
    (*baseline)->baseliner = inv_cpu_baseliner_new(dictionary->basis);
    return INVAR_CPU_OK;
}

void
invar_cpu_baseline_free(InvarCpuBaseline *baseline)
{
    if (!baseline)
        return;
    inv_cpu_baseliner_free(baseline->baseliner);
    g_free(baseline->arch);
    invar_cpu_context_free(baseline->context);
    g_free(baseline);
}

static gboolean
add_to_baseline(InvarCpuBaseline *baseline, const InvarCpu *cpu, const char *label, GError **error)
{
    const InvCpuDescription *description;

    if (cpu->context != baseline->context)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "%s: the CPU was read with another context than the baseline's", label);
    if (strcmp(cpu->arch, baseline->arch) != 0)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "%s is of %s, and the baseline is of %s: they have nothing in common", label, cpu->arch,
                             baseline->arch);
    description = inv_library_description(cpu, error);
    if (!description) {
        g_prefix_error(error, "%s: ", label);
        return FALSE;
    }
    return inv_cpu_baseliner_add(baseline->baseliner, description, label, error);
}

InvarCpuStatus
invar_cpu_baseline_add(InvarCpuBaseline *baseline, const InvarCpu *cpu, const char *label, char **error)
{
    g_autofree char *number = g_strdup_printf("CPU %" G_GUINT64_FORMAT, inv_cpu_baseliner_count(baseline->baseliner) + 1);
    GError *fault = NULL;

    add_to_baseline(baseline, cpu, label ? label : number, &fault);
    return fault ? inv_library_fail(fault, error) : INVAR_CPU_OK;
}

InvarCpuStatus
invar_cpu_baseline_result(const InvarCpuBaseline *baseline, int migratable, InvarCpu **cpu, char **error)
{
    GError *fault = NULL;
    InvCpu *document = inv_cpu_baseliner_result(baseline->baseliner, FALSE, migratable != 0, &fault);

    *cpu = document ? inv_library_cpu_of_document(baseline->context, INVAR_CPU_FORMAT_CPU, baseline->arch, document, &fault) : NULL;
    return *cpu ? INVAR_CPU_OK : inv_library_fail(fault, error);
}
