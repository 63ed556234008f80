/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/cpu_driver.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * A guest that was started once keeps its CPU, under whatever QEMU can give it.
 *
 * Makes @request (resolved from the pinned <cpu>, not settled) ask QEMU for exactly the CPU of @record:
 * whatever the model means under this QEMU, every feature on which its expansion and the record differ
 * is asked for or switched off by name, and so are the numbers (family, model, stepping, level, xlevel,
 * xlevel2, level-func7, phys-bits), the vendor and the brand. The record's CPUID words count before its
 * names: what was on where no guest could read it (xsaveopt without xsave) stays on, since a state that
 * comes by migration carries it. Features that follow the topology are left alone. A model that was chosen
 * to stand for the host becomes the record's.
 *
 * From then on a feature that QEMU would filter refuses (inv_cpu_verdict()), whatever the definition's check.
 *
 * Never NULL: EXACT, or REFUSED with a blocker for everything that cannot be had, or that the definition
 * now asks for otherwise than the guest has seen it; the request carries the same blockers. What QEMU filters
 * is not asked here. Needs an expansion of the record's model in @facts; architectures that have none
 * (ppc64, most models of aarch64) are held to arch, machine and model alone.
 */
InvVerdict *inv_cpu_hold(const InvCpuFacts *facts, InvCpuRequest *request, const InvCpuRecord *record);

G_END_DECLS
