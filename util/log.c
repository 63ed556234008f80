/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static GLogLevelFlags lowest_level = G_LOG_LEVEL_MESSAGE; /* set once, before any thread */

static const struct {
    const char *name;
    GLogLevelFlags level;
} level_names[] = {
    { "debug", G_LOG_LEVEL_DEBUG },
    { "info", G_LOG_LEVEL_INFO },
    { "message", G_LOG_LEVEL_MESSAGE },
    { "warning", G_LOG_LEVEL_WARNING },
};

gboolean
inv_log_level_from_name(const char *name, GLogLevelFlags *level)
{
    for (gsize i = 0; i < G_N_ELEMENTS(level_names); i++) {
        if (strcmp(level_names[i].name, name) == 0) {
            *level = level_names[i].level;
            return TRUE;
        }
    }
    return FALSE;
}

static const char *
level_name(GLogLevelFlags level)
{
    for (gsize i = 0; i < G_N_ELEMENTS(level_names); i++) {
        if (level & level_names[i].level)
            return level_names[i].name;
    }
    return level & G_LOG_LEVEL_CRITICAL ? "critical" : "error";
}

static GLogWriterOutput
write_log(GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
    const char *message = "";
    g_autoptr(GDateTime) now = NULL;
    g_autofree char *stamp = NULL;

    /* GLib's level flags grow as they get less urgent. */
    if ((level & G_LOG_LEVEL_MASK) > lowest_level)
        return G_LOG_WRITER_HANDLED;
    if (g_log_writer_is_journald(fileno(stderr)))
        return g_log_writer_journald(level, fields, n_fields, data);
    for (gsize i = 0; i < n_fields; i++) {
        if (strcmp(fields[i].key, "MESSAGE") == 0)
            message = fields[i].value;
    }
    now = g_date_time_new_now_utc();
    stamp = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S.%fZ");
    fprintf(stderr, "%s invar[%d] %s: %s\n", stamp, (int)getpid(), level_name(level), message);
    return G_LOG_WRITER_HANDLED;
}

void
inv_log_init(GLogLevelFlags lowest)
{
    lowest_level = lowest;
    g_log_set_writer_func(write_log, NULL, NULL);
}
