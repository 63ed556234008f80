/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/cli.h"

#include <glib.h>

G_BEGIN_DECLS

/* What the daemon tells of a feature. Answers: 1 yes, 0 no, negative: not known. */
typedef struct {
    const char *layer; /* "hardware", … */
    int answer;
    char *text;
} InvExplainedLayer;

typedef struct {
    char *feature; /* libvirt's spelling */
    char *qemu;
    char *bit; /* for people; "" for a name without one */
    int migratable;
    GArray *layers; /* of InvExplainedLayer */
    char **models;  /* of the emulator, those that have it */
} InvExplanation;

void inv_explanation_free(InvExplanation *explanation);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvExplanation, inv_explanation_free)

/* Asks the daemon as the options "feature", "emulator", "arch", "machine" and "virttype" of @args say. NULL on error. */
InvExplanation *inv_explain_call(InvCli *cli, const InvArgs *args, GError **error);

G_END_DECLS
