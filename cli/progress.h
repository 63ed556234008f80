/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Tells a person at a terminal, on standard error, that something which takes longer than a second
 * is under way, and for how long. Silent when standard error is no terminal.
 */
typedef struct InvProgress InvProgress;

/* @what: "the daemon works"; NULL makes a silent one. */
InvProgress *inv_progress_new(const char *what);
/* Wipes the line. */
void inv_progress_free(InvProgress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvProgress, inv_progress_free)

G_END_DECLS
