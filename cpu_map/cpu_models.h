/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * The CPU models of one architecture as a QEMU defines them, renewed by cpu_map/renew.py. They make
 * the description of a host short, and serve comparisons where there is no QEMU. No verdict on a
 * start looks here: without any model every verdict stays the same.
 * Immutable after loading; shared by all threads.
 */
typedef struct InvCpuModels InvCpuModels;

typedef struct {
    const char *name;   /* QEMU's, with its version: "Skylake-Client-v4" */
    const char *stem;   /* the same less the version: models of one stem are one generation */
    guint version;      /* 0: not versioned */
    const char *vendor; /* id, "GenuineIntel"; NULL: the architecture has none */
    gint64 family, model_number, stepping, level, xlevel; /* -1: the architecture has none */
    gboolean is_static; /* QEMU's "static": the same in every QEMU */
    gboolean deprecated;
    const char *const *aliases;  /* NULL-terminated, as are the next: "Skylake-Client-noTSX-IBRS" */
    const char *const *features; /* libvirt's spelling */
    const char *const *with_vmx; /* what comes along when vmx is switched on and nothing is said of vmx-* */
} InvCpuModelEntry;

/*
 * @folder: as for inv_cpu_map_load(). An architecture without a file of models gives an empty list.
 * Errors: VIR_ERR_SYSTEM_ERROR (not readable), VIR_ERR_CONF_SYNTAX with file and line.
 */
InvCpuModels *inv_cpu_models_load(const char *folder, const char *arch, GError **error);
void inv_cpu_models_free(InvCpuModels *models);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuModels, inv_cpu_models_free)

/* By name or alias; NULL when unknown. Borrowed. */
const InvCpuModelEntry *inv_cpu_models_find(const InvCpuModels *models, const char *name);
guint inv_cpu_models_size(const InvCpuModels *models);
const InvCpuModelEntry *inv_cpu_models_at(const InvCpuModels *models, guint index);
/* Every name and alias, inv_cpu_models_names_size() of them: for messages about a name that is not known. Borrowed. */
const char *const *inv_cpu_models_names(const InvCpuModels *models);
guint inv_cpu_models_names_size(const InvCpuModels *models);

G_END_DECLS
