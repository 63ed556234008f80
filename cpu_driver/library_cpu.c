/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/expand.h"
#include "cpu_driver/library.h"
#include "util/error.h"

#include <string.h>

InvarCpu *
inv_library_cpu_new(InvarCpuContext *context, const InvDictionary *dictionary, InvarCpuFormat format, const char *arch)
{
    InvarCpu *cpu = g_new0(InvarCpu, 1);

    cpu->context = inv_library_context_ref(context);
    cpu->dictionary = dictionary;
    cpu->format = format;
    cpu->arch = g_strdup(arch);
    cpu->family = cpu->model_number = cpu->stepping = -1;
    cpu->notes = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(cpu->notes, NULL);
    if (!dictionary->has_features)
        cpu->names = inv_feature_names_new();
    return cpu;
}

void
invar_cpu_unref(InvarCpu *cpu)
{
    if (!cpu)
        return;
    g_free(cpu->expanded);
    inv_cpu_description_free(cpu->description);
    g_ptr_array_unref(cpu->notes);
    g_free(cpu->model);
    inv_feature_set_free(cpu->features);
    inv_feature_names_free(cpu->names);
    inv_cpu_seen_free(cpu->seen);
    inv_cpu_free(cpu->document);
    g_free(cpu->arch);
    invar_cpu_context_free(cpu->context);
    g_free(cpu);
}

void
inv_library_cpu_note(InvarCpu *cpu, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_insert(cpu->notes, (gint)cpu->notes->len - 1, g_strdup_vprintf(format, args));
    va_end(args);
}

static InvFeatureNames *
names_of(const InvarCpu *cpu)
{
    return cpu->names ? cpu->names : cpu->dictionary->names;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp((*(InvCpuFeature *const *)a)->name, (*(InvCpuFeature *const *)b)->name);
}

/* One spelling for each feature, so that the same one by two names is seen to be there twice. */
static gboolean
spell_features(const InvarCpu *cpu, GError **error)
{
    GPtrArray *features = cpu->document->features;

    for (guint i = 0; i < features->len && cpu->dictionary->has_features; i++) {
        InvCpuFeature *feature = g_ptr_array_index(features, i);
        const InvCpuMapFeature *known = inv_cpu_map_find(cpu->dictionary->map, feature->name);

        if (!known)
            return inv_cpu_refuse_feature(cpu->dictionary->map, feature->name, error);
        if (strcmp(known->name, feature->name) == 0)
            continue;
        g_free(feature->name);
        feature->name = g_strdup(known->name);
    }
    g_ptr_array_sort(features, by_name);
    for (guint i = 1; i < features->len; i++) {
        const char *name = ((InvCpuFeature *)g_ptr_array_index(features, i))->name;

        if (strcmp(((InvCpuFeature *)g_ptr_array_index(features, i - 1))->name, name) == 0)
            return inv_error_set(error, VIR_ERR_XML_ERROR, "CPU feature '%s' is given twice, by different spellings; name it once", name);
    }
    return TRUE;
}

/* The architecture of which it is a model after all, or NULL. */
static const char *
other_arch(const InvarCpu *cpu, const char *model)
{
    static const char *const with_models[] = { "x86_64", "s390x" };

    for (guint i = 0; i < G_N_ELEMENTS(with_models); i++) {
        const InvDictionary *other = inv_library_dictionary(cpu->context, with_models[i], NULL);

        if (other && other != cpu->dictionary && inv_cpu_models_find(other->models, model))
            return with_models[i];
    }
    return NULL;
}

static gboolean
unknown_model(const InvarCpu *cpu, const char *model, GError **error)
{
    const char *other = other_arch(cpu, model);

    if (other)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "CPU model '%s' is of %s, and the CPU is taken for one of %s; say which architecture it is: <arch>%s</arch>", model,
                             other, cpu->arch, other);
    return inv_cpu_refuse_model(cpu->dictionary->models, model, error);
}

/* "Intel" and "GenuineIntel" are two names of one; one that stands for itself is none. */
static gboolean
check_vendor(const char *vendor, GError **error)
{
    const char *id = inv_cpu_vendor_to_id(vendor);

    if (strcmp(id, vendor) != 0 || strcmp(inv_cpu_vendor_from_id(vendor), vendor) != 0)
        return TRUE;
    return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "CPU vendor '%.64s' is not known; known are Intel, AMD, Hygon, VIA and Zhaoxin", vendor);
}

static void
take_entry(InvarCpu *cpu, const InvCpuModelEntry *entry)
{
    cpu->model = g_strdup(entry->name);
    /* QEMU's inventions (qemu64, kvm32) are no vendor's chips, whatever id their CPUID shows. */
    cpu->vendor_id = inv_cpu_is_generic_model(entry->name) ? NULL : entry->vendor;
    /* A capabilities document is of a chip: it has its own signature and leaves, not the model's. */
    if (cpu->format == INVAR_CPU_FORMAT_CAPABILITIES)
        return;
    cpu->family = entry->family;
    cpu->model_number = entry->model_number;
    cpu->stepping = entry->stepping;
    cpu->level = (guint)MAX(entry->level, 0);
    cpu->xlevel = (guint)MAX(entry->xlevel, 0);
}

/* Of architectures without a dictionary of features. */
static InvFeatureSet *
plain_features(const InvarCpu *cpu, const InvCpuModelEntry *entry)
{
    InvFeatureSet *set = inv_feature_set_new(cpu->names);

    if (entry)
        inv_feature_set_add_list(set, entry->features);
    for (guint i = 0; i < cpu->document->features->len; i++) {
        const InvCpuFeature *feature = g_ptr_array_index(cpu->document->features, i);

        switch (feature->policy) {
        case INV_CPU_POLICY_UNSET:
        case INV_CPU_POLICY_FORCE:
        case INV_CPU_POLICY_REQUIRE:
            inv_feature_set_add(set, feature->name);
            break;
        case INV_CPU_POLICY_DISABLE:
        case INV_CPU_POLICY_FORBID:
            inv_feature_set_remove(set, feature->name);
            break;
        case INV_CPU_POLICY_OPTIONAL:
            break;
        }
    }
    return set;
}

static gboolean
take_model(InvarCpu *cpu, GError **error)
{
    const InvCpu *document = cpu->document;
    const InvCpuModelEntry *entry = document->model ? inv_cpu_models_find(cpu->dictionary->models, document->model) : NULL;
    gboolean custom = document->mode == INV_CPU_MODE_UNSET || document->mode == INV_CPU_MODE_CUSTOM;
    gboolean whole = cpu->format == INVAR_CPU_FORMAT_QMP; /* QEMU itself named every feature */

    if (custom && !document->model)
        return inv_error_set(error, VIR_ERR_XML_ERROR,
                             "the <cpu> has no <model>: its CPU is the machine type's default, which only QEMU knows; name a model");
    cpu->follows_host = !whole && (!custom || g_strcmp0(document->model, "host") == 0 || g_strcmp0(document->model, "max") == 0);
    if (document->vendor && !check_vendor(document->vendor, error))
        return FALSE;
    if (entry)
        take_entry(cpu, entry);
    else if (document->model && !cpu->follows_host && !whole && inv_cpu_models_size(cpu->dictionary->models))
        return unknown_model(cpu, document->model, error);
    else if (!cpu->follows_host && document->model)
        cpu->model = g_strdup(document->model);
    if (document->vendor)
        cpu->vendor_id = inv_cpu_vendor_to_id(document->vendor);
    cpu->phys_bits = document->maxphysaddr_bits;
    if (cpu->follows_host)
        inv_library_cpu_note(cpu, "it follows its host (%s): what it has is the host's to say, and only the features that it names are listed",
                             custom ? document->model : inv_cpu_mode_to_string(document->mode));
    else if (!entry && !whole)
        inv_library_cpu_note(cpu, "of models of %s only QEMU knows the features: only those that are named are listed", cpu->arch);
    if (cpu->dictionary->has_features)
        cpu->features = inv_cpu_expand(cpu->dictionary->decoder, document, error);
    else
        cpu->features = plain_features(cpu, entry);
    return cpu->features != NULL;
}

InvarCpu *
inv_library_cpu_of_document(InvarCpuContext *context, InvarCpuFormat format, const char *arch, InvCpu *document, GError **error)
{
    g_autoptr(InvCpu) mine = document;
    const InvDictionary *dictionary = inv_library_dictionary(context, arch, error);
    g_autoptr(InvarCpu) cpu = NULL;

    if (!dictionary)
        return NULL;
    cpu = inv_library_cpu_new(context, dictionary, format, arch);
    cpu->document = g_steal_pointer(&mine);
    g_free(cpu->document->arch);
    cpu->document->arch = g_strdup(cpu->arch);
    if (!spell_features(cpu, error) || !take_model(cpu, error))
        return NULL;
    return g_steal_pointer(&cpu);
}

InvarCpu *
inv_library_cpu_of_seen(InvarCpuContext *context, InvarCpuFormat format, const char *arch, InvCpuSeen *seen, GError **error)
{
    g_autoptr(InvCpuSeen) mine = seen;
    const InvDictionary *dictionary = inv_library_dictionary(context, arch, error);
    g_autoptr(InvarCpu) cpu = NULL;

    if (!dictionary)
        return NULL;
    cpu = inv_library_cpu_new(context, dictionary, format, arch);
    cpu->seen = g_steal_pointer(&mine);
    cpu->document = inv_cpu_describe_seen(dictionary->decoder, seen, error);
    if (!cpu->document)
        return NULL;
    g_ptr_array_sort(cpu->document->features, by_name);
    cpu->model = g_strdup(cpu->document->model);
    cpu->vendor_id = seen->vendor;
    cpu->features = inv_feature_set_copy(seen->features);
    cpu->family = seen->family;
    cpu->model_number = seen->model_number;
    cpu->stepping = seen->stepping;
    cpu->phys_bits = seen->phys_bits;
    cpu->level = seen->level;
    cpu->xlevel = seen->xlevel;
    return g_steal_pointer(&cpu);
}

InvarCpu *
inv_library_cpu_of_words(InvarCpuContext *context, const InvDictionary *dictionary, const char *arch, InvCpuSeen *seen)
{
    InvarCpu *cpu = inv_library_cpu_new(context, dictionary, INVAR_CPU_FORMAT_CPUDATA, arch);
    g_autofree const char **list = inv_feature_set_list(seen->features);

    cpu->seen = seen;
    cpu->document = inv_cpu_new();
    for (guint i = 0; list[i]; i++)
        inv_cpu_set_feature(cpu->document, list[i], INV_CPU_POLICY_REQUIRE);
    cpu->features = inv_feature_set_copy(seen->features);
    return cpu;
}

const InvCpuDescription *
inv_library_description(const InvarCpu *cpu, GError **error)
{
    InvarCpu *mine = (InvarCpu *)cpu;
    const InvCpuBasis *basis = cpu->dictionary->basis;

    if (!basis)
        inv_error_set(error, VIR_ERR_NO_SUPPORT, "comparing CPUs of %s is not supported without QEMU, which alone knows their features", cpu->arch);
    else if (cpu->follows_host)
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the <cpu> follows its host and describes none itself; give the host's description, or a model");
    else if (!mine->description)
        mine->description = cpu->seen ? inv_cpu_describe_machine(basis, cpu->seen, error) : inv_cpu_describe(basis, cpu->document, NULL, error);
    return basis && !cpu->follows_host ? cpu->description : NULL;
}

InvarCpuFormat
invar_cpu_format(const InvarCpu *cpu)
{
    return cpu->format;
}

const char *
invar_cpu_arch(const InvarCpu *cpu)
{
    return cpu->arch;
}

const char *
invar_cpu_model(const InvarCpu *cpu)
{
    return cpu->model;
}

const char *
invar_cpu_vendor(const InvarCpu *cpu)
{
    return cpu->vendor_id ? inv_cpu_vendor_from_id(cpu->vendor_id) : NULL;
}

const char *
invar_cpu_vendor_id(const InvarCpu *cpu)
{
    return cpu->vendor_id;
}

int
invar_cpu_signature(const InvarCpu *cpu, unsigned *family, unsigned *model, unsigned *stepping)
{
    if (cpu->family < 0 || cpu->model_number < 0)
        return -1;
    *family = (unsigned)cpu->family;
    *model = (unsigned)cpu->model_number;
    *stepping = (unsigned)MAX(cpu->stepping, 0);
    return 0;
}

unsigned
invar_cpu_phys_bits(const InvarCpu *cpu)
{
    return cpu->phys_bits;
}

unsigned
invar_cpu_level(const InvarCpu *cpu)
{
    return cpu->level;
}

unsigned
invar_cpu_xlevel(const InvarCpu *cpu)
{
    return cpu->xlevel;
}

const char *
invar_cpu_delta(const InvarCpu *cpu, size_t index, const char **policy)
{
    const InvCpuFeature *feature;
    const char *word;

    if (index >= cpu->document->features->len)
        return NULL;
    feature = g_ptr_array_index(cpu->document->features, index);
    word = inv_cpu_policy_to_string(feature->policy);
    if (policy)
        *policy = word ? word : "require";
    return feature->name;
}

const char *const *
invar_cpu_expanded(const InvarCpu *cpu)
{
    InvarCpu *mine = (InvarCpu *)cpu;

    if (!mine->expanded)
        mine->expanded = inv_feature_set_list(cpu->features);
    return cpu->expanded;
}

int
invar_cpu_has(const InvarCpu *cpu, const char *feature)
{
    const InvCpuMapFeature *known = inv_cpu_map_find(cpu->dictionary->map, feature);

    return inv_feature_set_has(cpu->features, known ? known->name : feature);
}

const char *const *
invar_cpu_notes(const InvarCpu *cpu)
{
    return (const char *const *)cpu->notes->pdata;
}

/* The model as the document's own reader takes it: what comes along with vmx where it has any vmx-*. NULL: no model is known. */
static const InvFeatureSet *
model_of(const InvarCpu *cpu)
{
    const InvDictionary *dictionary = cpu->dictionary;
    gboolean nested;

    if (!cpu->model || !dictionary->decoder)
        return NULL;
    /* vmx without any vmx-*: nobody told which. */
    nested = inv_feature_set_has(cpu->features, "vmx") && inv_feature_set_meets(cpu->features, inv_cpu_basis_vmx_parts(dictionary->basis));
    return inv_cpu_decoder_model(dictionary->decoder, cpu->model, nested);
}

/* All that it has as require, and what the model has and it has not as disable. */
static void
name_all(const InvarCpu *cpu, InvCpu *document)
{
    const char *const *list = invar_cpu_expanded(cpu);
    const InvFeatureSet *base = model_of(cpu);
    g_autoptr(InvFeatureSet) less = base ? inv_feature_set_difference(base, cpu->features) : inv_feature_set_new(names_of(cpu));
    g_autofree const char **lacking = inv_feature_set_list(less);

    for (guint i = 0; list[i]; i++) {
        if (!inv_cpu_find_feature(document, list[i]))
            inv_cpu_set_feature(document, list[i], INV_CPU_POLICY_REQUIRE);
    }
    for (guint i = 0; lacking[i]; i++) {
        if (!inv_cpu_find_feature(document, lacking[i]))
            inv_cpu_set_feature(document, lacking[i], INV_CPU_POLICY_DISABLE);
    }
    g_ptr_array_sort(document->features, by_name);
}

char *
invar_cpu_to_xml(const InvarCpu *cpu, int expand)
{
    g_autoptr(InvCpu) document = inv_cpu_new();

    document->mode = cpu->follows_host && cpu->document->mode != INV_CPU_MODE_UNSET ? cpu->document->mode : INV_CPU_MODE_CUSTOM;
    document->match = document->mode != INV_CPU_MODE_CUSTOM ? INV_CPU_MATCH_UNSET
                      : cpu->document->match                ? cpu->document->match
                                                            : INV_CPU_MATCH_EXACT;
    document->model = g_strdup(document->mode != INV_CPU_MODE_CUSTOM ? NULL : cpu->model ? cpu->model : cpu->document->model);
    if (document->model && cpu->document->vendor)
        document->vendor = g_strdup(inv_cpu_vendor_from_id(cpu->document->vendor));
    for (guint i = 0; i < cpu->document->features->len; i++) {
        const InvCpuFeature *feature = g_ptr_array_index(cpu->document->features, i);

        inv_cpu_set_feature(document, feature->name, feature->policy ? feature->policy : INV_CPU_POLICY_REQUIRE);
    }
    if (expand)
        name_all(cpu, document);
    return inv_cpu_format(document);
}
