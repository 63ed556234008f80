/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/description.h"

#include <glib.h>
#include <libvirt/libvirt.h>

G_BEGIN_DECLS

/*
 * How what is wanted stands to a host: reasons as sets and flags, no text. Made once and used again
 * for any number of pairs: finding a difference then asks for no memory.
 *
 * What counts is the same on both sides. Wanted is all that a document's model has, all that it
 * requires in so many words, and what it merely lists of the comparable features (with a bit, passed
 * on by QEMU, able to migrate); of a machine all that it has. Features that follow the topology (ht,
 * cmp_legacy) and those that the guest's own system sets (osxsave, ospke) never count: they depend on
 * the guest, not on the host. Names without a bit are in no set.
 */
typedef struct {
    /*
     * VIR_CPU_COMPARE_INCOMPATIBLE: @missing or @refused is not empty, or @other_vendor, @other_arch
     * or @phys_bits_short. VIR_CPU_COMPARE_IDENTICAL: the host has all of it and @extra is empty.
     * VIR_CPU_COMPARE_SUPERSET: the host has all of it, and more.
     */
    virCPUCompareResult result;
    InvFeatureSet *missing; /* wanted and not there */
    InvFeatureSet *aside;   /* a machine has it, the host has it not, and it does not count: told, never blocking */
    InvFeatureSet *extra;   /* there and not said by the document; one that it disables is said */
    InvFeatureSet *refused; /* forbidden (or, with match='strict', extra) and there */
    gboolean other_vendor;  /* the document names another vendor than the host's */
    gboolean other_arch;    /* nothing else is looked at then */
    gboolean phys_bits_short; /* the document asks for more bits (<maxphysaddr mode='emulate' bits=>) than the host has */
    /*
     * The host's less the other's; 0 where either is not known. Told, never blocking: a guest's
     * level is QEMU's to give, and its width is the document's only where that asks for one.
     */
    gint64 level_more, xlevel_more;
    gint phys_bits_more;
} InvCpuDifference;

InvCpuDifference *inv_cpu_difference_new(const InvCpuBasis *basis);
void inv_cpu_difference_free(InvCpuDifference *difference);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuDifference, inv_cpu_difference_free)

/* @host and @wanted are of @basis, @difference too; what that held before is gone. */
void inv_cpu_difference_find(const InvCpuBasis *basis, const InvCpuDescription *host, const InvCpuDescription *wanted,
                             InvCpuDifference *difference);

G_END_DECLS
