/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/line_diff.h"

#include <string.h>

/* Cells of the table of common lengths: 4096² of 16 bits are 32 MiB. */
#define MOST_CELLS (4096u * 4096u)

typedef struct {
    char kind; /* ' ', '-' or '+' */
    const char *line;
} Edit;

static char **
split_lines(const char *text, guint *count)
{
    char **lines = g_strsplit(text, "\n", -1);
    guint length = g_strv_length(lines);

    /* The newline at the end ends a line; it does not begin an empty one. */
    if (length && !*lines[length - 1])
        g_clear_pointer(&lines[--length], g_free);
    *count = length;
    return lines;
}

static void
add_edits(GArray *edits, char kind, char **lines, guint count)
{
    for (guint i = 0; i < count; i++) {
        Edit edit = { .kind = kind, .line = lines[i] };

        g_array_append_val(edits, edit);
    }
}

/* Longest common subsequence of the two middles, by its table of lengths. */
static void
diff_middle(GArray *edits, char **a, guint n, char **b, guint m)
{
    g_autofree guint16 *table = NULL;
    guint i = 0, j = 0;
    guint stride = m + 1;

    if (!n || !m || (guint64)(n + 1) * stride > MOST_CELLS || MIN(n, m) > G_MAXUINT16) {
        add_edits(edits, '-', a, n);
        add_edits(edits, '+', b, m);
        return;
    }
    table = g_new0(guint16, (gsize)(n + 1) * stride);
    for (guint r = n; r-- > 0;) {
        for (guint c = m; c-- > 0;) {
            guint16 *cell = &table[(gsize)r * stride + c];

            *cell = !strcmp(a[r], b[c]) ? cell[stride + 1] + 1 : MAX(cell[stride], cell[1]);
        }
    }
    while (i < n && j < m) {
        const guint16 *cell = &table[(gsize)i * stride + j];

        if (!strcmp(a[i], b[j])) {
            add_edits(edits, ' ', &a[i++], 1);
            j++;
        } else if (cell[stride] >= cell[1]) {
            add_edits(edits, '-', &a[i++], 1);
        } else {
            add_edits(edits, '+', &b[j++], 1);
        }
    }
    add_edits(edits, '-', a + i, n - i);
    add_edits(edits, '+', b + j, m - j);
}

static GArray *
diff_lines(char **a, guint n, char **b, guint m)
{
    GArray *edits = g_array_new(FALSE, FALSE, sizeof(Edit));
    guint head = 0, tail = 0;

    while (head < n && head < m && !strcmp(a[head], b[head]))
        head++;
    while (tail < n - head && tail < m - head && !strcmp(a[n - 1 - tail], b[m - 1 - tail]))
        tail++;
    add_edits(edits, ' ', a, head);
    diff_middle(edits, a + head, n - head - tail, b + head, m - head - tail);
    add_edits(edits, ' ', a + n - tail, tail);
    return edits;
}

static void
append_range(GString *out, char sign, guint start, guint count)
{
    /* An empty range names the line before it. */
    g_string_append_printf(out, "%c%u", sign, count ? start + 1 : start);
    if (count != 1)
        g_string_append_printf(out, ",%u", count);
}

static void
append_hunk(GString *out, const GArray *edits, guint first, guint end, guint old_line, guint new_line)
{
    guint olds = 0, news = 0;

    for (guint i = first; i < end; i++) {
        char kind = g_array_index(edits, Edit, i).kind;

        olds += kind != '+';
        news += kind != '-';
    }
    g_string_append(out, "@@ ");
    append_range(out, '-', old_line, olds);
    g_string_append_c(out, ' ');
    append_range(out, '+', new_line, news);
    g_string_append(out, " @@\n");
    for (guint i = first; i < end; i++)
        g_string_append_printf(out, "%c%s\n", g_array_index(edits, Edit, i).kind, g_array_index(edits, Edit, i).line);
}

/* The index behind the hunk whose first change is at @change: changes nearer than twice the context share one. */
static guint
end_of_hunk(const GArray *edits, guint change, guint context)
{
    guint last = change;

    for (guint i = change; i < edits->len && i - last <= 2 * context + 1; i++) {
        if (g_array_index(edits, Edit, i).kind != ' ')
            last = i;
    }
    return MIN(last + context + 1, edits->len);
}

char *
inv_line_diff(const char *old_text, const char *new_text, const char *old_name, const char *new_name, guint context)
{
    guint n, m;
    g_auto(GStrv) a = split_lines(old_text, &n);
    g_auto(GStrv) b = split_lines(new_text, &m);
    g_autoptr(GArray) edits = diff_lines(a, n, b, m);
    GString *out = g_string_new(NULL);
    guint old_line = 0, new_line = 0, done = 0;

    for (guint i = 0; i < edits->len; i++) {
        guint first, end;

        if (g_array_index(edits, Edit, i).kind == ' ')
            continue;
        if (!out->len)
            g_string_append_printf(out, "--- %s\n+++ %s\n", old_name, new_name);
        first = i - done > context ? i - context : done;
        end = end_of_hunk(edits, i, context);
        /* Between hunks all lines are equal: both sides advance alike. */
        old_line += first - done;
        new_line += first - done;
        append_hunk(out, edits, first, end, old_line, new_line);
        for (guint k = first; k < end; k++) {
            old_line += g_array_index(edits, Edit, k).kind != '+';
            new_line += g_array_index(edits, Edit, k).kind != '-';
        }
        done = end;
        i = end - 1;
    }
    return g_string_free(out, FALSE);
}
