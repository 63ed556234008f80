/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_map/cpu_errata.h"
#include "cpu_map/cpu_map.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * What is written of why guests of KVM lack a feature that the processor has: since which Linux KVM
 * offers it (kernels.tsv), which boot options and module parameters hide it (configuration.tsv),
 * what microcode takes away (microcode.tsv), and what is broken on which chips (errata.tsv). Immutable after loading; shared by all threads.
 */
typedef struct InvCpuLimits InvCpuLimits;

/*
 * @folder: as for inv_cpu_map_load(). @map: that of @arch; used while loading only. An architecture of which nothing is written gives empty ones.
 * Errors: VIR_ERR_SYSTEM_ERROR (not readable), VIR_ERR_CONF_SYNTAX with file and line.
 */
InvCpuLimits *inv_cpu_limits_load(const char *folder, const char *arch, const InvCpuMap *map, GError **error);
void inv_cpu_limits_free(InvCpuLimits *limits);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuLimits, inv_cpu_limits_free)

/* What a host is set to. All borrowed, any may be NULL: not known. */
typedef struct {
    const char *release;            /* of the kernel, as `uname -r` says: "6.1.0-18-amd64" */
    const char *cmdline;            /* of the kernel: /proc/cmdline */
    const char *const *parameters;  /* "kvm_intel.nested=0", NULL-terminated */
    const InvCpuSignature *chip;    /* of the processor; NULL: not known, or a guest's, which is its hypervisor's choice */
} InvCpuHostSettings;

/* The limits of one host. Immutable; shared by threads. */
typedef struct InvCpuHostLimits InvCpuHostLimits;

/* Borrows @limits, and @map only while it runs. */
InvCpuHostLimits *inv_cpu_host_limits_new(const InvCpuLimits *limits, const InvCpuMap *map, const InvCpuHostSettings *settings);
void inv_cpu_host_limits_free(InvCpuHostLimits *host);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuHostLimits, inv_cpu_host_limits_free)

/* What is known of one feature. All borrowed, NULL: nothing. */
typedef struct {
    const char *setting;   /* what forbids it here: "the boot option nosmap", "the module parameter kvm_intel.nested=0" */
    const char *remedy;    /* of that */
    gboolean hides_cpuid;  /* it does so from programs of the host as well */
    /* QEMU gives it with these values of this setting of the machine only ("kernel-irqchip": "on", "split"). */
    const char *machine_setting;
    const char *const *machine_values;
    const char *machine_remedy;
    const char *linux_since; /* the first Linux whose KVM offers it, when this host's is older */
    const char *erratum;   /* why it is broken on this chip */
    const char *microcode; /* why chips that had it may lack it now */
} InvCpuLimit;

/* @host may be NULL: nothing is known. @feature: libvirt's spelling. */
InvCpuLimit inv_cpu_host_limits_find(const InvCpuHostLimits *host, const char *feature);
/* "Linux 6.1.0-18-amd64", or NULL: not known. */
const char *inv_cpu_host_limits_kernel(const InvCpuHostLimits *host);

/* -1, 0, 1 as version @a is below, equal to or above @b; what is behind the numbers apart by points does not count. */
int inv_linux_version_compare(const char *a, const char *b);

G_END_DECLS
