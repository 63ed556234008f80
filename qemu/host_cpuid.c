/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/emulator_private.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

static gboolean
read_register(const InvCpuMapFeature *feature, guint32 *value)
{
    unsigned int regs[4] = { 0 };

    /* It compares the leaf with the highest one of its range (basic, extended, Centaur). */
    if (!__get_cpuid_count(feature->leaf, feature->subleaf, &regs[0], &regs[1], &regs[2], &regs[3]))
        return FALSE;
    *value = regs[feature->reg];
    return TRUE;
}

InvFeatureSet *
inv_host_cpuid(const InvCpuMap *map, InvFeatureNames *names, const char *arch)
{
    InvFeatureSet *set;

    if (g_strcmp0(arch, "x86_64") != 0 && g_strcmp0(arch, "i686") != 0)
        return NULL;
    set = inv_feature_set_new(names);
    for (guint i = 0; i < inv_cpu_map_size(map); i++) {
        const InvCpuMapFeature *feature = inv_cpu_map_at(map, i);
        guint32 value;

        if (!feature->is_msr && feature->mask && read_register(feature, &value) && (value & feature->mask) == feature->mask)
            inv_feature_set_add(set, feature->name);
    }
    return set;
}

#else

InvFeatureSet *
inv_host_cpuid(const InvCpuMap *map, InvFeatureNames *names, const char *arch)
{
    return NULL;
}

#endif
