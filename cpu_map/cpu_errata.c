/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_map/cpu_errata.h"

#include "cpu_map/table_file.h"
#include "util/error.h"

#include <string.h>

#define ERRATA_HEADER "vendor\tfamily\tmodel_number\tsteppings\tfeature\twhy"

struct InvCpuErrata {
    GPtrArray *list; /* of InvCpuErratum, owned, in the file's order */
};

typedef struct {
    InvCpuErrata *errata;
    const InvCpuMap *map;
} Loading;

static void
erratum_free(gpointer data)
{
    InvCpuErratum *erratum = data;

    g_free(erratum->vendor);
    g_free(erratum->feature);
    g_free(erratum->why);
    g_free(erratum);
}

static gboolean
parse_number(const char *text, guint *value, GError **error)
{
    guint64 number;

    if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32, &number, NULL))
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "'%s' is not a number", text);
    *value = (guint)number;
    return TRUE;
}

/* "3", "0-3", or "-" for any. */
static gboolean
parse_range(const char *text, guint *first, guint *last, GError **error)
{
    g_auto(GStrv) ends = g_strsplit(text, "-", 2);

    *first = 0;
    *last = G_MAXUINT;
    if (strcmp(text, "-") == 0)
        return TRUE;
    return parse_number(ends[0], first, error) && parse_number(ends[1] ? ends[1] : ends[0], last, error);
}

static gboolean
add_erratum(char **columns, gpointer opaque, GError **error)
{
    const Loading *loading = opaque;
    const InvCpuMapFeature *known = inv_cpu_map_find(loading->map, columns[4]);
    InvCpuErratum *erratum = g_new0(InvCpuErratum, 1);

    g_ptr_array_add(loading->errata->list, erratum);
    erratum->vendor = g_strdup(inv_cpu_vendor_to_id(columns[0]));
    erratum->feature = g_strdup(columns[4]);
    erratum->why = g_strdup(columns[5]);
    if (!known || strcmp(known->name, columns[4]) != 0)
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "'%s' is not among the features", columns[4]);
    return parse_number(columns[1], &erratum->family, error) &&
           parse_range(columns[2], &erratum->model_first, &erratum->model_last, error) &&
           parse_range(columns[3], &erratum->stepping_first, &erratum->stepping_last, error);
}

InvCpuErrata *
inv_cpu_errata_load(const char *folder, const InvCpuMap *map, GError **error)
{
    g_autoptr(InvCpuErrata) errata = g_new0(InvCpuErrata, 1);
    Loading loading = { errata, map };

    errata->list = g_ptr_array_new_with_free_func(erratum_free);
    return inv_table_file_read(folder, "errata.tsv", ERRATA_HEADER, add_erratum, &loading, error) ? g_steal_pointer(&errata) : NULL;
}

void
inv_cpu_errata_free(InvCpuErrata *errata)
{
    if (!errata)
        return;
    g_ptr_array_unref(errata->list);
    g_free(errata);
}

guint
inv_cpu_errata_size(const InvCpuErrata *errata)
{
    return errata ? errata->list->len : 0;
}

const InvCpuErratum *
inv_cpu_errata_at(const InvCpuErrata *errata, guint index)
{
    return index < errata->list->len ? g_ptr_array_index(errata->list, index) : NULL;
}

gboolean
inv_cpu_erratum_concerns(const InvCpuErratum *erratum, const InvCpuSignature *chip)
{
    return strcmp(erratum->vendor, inv_cpu_vendor_to_id(chip->vendor)) == 0 && erratum->family == chip->family &&
           chip->model_number >= erratum->model_first && chip->model_number <= erratum->model_last &&
           chip->stepping >= erratum->stepping_first && chip->stepping <= erratum->stepping_last;
}

const char *
inv_cpu_errata_find(const InvCpuErrata *errata, const InvCpuSignature *chip, const char *feature)
{
    for (guint i = 0; i < inv_cpu_errata_size(errata); i++) {
        const InvCpuErratum *erratum = g_ptr_array_index(errata->list, i);

        if (strcmp(erratum->feature, feature) == 0 && inv_cpu_erratum_concerns(erratum, chip))
            return erratum->why;
    }
    return NULL;
}
