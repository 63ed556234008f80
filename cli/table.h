/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * A table laid out as virsh lays its own out, so that scripts which cut columns find them where
 * they were: a space before each cell, two behind, the last cell not padded, and under the header a
 * line of dashes as long as the widest row with its padding.
 */
typedef struct InvTable InvTable;

/* The titles of the columns, NULL-terminated. */
InvTable *inv_table_new(const char *title, ...) G_GNUC_NULL_TERMINATED;
void inv_table_free(InvTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvTable, inv_table_free)

/* One cell for each column, NULL-terminated, copied and escaped; a missing one is empty. */
void inv_table_add(InvTable *table, const char *cell, ...) G_GNUC_NULL_TERMINATED;

/* The same from an array of as many cells as there are columns. */
void inv_table_add_row(InvTable *table, const char *const *cells);

guint inv_table_rows(const InvTable *table);

/*
 * The whole text. Without @header, columns are as narrow as the cells alone allow, as with virsh -q.
 * @width: the last column is wrapped to this many columns in total, 0 for never.
 */
char *inv_table_format(const InvTable *table, gboolean header, guint width);

G_END_DECLS
