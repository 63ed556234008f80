/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/cpu_driver.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * Inside of the room: what a <cpu> says of a processor, whether it describes a host or is what a
 * domain wants. Sets hold libvirt's names of features with a bit that QEMU passes to guests and
 * that do not follow the topology: what else a document names says nothing of the processor.
 */
typedef struct {
    const char *model;        /* QEMU's versioned name, borrowed from the table; NULL: it follows the host */
    const char *vendor;       /* vendor id: the document's, else its model's; NULL: any. Borrowed from table, facts or document */
    gboolean passes_host;     /* the host's own CPU, which only KVM passes on */
    InvFeatureSet *on;        /* what it has: of its model, required or forced */
    InvFeatureSet *named;     /* whatever its <feature> elements name, with any policy */
    InvFeatureSet *forced;
    InvFeatureSet *forbidden;
    InvFeatureSet *promised;  /* required in so many words; names that QEMU never passes are here too */
} InvCpuDescription;

void inv_cpu_description_free(InvCpuDescription *description);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuDescription, inv_cpu_description_free)

/*
 * @host: what a document that follows the host stands for (host-passthrough, host-model, maximum),
 * or NULL: such a document is an error. Needs the model's expansion in facts->table. Errors:
 * VIR_ERR_CONFIG_UNSUPPORTED names the nearest names for an unknown model or feature;
 * VIR_ERR_XML_ERROR for a host's description without a model.
 */
InvCpuDescription *inv_cpu_describe(const InvCpuFacts *facts, const InvCpu *cpu, const InvFeatureSet *host, GError **error);

/* Does a model of this name stand for no vendor's chip (qemu64, kvm32, …)? */
gboolean inv_cpu_is_generic_model(const char *name);

/* Can CPUs of @arch be had on a host or in a table of @facts' architecture? NULL: any document without <arch> can. */
gboolean inv_cpu_arch_fits(const InvCpuFacts *facts, const char *arch);

/*
 * VIR_ERR_NO_SUPPORT ("<what> is not supported by the <arch> CPU driver") where the features of an
 * architecture have no dictionary, so that there is nothing to compare. @what: "comparing CPUs".
 */
gboolean inv_cpu_can_describe(const InvCpuFacts *facts, const char *what, GError **error);

G_END_DECLS
