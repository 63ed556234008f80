/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/text.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEFAULT_WIDTH 80
#define NARROWEST 40

/* Characters that reorder or hide the text around them: a name could pose as another one. */
static gboolean
is_deceptive(gunichar c)
{
    return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
           c == 0xfeff || c == 0x061c;
}

static void
append_escaped(GString *out, gunichar c, InvTextKind kind)
{
    if (kind == INV_TEXT_DOCUMENT && (c == '\n' || c == '\t'))
        g_string_append_unichar(out, c);
    else if (c == '\n')
        g_string_append(out, "\\n");
    else if (c == '\t')
        g_string_append(out, "\\t");
    else if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        g_string_append_printf(out, "\\x%02x", c);
    else if (is_deceptive(c))
        g_string_append_printf(out, "\\u%04x", c);
    else
        g_string_append_unichar(out, c);
}

char *
inv_text_escape(const char *text, InvTextKind kind)
{
    GString *out = g_string_new(NULL);
    const char *end = text ? text + strlen(text) : NULL;

    for (const char *p = text; p && p < end;) {
        gunichar c = g_utf8_get_char_validated(p, end - p);

        if (c == (gunichar)-1 || c == (gunichar)-2) {
            g_string_append_printf(out, "\\x%02x", (guint8)*p);
            p++;
        } else {
            append_escaped(out, c, kind);
            p = g_utf8_next_char(p);
        }
    }
    return g_string_free(out, FALSE);
}

static guint
width_of(const char *text, gsize bytes)
{
    guint width = 0;

    for (const char *p = text; p < text + bytes; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        if (!g_unichar_iszerowidth(c))
            width += g_unichar_iswide(c) ? 2 : 1;
    }
    return width;
}

guint
inv_text_width(const char *text)
{
    return width_of(text, strlen(text));
}

static void
wrap_line(GPtrArray *lines, const char *text, guint width)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    g_autoptr(GString) line = g_string_new(NULL);
    guint used = 0;

    for (char **word = words; *word; word++) {
        guint wide = inv_text_width(*word);

        if (!wide)
            continue;
        if (used && used + 1 + wide > width) {
            g_ptr_array_add(lines, g_strdup(line->str));
            g_string_truncate(line, 0);
            used = 0;
        }
        if (used) {
            g_string_append_c(line, ' ');
            used++;
        }
        g_string_append(line, *word);
        used += wide;
    }
    g_ptr_array_add(lines, g_strdup(line->str));
}

char **
inv_text_wrap(const char *text, guint width)
{
    g_auto(GStrv) parts = g_strsplit(text, "\n", -1);
    GPtrArray *lines = g_ptr_array_new();

    if (!parts[0])
        g_ptr_array_add(lines, g_strdup(""));
    for (char **part = parts; *part; part++)
        wrap_line(lines, *part, width);
    g_ptr_array_add(lines, NULL);
    return (char **)g_ptr_array_free(lines, FALSE);
}

guint
inv_text_terminal_width(void)
{
    struct winsize size = { 0 };

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col)
        return DEFAULT_WIDTH;
    return MAX(size.ws_col, NARROWEST);
}
