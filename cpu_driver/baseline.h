/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/cpu_driver.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * virConnectBaselineCPU: the largest CPU that each of @cpus (@n documents, of hosts or of domains, in
 * any order) has whole: mode='custom' match='exact', a model of QEMU's and what differs from it, sorted,
 * each as require or disable. Of the models of the vendor it is the one that is not deprecated, then
 * needs nothing disabled, then differs least.
 *
 * @expand_features: also the features that the model has are named. @migratable: features that
 * cannot migrate are left out. Features that QEMU passes to no guest, that follow the topology or
 * are optional in a document are never in it. <vendor> is there when every document has it.
 *
 * NULL with VIR_ERR_OPERATION_FAILED: vendors differ (both are named), or facts without expansions;
 * VIR_ERR_CONFIG_UNSUPPORTED: a model or feature is not known; VIR_ERR_INVALID_ARG: no CPUs, or of
 * another architecture; VIR_ERR_NO_SUPPORT: an architecture whose features Invar cannot compare.
 */
InvCpu *inv_cpu_baseline(const InvCpuFacts *facts, const InvCpu *const *cpus, guint n, gboolean expand_features, gboolean migratable,
                         GError **error);

G_END_DECLS
