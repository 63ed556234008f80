/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Logging goes through GLib (g_debug, g_info, g_message, g_warning): structured to the journal when
 * standard error is the journal's stream, else as one line on standard error.
 */
void inv_log_init(GLogLevelFlags lowest);

/* "debug", "info", "message" or "warning" to the level; FALSE for any other word. */
gboolean inv_log_level_from_name(const char *name, GLogLevelFlags *level);

G_END_DECLS
