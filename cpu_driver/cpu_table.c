/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/cpu_table.h"

#include "util/error.h"

#include <stdlib.h>
#include <string.h>

/* The largest QEMU (ppc64) has 417 models, x86 some 450 properties: what is far beyond is no QEMU. */
#define MAX_MODELS 10000u
#define MAX_FEATURES 65536u
#define MAX_NAME 256u

#define TABLE_VERSION 1

struct InvCpuTable {
    gint references;
    char *arch;
    char *machine;
    InvFeatureNames *names; /* borrowed */
    GPtrArray *models;      /* of InvCpuModel, owned, in QEMU's order */
    GHashTable *by_name;    /* name → InvCpuModel, both borrowed from `models` */
};

void
inv_cpu_model_free(InvCpuModel *model)
{
    if (!model)
        return;
    g_free(model->name);
    g_free(model->type_name);
    g_free(model->alias_of);
    g_strfreev(model->unavailable);
    inv_cpu_expansion_free(model->expansion);
    g_free(model);
}

InvCpuTable *
inv_cpu_table_new(const char *arch, const char *machine, InvFeatureNames *names)
{
    InvCpuTable *table = g_new0(InvCpuTable, 1);

    table->references = 1;
    table->arch = g_strdup(arch);
    table->machine = g_strdup(machine);
    table->names = names;
    table->models = g_ptr_array_new_with_free_func((GDestroyNotify)inv_cpu_model_free);
    table->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    return table;
}

InvCpuTable *
inv_cpu_table_ref(InvCpuTable *table)
{
    g_atomic_int_inc(&table->references);
    return table;
}

void
inv_cpu_table_unref(InvCpuTable *table)
{
    if (!table || !g_atomic_int_dec_and_test(&table->references))
        return;
    g_hash_table_unref(table->by_name);
    g_ptr_array_unref(table->models);
    g_free(table->arch);
    g_free(table->machine);
    g_free(table);
}

static int
compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* libvirt's names of @list, sorted, each once. */
static char **
translate_list(const InvCpuMap *map, const InvJson *list)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) unique = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < inv_json_size(list); i++) {
        const char *name = inv_json_string(inv_json_at(list, i));

        if (name && *name)
            g_ptr_array_add(names, g_strdup(map ? inv_cpu_map_to_libvirt(map, name) : name));
    }
    g_ptr_array_sort(names, compare_strings);
    for (guint i = 0; i < names->len; i++) {
        if (i == 0 || strcmp(g_ptr_array_index(names, i - 1), g_ptr_array_index(names, i)) != 0)
            g_ptr_array_add(unique, g_strdup(g_ptr_array_index(names, i)));
    }
    g_ptr_array_add(unique, NULL);
    return (char **)g_ptr_array_steal(unique, NULL);
}

char **
inv_cpu_names_to_libvirt(const InvCpuMap *map, const InvJson *list)
{
    return translate_list(map, list);
}

void
inv_cpu_expansion_set_deprecated(InvCpuExpansion *expansion, const InvCpuMap *map, const InvJson *deprecated_props)
{
    g_strfreev(expansion->deprecated);
    expansion->deprecated = translate_list(map, deprecated_props);
}

gboolean
inv_cpu_table_add(InvCpuTable *table, InvCpuModel *model, GError **error)
{
    /* It may go onto a command line, where a comma ends it. */
    gsize length = model->name && !strchr(model->name, ',') ? strlen(model->name) : 0;
    g_autofree char *name = g_strdup(model->name);

    if (!length || length > MAX_NAME || table->models->len >= MAX_MODELS || g_hash_table_contains(table->by_name, model->name)) {
        guint count = table->models->len;

        inv_cpu_model_free(model);
        if (count >= MAX_MODELS)
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "a QEMU with more than %u CPU models is not believed", MAX_MODELS);
        if (!length || length > MAX_NAME)
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "CPU model %u has no usable name", count);
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "CPU model '%s' is listed twice", name);
    }
    g_ptr_array_add(table->models, model);
    g_hash_table_insert(table->by_name, model->name, model);
    return TRUE;
}

/* QEMU's words and those that we keep tell the same of a model, by two names for its @type and what is @unavailable of it. */
static InvCpuModel *
read_model(const InvJson *json, const char *type, const char *unavailable, const InvCpuMap *map)
{
    InvCpuModel *model = g_new0(InvCpuModel, 1);
    const InvJson *list = inv_json_get(json, unavailable);

    model->name = g_strdup(inv_json_get_string(json, "name"));
    model->type_name = g_strdup(inv_json_get_string(json, type));
    model->alias_of = g_strdup(inv_json_get_string(json, "alias-of"));
    model->is_static = inv_json_get_boolean(json, "static", FALSE);
    model->migration_safe = inv_json_get_boolean(json, "migration-safe", FALSE);
    model->deprecated = inv_json_get_boolean(json, "deprecated", FALSE);
    model->has_usable = list != NULL;
    if (list)
        model->unavailable = translate_list(map, list);
    return model;
}

gboolean
inv_cpu_table_set_definitions(InvCpuTable *table, const InvCpuMap *map, const InvJson *definitions, GError **error)
{
    g_hash_table_remove_all(table->by_name);
    g_ptr_array_set_size(table->models, 0);
    if (!definitions || inv_json_type(definitions) != INV_JSON_ARRAY)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the answer to query-cpu-definitions is not a list");

    for (guint i = 0; i < inv_json_size(definitions); i++) {
        InvCpuModel *model = read_model(inv_json_at(definitions, i), "typename", "unavailable-features", map);

        if (!inv_cpu_table_add(table, model, error))
            return FALSE;
    }
    return TRUE;
}

gboolean
inv_cpu_table_set_expansion(InvCpuTable *table, const char *model, InvCpuExpansion *expansion)
{
    InvCpuModel *found = g_hash_table_lookup(table->by_name, model);

    if (!found) {
        inv_cpu_expansion_free(expansion);
        return FALSE;
    }
    inv_cpu_expansion_free(found->expansion);
    found->expansion = expansion;
    return TRUE;
}

const char *
inv_cpu_table_arch(const InvCpuTable *table)
{
    return table->arch;
}

const char *
inv_cpu_table_machine(const InvCpuTable *table)
{
    return table->machine;
}

InvFeatureNames *
inv_cpu_table_names(const InvCpuTable *table)
{
    return table->names;
}

guint
inv_cpu_table_size(const InvCpuTable *table)
{
    return table->models->len;
}

const InvCpuModel *
inv_cpu_table_at(const InvCpuTable *table, guint index)
{
    return index < table->models->len ? g_ptr_array_index(table->models, index) : NULL;
}

const InvCpuModel *
inv_cpu_table_find(const InvCpuTable *table, const char *name)
{
    return g_hash_table_lookup(table->by_name, name);
}

const InvCpuModel *
inv_cpu_table_resolve_alias(const InvCpuTable *table, const InvCpuModel *model)
{
    const InvCpuModel *versioned = model && model->alias_of ? inv_cpu_table_find(table, model->alias_of) : NULL;

    return versioned ? versioned : model;
}

/*
 * In the cache a set is a text of hexadecimal digits, one bit per name of the table's list: QEMU's
 * answers repeat each of some 450 names for each of some 150 models, this form does not.
 */
static char *
encode_set(const InvFeatureSet *set, const char *const *names, guint n)
{
    char *text = g_malloc0(n / 4 + 2);

    for (guint i = 0; i < n; i += 4) {
        guint digit = 0;

        for (guint bit = 0; bit < 4 && i + bit < n; bit++)
            digit |= (guint)inv_feature_set_has(set, names[i + bit]) << bit;
        text[i / 4] = "0123456789abcdef"[digit];
    }
    return text;
}

static InvFeatureSet *
decode_set(const InvJson *json, const char *text, char *const *names, guint n, InvFeatureNames *table_names, GError **error)
{
    g_autoptr(InvFeatureSet) set = inv_feature_set_new(table_names);

    if (!text || strlen(text) != (n + 3) / 4) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "a set of CPU features has the wrong length");
        return NULL;
    }
    for (guint i = 0; i < n; i++) {
        int digit = g_ascii_xdigit_value(text[i / 4]);

        if (digit < 0) {
            inv_error_set(error, VIR_ERR_INVALID_ARG, "a set of CPU features has a digit that is none");
            return NULL;
        }
        if (digit >> i % 4 & 1)
            inv_feature_set_add(set, names[i]);
    }
    return g_steal_pointer(&set);
}

static const char **
all_names(const InvCpuTable *table)
{
    g_autoptr(InvFeatureSet) all = inv_feature_set_new(table->names);

    for (guint i = 0; i < table->models->len; i++) {
        const InvCpuModel *model = g_ptr_array_index(table->models, i);

        if (model->expansion) {
            inv_feature_set_unite(all, model->expansion->on);
            inv_feature_set_unite(all, model->expansion->known);
        }
    }
    return inv_feature_set_list(all);
}

static InvJson *
model_to_json(const InvCpuModel *model, const char *const *names, guint n)
{
    InvJson *json = inv_json_new_object();

    inv_json_object_set_string(json, "name", model->name);
    inv_json_object_set_string(json, "type", model->type_name);
    inv_json_object_set_string(json, "alias-of", model->alias_of);
    inv_json_object_set_boolean(json, "static", model->is_static);
    inv_json_object_set_boolean(json, "migration-safe", model->migration_safe);
    inv_json_object_set_boolean(json, "deprecated", model->deprecated);
    if (model->has_usable)
        inv_json_object_set_strv(json, "unavailable", (const char *const *)model->unavailable);
    if (model->expansion) {
        g_autofree char *on = encode_set(model->expansion->on, names, n);
        g_autofree char *known = encode_set(model->expansion->known, names, n);

        inv_json_object_set_string(json, "on", on);
        inv_json_object_set_string(json, "known", known);
        inv_json_object_set(json, "others", inv_json_copy(model->expansion->others));
        if (model->expansion->deprecated)
            inv_json_object_set_strv(json, "deprecated-props", (const char *const *)model->expansion->deprecated);
    }
    return json;
}

InvJson *
inv_cpu_table_to_json(const InvCpuTable *table)
{
    InvJson *json = inv_json_new_object();
    InvJson *models = inv_json_new_array();
    g_autofree const char **names = all_names(table);
    guint n = g_strv_length((char **)names);

    inv_json_object_set_int(json, "version", TABLE_VERSION);
    inv_json_object_set_string(json, "arch", table->arch);
    inv_json_object_set_string(json, "machine", table->machine);
    inv_json_object_set_strv(json, "features", names);
    for (guint i = 0; i < table->models->len; i++)
        inv_json_array_add(models, model_to_json(g_ptr_array_index(table->models, i), names, n));
    inv_json_object_set(json, "models", models);
    return json;
}

static InvCpuExpansion *
expansion_from_json(const InvJson *json, char *const *names, guint n, InvFeatureNames *table_names, GError **error)
{
    g_autoptr(InvCpuExpansion) expansion = g_new0(InvCpuExpansion, 1);
    const InvJson *others = inv_json_get(json, "others");

    expansion->on = decode_set(json, inv_json_get_string(json, "on"), names, n, table_names, error);
    if (!expansion->on)
        return NULL;
    expansion->known = decode_set(json, inv_json_get_string(json, "known"), names, n, table_names, error);
    if (!expansion->known)
        return NULL;
    expansion->others = others && inv_json_type(others) == INV_JSON_OBJECT ? inv_json_copy(others) : inv_json_new_object();
    if (inv_json_get(json, "deprecated-props"))
        inv_cpu_expansion_set_deprecated(expansion, NULL, inv_json_get(json, "deprecated-props"));
    return g_steal_pointer(&expansion);
}

static gboolean
model_from_json(InvCpuTable *table, const InvJson *json, char *const *names, guint n, GError **error)
{
    InvCpuModel *model = read_model(json, "type", "unavailable", NULL);

    if (!inv_cpu_table_add(table, model, error))
        return FALSE;
    if (!inv_json_get(json, "on"))
        return TRUE;
    model->expansion = expansion_from_json(json, names, n, table->names, error);
    if (!model->expansion) {
        g_prefix_error(error, "CPU model '%s': ", model->name);
        return FALSE;
    }
    return TRUE;
}

InvCpuTable *
inv_cpu_table_from_json(const InvJson *json, InvFeatureNames *names, GError **error)
{
    g_autoptr(InvCpuTable) table = NULL;
    g_auto(GStrv) features = inv_json_get_strv(json, "features");
    const InvJson *models = inv_json_get(json, "models");
    const char *arch = inv_json_get_string(json, "arch");
    const char *machine = inv_json_get_string(json, "machine");
    guint n = g_strv_length(features);

    if (inv_json_get_int(json, "version", -1) != TABLE_VERSION || !arch || !machine || n > MAX_FEATURES ||
        n != inv_json_size(inv_json_get(json, "features")) || !models || inv_json_type(models) != INV_JSON_ARRAY) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "this is not a table of CPU models in the form of this version");
        return NULL;
    }
    table = inv_cpu_table_new(arch, machine, names);
    for (guint i = 0; i < inv_json_size(models); i++) {
        if (!model_from_json(table, inv_json_at(models, i), features, n, error))
            return NULL;
    }
    return g_steal_pointer(&table);
}
