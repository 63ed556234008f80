/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/feature_set.h"
#include "cpu_map/cpu_map.h"

#include <glib.h>

G_BEGIN_DECLS

/* What a processor's CPUID instruction and its MSRs said: raw numbers, from whatever source. */
typedef struct InvCpuidData InvCpuidData;

/* More of either than any processor has is refused. */
#define INV_CPUID_MAX_LEAVES 2048u
#define INV_CPUID_MAX_MSRS 1024u

typedef struct {
    guint32 leaf, subleaf;
    guint32 regs[4]; /* by InvCpuRegister */
} InvCpuidLeaf;

InvCpuidData *inv_cpuid_data_new(void);
void inv_cpuid_data_free(InvCpuidData *data);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuidData, inv_cpuid_data_free)

/*
 * Both refuse, with VIR_ERR_INVALID_ARG, a leaf or MSR that is there with other content, and more
 * of them than the limit. The same content twice is nothing new.
 */
gboolean inv_cpuid_data_add(InvCpuidData *data, const InvCpuidLeaf *leaf, GError **error);
gboolean inv_cpuid_data_add_msr(InvCpuidData *data, guint32 index, guint64 value, GError **error);

/* Borrowed; NULL: not there. */
const InvCpuidLeaf *inv_cpuid_data_leaf(const InvCpuidData *data, guint32 leaf, guint32 subleaf);
gboolean inv_cpuid_data_msr(const InvCpuidData *data, guint32 index, guint64 *value);

/*
 * Another CPU of the same machine: a feature counts only if every CPU has it, since a guest's CPU may
 * run on any (hybrid chips). What inv_cpuid_data_leaf() gives stays the first CPU's. @other is only
 * read. VIR_ERR_INVALID_ARG: it is of another vendor, or lacks a leaf that the first has and itself
 * says it has.
 */
gboolean inv_cpuid_data_merge(InvCpuidData *data, const InvCpuidData *other, guint number, GError **error);

/*
 * Every feature of the map whose bits are all there. Controls of VMX count when the processor allows
 * them and does not demand them, as QEMU takes them. Owned by the caller.
 */
InvFeatureSet *inv_cpuid_data_features(const InvCpuidData *data, const InvCpuMap *map, InvFeatureNames *names);

/*
 * Reads libvirt's <cpudata> XML, the text of `cpuid -r` (all CPUs, see inv_cpuid_data_merge()), with
 * MSRs as "0xINDEX: 0xVALUE" below a line "MSR:", or what the witness prints in a guest: six numbers
 * of eight hexadecimal digits a line, leaf, subleaf, EAX, EBX, ECX, EDX. The text is untrusted.
 * Errors: VIR_ERR_XML_ERROR or VIR_ERR_INVALID_ARG, with the line.
 */
InvCpuidData *inv_cpuid_data_parse(const char *text, gsize length, GError **error);

/*
 * What the CPUID instruction of the processor that runs this says, every leaf and subleaf up to the
 * highest; and the MSRs that hold features, as far as the processor has them and the kernel lets them
 * be read (cpu_map/machine_msr.h: it lets root, with its driver msr). Without, what only an MSR tells
 * counts as not there. NULL on another architecture than x86.
 */
InvCpuidData *inv_cpuid_data_of_this_machine(void);
/* The same MSRs from another file than this machine's; what is there already stays. Returns how many were added. */
guint inv_cpuid_data_add_msrs_of(InvCpuidData *data, const char *path);
/* The feature whose CPUID bit says that the MSR of features @index is there: without it a guest has none of its bits. NULL: none. Static. */
const char *inv_cpuid_msr_owner(guint32 index);

G_END_DECLS
