/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/cpuid_data.h"
#include "cpu_driver/feature_set.h"
#include "cpu_map/cpu_map.h"
#include "cpu_map/cpu_models.h"
#include "util/json.h"
#include "xml/cpu.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * What a processor is: decoded from CPUID or from QEMU's expansion of `host`. @features are all that
 * it has and the map knows; features whose source was not there (MSRs of a dump without MSRs) are not
 * among them.
 */
typedef struct {
    char *vendor; /* id, "GenuineIntel" */
    guint family, model_number, stepping;
    guint phys_bits;     /* 0: not known, as the next two */
    guint level, xlevel; /* highest leaf of CPUID, highest extended one */
    InvFeatureSet *features;
    InvFeatureSet *broken; /* bits that the source shows and that errata.tsv leaves out; NULL: of an expansion */
    gboolean vmx_known;    /* the source says which vmx-* there are */
    gboolean msrs_known;   /* the source says which other features of MSRs (rdctl-no and the like) there are */
} InvCpuSeen;

void inv_cpu_seen_free(InvCpuSeen *seen);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuSeen, inv_cpu_seen_free)

/* No reply of QEMU has as many properties. */
#define INV_CPU_MAX_PROPERTIES 4096u

/*
 * The models of the map as sets, made once; immutable then and shared by threads. Borrows @map,
 * @models and @names, which must outlive it.
 */
typedef struct InvCpuDecoder InvCpuDecoder;

/* @folder: as for inv_cpu_map_load(): where the lists of broken and of microcode-disabled bits are. */
InvCpuDecoder *inv_cpu_decoder_new(const char *folder, const InvCpuMap *map, const InvCpuModels *models, InvFeatureNames *names,
                                   GError **error);
void inv_cpu_decoder_free(InvCpuDecoder *decoder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuDecoder, inv_cpu_decoder_free)

/*
 * Features of x86's CPUID and MSRs less those that are broken on this stepping (errata.tsv); in a
 * guest nothing is left out, as its signature is QEMU's and not the chip's. Leaves beyond the highest
 * that the processor says it has do not count. Errors: VIR_ERR_INVALID_ARG for a dump that lacks a
 * leaf which the processor has.
 */
InvCpuSeen *inv_cpu_seen_from_cpuid(const InvCpuDecoder *decoder, const InvCpuidData *data, GError **error);

/*
 * @reply: QEMU's reply to query-cpu-model-expansion type=full of `host` on x86, or its "return",
 * "model" or "props". Errors: VIR_ERR_INVALID_ARG.
 */
InvCpuSeen *inv_cpu_seen_from_expansion(const InvCpuDecoder *decoder, const InvJson *reply, GError **error);

/* Fills vendor (to be freed with @seen) and signature alone. Errors: VIR_ERR_INVALID_ARG. */
gboolean inv_cpu_seen_identify(const InvCpuidData *data, InvCpuSeen *seen, GError **error);

/* Bits that are broken on this stepping. Owned by the caller. */
InvFeatureSet *inv_cpu_broken_features(const InvCpuDecoder *decoder, const char *vendor, guint family, guint model_number, guint stepping);
/* Why @feature is among them: words without a final period; NULL: it is not. Borrowed. */
const char *inv_cpu_broken_reason(const InvCpuDecoder *decoder, const InvCpuSeen *seen, const char *feature);

/*
 * The CPU as a model of its own vendor and the features that differ: `require` what it has beyond
 * the model, `disable` what the model has and it has not. First the generation (all versions of one
 * model) that differs least, bits aside that microcode switches off; of its versions the one with the
 * fewest differences; of these one that is not deprecated, then of the closest signature, then the
 * newest. vmx-* that come along with vmx are not named, but for one where none would be required: that
 * tells that they are known. None is named when the source does not say which there are.
 * VIR_ERR_CONFIG_UNSUPPORTED when no model is of this vendor.
 */
InvCpu *inv_cpu_describe_seen(const InvCpuDecoder *decoder, const InvCpuSeen *seen, GError **error);

/* How many features a <cpu> names: what describes the same in fewer is the better description. */
guint inv_cpu_count_deltas(const InvCpu *cpu);

/* The least number of deltas with which any model of the vendor describes @seen; G_MAXUINT: there is none. */
guint inv_cpu_least_deltas(const InvCpuDecoder *decoder, const InvCpuSeen *seen);

const InvCpuModels *inv_cpu_decoder_models(const InvCpuDecoder *decoder);
const InvCpuMap *inv_cpu_decoder_map(const InvCpuDecoder *decoder);
InvFeatureNames *inv_cpu_decoder_names(const InvCpuDecoder *decoder);
/* The model's features; NULL when unknown. Borrowed. @vmx: with those that come along with vmx. */
const InvFeatureSet *inv_cpu_decoder_model(const InvCpuDecoder *decoder, const char *model, gboolean vmx);

G_END_DECLS
