/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/request.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * Inside of the room: what an architecture's driver is. Resolving is the same everywhere but for
 * the slots below; a slot that is NULL means "not supported by the <arch> CPU driver".
 */
typedef gboolean (*InvCpuDriverStep)(const InvCpuFacts *facts, const InvCpu *cpu, InvCpuRequest *request, GError **error);

typedef struct {
    const char *const *arches; /* libvirt's names, NULL-terminated */
    gboolean takes_features;   /* -cpu takes feature=on and feature=off */
    gboolean expands_groups;   /* a model's expansion names groups of features, a guest's names each of them */
    gboolean tells_filtered;   /* QEMU answers unavailable-features: force and optional can be kept */

    InvCpuDriverStep host_model; /* chooses the model and its deltas; the user's features are in the request already */
    InvCpuDriverStep match;      /* minimum and strict */
    InvCpuDriverStep properties; /* vendor, vendor_id, migratable, maxphysaddr, cache */
    InvCpuDriverStep deprecated_features;

    /* Does a CPU as expanded have features in leaves that a guest cannot read? Then QEMU's own list of what it filters is not all. */
    gboolean (*hides_leaves)(const InvCpuMap *map, const InvCpuExpansion *expansion);

    /* The feature of which @feature, that QEMU filters, is a part and that this CPU has not got (xsave of xsaveopt), or NULL. */
    const char *(*lacks_owner)(const InvCpuFacts *facts, const InvCpuRequest *request, const char *feature);

    /* Why QEMU filters @feature, and what would help. *@reason and *@remedy are owned by the caller. */
    void (*explain)(const InvCpuFacts *facts, const InvCpu *cpu, const InvCpuRequest *request, const char *feature,
                    InvLayer *layer, char **reason, char **remedy);
} InvCpuDriver;

extern const InvCpuDriver inv_cpu_driver_x86;
extern const InvCpuDriver inv_cpu_driver_s390;
extern const InvCpuDriver inv_cpu_driver_arm;
extern const InvCpuDriver inv_cpu_driver_ppc;
extern const InvCpuDriver inv_cpu_driver_riscv;

/* NULL with VIR_ERR_NO_SUPPORT set: no driver for @arch. */
const InvCpuDriver *inv_cpu_driver_find(const char *arch, GError **error);

/* "<what> is not supported by the <arch> CPU driver". Returns FALSE. */
gboolean inv_cpu_not_supported(const InvCpuFacts *facts, GError **error, const char *what);

/* The names that QEMU has properties for, of @model where that is known: borrowed, or NULL when it was not asked. */
const InvFeatureSet *inv_cpu_known_features(const InvCpuFacts *facts, const char *model);

/* libvirt's spelling of a name that a user wrote, or NULL when neither the map nor QEMU knows it. Borrowed or interned. */
const char *inv_cpu_canonical_feature(const InvCpuFacts *facts, const char *name);

/* VIR_ERR_CONFIG_UNSUPPORTED: neither the map nor QEMU knows @name; the nearest names are given. Returns FALSE. */
gboolean inv_cpu_unknown_feature(const InvCpuFacts *facts, const char *name, GError **error);

/* What this QEMU can really give here: a new set, owned by the caller, or NULL when it was not asked. */
InvFeatureSet *inv_cpu_host_gives(const InvCpuFacts *facts);

/*
 * The features that describe a processor: with a bit of CPUID or of an MSR, passed to QEMU, able to
 * migrate, not following the topology. What compare, baseline, host-model and match look at.
 */
gboolean inv_cpu_is_comparable(const InvCpuMapFeature *feature);
InvFeatureSet *inv_cpu_comparable(const InvCpuMap *map, InvFeatureNames *names);

/* Looks the model up, alias → versioned; VIR_ERR_CONFIG_UNSUPPORTED names the nearest. Borrowed. */
const InvCpuModel *inv_cpu_find_model(const InvCpuFacts *facts, const char *name, GError **error);

/* "-v2" at its end: means the same on every machine. */
gboolean inv_cpu_is_versioned(const char *name);

/* The model's expansion, or NULL with an error: the facts were got without expansions. */
const InvCpuExpansion *inv_cpu_need_expansion(const InvCpuFacts *facts, const char *model, GError **error);

/*
 * The model of @vendor whose features are the fewest changes away from @target (comparable
 * features), usable on this host, not deprecated and versioned before others. NULL when there is none with an expansion. Borrowed.
 */
const InvCpuModel *inv_cpu_nearest_model(const InvCpuFacts *facts, const char *vendor, const InvFeatureSet *target);

/* The comparable features of @model that are not filtered on this host: a new set, owned by the caller. */
InvFeatureSet *inv_cpu_model_gives(const InvCpuFacts *facts, const InvCpuModel *model, const InvFeatureSet *comparable);

G_END_DECLS
