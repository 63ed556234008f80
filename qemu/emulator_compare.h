/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/emulator.h"
#include "util/json.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * What a QEMU itself says of CPU models beside each other (s390x alone): query-cpu-model-comparison
 * and query-cpu-model-baseline, of a process that lives for one question. An answer is kept in
 * memory for as long as the binary, the kernel and the host stay the same. A model is QEMU's
 * CpuModelInfo, {"name": …, "props": {…}}, with QEMU's names.
 *
 * Both fail with VIR_ERR_NO_SUPPORT, naming the architecture, where QEMU has no such command; with
 * VIR_ERR_CONFIG_UNSUPPORTED and QEMU's words when it does not know a model or property; with
 * VIR_ERR_OPERATION_TIMEOUT at the deadline. They may wait: never on the I/O thread.
 */
typedef enum {
    INV_MODELS_IDENTICAL,
    INV_MODELS_SUPERSET,     /* the first has all of the second, and more */
    INV_MODELS_SUBSET,
    INV_MODELS_INCOMPATIBLE, /* each has what the other lacks */
} InvModelsRelation;

typedef struct {
    InvModelsRelation relation;
    char **responsible; /* properties that differ, sorted, NULL-terminated; "type": the models themselves differ in generation */
} InvModelComparison;

void inv_model_comparison_free(InvModelComparison *comparison);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvModelComparison, inv_model_comparison_free)

/* @machine: canonical. Owned by the caller. */
InvModelComparison *inv_emulator_compare_models(InvEmulator *emulator, InvVirtType accelerator, const char *machine,
                                                const InvJson *first, const InvJson *second, guint deadline_ms, GError **error);

/*
 * The largest model that all of @models (@n ≥ 1) have whole, found pair by pair in one process. *@full
 * (NULL: not wanted): all features of it, as an expansion of type "full" gives them. Both owned by the caller.
 */
InvJson *inv_emulator_common_model(InvEmulator *emulator, InvVirtType accelerator, const char *machine, const InvJson *const *models,
                                   guint n, guint deadline_ms, InvJson **full, GError **error);

G_END_DECLS
