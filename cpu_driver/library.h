/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/decode.h"
#include "cpu_driver/description.h"
#include "cpu_driver/invar-cpu.h"
#include "cpu_map/cpu_about.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * Inside of the public library: what its handles hold. No type of this file, and none of GLib's, is
 * in its header; no GError leaves it.
 */

/* What is known of the CPUs of one architecture and its relatives. Immutable once loaded. */
typedef struct {
    const char *const *arches; /* libvirt's names; the first one names the dictionary */
    gboolean has_features;     /* each name has a bit: sets can be compared */
    InvCpuMap *map;
    InvCpuModels *models;
    InvFeatureNames *names;
    InvCpuAbout *about;
    InvCpuDecoder *decoder;    /* NULL, as the next: only QEMU tells the features of a processor */
    InvCpuBasis *basis;
} InvDictionary;

struct InvarCpuContext {
    gint references;
    char *folder;
    GMutex lock;
    GPtrArray *dictionaries; /* of InvDictionary, owned; guarded by the lock, its members are not */
    GHashTable *explained;   /* a feature's name → owned facts of library_explain.c, NULL: none yet; guarded by the lock */
};

/* Handles that outlive the caller's own reference keep it. */
InvarCpuContext *inv_library_context_ref(InvarCpuContext *context);

/* The dictionary for @arch, read at its first use. VIR_ERR_CONFIG_UNSUPPORTED: an architecture that nobody knows. */
const InvDictionary *inv_library_dictionary(InvarCpuContext *context, const char *arch, GError **error);

struct InvarCpu {
    InvarCpuContext *context; /* a reference */
    const InvDictionary *dictionary;
    InvarCpuFormat format;
    char *arch;
    InvCpu *document;         /* model and features that differ, libvirt's spelling, sorted */
    InvCpuSeen *seen;         /* what the processor itself said; NULL for a description */
    InvFeatureNames *names;   /* owned, where the dictionary has none: names from documents must not add up for ever */
    InvFeatureSet *features;  /* all that it has */
    gboolean follows_host;    /* mode host-passthrough, host-model or maximum: what it has a host must say */
    char *model;              /* the versioned name, or NULL */
    const char *vendor_id;    /* of the model, the document or the processor; borrowed from them; NULL */
    gint64 family, model_number, stepping; /* -1: not known */
    guint phys_bits, level, xlevel;        /* 0: not known */
    GPtrArray *notes;         /* of char *, owned, NULL at the end when sealed */
    const char **expanded;    /* made when first asked for; of names that are interned */
    InvCpuDescription *description; /* likewise, for comparisons; NULL for one that follows its host */
};

/* Everything is read into one of these; what is left NULL or 0 is not known. */
InvarCpu *inv_library_cpu_new(InvarCpuContext *context, const InvDictionary *dictionary, InvarCpuFormat format, const char *arch);
void inv_library_cpu_note(InvarCpu *cpu, const char *format, ...) G_GNUC_PRINTF(2, 3);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvarCpu, invar_cpu_unref)

/*
 * What the algebra makes of it, kept by the CPU. VIR_ERR_NO_SUPPORT: an architecture without a dictionary;
 * VIR_ERR_INVALID_ARG: it follows its host.
 */
const InvCpuDescription *inv_library_description(const InvarCpu *cpu, GError **error);

/*
 * The CPU that a <cpu> describes, or that a processor showed: both are taken over, also on failure.
 * Errors: VIR_ERR_CONFIG_UNSUPPORTED with the nearest names for a model, feature or vendor that
 * the dictionary does not know.
 */
InvarCpu *inv_library_cpu_of_document(InvarCpuContext *context, InvarCpuFormat format, const char *arch, InvCpu *document, GError **error);
InvarCpu *inv_library_cpu_of_seen(InvarCpuContext *context, InvarCpuFormat format, const char *arch, InvCpuSeen *seen, GError **error);

/* Features of a processor that nothing else is told of. Takes @seen over. */
InvarCpu *inv_library_cpu_of_words(InvarCpuContext *context, const InvDictionary *dictionary, const char *arch, InvCpuSeen *seen);

/* @error is what a call has set: its text goes to *@text (NULL: nowhere), its code becomes the result. Frees @error. */
InvarCpuStatus inv_library_fail(GError *error, char **text);

G_END_DECLS
