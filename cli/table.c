/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/table.h"
#include "cli/text.h"

#include <stdarg.h>

/* Below this the wrapped column would be a ribbon: the line is left long instead. */
#define NARROWEST_COLUMN 20
#define GAP 3

struct InvTable {
    guint n_columns;
    GPtrArray *rows; /* of char **, n_columns cells each; the first row holds the titles */
};

static void
add_row(InvTable *table, const char *const *cells)
{
    char **row = g_new0(char *, table->n_columns + 1);
    gboolean ended = FALSE;

    for (guint i = 0; i < table->n_columns; i++) {
        ended = ended || !cells[i];
        row[i] = inv_text_escape(ended ? "" : cells[i], INV_TEXT_LINE);
    }
    g_ptr_array_add(table->rows, row);
}

InvTable *
inv_table_new(const char *title, ...)
{
    g_autoptr(GPtrArray) titles = g_ptr_array_new();
    InvTable *table = g_new0(InvTable, 1);
    va_list list;

    va_start(list, title);
    for (const char *next = title; next; next = va_arg(list, const char *))
        g_ptr_array_add(titles, (gpointer)next);
    va_end(list);
    table->n_columns = titles->len;
    table->rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    add_row(table, (const char *const *)titles->pdata);
    return table;
}

void
inv_table_free(InvTable *table)
{
    if (!table)
        return;
    g_ptr_array_unref(table->rows);
    g_free(table);
}

void
inv_table_add(InvTable *table, const char *cell, ...)
{
    g_autofree const char **cells = g_new0(const char *, table->n_columns + 1);
    const char *next = cell;
    va_list list;

    va_start(list, cell);
    for (guint i = 0; i < table->n_columns && next; i++) {
        cells[i] = next;
        next = va_arg(list, const char *);
    }
    va_end(list);
    add_row(table, cells);
}

void
inv_table_add_row(InvTable *table, const char *const *cells)
{
    add_row(table, cells);
}

guint
inv_table_rows(const InvTable *table)
{
    return table->rows->len - 1;
}

static void
pad(GString *out, char c, guint count)
{
    for (guint i = 0; i < count; i++)
        g_string_append_c(out, c);
}

/* The last cell, wrapped into the room that @width leaves right of @left. */
static void
append_last(GString *out, const char *cell, guint left, guint width)
{
    g_auto(GStrv) lines = NULL;

    if (!width || width < left + NARROWEST_COLUMN || inv_text_width(cell) + left <= width) {
        g_string_append(out, cell);
        g_string_append_c(out, '\n');
        return;
    }
    lines = inv_text_wrap(cell, width - left);
    for (char **line = lines; *line; line++) {
        if (line != lines)
            pad(out, ' ', left);
        g_string_append(out, *line);
        g_string_append_c(out, '\n');
    }
}

static void
append_row(GString *out, const InvTable *table, char *const *row, const guint *widths, guint width)
{
    guint left = 1;

    g_string_append_c(out, ' ');
    for (guint i = 0; i + 1 < table->n_columns; i++) {
        g_string_append(out, row[i]);
        pad(out, ' ', widths[i] + GAP - inv_text_width(row[i]));
        left += widths[i] + GAP;
    }
    append_last(out, row[table->n_columns - 1], left, width);
}

char *
inv_table_format(const InvTable *table, gboolean header, guint width)
{
    g_autofree guint *widths = g_new0(guint, table->n_columns + 1);
    GString *out = g_string_new(NULL);
    guint dashes = 0;

    for (guint r = header ? 0 : 1; r < table->rows->len; r++) {
        char *const *row = g_ptr_array_index(table->rows, r);

        for (guint i = 0; i < table->n_columns; i++)
            widths[i] = MAX(widths[i], inv_text_width(row[i]));
    }
    for (guint i = 0; i < table->n_columns; i++)
        dashes += widths[i] + GAP;
    for (guint r = header ? 0 : 1; r < table->rows->len; r++) {
        append_row(out, table, g_ptr_array_index(table->rows, r), widths, width);
        if (r == 0) {
            pad(out, '-', width ? MIN(dashes, width) : dashes);
            g_string_append_c(out, '\n');
        }
    }
    return g_string_free(out, FALSE);
}
