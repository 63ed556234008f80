/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/description.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * The largest CPU that each of any number of CPUs has whole, whatever the order in which they come.
 * Between two additions there is only what they have in common: memory does not grow with their
 * number. One thread at a time. Borrows @basis.
 *
 * The rule. Features: what every one of them has. vmx-* that a CPU is not known to have (a dump
 * without MSRs) it has not; where none is left, none is named, and vmx stands alone. Model: of their vendor (of no vendor, where none of them is of one), not
 * deprecated before deprecated, then the one that differs least, then one of which nothing must be
 * disabled, then a versioned one, then the first by name, of its versions the newest. What differs is
 * named, sorted, as require or disable, so that the result means the same wherever that model is
 * known. <vendor> is there when every one of them names it.
 */
typedef struct InvCpuBaseliner InvCpuBaseliner;

InvCpuBaseliner *inv_cpu_baseliner_new(const InvCpuBasis *basis);
void inv_cpu_baseliner_free(InvCpuBaseliner *baseliner);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuBaseliner, inv_cpu_baseliner_free)

/*
 * @description: of the same basis. @label: for messages, "CPU 3" or a file's name. After an error the
 * baseliner is as before: VIR_ERR_OPERATION_FAILED: the vendor is another one (both labels are
 * named); VIR_ERR_INVALID_ARG: of another architecture.
 */
gboolean inv_cpu_baseliner_add(InvCpuBaseliner *baseliner, const InvCpuDescription *description, const char *label, GError **error);
guint64 inv_cpu_baseliner_count(const InvCpuBaseliner *baseliner);

/*
 * mode='custom' match='exact'; owned by the caller. May be asked again, after more were added.
 * @expand_features: also the features that the model has are named. @migratable: features that
 * cannot migrate are left out. Errors: VIR_ERR_INVALID_ARG: nothing was added;
 * VIR_ERR_OPERATION_FAILED: no model of that vendor is known.
 */
InvCpu *inv_cpu_baseliner_result(const InvCpuBaseliner *baseliner, gboolean expand_features, gboolean migratable, GError **error);

/*
 * virConnectBaselineCPU on top of it: @cpus are @n documents, of hosts or of domains, in any order.
 * Features that QEMU passes to no guest, that follow the topology or are optional in a document are
 * never in the result.
 *
 * NULL with VIR_ERR_OPERATION_FAILED: vendors differ (both are named), or facts without expansions;
 * VIR_ERR_CONFIG_UNSUPPORTED: a model or feature is not known; VIR_ERR_INVALID_ARG: no CPUs, or of
 * another architecture; VIR_ERR_NO_SUPPORT: an architecture whose features Invar cannot compare.
 */
InvCpu *inv_cpu_baseline(const InvCpuFacts *facts, const InvCpu *const *cpus, guint n, gboolean expand_features, gboolean migratable,
                         GError **error);

G_END_DECLS
