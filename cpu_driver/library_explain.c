/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/expand.h"
#include "cpu_driver/library.h"
#include "cpu_map/table_file.h"
#include "util/error.h"

#include <string.h>

/* The facts are plain pointers; what they point to is the maps' or held here. */
typedef struct {
    InvarCpuFeatureFacts facts;
    GStringChunk *strings;
    GPtrArray *aliases, *models, *layers; /* of borrowed strings, NULL at the end */
} Explained;

static void
explained_free(gpointer data)
{
    Explained *explained = data;

    g_ptr_array_unref(explained->aliases);
    g_ptr_array_unref(explained->models);
    g_ptr_array_unref(explained->layers);
    g_string_chunk_free(explained->strings);
    g_free(explained);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Explained, explained_free)

static void
add(Explained *explained, GPtrArray *list, const char *format, ...) G_GNUC_PRINTF(3, 4);

static void
add(Explained *explained, GPtrArray *list, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    for (guint i = 0; i < list->len; i++) {
        if (strcmp(g_ptr_array_index(list, i), text) == 0)
            return;
    }
    g_ptr_array_add(list, g_string_chunk_insert(explained->strings, text));
}

/* "qemu:sse3 linux:pni": who says it so, and how. */
static gboolean
read_aliases(char **columns, gpointer opaque, GError **error)
{
    Explained *explained = opaque;
    g_auto(GStrv) words = NULL;

    if (strcmp(columns[0], explained->facts.name) != 0)
        return TRUE;
    words = g_strsplit(columns[7], " ", -1);
    for (char **word = words; *word; word++) {
        const char *colon = strchr(*word, ':');
        const char *alias = colon ? colon + 1 : *word;

        if (*alias && strcmp(alias, explained->facts.name) != 0)
            add(explained, explained->aliases, "%s", alias);
    }
    return TRUE;
}

static gboolean
read_forced(char **columns, gpointer opaque, GError **error)
{
    Explained *explained = opaque;

    if (strcmp(columns[1], explained->facts.name) == 0)
        add(explained, explained->layers, "QEMU switches it %s in every model under %s", columns[2], strcmp(columns[0], "tcg") == 0 ? "TCG" : "KVM");
    return TRUE;
}

static gboolean
read_errata(char **columns, gpointer opaque, GError **error)
{
    Explained *explained = opaque;

    if (strcmp(columns[4], explained->facts.name) == 0)
        add(explained, explained->layers, "known to be broken on %s family %s, model %s, stepping %s: %s", columns[0], columns[1],
            strcmp(columns[2], "-") ? columns[2] : "any", strcmp(columns[3], "-") ? columns[3] : "any", columns[5]);
    return TRUE;
}

static gboolean
read_microcode(char **columns, gpointer opaque, GError **error)
{
    Explained *explained = opaque;

    if (strcmp(columns[0], explained->facts.name) == 0)
        add(explained, explained->layers, "microcode takes it from chips that had it (%s)", columns[1]);
    return TRUE;
}

static gboolean
read_tables(const InvarCpuContext *context, Explained *explained, GError **error)
{
    g_autofree char *folder = g_build_filename(context->folder, "x86", NULL);

    return inv_table_file_read(folder, "features.tsv", "name\tsource\tleaf_or_msr\tsubleaf\tregister\tmask\tmigratable\taliases", read_aliases, explained,
                               error) &&
           inv_table_file_read(folder, "forced.tsv", "accelerator\tfeature\tvalue\tmodels", read_forced, explained, error) &&
           inv_table_file_read(folder, "errata.tsv", "vendor\tfamily\tmodel_number\tsteppings\tfeature\twhy", read_errata, explained, error) &&
           inv_table_file_read(folder, "microcode.tsv", "feature\twhy", read_microcode, explained, error);
}

static void
tell_layers(Explained *explained, const InvCpuMapFeature *feature)
{
    GPtrArray *layers = explained->layers;

    if (feature->by_guest)
        add(explained, layers, "the guest's own system sets it: QEMU has no property for it, and nothing is lost without one");
    else if (!feature->passed)
        add(explained, layers, "no QEMU can give it to a guest");
    if (inv_cpu_map_follows_topology(feature->name))
        add(explained, layers, "it follows the guest's topology, whatever the model says");
    if (feature->is_msr && feature->mask)
        add(explained, layers, "it stands in an MSR: a guest has it only where the kernel's KVM offers that MSR");
    if (g_str_has_prefix(feature->name, "vmx-"))
        add(explained, layers, "it comes along with vmx where a model has it, unless it is disabled");
    if (!feature->mask)
        add(explained, layers, "it is a name without a bit: nothing that a processor says shows it");
}

/* vmx-* are in no model by themselves: those count that have it as soon as vmx is on. */
static void
find_models(const InvDictionary *dictionary, Explained *explained)
{
    gboolean nested = g_str_has_prefix(explained->facts.name, "vmx-");

    for (guint i = 0; i < inv_cpu_models_size(dictionary->models); i++) {
        const InvCpuModelEntry *entry = inv_cpu_models_at(dictionary->models, i);
        const InvFeatureSet *set = inv_cpu_decoder_model(dictionary->decoder, entry->name, nested);

        if (set && inv_feature_set_has(set, explained->facts.name))
            g_ptr_array_add(explained->models, (gpointer)entry->name);
    }
}

static const char *const *
seal(GPtrArray *list)
{
    g_ptr_array_add(list, NULL);
    return (const char *const *)list->pdata;
}

static Explained *
explain(const InvarCpuContext *context, const InvDictionary *dictionary, const InvCpuMapFeature *feature, GError **error)
{
    static const char *const registers[] = { "eax", "ebx", "ecx", "edx" };
    static const char *const none[] = { NULL };
    const InvCpuAboutEntry *about = inv_cpu_about_find(dictionary->about, feature->name);
    g_autoptr(Explained) explained = g_new0(Explained, 1);
    InvarCpuFeatureFacts *facts = &explained->facts;

    explained->strings = g_string_chunk_new(512);
    explained->aliases = g_ptr_array_new();
    explained->models = g_ptr_array_new();
    explained->layers = g_ptr_array_new();
    facts->name = feature->name;
    facts->qemu = feature->qemu;
    facts->source = !feature->mask ? NULL : feature->is_msr ? "MSR" : "CPUID";
    facts->leaf = feature->leaf;
    facts->subleaf = feature->subleaf;
    facts->reg = feature->mask && !feature->is_msr ? registers[feature->reg] : NULL;
    facts->mask = feature->mask;
    facts->migratable = feature->migratable;
    facts->passed = feature->passed;
    facts->about = about ? about->about : NULL;
    facts->cost = about ? about->cost : NULL;
    facts->needs = about ? about->needs : none;
    facts->needed_by = about ? about->needed_by : none;
    tell_layers(explained, feature);
    find_models(dictionary, explained);
    if (!read_tables(context, explained, error))
        return NULL;
    facts->aliases = seal(explained->aliases);
    facts->models = seal(explained->models);
    facts->layers = seal(explained->layers);
    return g_steal_pointer(&explained);
}

static const InvarCpuFeatureFacts *
explain_locked(InvarCpuContext *context, const InvDictionary *dictionary, const InvCpuMapFeature *feature, GError **error)
{
    Explained *explained;

    if (!context->explained)
        context->explained = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, explained_free);
    explained = g_hash_table_lookup(context->explained, feature->name);
    if (explained)
        return &explained->facts;
    explained = explain(context, dictionary, feature, error);
    if (!explained)
        return NULL;
    g_hash_table_insert(context->explained, (gpointer)feature->name, explained);
    return &explained->facts;
}

static const InvarCpuFeatureFacts *
find_facts(InvarCpuContext *context, const char *arch, const char *name, GError **error)
{
    const InvDictionary *dictionary = inv_library_dictionary(context, arch, error);
    const InvCpuMapFeature *feature = dictionary ? inv_cpu_map_find(dictionary->map, name) : NULL;
    g_autoptr(GMutexLocker) locker = NULL;

    if (!dictionary)
        return NULL;
    if (!dictionary->has_features) {
        inv_error_set(error, VIR_ERR_NO_SUPPORT, "explaining features is not supported by the %s CPU driver: only QEMU knows them", arch);
        return NULL;
    }
    if (!feature) {
        inv_cpu_refuse_feature(dictionary->map, name, error);
        return NULL;
    }
    locker = g_mutex_locker_new(&context->lock);
    return explain_locked(context, dictionary, feature, error);
}

InvarCpuStatus
invar_cpu_explain(InvarCpuContext *context, const char *arch, const char *feature, const InvarCpuFeatureFacts **facts, char **error)
{
    GError *fault = NULL;

    *facts = find_facts(context, arch ? arch : "x86_64", feature, &fault);
    return *facts ? INVAR_CPU_OK : inv_library_fail(fault, error);
}
