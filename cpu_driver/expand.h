/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/decode.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * All features of a <cpu> by the map's models, where no QEMU is at hand: the model's, and those of
 * policy require or force, less those of policy disable or forbid. An optional one is no promise:
 * it is as the model has it. Without a model only the named ones.
 * vmx brings along the vmx-* that the model lists for it where the document asks for any: one that
 * asks for none was described from a source that does not tell them (a dump without MSRs), and nobody
 * knows which there are. Features in either spelling; the set's are libvirt's.
 * Errors: VIR_ERR_CONFIG_UNSUPPORTED for a model or feature that the map does not have, naming the nearest;
 * VIR_ERR_INVALID_ARG for more than INV_CPU_MAX_PROPERTIES features.
 */
InvFeatureSet *inv_cpu_expand(const InvCpuDecoder *decoder, const InvCpu *cpu, GError **error);

/* Does it ask for any vmx-*? One that it disables says nothing of the others: to disable never adds. */
gboolean inv_cpu_tells_vmx_parts(const InvCpu *cpu);
/*
 * Has it ask for one of the vmx-* that are both in @has and @vmx_parts, unless it asks for any: a <cpu>
 * that does not says that nobody told which there are. Nothing is named when @has has none.
 */
void inv_cpu_tell_vmx_parts(InvCpu *cpu, const InvFeatureSet *has, const InvFeatureSet *vmx_parts);

/* VIR_ERR_CONFIG_UNSUPPORTED: the map does not know @name; the nearest names are given. Return FALSE. */
gboolean inv_cpu_refuse_feature(const InvCpuMap *map, const char *name, GError **error);
gboolean inv_cpu_refuse_model(const InvCpuModels *models, const char *name, GError **error);

G_END_DECLS
