/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/cpuid_data.h"

#include "cpu_map/machine_msr.h"
#include "util/error.h"

#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

typedef struct {
    guint64 key;
    guint64 value;
} Msr;

/* The key comes first in both: the hash tables look at nothing else. */
typedef struct {
    guint64 key; /* leaf and subleaf */
    InvCpuidLeaf leaf;
    guint32 common[4]; /* bits that all CPUs have */
} Leaf;

struct InvCpuidData {
    GHashTable *leaves; /* set of Leaf, owned */
    GHashTable *msrs;   /* set of Msr, owned */
};

/* Intel SDM, appendix A.3 to A.5: the low half are bits that must be 1, the high half those that may be. */
static const guint32 vmx_controls[] = { 0x48b, 0x48d, 0x48e, 0x48f, 0x490 };
#define FIRST_PLAIN_CONTROL 0x481u
#define FIRST_TRUE_CONTROL 0x48du

/* MSRs that hold features, and the CPUID bit that says that they are there: a hypervisor may answer for one that is not. */
static const struct {
    guint32 first, last;
    guint32 leaf;
    InvCpuRegister reg;
    guint32 mask;
    const char *feature;
} msr_owners[] = {
    { 0xcf, 0xcf, 7, INV_CPU_REGISTER_EDX, 1u << 30, "core-capability" },
    { 0x10a, 0x10a, 7, INV_CPU_REGISTER_EDX, 1u << 29, "arch-capabilities" },
    { 0x480, 0x491, 1, INV_CPU_REGISTER_ECX, 1u << 5, "vmx" },
};

static guint64
leaf_key(guint32 leaf, guint32 subleaf)
{
    return (guint64)leaf << 32 | subleaf;
}

InvCpuidData *
inv_cpuid_data_new(void)
{
    InvCpuidData *data = g_new0(InvCpuidData, 1);

    data->leaves = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    data->msrs = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    return data;
}

void
inv_cpuid_data_free(InvCpuidData *data)
{
    if (!data)
        return;
    g_hash_table_unref(data->leaves);
    g_hash_table_unref(data->msrs);
    g_free(data);
}

gboolean
inv_cpuid_data_add(InvCpuidData *data, const InvCpuidLeaf *leaf, GError **error)
{
    const InvCpuidLeaf *old = inv_cpuid_data_leaf(data, leaf->leaf, leaf->subleaf);
    Leaf *added;

    if (old && memcmp(old->regs, leaf->regs, sizeof(old->regs)) != 0)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "CPUID leaf 0x%08x, subleaf 0x%x is there twice with different content; give one CPU only",
                             leaf->leaf, leaf->subleaf);
    if (old)
        return TRUE;
    if (g_hash_table_size(data->leaves) >= INV_CPUID_MAX_LEAVES)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "more than %u CPUID leaves; no processor has that many", INV_CPUID_MAX_LEAVES);
    added = g_new0(Leaf, 1);
    added->key = leaf_key(leaf->leaf, leaf->subleaf);
    added->leaf = *leaf;
    memcpy(added->common, leaf->regs, sizeof(added->common));
    g_hash_table_add(data->leaves, added);
    return TRUE;
}

gboolean
inv_cpuid_data_add_msr(InvCpuidData *data, guint32 index, guint64 value, GError **error)
{
    guint64 old;
    Msr *added;

    if (inv_cpuid_data_msr(data, index, &old)) {
        if (old != value)
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "MSR 0x%x is there twice with different content; give one CPU only", index);
        return TRUE;
    }
    if (g_hash_table_size(data->msrs) >= INV_CPUID_MAX_MSRS)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "more than %u MSRs; none beyond that says anything of features", INV_CPUID_MAX_MSRS);
    added = g_new0(Msr, 1);
    added->key = index;
    added->value = value;
    g_hash_table_add(data->msrs, added);
    return TRUE;
}

static Leaf *
find_leaf(const InvCpuidData *data, guint32 leaf, guint32 subleaf)
{
    guint64 key = leaf_key(leaf, subleaf);

    return g_hash_table_lookup(data->leaves, &key);
}

const InvCpuidLeaf *
inv_cpuid_data_leaf(const InvCpuidData *data, guint32 leaf, guint32 subleaf)
{
    const Leaf *found = find_leaf(data, leaf, subleaf);

    return found ? &found->leaf : NULL;
}

gboolean
inv_cpuid_data_msr(const InvCpuidData *data, guint32 index, guint64 *value)
{
    guint64 key = index;
    const Msr *found = g_hash_table_lookup(data->msrs, &key);

    if (found)
        *value = found->value;
    return found != NULL;
}

/* The highest leaf of the range that @leaf is in, as the CPU itself says; 0: it has no such range. */
static guint32
highest_leaf(const InvCpuidData *data, guint32 leaf)
{
    const Leaf *first = find_leaf(data, leaf & 0xffff0000u, 0);

    return first ? first->leaf.regs[INV_CPU_REGISTER_EAX] : 0;
}

static gboolean
is_same_vendor(const Leaf *a, const Leaf *b)
{
    return memcmp(&a->leaf.regs[INV_CPU_REGISTER_EBX], &b->leaf.regs[INV_CPU_REGISTER_EBX], 3 * sizeof(guint32)) == 0;
}

gboolean
inv_cpuid_data_merge(InvCpuidData *data, const InvCpuidData *other, guint number, GError **error)
{
    const Leaf *first = find_leaf(data, 0, 0), *second = find_leaf(other, 0, 0);
    GHashTableIter iter;
    gpointer key;

    if (first && second && !is_same_vendor(first, second))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "CPU %u of the dump is of another vendor than the first; give one machine only", number);
    g_hash_table_iter_init(&iter, data->leaves);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        Leaf *leaf = key;
        const Leaf *same = find_leaf(other, leaf->leaf.leaf, leaf->leaf.subleaf);

        if (!same && !leaf->leaf.subleaf && (!second || highest_leaf(other, leaf->leaf.leaf) >= leaf->leaf.leaf))
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "CPU %u of the dump lacks leaf 0x%08x, which the first has; is the dump cut off?", number,
                                 leaf->leaf.leaf);
        for (guint i = 0; i < G_N_ELEMENTS(leaf->common); i++)
            leaf->common[i] &= same ? same->leaf.regs[i] : 0;
    }
    return TRUE;
}

/*
 * The bits of an MSR as features have them. A VMX control is one that may be 1 and need not; libvirt's
 * <cpudata> gives these already so, in the low half, which hardware cannot: what must be 1 may be 1.
 */
static guint64
msr_features(const InvCpuidData *data, guint32 index)
{
    guint64 value = 0;

    /* Chips without the "true" controls have the plain ones alone, in the same order. */
    if (!inv_cpuid_data_msr(data, index, &value) && index >= FIRST_TRUE_CONTROL && index < FIRST_TRUE_CONTROL + 4)
        inv_cpuid_data_msr(data, index - FIRST_TRUE_CONTROL + FIRST_PLAIN_CONTROL, &value);
    for (guint i = 0; i < G_N_ELEMENTS(vmx_controls); i++) {
        if (index == vmx_controls[i] && value >> 32)
            return value >> 32 & ~value;
    }
    return value;
}

InvFeatureSet *
inv_cpuid_data_features(const InvCpuidData *data, const InvCpuMap *map, InvFeatureNames *names)
{
    InvFeatureSet *set = inv_feature_set_new(names);
    const InvCpuMapFeature *before = NULL;
    const Leaf *leaf = NULL;
    guint64 value = 0;

    for (guint i = 0; i < inv_cpu_map_size(map); i++) {
        const InvCpuMapFeature *feature = inv_cpu_map_at(map, i);
        /* The map has the features of one leaf together: one search is enough for them. */
        gboolean same = before && before->is_msr == feature->is_msr && before->leaf == feature->leaf && before->subleaf == feature->subleaf;

        if (!feature->mask)
            continue;
        if (feature->is_msr) {
            value = same ? value : msr_features(data, feature->leaf);
        } else {
            leaf = same ? leaf : find_leaf(data, feature->leaf, feature->subleaf);
            value = leaf ? leaf->common[feature->reg] : 0;
        }
        before = feature;
        if ((value & feature->mask) == feature->mask)
            inv_feature_set_add(set, feature->name);
    }
    return set;
}

const char *
inv_cpuid_msr_owner(guint32 index)
{
    for (guint i = 0; i < G_N_ELEMENTS(msr_owners); i++) {
        if (index >= msr_owners[i].first && index <= msr_owners[i].last)
            return msr_owners[i].feature;
    }
    return NULL;
}

guint
inv_cpuid_data_add_msrs_of(InvCpuidData *data, const char *path)
{
    g_autoptr(InvMachineMsrs) msrs = inv_machine_msrs_open(path);
    guint added = 0;

    for (guint i = 0; msrs && i < G_N_ELEMENTS(msr_owners); i++) {
        const Leaf *leaf = find_leaf(data, msr_owners[i].leaf, 0);
        guint64 value;

        if (!leaf || !(leaf->common[msr_owners[i].reg] & msr_owners[i].mask))
            continue;
        for (guint32 index = msr_owners[i].first; index <= msr_owners[i].last; index++) {
            if (!inv_cpuid_data_msr(data, index, &value) && inv_machine_msrs_read(msrs, index, &value))
                added += inv_cpuid_data_add_msr(data, index, value, NULL) ? 1 : 0;
        }
    }
    return added;
}

#if defined(__x86_64__) || defined(__i386__)

/* Leaves with subleaves, and how many of them say anything. */
static const struct {
    guint32 leaf, subleaves;
} with_subleaves[] = {
    { 0x4, 8 }, { 0x7, 3 }, { 0xb, 4 }, { 0xd, 64 }, { 0xf, 2 }, { 0x10, 4 }, { 0x12, 4 }, { 0x14, 2 },
    { 0x17, 4 }, { 0x18, 8 }, { 0x19, 2 }, { 0x1d, 2 }, { 0x1e, 2 }, { 0x1f, 6 }, { 0x24, 2 }, { 0x8000001d, 8 },
};

/* A range says itself how far it goes; a bound keeps a lie short. */
#define MAX_RANGE 0x40u

static void
read_range(InvCpuidData *data, guint32 first)
{
    guint32 highest = __get_cpuid_max(first, NULL);

    for (guint32 number = first; highest >= first && number <= MIN(highest, first + MAX_RANGE); number++) {
        guint32 subleaves = 1;

        for (guint i = 0; i < G_N_ELEMENTS(with_subleaves); i++) {
            if (with_subleaves[i].leaf == number)
                subleaves = with_subleaves[i].subleaves;
        }
        for (guint32 sub = 0; sub < subleaves; sub++) {
            InvCpuidLeaf leaf = { .leaf = number, .subleaf = sub };

            __cpuid_count(number, sub, leaf.regs[0], leaf.regs[1], leaf.regs[2], leaf.regs[3]);
            inv_cpuid_data_add(data, &leaf, NULL);
        }
    }
}

InvCpuidData *
inv_cpuid_data_of_this_machine(void)
{
    InvCpuidData *data = inv_cpuid_data_new();

    read_range(data, 0);
    read_range(data, 0x80000000);
    read_range(data, 0xc0000000);
    inv_cpuid_data_add_msrs_of(data, INV_MACHINE_MSRS_PATH);
    return data;
}

#else

InvCpuidData *
inv_cpuid_data_of_this_machine(void)
{
    return NULL;
}

#endif
