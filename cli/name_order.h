/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * The order in which people look through versioned names, machine types ("pc-q35-7.2") and CPU
 * models ("Skylake-Client-v4"): by family, whatever the case of its letters, and in a family the
 * newest version first; the bare name of a family stands before its versions. As strcmp().
 */
int inv_name_order(const char *a, const char *b);

G_END_DECLS
