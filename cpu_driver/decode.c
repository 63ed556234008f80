/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/decode.h"

#include "cpu_driver/expand.h"
#include "cpu_map/cpu_errata.h"
#include "cpu_map/table_file.h"
#include "util/error.h"

#include <string.h>

#define LEAF_EXTENDED 0x80000000u
#define LEAF1_EDX_SSE2 (1u << 26)
#define VENDOR_ID_LENGTH 12u

typedef struct {
    const InvCpuModelEntry *entry; /* borrowed from the models */
    InvFeatureSet *features;
    InvFeatureSet *nested;    /* the same and what comes along with vmx */
    InvFeatureSet *microcode; /* those of its features that microcode switches off */
    guint stem;               /* index of the first model of the same generation */
} ModelSets;

struct InvCpuDecoder {
    const InvCpuMap *map;       /* borrowed, as are the next two */
    const InvCpuModels *models;
    InvFeatureNames *names;
    GPtrArray *sets;            /* of ModelSets, owned, in the order of the models */
    GHashTable *sets_of;        /* InvCpuModelEntry → ModelSets, both borrowed */
    InvCpuErrata *errata;       /* owned; NULL: of a map without features */
    InvFeatureSet *microcode;   /* what an update takes away */
    InvFeatureSet *vmx_parts;   /* every vmx-* of the map */
};

static void
sets_free(gpointer data)
{
    ModelSets *sets = data;

    inv_feature_set_free(sets->features);
    inv_feature_set_free(sets->nested);
    inv_feature_set_free(sets->microcode);
    g_free(sets);
}

static gboolean
is_known(const InvCpuDecoder *decoder, const char *feature, GError **error)
{
    const InvCpuMapFeature *known = inv_cpu_map_find(decoder->map, feature);

    if (!known || strcmp(known->name, feature) != 0)
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "'%s' is not among the features", feature);
    return TRUE;
}

static gboolean
add_microcode(char **columns, gpointer opaque, GError **error)
{
    InvCpuDecoder *decoder = opaque;

    if (!is_known(decoder, columns[0], error))
        return FALSE;
    inv_feature_set_add(decoder->microcode, columns[0]);
    return TRUE;
}

static void
add_model(InvCpuDecoder *decoder, const InvCpuModelEntry *entry)
{
    ModelSets *sets = g_new0(ModelSets, 1);

    sets->entry = entry;
    sets->features = inv_feature_set_new(decoder->names);
    inv_feature_set_add_list(sets->features, entry->features);
    sets->nested = inv_feature_set_copy(sets->features);
    inv_feature_set_add_list(sets->nested, entry->with_vmx);
    sets->microcode = inv_feature_set_copy(sets->features);
    inv_feature_set_intersect(sets->microcode, decoder->microcode);
    sets->stem = decoder->sets->len;
    for (guint i = 0; i < decoder->sets->len && sets->stem == decoder->sets->len; i++) {
        const ModelSets *before = g_ptr_array_index(decoder->sets, i);

        if (strcmp(before->entry->stem, entry->stem) == 0)
            sets->stem = i;
    }
    g_ptr_array_add(decoder->sets, sets);
    g_hash_table_insert(decoder->sets_of, (gpointer)entry, sets);
}

InvCpuDecoder *
inv_cpu_decoder_new(const char *folder, const InvCpuMap *map, const InvCpuModels *models, InvFeatureNames *names, GError **error)
{
    g_autoptr(InvCpuDecoder) decoder = g_new0(InvCpuDecoder, 1);
    g_autofree char *x86 = g_build_filename(folder, "x86", NULL);

    decoder->map = map;
    decoder->models = models;
    decoder->names = names;
    decoder->sets = g_ptr_array_new_with_free_func(sets_free);
    decoder->sets_of = g_hash_table_new(NULL, NULL);
    decoder->microcode = inv_feature_set_new(names);
    decoder->vmx_parts = inv_feature_set_new(names);
    for (guint i = 0; i < inv_cpu_map_size(map); i++) {
        const char *name = inv_cpu_map_at(map, i)->name;

        if (g_str_has_prefix(name, "vmx-"))
            inv_feature_set_add(decoder->vmx_parts, name);
    }
    /* Both are of the map's features: a map without any is another architecture's. */
    if (inv_cpu_map_size(map) &&
        (!(decoder->errata = inv_cpu_errata_load(x86, map, error)) ||
         !inv_table_file_read(x86, "microcode.tsv", "feature\twhy", add_microcode, decoder, error)))
        return NULL;
    for (guint i = 0; i < inv_cpu_models_size(models); i++)
        add_model(decoder, inv_cpu_models_at(models, i));
    return g_steal_pointer(&decoder);
}

void
inv_cpu_decoder_free(InvCpuDecoder *decoder)
{
    if (!decoder)
        return;
    g_hash_table_unref(decoder->sets_of);
    g_ptr_array_unref(decoder->sets);
    inv_cpu_errata_free(decoder->errata);
    inv_feature_set_free(decoder->microcode);
    inv_feature_set_free(decoder->vmx_parts);
    g_free(decoder);
}

void
inv_cpu_seen_free(InvCpuSeen *seen)
{
    if (!seen)
        return;
    g_free(seen->vendor);
    inv_feature_set_free(seen->features);
    inv_feature_set_free(seen->broken);
    g_free(seen);
}

const InvCpuModels *
inv_cpu_decoder_models(const InvCpuDecoder *decoder)
{
    return decoder->models;
}

const InvCpuMap *
inv_cpu_decoder_map(const InvCpuDecoder *decoder)
{
    return decoder->map;
}

InvFeatureNames *
inv_cpu_decoder_names(const InvCpuDecoder *decoder)
{
    return decoder->names;
}

const InvFeatureSet *
inv_cpu_decoder_model(const InvCpuDecoder *decoder, const char *model, gboolean vmx)
{
    const InvCpuModelEntry *entry = inv_cpu_models_find(decoder->models, model);
    const ModelSets *sets = entry ? g_hash_table_lookup(decoder->sets_of, entry) : NULL;

    return !sets ? NULL : vmx ? sets->nested : sets->features;
}

InvFeatureSet *
inv_cpu_broken_features(const InvCpuDecoder *decoder, const char *vendor, guint family, guint model_number, guint stepping)
{
    const InvCpuSignature chip = { .vendor = vendor, .family = family, .model_number = model_number, .stepping = stepping };
    InvFeatureSet *broken = inv_feature_set_new(decoder->names);

    for (guint i = 0; i < inv_cpu_errata_size(decoder->errata); i++) {
        const InvCpuErratum *erratum = inv_cpu_errata_at(decoder->errata, i);

        if (inv_cpu_erratum_concerns(erratum, &chip))
            inv_feature_set_add(broken, erratum->feature);
    }
    return broken;
}

const char *
inv_cpu_broken_reason(const InvCpuDecoder *decoder, const InvCpuSeen *seen, const char *feature)
{
    const InvCpuSignature chip = { seen->vendor, seen->family, seen->model_number, seen->stepping };

    return inv_cpu_errata_find(decoder->errata, &chip, feature);
}

/* Does the processor say that it has this leaf? Intel answers a leaf beyond with the content of the last one. */
static gboolean
has_leaf(const InvCpuidData *data, guint32 leaf)
{
    const InvCpuidLeaf *first = inv_cpuid_data_leaf(data, leaf & 0xffff0000u, 0);

    return first && first->regs[INV_CPU_REGISTER_EAX] >= leaf;
}

/* Whoever has SSE2, so every 64-bit processor and those of some years before, has the extended leaves. */
static gboolean
lacks_extended(const InvCpuidData *data)
{
    return inv_cpuid_data_leaf(data, 1, 0)->regs[INV_CPU_REGISTER_EDX] & LEAF1_EDX_SSE2 && !inv_cpuid_data_leaf(data, LEAF_EXTENDED, 0);
}

/* Every leaf that features are in and that the processor has must be in the dump: else it would look poorer than it is. */
static gboolean
check_complete(const InvCpuDecoder *decoder, const InvCpuidData *data, GError **error)
{
    guint32 before = G_MAXUINT32;

    if (lacks_extended(data))
        return inv_error_set(error, VIR_ERR_INVALID_ARG,
                             "the CPUID dump is not complete: leaf 0x%08x is missing, and every processor with sse2 has it", LEAF_EXTENDED);
    for (guint i = 0; i < inv_cpu_map_size(decoder->map); i++) {
        const InvCpuMapFeature *feature = inv_cpu_map_at(decoder->map, i);
        guint32 leaf = feature->leaf;

        if (feature->is_msr || !feature->mask || leaf == before)
            continue;
        before = leaf;
        if (!has_leaf(data, leaf) || inv_cpuid_data_leaf(data, leaf, 0))
            continue;
        return inv_error_set(error, VIR_ERR_INVALID_ARG,
                             "the CPUID dump is not complete: leaf 0x%08x is missing, and the processor has leaves up to 0x%08x", leaf,
                             inv_cpuid_data_leaf(data, leaf & 0xffff0000u, 0)->regs[INV_CPU_REGISTER_EAX]);
    }
    return TRUE;
}

static gboolean
read_vendor(const InvCpuidLeaf *leaf, InvCpuSeen *seen, GError **error)
{
    static const InvCpuRegister order[] = { INV_CPU_REGISTER_EBX, INV_CPU_REGISTER_EDX, INV_CPU_REGISTER_ECX };
    char id[VENDOR_ID_LENGTH + 1] = "";

    for (guint i = 0; i < VENDOR_ID_LENGTH; i++) {
        id[i] = (char)(leaf->regs[order[i / 4]] >> 8 * (i % 4) & 0xff);
        if (!g_ascii_isprint(id[i]))
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "CPUID leaf 0 holds no vendor: byte %u is 0x%02x", i, (guchar)id[i]);
    }
    seen->vendor = g_strdup(id);
    return TRUE;
}

/* Intel SDM, CPUID leaf 1, EAX: the extended fields count only behind certain base families. */
static void
read_signature(guint32 eax, InvCpuSeen *seen)
{
    seen->family = eax >> 8 & 0xf;
    seen->model_number = eax >> 4 & 0xf;
    seen->stepping = eax & 0xf;
    if (seen->family == 0x6 || seen->family == 0xf)
        seen->model_number |= (eax >> 16 & 0xf) << 4;
    if (seen->family == 0xf)
        seen->family += eax >> 20 & 0xff;
}

gboolean
inv_cpu_seen_identify(const InvCpuidData *data, InvCpuSeen *seen, GError **error)
{
    const InvCpuidLeaf *first = inv_cpuid_data_leaf(data, 0, 0);
    const InvCpuidLeaf *second = inv_cpuid_data_leaf(data, 1, 0);

    if (!first || !second)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the CPUID dump has no leaf 0 or no leaf 1");
    read_signature(second->regs[INV_CPU_REGISTER_EAX], seen);
    return read_vendor(first, seen, error);
}

/* Bits of leaves that the processor does not have are no features of it. */
static void
drop_beyond(const InvCpuDecoder *decoder, const InvCpuidData *data, InvFeatureSet *features)
{
    guint32 before = G_MAXUINT32;
    gboolean there = FALSE;

    for (guint i = 0; i < inv_cpu_map_size(decoder->map); i++) {
        const InvCpuMapFeature *feature = inv_cpu_map_at(decoder->map, i);

        if (feature->is_msr || !feature->mask)
            continue;
        there = feature->leaf == before ? there : has_leaf(data, feature->leaf);
        before = feature->leaf;
        if (!there)
            inv_feature_set_remove(features, feature->name);
    }
}

/* In a guest the bits are what the hypervisor gives, under a signature that it chose. */
static void
leave_out_broken(const InvCpuDecoder *decoder, InvCpuSeen *seen)
{
    seen->broken = inv_feature_set_has(seen->features, "hypervisor")
                       ? inv_feature_set_new(decoder->names)
                       : inv_cpu_broken_features(decoder, seen->vendor, seen->family, seen->model_number, seen->stepping);
    inv_feature_set_intersect(seen->broken, seen->features);
    inv_feature_set_subtract(seen->features, seen->broken);
}

InvCpuSeen *
inv_cpu_seen_from_cpuid(const InvCpuDecoder *decoder, const InvCpuidData *data, GError **error)
{
    g_autoptr(InvCpuSeen) seen = g_new0(InvCpuSeen, 1);
    const InvCpuidLeaf *first = inv_cpuid_data_leaf(data, 0, 0);
    const InvCpuidLeaf *second = inv_cpuid_data_leaf(data, 1, 0);
    const InvCpuidLeaf *sizes = inv_cpuid_data_leaf(data, LEAF_EXTENDED + 8, 0);
    guint64 ignored;

    if (!first || !second) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the CPUID dump is not complete: leaf %u is missing", first ? 1u : 0u);
        return NULL;
    }
    if (!has_leaf(data, 1)) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the CPUID dump contradicts itself: leaf 0 says that there is no leaf 1, and there is one");
        return NULL;
    }
    if (!read_vendor(first, seen, error) || !check_complete(decoder, data, error))
        return NULL;
    read_signature(second->regs[INV_CPU_REGISTER_EAX], seen);
    seen->level = first->regs[INV_CPU_REGISTER_EAX];
    if (has_leaf(data, LEAF_EXTENDED))
        seen->xlevel = inv_cpuid_data_leaf(data, LEAF_EXTENDED, 0)->regs[INV_CPU_REGISTER_EAX];
    if (sizes && has_leaf(data, LEAF_EXTENDED + 8))
        seen->phys_bits = sizes->regs[INV_CPU_REGISTER_EAX] & 0xff;
    seen->features = inv_cpuid_data_features(data, decoder->map, decoder->names);
    drop_beyond(decoder, data, seen->features);
    leave_out_broken(decoder, seen);
    /* IA32_VMX_BASIC: who gives one of the VMX MSRs gives them all. */
    seen->vmx_known = inv_cpuid_data_msr(data, 0x480, &ignored);
    /* Single parts of a dump that is no machine's would be seen and never be described. */
    if (!seen->vmx_known)
        inv_feature_set_subtract(seen->features, decoder->vmx_parts);
    /* Without the MSR that tells what the processor is not vulnerable to there is nothing to know. */
    seen->msrs_known = inv_cpuid_data_msr(data, 0x10a, &ignored) || !inv_feature_set_has(seen->features, "arch-capabilities");
    return g_steal_pointer(&seen);
}

static gboolean
read_property(const InvJson *props, const char *name, guint *value, GError **error)
{
    guint64 number;

    if (!inv_json_uint(inv_json_get(props, name), &number) || number > G_MAXUINT16)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "QEMU's expansion has no usable '%s'; only expansions of x86 CPUs can be decoded", name);
    *value = (guint)number;
    return TRUE;
}

static void
read_booleans(const InvCpuDecoder *decoder, const InvJson *props, InvCpuSeen *seen)
{
    for (guint i = 0; i < inv_json_size(props); i++) {
        const InvJson *value = NULL;
        const char *name = inv_json_member(props, i, &value);
        const InvCpuMapFeature *feature = name ? inv_cpu_map_find(decoder->map, inv_cpu_map_to_libvirt(decoder->map, name)) : NULL;
        gboolean on;

        /* Where QEMU spells one feature twice, the spelling that it goes by tells. */
        if (!feature || !feature->mask || !inv_json_boolean(value, &on) ||
            (strcmp(feature->qemu, name) != 0 && inv_json_get(props, feature->qemu)))
            continue;
        if (g_str_has_prefix(feature->name, "vmx-"))
            seen->vmx_known = TRUE;
        if (on)
            inv_feature_set_add(seen->features, feature->name);
    }
}

InvCpuSeen *
inv_cpu_seen_from_expansion(const InvCpuDecoder *decoder, const InvJson *reply, GError **error)
{
    static const char *const path[] = { "return", "model", "props" };
    g_autoptr(InvCpuSeen) seen = g_new0(InvCpuSeen, 1);
    const InvJson *props = reply;
    const char *vendor;
    guint64 bits;

    for (guint i = 0; i < G_N_ELEMENTS(path); i++) {
        /* A CPU has a number of that name among its properties. */
        if (inv_json_type(props) == INV_JSON_OBJECT && inv_json_get(props, path[i]) &&
            inv_json_type(inv_json_get(props, path[i])) == INV_JSON_OBJECT)
            props = inv_json_get(props, path[i]);
    }
    if (inv_json_size(props) > INV_CPU_MAX_PROPERTIES) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the expansion has %u properties; no QEMU has more than %u", inv_json_size(props),
                      INV_CPU_MAX_PROPERTIES);
        return NULL;
    }
    vendor = inv_json_get_string(props, "vendor");
    if (!vendor || strlen(vendor) != VENDOR_ID_LENGTH) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "QEMU's expansion has no usable 'vendor'; only expansions of x86 CPUs can be decoded");
        return NULL;
    }
    seen->vendor = g_strdup(vendor);
    seen->features = inv_feature_set_new(decoder->names);
    if (!read_property(props, "family", &seen->family, error) || !read_property(props, "model", &seen->model_number, error) ||
        !read_property(props, "stepping", &seen->stepping, error))
        return NULL;
    if (inv_json_uint(inv_json_get(props, "phys-bits"), &bits) && bits <= G_MAXUINT8)
        seen->phys_bits = (guint)bits;
    if (inv_json_uint(inv_json_get(props, "level"), &bits) && bits <= G_MAXUINT32)
        seen->level = (guint)bits;
    if (inv_json_uint(inv_json_get(props, "xlevel"), &bits) && bits <= G_MAXUINT32)
        seen->xlevel = (guint)bits;
    read_booleans(decoder, props, seen);
    seen->msrs_known = TRUE;
    return g_steal_pointer(&seen);
}

typedef struct {
    const ModelSets *sets;
    const InvFeatureSet *base;
    guint lasting;  /* the fewest deltas of its generation that microcode does not explain */
    guint deltas;
    guint distance; /* of the signature */
} Candidate;

#define OTHER_FAMILY 0x10000u

/* 0: chips of this signature carry the model. */
static guint
signature_distance(const InvCpuDecoder *decoder, const InvCpuModelEntry *entry, const InvCpuSeen *seen)
{
    gboolean carries = entry->family == seen->family && entry->model_number == seen->model_number;

    carries = carries || inv_cpu_map_has_signature(decoder->map, entry->name, seen->vendor, seen->family, seen->model_number, seen->stepping);
    carries = carries || inv_cpu_map_has_signature(decoder->map, entry->stem, seen->vendor, seen->family, seen->model_number, seen->stepping);
    for (const char *const *alias = entry->aliases; *alias && !carries; alias++)
        carries = inv_cpu_map_has_signature(decoder->map, *alias, seen->vendor, seen->family, seen->model_number, seen->stepping);
    if (carries)
        return 0;
    return entry->family == seen->family ? 1 + (guint)ABS(entry->model_number - (gint64)seen->model_number) : OTHER_FAMILY;
}

static gboolean
is_better(const Candidate *a, const Candidate *b)
{
    if (!b->sets || a->lasting != b->lasting)
        return !b->sets || a->lasting < b->lasting;
    if (a->deltas != b->deltas)
        return a->deltas < b->deltas;
    if (a->sets->entry->deprecated != b->sets->entry->deprecated)
        return b->sets->entry->deprecated;
    if (a->distance != b->distance)
        return a->distance < b->distance;
    return a->sets->entry->version > b->sets->entry->version;
}

/* What of @seen is to be described: without the vmx-* when the source does not tell them. Owned by the caller. */
static InvFeatureSet *
describable(const InvCpuDecoder *decoder, const InvCpuSeen *seen)
{
    InvFeatureSet *set = inv_feature_set_copy(seen->features);

    if (!seen->vmx_known)
        inv_feature_set_subtract(set, decoder->vmx_parts);
    return set;
}

/* @least: the fewest deltas, whatever else speaks for a model. */
static Candidate
choose(const InvCpuDecoder *decoder, const InvCpuSeen *seen, const InvFeatureSet *target, guint *least)
{
    gboolean nested = seen->vmx_known && inv_feature_set_has(target, "vmx");
    g_autoptr(InvFeatureSet) microcode = inv_feature_set_copy(target);
    g_autoptr(InvFeatureSet) parts = inv_feature_set_copy(decoder->vmx_parts);
    g_autofree Candidate *all = g_new0(Candidate, decoder->sets->len);
    g_autofree guint *lasting = g_new(guint, decoder->sets->len);
    Candidate best = { 0 };

    *least = G_MAXUINT;
    inv_feature_set_intersect(microcode, decoder->microcode);
    inv_feature_set_intersect(parts, target);
    nested = nested && !inv_feature_set_is_empty(parts);
    memset(lasting, 0xff, decoder->sets->len * sizeof(*lasting));
    for (guint i = 0; i < decoder->sets->len; i++) {
        const ModelSets *sets = g_ptr_array_index(decoder->sets, i);

        if (g_strcmp0(sets->entry->vendor, seen->vendor) != 0)
            continue;
        all[i].sets = sets;
        all[i].base = nested ? sets->nested : sets->features;
        /* One more where no vmx-* is required: see inv_cpu_tell_vmx_parts(). */
        all[i].deltas = inv_feature_set_distance(all[i].base, target) + (nested && inv_feature_set_is_subset(parts, all[i].base));
        all[i].distance = signature_distance(decoder, sets->entry, seen);
        *least = MIN(*least, all[i].deltas);
        /* Which of microcode's bits a version has says nothing of its generation. */
        lasting[sets->stem] = MIN(lasting[sets->stem], all[i].deltas - inv_feature_set_distance(sets->microcode, microcode));
    }
    for (guint i = 0; i < decoder->sets->len; i++) {
        if (!all[i].sets)
            continue;
        all[i].lasting = lasting[all[i].sets->stem];
        if (is_better(&all[i], &best))
            best = all[i];
    }
    return best;
}

static void
set_policies(InvCpu *cpu, const InvFeatureSet *set, InvCpuPolicy policy)
{
    g_autofree const char **list = inv_feature_set_list(set);

    for (guint i = 0; list[i]; i++)
        inv_cpu_set_feature(cpu, list[i], policy);
}

InvCpu *
inv_cpu_describe_seen(const InvCpuDecoder *decoder, const InvCpuSeen *seen, GError **error)
{
    g_autoptr(InvFeatureSet) target = describable(decoder, seen);
    g_autoptr(InvFeatureSet) more = NULL;
    g_autoptr(InvFeatureSet) less = NULL;
    g_autoptr(InvCpu) cpu = NULL;
    guint least;
    Candidate best = choose(decoder, seen, target, &least);

    if (!best.sets) {
        inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "no CPU model of vendor '%s' is known; take mode='host-passthrough', or name the features alone",
                      seen->vendor);
        return NULL;
    }
    more = inv_feature_set_difference(target, best.base);
    less = inv_feature_set_difference(best.base, target);
    cpu = inv_cpu_new();
    cpu->mode = INV_CPU_MODE_CUSTOM;
    cpu->match = INV_CPU_MATCH_EXACT;
    cpu->model = g_strdup(best.sets->entry->name);
    cpu->vendor = g_strdup(inv_cpu_vendor_from_id(seen->vendor));
    set_policies(cpu, more, INV_CPU_POLICY_REQUIRE);
    set_policies(cpu, less, INV_CPU_POLICY_DISABLE);
    if (inv_feature_set_has(target, "vmx"))
        inv_cpu_tell_vmx_parts(cpu, target, decoder->vmx_parts);
    return g_steal_pointer(&cpu);
}

guint
inv_cpu_count_deltas(const InvCpu *cpu)
{
    return cpu->features->len;
}

guint
inv_cpu_least_deltas(const InvCpuDecoder *decoder, const InvCpuSeen *seen)
{
    g_autoptr(InvFeatureSet) target = describable(decoder, seen);
    guint least;

    choose(decoder, seen, target, &least);
    return least;
}
