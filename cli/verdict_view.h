/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/cli.h"
#include "rpc/autoclean.h"
#include "rpc/invar_protocol.h"

#include <glib.h>

G_BEGIN_DECLS

/* What the daemon's numbers say; "unknown" for one that this program does not know. */
const char *inv_view_layer(int layer);
const char *inv_view_outcome(int outcome);
/* The exit code that stands for the outcome; INV_EXIT_ERROR for one that is not known. */
int inv_view_exit(int outcome);

/*
 * A verdict for people: a headline, what would run, and the blockers in a table, those with the
 * same layer, reason and remedy in one row. @width: columns of the terminal. Owned by the caller.
 */
char *inv_view_verdict(const InvCli *cli, const invar_verdict *verdict, guint width);
InvJson *inv_view_verdict_json(const invar_verdict *verdict);

/* The CPU that a guest was promised. */
char *inv_view_record(const InvCli *cli, const invar_record *record, guint width);
InvJson *inv_view_record_json(const invar_record *record);

G_END_DECLS
