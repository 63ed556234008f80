/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/cpuid_data.h"
#include "cpu_map/cpu_limits.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * The CPU that this kernel's KVM offers to guests: CPUID by KVM_GET_SUPPORTED_CPUID, and the MSRs
 * that describe features by KVM_GET_MSR_FEATURE_INDEX_LIST and KVM_GET_MSRS. Asks the kernel each
 * time, a few microseconds. Owned by the caller; NULL with VIR_ERR_OPERATION_UNSUPPORTED where KVM
 * does not work, is not x86's, or does not answer. From any thread.
 */
InvCpuidData *inv_kvm_cpuid_data(GError **error);
/* The same of any device file. */
InvCpuidData *inv_kvm_cpuid_data_of(const char *path, GError **error);

#ifdef INV_FAULT_POINTS
/* For tests of another machine than this: what the file that the environment's @variable names recorded. NULL: none is named. */
InvCpuidData *inv_cpuid_data_replayed(const char *variable, GError **error);
#endif

/* What this host's kernel (its release, /proc/cmdline) and KVM's modules are set to, and on which chip. */
typedef struct InvKvmSettings InvKvmSettings;
InvKvmSettings *inv_kvm_settings_new(void);
void inv_kvm_settings_free(InvKvmSettings *own);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvKvmSettings, inv_kvm_settings_free)
/* Borrowed. */
const InvCpuHostSettings *inv_kvm_settings_get(const InvKvmSettings *own);

/*
 * What the settings of this host's kernel (its release, /proc/cmdline) and of KVM's modules keep from
 * guests. Borrows @limits. Owned by the caller.
 */
InvCpuHostLimits *inv_kvm_host_limits(const InvCpuLimits *limits, const InvCpuMap *map);

G_END_DECLS
