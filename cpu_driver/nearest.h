/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_map/cpu_map.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * The three of @candidates (n of them, in any order) that are most like @name, for messages about a
 * name that is not known: "Nehalem, Nehalem-v1 or Nehalem-v2". NULL when nothing is at all like it.
 * Owned by the caller.
 */
char *inv_nearest_names(const char *name, const char *const *candidates, guint n);

/* The same among the features of @map. */
char *inv_nearest_features(const char *name, const InvCpuMap *map);

G_END_DECLS
