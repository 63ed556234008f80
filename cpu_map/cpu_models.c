/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_map/cpu_models.h"

#include "cpu_map/table_file.h"
#include "util/error.h"

#include <string.h>

#define HEADER "name\taliases\tvendor\tfamily\tmodel_number\tstepping\tlevel\txlevel\tstatic\tdeprecated\tfeatures\twith_vmx"

typedef enum {
    COLUMN_NAME,
    COLUMN_ALIASES,
    COLUMN_VENDOR,
    COLUMN_FAMILY,
    COLUMN_MODEL_NUMBER,
    COLUMN_STEPPING,
    COLUMN_LEVEL,
    COLUMN_XLEVEL,
    COLUMN_STATIC,
    COLUMN_DEPRECATED,
    COLUMN_FEATURES,
    COLUMN_WITH_VMX,
} Column;

struct InvCpuModels {
    GPtrArray *entries;    /* of InvCpuModelEntry, owned, in the file's order */
    GHashTable *by_name;   /* name or alias → InvCpuModelEntry, both borrowed */
    GPtrArray *names;      /* every name and alias, borrowed */
    GStringChunk *strings; /* owns every text of the entries; a feature's name is there once for all models */
};

static const struct {
    const char *arch;
    const char *folder;
} folders[] = {
    { "x86_64", "x86" },
    { "i686", "x86" },
    { "s390x", "s390x" },
};

static void
entry_free(gpointer data)
{
    InvCpuModelEntry *entry = data;

    g_free((gpointer)entry->aliases);
    g_free((gpointer)entry->features);
    g_free((gpointer)entry->with_vmx);
    g_free(entry);
}

static const char *const *
split(InvCpuModels *models, const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    const char **list = g_new0(const char *, g_strv_length(words) + 1);
    guint n = 0;

    for (char **word = words; *word; word++) {
        if (**word)
            list[n++] = g_string_chunk_insert_const(models->strings, *word);
    }
    return list;
}

static gboolean
parse_number(const char *text, gint64 *value, GError **error)
{
    guint64 number;

    *value = -1;
    if (strcmp(text, "-") == 0)
        return TRUE;
    if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32, &number, NULL))
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "'%s' is not a number", text);
    *value = (gint64)number;
    return TRUE;
}

static gboolean
parse_boolean(const char *text, gboolean *value, GError **error)
{
    *value = strcmp(text, "yes") == 0;
    if (!*value && strcmp(text, "no") != 0)
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "'%s' is neither yes nor no", text);
    return TRUE;
}

/* "EPYC-Rome-v2" → "EPYC-Rome", 2. */
static void
split_version(InvCpuModels *models, InvCpuModelEntry *entry)
{
    const char *dash = g_strrstr(entry->name, "-v");
    guint64 version;

    entry->stem = entry->name;
    if (dash && g_ascii_string_to_unsigned(dash + 2, 10, 1, G_MAXUINT16, &version, NULL)) {
        g_autofree char *stem = g_strndup(entry->name, (gsize)(dash - entry->name));

        entry->stem = g_string_chunk_insert_const(models->strings, stem);
        entry->version = (guint)version;
    }
}

static gboolean
add_name(InvCpuModels *models, const char *name, InvCpuModelEntry *entry, GError **error)
{
    if (!*name)
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "the CPU model has no name");
    if (!g_hash_table_insert(models->by_name, (gpointer)name, entry))
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "CPU model '%s' is there twice", name);
    g_ptr_array_add(models->names, (gpointer)name);
    return TRUE;
}

static gboolean
add_entry(char **columns, gpointer opaque, GError **error)
{
    InvCpuModels *models = opaque;
    InvCpuModelEntry *entry = g_new0(InvCpuModelEntry, 1);

    g_ptr_array_add(models->entries, entry);
    entry->name = g_string_chunk_insert_const(models->strings, columns[COLUMN_NAME]);
    entry->aliases = split(models, columns[COLUMN_ALIASES]);
    entry->features = split(models, columns[COLUMN_FEATURES]);
    entry->with_vmx = split(models, columns[COLUMN_WITH_VMX]);
    if (strcmp(columns[COLUMN_VENDOR], "-") != 0)
        entry->vendor = g_string_chunk_insert_const(models->strings, columns[COLUMN_VENDOR]);
    split_version(models, entry);
    if (!add_name(models, entry->name, entry, error))
        return FALSE;
    for (const char *const *alias = entry->aliases; *alias; alias++) {
        if (!add_name(models, *alias, entry, error))
            return FALSE;
    }
    return parse_number(columns[COLUMN_FAMILY], &entry->family, error) &&
           parse_number(columns[COLUMN_MODEL_NUMBER], &entry->model_number, error) &&
           parse_number(columns[COLUMN_STEPPING], &entry->stepping, error) &&
           parse_number(columns[COLUMN_LEVEL], &entry->level, error) &&
           parse_number(columns[COLUMN_XLEVEL], &entry->xlevel, error) &&
           parse_boolean(columns[COLUMN_STATIC], &entry->is_static, error) &&
           parse_boolean(columns[COLUMN_DEPRECATED], &entry->deprecated, error);
}

InvCpuModels *
inv_cpu_models_load(const char *folder, const char *arch, GError **error)
{
    g_autoptr(InvCpuModels) models = g_new0(InvCpuModels, 1);

    models->entries = g_ptr_array_new_with_free_func(entry_free);
    models->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    models->names = g_ptr_array_new();
    models->strings = g_string_chunk_new(4096);
    for (guint i = 0; i < G_N_ELEMENTS(folders); i++) {
        if (strcmp(folders[i].arch, arch) == 0) {
            g_autofree char *path = g_build_filename(folder, folders[i].folder, NULL);

            if (!inv_table_file_read(path, "models.tsv", HEADER, add_entry, models, error))
                return NULL;
        }
    }
    return g_steal_pointer(&models);
}

void
inv_cpu_models_free(InvCpuModels *models)
{
    if (!models)
        return;
    g_hash_table_unref(models->by_name);
    g_ptr_array_unref(models->names);
    g_ptr_array_unref(models->entries);
    g_string_chunk_free(models->strings);
    g_free(models);
}

const InvCpuModelEntry *
inv_cpu_models_find(const InvCpuModels *models, const char *name)
{
    return g_hash_table_lookup(models->by_name, name);
}

guint
inv_cpu_models_size(const InvCpuModels *models)
{
    return models->entries->len;
}

const InvCpuModelEntry *
inv_cpu_models_at(const InvCpuModels *models, guint index)
{
    return index < models->entries->len ? g_ptr_array_index(models->entries, index) : NULL;
}

const char *const *
inv_cpu_models_names(const InvCpuModels *models)
{
    return (const char *const *)models->names->pdata;
}

guint
inv_cpu_models_names_size(const InvCpuModels *models)
{
    return models->names->len;
}
