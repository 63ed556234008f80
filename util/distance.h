/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What is longer is compared by its beginning. */
#define INV_DISTANCE_MAX 64u

/*
 * How far is @wrong from @right, for "did you mean"? Changes, letter by letter and without regard to
 * case (Levenshtein's distance); one more than those to the beginning of @right, where that is
 * nearer: "Skylake" means Skylake-Client rather than Dhyana.
 */
guint inv_distance(const char *wrong, const char *right);

G_END_DECLS
