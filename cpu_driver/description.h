/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/basis.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * What a <cpu> or a machine is, as sets: whether it describes a host or is what a domain wants. What
 * the order of the document's features was, and how they were spelled, is gone.
 *
 * Sets hold libvirt's names of features with a bit: on a basis of facts those that QEMU passes to
 * guests and that do not follow the topology, on a basis of the map all that it knows. What else a
 * document names says nothing of the processor.
 *
 * Immutable; may outlive the document that it was made of, not the basis.
 */
typedef struct {
    const char *arch;         /* of the basis; when @foreign the document's own */
    gboolean foreign;         /* of an architecture that the basis knows nothing of: the sets are empty */
    const char *model;        /* QEMU's versioned name, borrowed from the basis; NULL: it follows the host, or is a machine */
    const char *vendor;       /* vendor id: the document's, else its model's; NULL: any */
    gboolean names_vendor;    /* the document says it, so that another vendor's will not do */
    gboolean passes_host;     /* the host's own CPU, which only KVM passes on */
    gboolean whole;           /* a machine: what is not said is not there */
    InvCpuMatch match;        /* as the document says */
    guint phys_bits;          /* of physical addresses; 0: not known */
    gboolean wants_phys_bits; /* the document asks for that many (<maxphysaddr mode='emulate' bits=>) */
    guint level, xlevel;      /* highest leaf of CPUID and highest extended one; 0: not known */
    InvFeatureSet *on;        /* what it has: of its model, required or forced */
    InvFeatureSet *named;     /* whatever its <feature> elements name, with any policy */
    InvFeatureSet *forced;
    InvFeatureSet *forbidden;
    /*
     * Had by its model, required in so many words, or had by a machine: missed also where it cannot
     * migrate or QEMU never passes it on. What a host's document merely lists is not promised.
     */
    InvFeatureSet *promised;
    char *own_vendor, *own_arch; /* what `vendor` and `arch` point to where nobody else has it; or NULL */
} InvCpuDescription;

void inv_cpu_description_free(InvCpuDescription *description);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuDescription, inv_cpu_description_free)

/*
 * @host: what a document that follows the host stands for (host-passthrough, host-model, maximum),
 * or NULL: such a document is an error. A document of another architecture is described as `foreign`.
 *
 * vmx brings along the vmx-* that its model has then (where the basis knows them) and of which
 * nothing is said, if the document asks for any vmx-* at all; without vmx there are no vmx-* but those that are named. An optional feature is
 * none that the CPU surely has.
 *
 * Errors: VIR_ERR_CONFIG_UNSUPPORTED names the nearest names for an unknown model or feature, or a
 * feature that is given twice in two spellings; VIR_ERR_XML_ERROR for a document without a model where
 * nothing stands in for it; VIR_ERR_OPERATION_FAILED: facts without the model's expansion;
 * VIR_ERR_NO_SUPPORT: an architecture without a dictionary; VIR_ERR_INVALID_ARG: more than
 * INV_CPU_MAX_PROPERTIES features.
 */
InvCpuDescription *inv_cpu_describe(const InvCpuBasis *basis, const InvCpu *cpu, const InvFeatureSet *host, GError **error);

/*
 * A machine that was decoded from CPUID or from QEMU's expansion, or whose features alone are known
 * (without a vendor: it is as good as any). Features of which the source says
 * nothing (vmx-* of a dump without MSRs) count as not there, on either side of a comparison and in a
 * baseline: nothing is promised that nobody has seen. Errors: VIR_ERR_NO_SUPPORT as above.
 */
InvCpuDescription *inv_cpu_describe_machine(const InvCpuBasis *basis, const InvCpuSeen *seen, GError **error);

/* Of the same or of no vendor? Static strings for known ids, so that mostly no text is compared. */
gboolean inv_cpu_same_vendor(const char *a, const char *b);

/* Does a model of this name stand for no vendor's chip (qemu64, kvm32, …)? */
gboolean inv_cpu_is_generic_model(const char *name);

G_END_DECLS
