/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/cpu_driver.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * The short description of a processor that libvirt's <capabilities> gives: a named model, all of
 * whose features it has, and what it has beyond that. It is for reading: no verdict depends on it.
 */
typedef struct {
    char *model;     /* a name without version, as clients know it ("EPYC"), or NULL: no model fits */
    char **features; /* libvirt's names, sorted, NULL-terminated; without a model all of them */
} InvHostCpuDescription;

void inv_host_cpu_description_free(InvHostCpuDescription *description);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvHostCpuDescription, inv_host_cpu_description_free)

/*
 * Describes facts->hardware, by the models of facts->table that carry an expansion: of the
 * processor's own vendor if one fits, and of these the one that leaves the fewest features to name.
 * NULL when the hardware is not known.
 */
InvHostCpuDescription *inv_host_cpu_describe(const InvCpuFacts *facts);

/* Is it "host", "max" or "base", which name no fixed model? */
gboolean inv_cpu_model_is_generic(const char *name);

/* The name by which clients know a QEMU model on this machine type: an alias of it that has no version, else itself. Borrowed. */
const char *inv_cpu_model_client_name(const InvCpuTable *table, const char *model);

/* What a model's expansion, or that of what it is an alias of, says of the vendor: "Intel"; or NULL. Borrowed. */
const char *inv_cpu_model_vendor(const InvCpuTable *table, const InvCpuModel *model);

G_END_DECLS
