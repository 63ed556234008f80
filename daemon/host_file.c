/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host_file.h"

#include "util/fd.h"

#include <string.h>

#define MAX_TEXT 4096u
/* A processor takes some 2 KiB of /proc/cpuinfo. */
#define MAX_FILE (64u * 1024 * 1024)

char *
inv_host_path(const char *root, const char *format, ...)
{
    va_list args;
    g_autofree char *path = NULL;

    va_start(args, format);
    path = g_strdup_vprintf(format, args);
    va_end(args);
    return g_strconcat(root ? root : "", path, NULL);
}

char *
inv_host_read_text(const char *path)
{
    g_autofree char *text = NULL;

    if (!inv_file_read(path, MAX_TEXT, &text, NULL, NULL))
        return NULL;
    g_strstrip(text);
    return g_steal_pointer(&text);
}

gboolean
inv_host_read_number(const char *path, guint64 *number)
{
    g_autofree char *text = inv_host_read_text(path);

    return text && g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, number, NULL);
}

char *
inv_host_read_file(const char *path, GError **error)
{
    char *text = NULL;

    return inv_file_read(path, MAX_FILE, &text, NULL, error) ? text : NULL;
}

char *
inv_host_field(const char *text, const char *key)
{
    gsize length = strlen(key);

    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        const char *rest;

        line += *line == '\n';
        if (strncmp(line, key, length))
            continue;
        rest = line + length;
        rest += strspn(rest, " \t");
        if (*rest == ':')
            return g_strstrip(g_strndup(rest + 1, strcspn(rest + 1, "\n")));
    }
    return NULL;
}
