/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/json.h"

#include <glib.h>

G_BEGIN_DECLS

/* Who says no. */
typedef enum {
    INV_LAYER_HARDWARE,
    INV_LAYER_KERNEL,
    INV_LAYER_QEMU,
    INV_LAYER_MACHINE,
    INV_LAYER_CONFIGURATION,
} InvLayer;

const char *inv_layer_to_string(InvLayer layer); /* "hardware", "kernel", "QEMU", "machine type", "configuration" */
gboolean inv_layer_from_string(const char *text, InvLayer *layer);

typedef struct {
    char *feature; /* libvirt's name of the feature, or "model", "vendor", "machine", … when no feature is meant */
    InvLayer layer;
    char *reason;  /* a sentence without a final period */
    char *remedy;  /* what would help, likewise */
} InvBlocker;

typedef enum {
    INV_OUTCOME_EXACT,   /* the guest gets exactly what was asked */
    INV_OUTCOME_DROPS,   /* it starts without the features in `blockers`, and that is recorded */
    INV_OUTCOME_REFUSED, /* it does not start because of the `blockers` */
} InvOutcome;

const char *inv_outcome_to_string(InvOutcome outcome); /* "exact", "drops", "refused" */

/* One type for start, restore, migration, fleet questions and explanations. */
typedef struct {
    InvOutcome outcome;
    GPtrArray *blockers; /* of InvBlocker, owned, sorted by feature */
    char *model;         /* versioned model that would run, QEMU's name, or NULL */
    char *machine;       /* canonical machine, or NULL */
    char *argument;      /* what QEMU's -cpu would get, or NULL */
} InvVerdict;

InvVerdict *inv_verdict_new(void);
void inv_verdict_free(InvVerdict *verdict);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvVerdict, inv_verdict_free)

/* Copies its texts. Nothing is added when the feature is there already with that layer. */
void inv_verdict_add(InvVerdict *verdict, const char *feature, InvLayer layer, const char *reason, const char *remedy);

InvJson *inv_verdict_to_json(const InvVerdict *verdict);
InvVerdict *inv_verdict_from_json(const InvJson *json, GError **error);

/*
 * For people: a headline, then a line per blocker. The text of a refused start is this too, so
 * that any client shows every missing feature, its layer and its remedy.
 */
char *inv_verdict_to_text(const InvVerdict *verdict);
/* Sets VIR_ERR_CONFIG_UNSUPPORTED with the whole text. Returns FALSE. */
gboolean inv_verdict_set_error(const InvVerdict *verdict, const char *domain_name, GError **error);

G_END_DECLS
