/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/feature_set.h"
#include "cpu_map/cpu_map.h"
#include "util/json.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * What one QEMU says of every CPU model on one machine type under one accelerator: the only source
 * of model definitions that a verdict uses. Feature names are libvirt's; they are translated when
 * QEMU's answers are read in, by the map of the architecture.
 *
 * Immutable once built and then shared by threads.
 */

/* A QEMU's answer to query-cpu-model-expansion type=full of one model, or the state of a live CPU. */
typedef struct {
    InvFeatureSet *on;    /* booleans that are true */
    InvFeatureSet *known; /* booleans that QEMU has at all; what it has not cannot be asked for */
    InvJson *others;      /* the properties that are no booleans, QEMU's names: vendor, family, level, … */
    char **deprecated;    /* s390x, QEMU ≥ 9.1: the reply's "deprecated-props", libvirt's names, sorted; NULL: not said */
} InvCpuExpansion;

void inv_cpu_expansion_free(InvCpuExpansion *expansion);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuExpansion, inv_cpu_expansion_free)
InvCpuExpansion *inv_cpu_expansion_copy(const InvCpuExpansion *expansion);

/*
 * @props: the "props" object of QEMU's reply. Where QEMU spells one feature twice the dashed
 * spelling wins. QEMU's housekeeping properties (realized, hotplugged, check, enforce, …) are left out.
 */
InvCpuExpansion *inv_cpu_expansion_new(const InvCpuMap *map, InvFeatureNames *names, const InvJson *props);
/* Only while the expansion is being built. @deprecated_props: that array of the same reply. */
void inv_cpu_expansion_set_deprecated(InvCpuExpansion *expansion, const InvCpuMap *map, const InvJson *deprecated_props);

/*
 * libvirt's names of an array of QEMU's (unavailable-features): sorted, each once, NULL-terminated,
 * owned by the caller.
 */
char **inv_cpu_names_to_libvirt(const InvCpuMap *map, const InvJson *list);

typedef struct {
    char *name;             /* QEMU's */
    char *type_name;        /* QOM type, "Nehalem-v1-x86_64-cpu" */
    char *alias_of;         /* versioned model that this machine means by it, or NULL */
    gboolean is_static;     /* QEMU's "static" */
    gboolean migration_safe;
    gboolean deprecated;
    gboolean has_usable;    /* this architecture answers unavailable-features at all */
    char **unavailable;     /* libvirt's names, sorted, no name twice; empty: usable. NULL when !has_usable */
    InvCpuExpansion *expansion; /* NULL: not asked, or this architecture cannot expand */
} InvCpuModel;

void inv_cpu_model_free(InvCpuModel *model);

typedef struct InvCpuTable InvCpuTable;

InvCpuTable *inv_cpu_table_new(const char *arch, const char *machine, InvFeatureNames *names);
InvCpuTable *inv_cpu_table_ref(InvCpuTable *table);
void inv_cpu_table_unref(InvCpuTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuTable, inv_cpu_table_unref)

/* Only while the table is being built. @definitions: the array of query-cpu-definitions' reply. */
gboolean inv_cpu_table_set_definitions(InvCpuTable *table, const InvCpuMap *map, const InvJson *definitions, GError **error);
/* A model from elsewhere; takes @model over, whatever becomes of it. VIR_ERR_INVALID_ARG: no usable name, listed twice, too many. */
gboolean inv_cpu_table_add(InvCpuTable *table, InvCpuModel *model, GError **error);
/* Takes @expansion over; FALSE when the table has no such model. */
gboolean inv_cpu_table_set_expansion(InvCpuTable *table, const char *model, InvCpuExpansion *expansion);

const char *inv_cpu_table_arch(const InvCpuTable *table);
const char *inv_cpu_table_machine(const InvCpuTable *table);
InvFeatureNames *inv_cpu_table_names(const InvCpuTable *table);
guint inv_cpu_table_size(const InvCpuTable *table);
const InvCpuModel *inv_cpu_table_at(const InvCpuTable *table, guint index);
/* By exact name; NULL when this QEMU has no such model on this machine. */
const InvCpuModel *inv_cpu_table_find(const InvCpuTable *table, const char *name);
/* @model, or the versioned model that it is an alias of. */
const InvCpuModel *inv_cpu_table_resolve_alias(const InvCpuTable *table, const InvCpuModel *model);

/* For the capability cache: everything above and back, without loss. */
InvJson *inv_cpu_table_to_json(const InvCpuTable *table);
InvCpuTable *inv_cpu_table_from_json(const InvJson *json, InvFeatureNames *names, GError **error);

G_END_DECLS
