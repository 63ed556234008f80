/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/description.h"

#include <glib.h>
#include <libvirt/libvirt.h>

G_BEGIN_DECLS

/*
 * virConnectCompareCPU: how does @cpu, the <cpu> of a host's description or of a domain, stand to a
 * host? @host: the description of a host's CPU, or NULL: what facts->host says that guests really
 * get here. *@result:
 *
 * VIR_CPU_COMPARE_INCOMPATIBLE: the host lacks a feature of @cpu, has one that it forbids, is of
 * another architecture or vendor (when the document names one), has fewer bits of physical addresses
 * than the document asks for, or, with match='strict', has more.
 * VIR_CPU_COMPARE_IDENTICAL: the host has all of it and no feature that the document leaves unsaid:
 * as in libvirt, one that it disables is said.
 * VIR_CPU_COMPARE_SUPERSET: the host has all of it, and more.
 *
 * Compared are the features with a bit that QEMU passes on and that migrate; others only where
 * they are required with policy='require'. Features that follow the topology are not looked at.
 *
 * *@why (NULL: not wanted): for an incompatible CPU a refused verdict with a blocker for each reason,
 * owned by the caller; else NULL. FALSE with an error when there is no answer: VIR_ERR_CONFIG_UNSUPPORTED
 * names the nearest names for an unknown model or feature; VIR_ERR_NO_SUPPORT for an architecture
 * whose features Invar cannot compare; VIR_ERR_OPERATION_FAILED: facts without the model's expansion.
 */
gboolean inv_cpu_compare(const InvCpuFacts *facts, const InvCpu *host, const InvCpu *cpu, virCPUCompareResult *result,
                         InvVerdict **why, GError **error);

/*
 * This host as guests get it by @basis, which is of facts: what documents are compared with where no
 * host is given. VIR_ERR_CONFIG_UNSUPPORTED: QEMU did not say what it can give.
 */
InvCpuDescription *inv_cpu_describe_here(const InvCpuBasis *basis, GError **error);

/* The same on a basis of facts that was made before, for whoever compares more than once. */
gboolean inv_cpu_compare_on(const InvCpuBasis *basis, const InvCpu *host, const InvCpu *cpu, virCPUCompareResult *result,
                            InvVerdict **why, GError **error);

G_END_DECLS
