/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/cpu_driver.h"
#include "cpu_driver/decode.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * The short description of a processor that libvirt's <capabilities> gives: a named model, all of
 * whose features it has (the document has no words for "without"), and what it has beyond that. It is
 * for reading: no verdict depends on it.
 */
typedef struct {
    char *model;     /* by the name that older clients know, where it has one ("EPYC" for EPYC-v1), or NULL: no model fits */
    char **features; /* libvirt's names, sorted, NULL-terminated; without a model all of them */
} InvHostCpuDescription;

void inv_host_cpu_description_free(InvHostCpuDescription *description);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvHostCpuDescription, inv_host_cpu_description_free)

/*
 * Describes @seen by the models that @decoder knows: as inv_cpu_describe_seen() does where that takes
 * nothing away from its model; else by the model with the fewest features to add. Owned by the caller.
 */
InvHostCpuDescription *inv_host_cpu_describe_seen(const InvCpuDecoder *decoder, const InvCpuSeen *seen);

/*
 * The processor of this host, by the models of the map that is installed; made once for as long as
 * inv_host_cpu_fingerprint() stays the same. NULL: its CPUID cannot be read, as on other architectures
 * than x86. Owned by the caller. From any thread.
 */
InvHostCpuDescription *inv_host_cpu_describe_host(void);

/* The same for whoever asks with facts: NULL when they are not of this host's architecture. */
InvHostCpuDescription *inv_host_cpu_describe(const InvCpuFacts *facts);

/* Is it "host", "max" or "base", which name no fixed model? */
gboolean inv_cpu_model_is_generic(const char *name);

/* The name by which clients know a QEMU model on this machine type: an alias of it that has no version, else itself. Borrowed. */
const char *inv_cpu_model_client_name(const InvCpuTable *table, const char *model);

G_END_DECLS
