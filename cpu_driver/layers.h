/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/cpu_driver.h"

#include <glib.h>

G_BEGIN_DECLS

#define INV_LAYERS (INV_LAYER_CONFIGURATION + 1)

/* What a layer says of a feature. */
typedef struct {
    int answer; /* 1 yes, 0 no, -1: not known, or no part of it */
    char *text; /* a sentence without a final period */
} InvLayerAnswer;

/* Can a guest have a feature here, and who says what of it? */
typedef struct {
    const char *feature; /* libvirt's spelling; borrowed from the map or the names table */
    InvLayerAnswer layers[INV_LAYERS]; /* by InvLayer; the configuration answers 0 when it forbids */
    int available;       /* 1 yes, 0 no, -1: this QEMU was not asked what it can give */
    gboolean migratable; /* else a guest that has it stays where it is, and must ask for it by name */
    /* When it is not available: the first layer that says no, why, and what would help; else NULL. */
    InvLayer layer;
    char *reason, *remedy;
} InvFeatureLayers;

void inv_feature_layers_free(InvFeatureLayers *layers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvFeatureLayers, inv_feature_layers_free)

/* @feature: libvirt's spelling. Owned by the caller. */
InvFeatureLayers *inv_cpu_feature_layers(const InvCpuFacts *facts, const char *feature);

/*
 * Of every feature of the architecture, by name: those with a bit of CPUID or of an MSR, and those
 * that an accelerator adds of its own (kvm-…, hv-…); without a dictionary (s390x) all that this QEMU
 * knows. Owned by the caller.
 */
GPtrArray *inv_cpu_all_feature_layers(const InvCpuFacts *facts);

/*
 * Why no guest here can have @feature, whatever its CPU: which layer says so first. *@advice is what
 * would help on this host. Both texts are owned by the caller.
 */
void inv_cpu_blame(const InvCpuFacts *facts, const char *feature, InvLayer *layer, char **reason, char **advice);

G_END_DECLS
