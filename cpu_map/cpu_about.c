/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_map/cpu_about.h"

#include "cpu_map/table_file.h"
#include "util/error.h"

#include <string.h>

#define HEADER "name\tabout\tcost\tneeds"

enum { COLUMN_NAME, COLUMN_ABOUT, COLUMN_COST, COLUMN_NEEDS };

/* The entry comes first: the lists are where it points to, once all rows are read. */
typedef struct {
    InvCpuAboutEntry entry;
    GPtrArray *needs;     /* of names, borrowed from the strings; NULL at the end once loaded, as is the next */
    GPtrArray *needed_by;
} Row;

struct InvCpuAbout {
    GPtrArray *rows;       /* of Row, owned, in the file's order */
    GHashTable *by_name;   /* name, borrowed from the strings → Row, borrowed */
    GStringChunk *strings; /* owns every text */
};

static const char *const x86_arches[] = { "x86_64", "i686", NULL };

static void
row_free(gpointer data)
{
    Row *row = data;

    g_ptr_array_unref(row->needs);
    g_ptr_array_unref(row->needed_by);
    g_free(row);
}

static gboolean
add_row(char **columns, gpointer opaque, GError **error)
{
    InvCpuAbout *about = opaque;
    Row *row = g_new0(Row, 1);
    g_auto(GStrv) needs = g_strsplit(columns[COLUMN_NEEDS], ",", -1);

    row->needs = g_ptr_array_new();
    row->needed_by = g_ptr_array_new();
    g_ptr_array_add(about->rows, row);
    row->entry.name = g_string_chunk_insert_const(about->strings, columns[COLUMN_NAME]);
    row->entry.about = g_string_chunk_insert_const(about->strings, columns[COLUMN_ABOUT]);
    row->entry.cost = g_string_chunk_insert_const(about->strings, columns[COLUMN_COST]);
    if (!*row->entry.name || !*row->entry.about || !*row->entry.cost || !*columns[COLUMN_NEEDS])
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "feature '%s' lacks a text", row->entry.name);
    if (!g_hash_table_insert(about->by_name, (gpointer)row->entry.name, row))
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "feature '%s' is there twice", row->entry.name);
    for (char **name = needs; *name && strcmp(columns[COLUMN_NEEDS], "-") != 0; name++)
        g_ptr_array_add(row->needs, g_string_chunk_insert_const(about->strings, *name));
    return TRUE;
}

/* Who is needed by whom: the other direction of what the rows say. */
static gboolean
turn_around(InvCpuAbout *about, GError **error)
{
    for (guint i = 0; i < about->rows->len; i++) {
        Row *row = g_ptr_array_index(about->rows, i);

        for (guint k = 0; k < row->needs->len; k++) {
            const char *name = g_ptr_array_index(row->needs, k);
            Row *needed = g_hash_table_lookup(about->by_name, name);

            if (!needed)
                return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "feature '%s' needs '%s', which has no row", row->entry.name, name);
            g_ptr_array_add(needed->needed_by, (gpointer)row->entry.name);
        }
    }
    for (guint i = 0; i < about->rows->len; i++) {
        Row *row = g_ptr_array_index(about->rows, i);

        g_ptr_array_add(row->needs, NULL);
        g_ptr_array_add(row->needed_by, NULL);
        row->entry.needs = (const char *const *)row->needs->pdata;
        row->entry.needed_by = (const char *const *)row->needed_by->pdata;
    }
    return TRUE;
}

static gboolean
load_x86(InvCpuAbout *about, const char *folder, GError **error)
{
    g_autofree char *x86 = g_build_filename(folder, "x86", NULL);

    if (!inv_table_file_read(x86, "about.tsv", HEADER, add_row, about, error))
        return FALSE;
    if (!turn_around(about, error)) {
        g_prefix_error(error, "%s/about.tsv: ", x86);
        return FALSE;
    }
    return TRUE;
}

InvCpuAbout *
inv_cpu_about_load(const char *folder, const char *arch, GError **error)
{
    g_autoptr(InvCpuAbout) about = g_new0(InvCpuAbout, 1);

    about->rows = g_ptr_array_new_with_free_func(row_free);
    about->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    about->strings = g_string_chunk_new(16384);
    if (g_strv_contains(x86_arches, arch) && !load_x86(about, folder, error))
        return NULL;
    return g_steal_pointer(&about);
}

void
inv_cpu_about_free(InvCpuAbout *about)
{
    if (!about)
        return;
    g_hash_table_unref(about->by_name);
    g_ptr_array_unref(about->rows);
    g_string_chunk_free(about->strings);
    g_free(about);
}

const InvCpuAboutEntry *
inv_cpu_about_find(const InvCpuAbout *about, const char *name)
{
    return g_hash_table_lookup(about->by_name, name);
}

guint
inv_cpu_about_size(const InvCpuAbout *about)
{
    return about->rows->len;
}

const InvCpuAboutEntry *
inv_cpu_about_at(const InvCpuAbout *about, guint index)
{
    return index < about->rows->len ? g_ptr_array_index(about->rows, index) : NULL;
}
