/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/cli.h"

#include <glib.h>

G_BEGIN_DECLS

/* Why something is as it is, of one feature or of none. All strings are borrowed. */
typedef struct {
    const char *heading; /* reasons with different headings never share a group */
    const char *feature; /* or NULL */
    const char *reason;
    const char *remedy; /* NULL or "": none */
    InvColour colour;   /* of the heading */
} InvReason;

/* Reasons that differ in nothing but the feature. With one feature only, the texts of `first` name it. */
typedef struct {
    const InvReason *first; /* borrowed */
    char *reason, *remedy;  /* with NAME where the feature's name stands */
    GString *features;      /* a blank between them */
    guint count;            /* of features */
} InvReasonGroup;

/* Of InvReasonGroup, owned by the caller; borrows @reasons. */
GPtrArray *inv_reasons_group(const InvReason *reasons, guint count);

/*
 * Appends @reasons as groups: those that differ in nothing but the feature, in their texts too, are
 * one cause with one remedy, and the feature's name is NAME in them.
 */
void inv_reasons_append(GString *out, const InvCli *cli, const InvReason *reasons, guint count, guint width);

/* "   LABEL TEXT", wrapped and escaped; the next lines begin under TEXT. */
void inv_view_append_wrapped(GString *out, const char *label, const char *text, guint width);

/* "LABEL:   TEXT", the same; LABEL in the colour of heads and @width_of_label columns wide with its colon. */
void inv_view_append_field(GString *out, const InvCli *cli, guint width_of_label, const char *label, const char *text, guint width);

/* "\nTITLE (COUNT):" and the names below it, wrapped; "\nTITLE: none" when there are none. @colour is the title's. */
void inv_view_append_names(GString *out, const InvCli *cli, InvColour colour, const char *title, const char *const *names, guint count,
                           guint width);

G_END_DECLS
