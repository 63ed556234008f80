/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_map/cpu_map.h"

#include "cpu_map/table_file.h"
#include "util/error.h"

#include <string.h>

typedef struct {
    char *model;
    char *vendor;
    guint family;
    guint model_number;
    guint stepping_first;
    guint stepping_last;
} Signature;

struct InvCpuMap {
    GPtrArray *features;    /* of InvCpuMapFeature, owned, in the file's order */
    GHashTable *by_libvirt; /* name → InvCpuMapFeature, both borrowed */
    GHashTable *by_qemu;    /* QEMU's spelling or an alias of it (owned) → InvCpuMapFeature, borrowed */
    GHashTable *signatures; /* model, borrowed → GPtrArray of Signature, owned */
    GStringChunk *strings;  /* owns every name in `features` */
};

static const char *const x86_arches[] = { "x86_64", "i686", NULL };

static const struct {
    const char *name;
    const char *id;
} vendors[] = {
    { "Intel", "GenuineIntel" },
    { "AMD", "AuthenticAMD" },
    { "Hygon", "HygonGenuine" },
    { "VIA", "CentaurHauls" },
    { "Zhaoxin", "  Shanghai  " },
};

static const char *const topology_names[] = { "ht", "cmp_legacy", "cmp-legacy", NULL };

static void
signature_free(gpointer data)
{
    Signature *signature = data;

    g_free(signature->model);
    g_free(signature->vendor);
    g_free(signature);
}

static gboolean
parse_number(const char *text, guint64 limit, guint64 *value, GError **error)
{
    gboolean hexadecimal = g_str_has_prefix(text, "0x");

    if (!g_ascii_string_to_unsigned(hexadecimal ? text + 2 : text, hexadecimal ? 16 : 10, 0, limit, value, NULL))
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "'%s' is not a number", text);
    return TRUE;
}

static gboolean
parse_register(const char *text, InvCpuRegister *reg, GError **error)
{
    static const char *const names[] = { "eax", "ebx", "ecx", "edx" };

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *reg = (InvCpuRegister)i;
            return TRUE;
        }
    }
    return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "'%s' is not a register", text);
}

static InvCpuMapFeature *
map_add(InvCpuMap *map, const char *name)
{
    InvCpuMapFeature *feature = g_new0(InvCpuMapFeature, 1);

    feature->name = g_string_chunk_insert_const(map->strings, name);
    feature->qemu = feature->name;
    feature->migratable = TRUE;
    feature->passed = TRUE;
    g_ptr_array_add(map->features, feature);
    g_hash_table_insert(map->by_libvirt, (gpointer)feature->name, feature);
    g_hash_table_insert(map->by_qemu, g_strdup(feature->name), feature);
    return feature;
}

static void
add_aliases(InvCpuMap *map, InvCpuMapFeature *feature, const char *aliases)
{
    g_auto(GStrv) list = g_strsplit(aliases, ",", -1);

    for (char **alias = list; *alias; alias++) {
        if (g_str_has_prefix(*alias, "qemu:"))
            g_hash_table_insert(map->by_qemu, g_strdup(*alias + strlen("qemu:")), feature);
    }
}

/* The two halves of an MSR come as two rows of one name. */
static gboolean
add_msr_half(InvCpuMapFeature *feature, char **columns, GError **error)
{
    guint64 mask;
    InvCpuRegister reg = INV_CPU_REGISTER_EAX;

    if (!parse_register(columns[4], &reg, error) || !parse_number(columns[5], G_MAXUINT32, &mask, error))
        return FALSE;
    feature->mask |= reg == INV_CPU_REGISTER_EDX ? mask << 32 : mask;
    return TRUE;
}

static gboolean
add_feature(char **columns, gpointer opaque, GError **error)
{
    InvCpuMap *map = opaque;
    InvCpuMapFeature *feature = g_hash_table_lookup(map->by_libvirt, columns[0]);
    guint64 leaf, subleaf = 0, mask;

    if (feature && feature->is_msr && strcmp(columns[1], "msr") == 0)
        return add_msr_half(feature, columns, error);
    if (feature)
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "feature '%s' is there twice", columns[0]);

    feature = map_add(map, columns[0]);
    feature->is_msr = strcmp(columns[1], "msr") == 0;
    feature->migratable = strcmp(columns[6], "yes") == 0;
    if (!parse_number(columns[2], G_MAXUINT32, &leaf, error))
        return FALSE;
    feature->leaf = (guint32)leaf;
    add_aliases(map, feature, columns[7]);
    if (feature->is_msr)
        return add_msr_half(feature, columns, error);
    if (!parse_number(columns[3], G_MAXUINT32, &subleaf, error) || !parse_register(columns[4], &feature->reg, error) ||
        !parse_number(columns[5], G_MAXUINT32, &mask, error))
        return FALSE;
    feature->subleaf = (guint32)subleaf;
    feature->mask = mask;
    return TRUE;
}

static gboolean
add_spelling(char **columns, gpointer opaque, GError **error)
{
    InvCpuMap *map = opaque;
    InvCpuMapFeature *feature = g_hash_table_lookup(map->by_libvirt, columns[0]);

    /* Paravirtual features have no CPUID bit of the processor's, and so no row among the features. */
    if (!feature)
        feature = map_add(map, columns[0]);
    feature->qemu = g_string_chunk_insert_const(map->strings, columns[1]);
    g_hash_table_insert(map->by_qemu, g_strdup(columns[1]), feature);
    return TRUE;
}

static gboolean
add_unpassed(char **columns, gpointer opaque, GError **error)
{
    InvCpuMap *map = opaque;
    InvCpuMapFeature *feature = g_hash_table_lookup(map->by_libvirt, columns[0]);

    if (!feature)
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "'%s' is not among the features", columns[0]);
    feature->passed = FALSE;
    feature->by_guest = strcmp(columns[1], "guest") == 0;
    return TRUE;
}

static gboolean
parse_steppings(const char *text, Signature *signature, GError **error)
{
    g_auto(GStrv) ends = NULL;
    guint64 first, last;

    signature->stepping_last = G_MAXUINT;
    if (strcmp(text, "-") == 0)
        return TRUE;
    ends = g_strsplit(text, "-", 2);
    if (!parse_number(ends[0], G_MAXUINT, &first, error) || !parse_number(ends[1] ? ends[1] : ends[0], G_MAXUINT, &last, error))
        return FALSE;
    signature->stepping_first = (guint)first;
    signature->stepping_last = (guint)last;
    return TRUE;
}

static gboolean
add_signature(char **columns, gpointer opaque, GError **error)
{
    InvCpuMap *map = opaque;
    g_auto(GStrv) ranges = g_strsplit(columns[4], ",", -1);
    guint64 family, number;

    if (!parse_number(columns[2], G_MAXUINT, &family, error) || !parse_number(columns[3], G_MAXUINT, &number, error))
        return FALSE;
    for (char **range = ranges; *range; range++) {
        Signature *signature = g_new0(Signature, 1);
        GPtrArray *list = g_hash_table_lookup(map->signatures, columns[0]);

        signature->model = g_strdup(columns[0]);
        signature->vendor = g_strdup(inv_cpu_vendor_to_id(columns[1]));
        signature->family = (guint)family;
        signature->model_number = (guint)number;
        if (!list) {
            list = g_ptr_array_new_with_free_func(signature_free);
            g_hash_table_insert(map->signatures, signature->model, list);
        }
        g_ptr_array_add(list, signature);
        if (!parse_steppings(*range, signature, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
load_x86(InvCpuMap *map, const char *folder, GError **error)
{
    g_autofree char *x86 = g_build_filename(folder, "x86", NULL);

    return inv_table_file_read(x86, "features.tsv", "name\tsource\tleaf_or_msr\tsubleaf\tregister\tmask\tmigratable\taliases",
                               add_feature, map, error) &&
           inv_table_file_read(x86, "spelling.tsv", "libvirt\tqemu", add_spelling, map, error) &&
           inv_table_file_read(x86, "unpassed.tsv", "name\twhy", add_unpassed, map, error) &&
           inv_table_file_read(x86, "signatures.tsv", "model\tvendor\tfamily\tmodel_number\tsteppings", add_signature, map, error);
}

InvCpuMap *
inv_cpu_map_load(const char *folder, const char *arch, GError **error)
{
    g_autoptr(InvCpuMap) map = g_new0(InvCpuMap, 1);

    map->features = g_ptr_array_new_with_free_func(g_free);
    map->by_libvirt = g_hash_table_new(g_str_hash, g_str_equal);
    map->by_qemu = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    map->signatures = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_ptr_array_unref);
    map->strings = g_string_chunk_new(4096);
    if (g_strv_contains(x86_arches, arch) && !load_x86(map, folder, error))
        return NULL;
    return g_steal_pointer(&map);
}

void
inv_cpu_map_free(InvCpuMap *map)
{
    if (!map)
        return;
    g_hash_table_unref(map->by_libvirt);
    g_hash_table_unref(map->by_qemu);
    g_hash_table_unref(map->signatures);
    g_ptr_array_unref(map->features);
    g_string_chunk_free(map->strings);
    g_free(map);
}

const char *
inv_cpu_map_default_folder(void)
{
    static char *folder;
    static gsize once;

    if (g_once_init_enter(&once)) {
        const char *data = g_getenv("INVAR_PKGDATADIR");

        folder = g_build_filename(data && *data ? data : INV_PKGDATADIR, "cpu_map", NULL);
        g_once_init_leave(&once, 1);
    }
    return folder;
}

const InvCpuMapFeature *
inv_cpu_map_find(const InvCpuMap *map, const char *name)
{
    const InvCpuMapFeature *feature = g_hash_table_lookup(map->by_libvirt, name);

    return feature ? feature : g_hash_table_lookup(map->by_qemu, name);
}

guint
inv_cpu_map_size(const InvCpuMap *map)
{
    return map->features->len;
}

const InvCpuMapFeature *
inv_cpu_map_at(const InvCpuMap *map, guint index)
{
    return index < map->features->len ? g_ptr_array_index(map->features, index) : NULL;
}

const char *
inv_cpu_map_to_libvirt(const InvCpuMap *map, const char *qemu)
{
    /* QEMU's spelling first: one side may use a name for what the other calls differently. */
    const InvCpuMapFeature *feature = g_hash_table_lookup(map->by_qemu, qemu);

    return feature ? feature->name : qemu;
}

const char *
inv_cpu_map_to_qemu(const InvCpuMap *map, const char *libvirt)
{
    const InvCpuMapFeature *feature = inv_cpu_map_find(map, libvirt);

    return feature ? feature->qemu : libvirt;
}

const char *
inv_cpu_vendor_to_id(const char *vendor)
{
    for (guint i = 0; i < G_N_ELEMENTS(vendors); i++) {
        if (strcmp(vendor, vendors[i].name) == 0)
            return vendors[i].id;
    }
    return vendor;
}

const char *
inv_cpu_vendor_from_id(const char *id)
{
    for (guint i = 0; i < G_N_ELEMENTS(vendors); i++) {
        if (strcmp(id, vendors[i].id) == 0)
            return vendors[i].name;
    }
    return id;
}

gboolean
inv_cpu_map_has_signature(const InvCpuMap *map, const char *model, const char *vendor, guint family, guint model_number,
                          guint stepping)
{
    const GPtrArray *list = g_hash_table_lookup(map->signatures, model);

    for (guint i = 0; list && i < list->len; i++) {
        const Signature *signature = g_ptr_array_index(list, i);

        if (strcmp(signature->vendor, inv_cpu_vendor_to_id(vendor)) == 0 && signature->family == family &&
            signature->model_number == model_number && stepping >= signature->stepping_first &&
            stepping <= signature->stepping_last)
            return TRUE;
    }
    return FALSE;
}

gboolean
inv_cpu_map_follows_topology(const char *name)
{
    return g_strv_contains(topology_names, name);
}
