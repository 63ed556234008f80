/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/cpu_driver.h"
#include "util/json.h"

#include <glib.h>

G_BEGIN_DECLS

/* A <cpu> in the form in which QEMU itself compares CPUs (CpuModelInfo, s390x alone), and back. */

/*
 * {"name": …, "props": {feature: boolean, …}}, features sorted, so that equal CPUs are equal texts. A
 * mode that follows the host, and a <cpu> without mode and model, become what stands for the host
 * here. An optional feature is left to the model. Owned by the caller. VIR_ERR_CONFIG_UNSUPPORTED
 * names the nearest names for an unknown model (features are QEMU's to refuse); VIR_ERR_NO_SUPPORT for what no model of
 * QEMU can say (vendor, vendor_id, maxphysaddr, cache).
 */
InvJson *inv_cpu_to_model_info(const InvCpuFacts *facts, const InvCpu *cpu, GError **error);

/* Behind a question to QEMU about @models that failed: an unknown property gets its nearest names into the message. */
void inv_cpu_model_info_explain(const InvCpuFacts *facts, const InvJson *const *models, guint n, GError **error);

/* What stands for all that this QEMU can give here. */
InvJson *inv_cpu_host_model_info(const InvCpuFacts *facts);

/* mode='custom' match='exact', a property that is off as policy='disable'. @all: only what is on. Owned by the caller. */
InvCpu *inv_cpu_from_model_info(const InvCpuFacts *facts, const InvJson *model, gboolean all, GError **error);

/* Does QEMU itself compare CPUs of @arch, and does it alone know what they are? */
gboolean inv_cpu_arch_asks_qemu(const char *arch);

G_END_DECLS
