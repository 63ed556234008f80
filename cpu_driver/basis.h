/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/cpu_driver.h"
#include "cpu_driver/decode.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * What the algebra of CPUs (description.h, difference.h, compare.h, baseline.h) stands on: the
 * dictionary of features, their numbers in sets, and where models come from. Whatever the source, the
 * algebra is the same.
 *
 * Immutable; shared by threads. Making one costs next to nothing: what it comes to is kept with the
 * names table, which must outlive it and be used with one map only.
 */
typedef struct InvCpuBasis InvCpuBasis;

/* Models as a QEMU expands them; what follows the host is facts->host. Borrows @facts and what is in them. */
InvCpuBasis *inv_cpu_basis_of_facts(const InvCpuFacts *facts);
/* Models of the map, where no QEMU is at hand. Borrows @decoder and @arch ("x86_64"). */
InvCpuBasis *inv_cpu_basis_of_map(const InvCpuDecoder *decoder, const char *arch);
void inv_cpu_basis_free(InvCpuBasis *basis);
/* Reads every model once, for who is going to ask often: else each question reads the one that it is about. */
void inv_cpu_basis_prepare(const InvCpuBasis *basis);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuBasis, inv_cpu_basis_free)

InvFeatureNames *inv_cpu_basis_names(const InvCpuBasis *basis);
const char *inv_cpu_basis_arch(const InvCpuBasis *basis);
/* NULL: a basis of the map. */
const InvCpuFacts *inv_cpu_basis_facts(const InvCpuBasis *basis);
/* The features that a comparison of documents looks at: see inv_cpu_is_comparable() in driver.h. */
const InvFeatureSet *inv_cpu_basis_comparable(const InvCpuBasis *basis);

/* The same without a basis. Kept with @names; @map must not be freed and another be used with them. Borrowed. */
const InvFeatureSet *inv_cpu_comparable_of(const InvCpuMap *map, InvFeatureNames *names);

/* Can CPUs of @arch be described here? NULL: any document without <arch> can. */
gboolean inv_cpu_basis_arch_fits(const InvCpuBasis *basis, const char *arch);

/*
 * VIR_ERR_NO_SUPPORT ("<what> is not supported by the <arch> CPU driver") where the features of an
 * architecture have no dictionary, so that there is nothing to compare. @what: "comparing CPUs".
 */
gboolean inv_cpu_basis_can_describe(const InvCpuBasis *basis, const char *what, GError **error);

/* The rest is the room's own. */

/* A name of the dictionary. */
typedef struct {
    const InvCpuMapFeature *entry;
    guint number;         /* in sets */
    gboolean promisable;  /* has a bit, which a host has or has not: not its topology's, not the guest system's own */
} InvCpuBasisFeature;

/* A model, from either source. All borrowed. */
typedef struct {
    const char *name;           /* QEMU's, with its version where it has one */
    const char *vendor;         /* id; NULL: no vendor's (qemu64, kvm32, …) */
    gboolean deprecated;
    guint level, xlevel;        /* 0: not known */
    const InvFeatureSet *on;    /* NULL: its QEMU was not asked what it consists of */
    const InvFeatureSet *nested; /* the same and what comes along with vmx; NULL: nothing that is known of */
    const InvCpuModel *model;   /* NULL: of the map */
} InvCpuBasisModel;

/* What a set of @features has that is of the model when vmx is on, or off. */
const InvFeatureSet *inv_cpu_basis_model_set(const InvCpuBasisModel *model, gboolean vmx);

/* By either spelling. NULL: not in the dictionary. */
const InvCpuBasisFeature *inv_cpu_basis_feature(const InvCpuBasis *basis, const char *name);
/* libvirt's spelling of a name that stands in a document; VIR_ERR_CONFIG_UNSUPPORTED names the nearest. *@feature NULL: QEMU's alone. */
const char *inv_cpu_basis_canonical(const InvCpuBasis *basis, const char *name, const InvCpuBasisFeature **feature, GError **error);

/* By name or alias; VIR_ERR_CONFIG_UNSUPPORTED names the nearest, VIR_ERR_OPERATION_FAILED: facts without its expansion. */
gboolean inv_cpu_basis_find_model(const InvCpuBasis *basis, const char *name, InvCpuBasisModel *model, GError **error);

/* What describes a CPU: on a QEMU what it can pass on and that does not follow the topology, by the map every bit that has a name. */
const InvFeatureSet *inv_cpu_basis_describable(const InvCpuBasis *basis);
/* What can be promised: every bit but those of the topology and of the guest's own system. */
const InvFeatureSet *inv_cpu_basis_promisable(const InvCpuBasis *basis);
/* Every vmx-*. */
const InvFeatureSet *inv_cpu_basis_vmx_parts(const InvCpuBasis *basis);
/* The number of vmx in sets; FALSE: the architecture has none. */
gboolean inv_cpu_basis_vmx(const InvCpuBasis *basis, guint *number);

/*
 * Which model stands for @target? In this order: usable here (when @here), not deprecated, differs least
 * within @within, needs nothing disabled (unless @here), versioned, first by name, of its versions the newest.
 */
typedef struct {
    const char *vendor;          /* id of those to choose from */
    gboolean any_vendor;         /* all; else NULL above means those of no vendor */
    gboolean here;               /* as this host gives them: less what QEMU filters of them */
    const InvFeatureSet *target;
    const InvFeatureSet *within; /* what counts */
} InvCpuRanking;

/* FALSE: there is none. */
gboolean inv_cpu_basis_choose(const InvCpuBasis *basis, const InvCpuRanking *ranking, InvCpuBasisModel *best);

G_END_DECLS
