/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/record.h"
#include "qemu/qmp.h"

G_BEGIN_DECLS

/*
 * Reads what QEMU really made of CPU 0 of a machine that has not run yet. @cpu_argument: what -cpu
 * was given, or NULL (QEMU's default): its expansion less what QEMU filtered is what the guest sees
 * (forced features stay). On x86 the CPUID words of the live CPU are read too.
 */
InvGuestCpu *inv_guest_cpu_read(InvQmp *qmp, const char *arch, const InvCpuMap *map, InvFeatureNames *names,
                                const char *machine, const char *cpu_argument, guint deadline_ms, GError **error);

/*
 * All that QEMU shows of the live CPU 0 (@path, as it was read) of a machine, as one text: two readings of one
 * QEMU that are equal are of a CPU that has not changed, since the rest of inv_guest_cpu_read() follows from
 * the model and from this. One look, where that one asks several times and expands models. Owned by the caller;
 * NULL with an error as that one gives.
 */
char *inv_guest_cpu_read_live(InvQmp *qmp, const char *arch, const char *path, guint deadline_ms, GError **error);

/*
 * The canonical text of QEMU's feature-words: "LEAF.SUBLEAF.REGISTER=BITS" in hexadecimal, sorted,
 * without the bits that follow the topology (ht, cmp-legacy). Owned by the caller.
 */
char *inv_guest_cpu_words(const InvJson *feature_words);

G_END_DECLS
