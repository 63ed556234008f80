/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_map/cpu_map.h"

#include <glib.h>

G_BEGIN_DECLS

/* Bits that CPUID shows and that are broken on some chips (errata.tsv). Immutable after loading; shared by all threads. */
typedef struct InvCpuErrata InvCpuErrata;

typedef struct {
    char *vendor; /* id */
    guint family;
    guint model_first, model_last;
    guint stepping_first, stepping_last;
    char *feature;
    char *why; /* words without a final period */
} InvCpuErratum;

/* The signature of a chip, as CPUID gives it. */
typedef struct {
    const char *vendor; /* id or name; borrowed */
    guint family, model_number, stepping;
} InvCpuSignature;

/* @folder: that of the architecture. @map: its features; used while loading only. Errors: as of inv_table_file_read(). */
InvCpuErrata *inv_cpu_errata_load(const char *folder, const InvCpuMap *map, GError **error);
void inv_cpu_errata_free(InvCpuErrata *errata);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuErrata, inv_cpu_errata_free)

guint inv_cpu_errata_size(const InvCpuErrata *errata);
const InvCpuErratum *inv_cpu_errata_at(const InvCpuErrata *errata, guint index);
gboolean inv_cpu_erratum_concerns(const InvCpuErratum *erratum, const InvCpuSignature *chip);
/* Why @feature is broken on @chip, or NULL: it is not. Borrowed. */
const char *inv_cpu_errata_find(const InvCpuErrata *errata, const InvCpuSignature *chip, const char *feature);

G_END_DECLS
