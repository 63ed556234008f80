/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Facts of the host, read from the kernel's files at each call. A virtual machine or a container
 * may lack any of them: what is missing is left at a value that says "not known", and only a fact
 * without which the answer would be wrong is an error (VIR_ERR_OPERATION_UNSUPPORTED or a system
 * error that names the file). Safe from any thread; nothing here waits for a network.
 *
 * Functions that end in _at read below the folder @root instead of "/", which is how they are
 * tested against machines that are not at hand.
 */

/* The kernel's own limits (CONFIG_NR_CPUS, CONFIG_NODES_SHIFT): a larger number in a file is damage. */
#define INV_HOST_MAX_CPUS 8192u
#define INV_HOST_MAX_NODES 1024u

/* As virNodeInfo: cores per socket, sockets per NUMA node, threads per core. */
typedef struct {
    char model[32];     /* the host's architecture, libvirt's name: "x86_64" */
    guint64 memory_kib; /* usable by the kernel */
    guint cpus;         /* online */
    guint mhz;          /* of the first processor, now; 0: not known */
    guint nodes;        /* 1 where NUMA is not known or the processors do not split evenly */
    guint sockets;
    guint cores;
    guint threads;
} InvNodeInfo;

/*
 * As virNodeGetInfo: nodes × sockets × cores × threads is the number of present processors, online or
 * not (libvirt's VIR_NODEINFO_MAXCPUS); a host that is not so even is given as 1 × 1 × present × 1,
 * which is libvirt's answer too.
 */
gboolean inv_host_node_info(InvNodeInfo *info, GError **error);
gboolean inv_host_node_info_at(const char *root, InvNodeInfo *info, GError **error);

/* The name that the kernel has for this host, without asking a name server; owned by the caller, never NULL. */
char *inv_host_hostname(void);

/* The host's architecture in libvirt's spelling ("x86_64", "armv7l"). Static. */
const char *inv_host_arch(void);

/*
 * A uuid that stays the same: the firmware's, or (not readable by ordinary users, or all digits the
 * same) one derived from the machine id by HMAC, so that the machine id itself is not given away.
 * Text of 36 characters, owned by the caller.
 */
char *inv_host_uuid(GError **error);
/* Another one, from the configuration; before any thread asks. NULL: none. */
void inv_host_set_uuid(const char *uuid);
char *inv_host_uuid_at(const char *root, GError **error);

/* Bytes of memory that are free (MemFree, as libvirt's virNodeGetFreeMemory). */
gboolean inv_host_free_memory(guint64 *bytes, GError **error);
gboolean inv_host_free_memory_at(const char *root, guint64 *bytes, GError **error);

/* KiB, as virNodeGetMemoryStats of all cells. */
typedef struct {
    guint64 total, free, buffers, cached;
    guint64 available; /* what a new program can have without swapping; 0: this kernel does not say */
} InvMemoryStats;

gboolean inv_host_memory_stats(InvMemoryStats *stats, GError **error);
gboolean inv_host_memory_stats_at(const char *root, InvMemoryStats *stats, GError **error);

/*
 * What /proc/cpuinfo says of the first processor. Texts are NULL and numbers -1 where it does not
 * say; x86 alone fills the signature.
 */
typedef struct {
    char *vendor_id;  /* "AuthenticAMD" */
    char *model_name; /* "AMD EPYC 9B14", or the cpu line of other architectures */
    gint64 family, model, stepping;
    gint64 microcode;
    gint64 phys_bits;
} InvHostCpuIdentity;

void inv_host_cpu_identity_free(InvHostCpuIdentity *identity);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvHostCpuIdentity, inv_host_cpu_identity_free)
/* Never NULL. */
InvHostCpuIdentity *inv_host_cpu_identity(void);
InvHostCpuIdentity *inv_host_cpu_identity_at(const char *root);

/* Has the kernel set up an IOMMU? */
gboolean inv_host_has_iommu(void);
gboolean inv_host_has_iommu_at(const char *root);

/* Which processors there are, as virNodeGetCPUMap: a bit per processor, owned by the caller. */
gboolean inv_host_cpu_map(guint8 **map, gsize *map_bytes, guint *present, guint *online, GError **error);
gboolean inv_host_cpu_map_at(const char *root, guint8 **map, gsize *map_bytes, guint *present, guint *online, GError **error);

/*
 * The firmware's description of this machine in the form of `virsh sysinfo`: <sysinfo type='smbios'>
 * with what this process may read of bios, system, baseBoard, chassis and processor. A host whose
 * firmware gives nothing is VIR_ERR_OPERATION_UNSUPPORTED. Owned by the caller.
 */
char *inv_host_sysinfo(GError **error);
char *inv_host_sysinfo_at(const char *root, GError **error);

G_END_DECLS
