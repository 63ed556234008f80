/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "cpu_driver/cpuid_data.h"
#include "qemu/emulator_private.h"
#include "qemu/kvm_cpu.h"

InvFeatureSet *
inv_host_cpuid(const InvCpuMap *map, InvFeatureNames *names, const char *arch)
{
    g_autoptr(InvCpuidData) data = NULL;

    if (g_strcmp0(arch, "x86_64") != 0 && g_strcmp0(arch, "i686") != 0)
        return NULL;
#ifdef INV_FAULT_POINTS
    data = inv_cpuid_data_replayed("INVAR_HOST_CPUID", NULL);
#endif
    if (!data)
        data = inv_cpuid_data_of_this_machine();
    return data ? inv_cpuid_data_features(data, map, names) : NULL;
}
