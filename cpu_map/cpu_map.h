/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * The dictionary of CPU features of one architecture: which bit a name stands for, how libvirt and
 * QEMU spell it. It is a dictionary only: no verdict depends on a model that it defines.
 * Immutable after loading; shared by all threads.
 */
typedef struct InvCpuMap InvCpuMap;

typedef enum {
    INV_CPU_REGISTER_EAX,
    INV_CPU_REGISTER_EBX,
    INV_CPU_REGISTER_ECX,
    INV_CPU_REGISTER_EDX,
} InvCpuRegister;

typedef struct {
    const char *name;    /* libvirt's spelling */
    const char *qemu;    /* QEMU's spelling: dashes, as on its command line */
    gboolean is_msr;     /* else a CPUID bit; neither (leaf and mask 0) for names without a bit */
    guint32 leaf;        /* CPUID leaf, or the MSR's index */
    guint32 subleaf;
    InvCpuRegister reg;  /* CPUID only */
    guint64 mask;        /* bits of the register, or of the MSR */
    gboolean migratable;
    gboolean passed;     /* FALSE: QEMU does not know the name; never put on its command line */
    gboolean by_guest;   /* not passed, and nothing is lost: the guest's own system sets the bit (osxsave) */
} InvCpuMapFeature;

/*
 * @folder: where the data files are: cpu_map/ of the source tree, or of the installation. @arch:
 * "x86_64" and "i686" share a map. An architecture without a map gives an empty one in which every
 * name is spelled the same on both sides.
 */
InvCpuMap *inv_cpu_map_load(const char *folder, const char *arch, GError **error);
void inv_cpu_map_free(InvCpuMap *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuMap, inv_cpu_map_free)

/* $INVAR_PKGDATADIR/cpu_map, or the installed folder. */
const char *inv_cpu_map_default_folder(void);

/* By either spelling (libvirt's, QEMU's, or an alias of QEMU's with underscores); NULL when unknown. Borrowed. */
const InvCpuMapFeature *inv_cpu_map_find(const InvCpuMap *map, const char *name);

guint inv_cpu_map_size(const InvCpuMap *map);
const InvCpuMapFeature *inv_cpu_map_at(const InvCpuMap *map, guint index);

/* libvirt's spelling of a QEMU property; QEMU's of a libvirt name. Unknown names come back as they are. */
const char *inv_cpu_map_to_libvirt(const InvCpuMap *map, const char *qemu);
const char *inv_cpu_map_to_qemu(const InvCpuMap *map, const char *libvirt);

/* "Intel" → "GenuineIntel" and back; an unknown name comes back as it is. Static strings or the argument. */
const char *inv_cpu_vendor_to_id(const char *vendor);
const char *inv_cpu_vendor_from_id(const char *id);

/*
 * Is @model (libvirt's or QEMU's name) one that chips of this signature carry? @vendor: id
 * ("GenuineIntel") or name. For a host's description only.
 */
gboolean inv_cpu_map_has_signature(const InvCpuMap *map, const char *model, const char *vendor, guint family, guint model_number,
                                   guint stepping);

/* Does a guest's CPU differ in this feature only because of its topology (ht, cmp-legacy)? Either spelling. */
gboolean inv_cpu_map_follows_topology(const char *name);

G_END_DECLS
