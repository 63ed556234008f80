/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * The differences between two texts in unified format, with @context equal lines around each
 * change, or "" when they are equal. @old_name and @new_name go into the "---" and "+++" lines.
 * The shortest difference while the changed middles have up to some four thousand lines each;
 * beyond that the middle is shown as replaced, so that time and memory stay bounded.
 * Owned by the caller.
 */
char *inv_line_diff(const char *old_text, const char *new_text, const char *old_name, const char *new_name, guint context);

G_END_DECLS
