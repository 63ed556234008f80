/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/library.h"

#include "util/error.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <string.h>

/* libvirt's names of architectures, by the dictionary that serves them. */
static const char *const x86[] = { "x86_64", "i686", NULL };
static const char *const s390[] = { "s390x", "s390", NULL };
static const char *const arm[] = { "aarch64", "armv7l", "armv6l", NULL };
static const char *const ppc[] = { "ppc64", "ppc64le", "ppc", NULL };
static const char *const riscv[] = { "riscv64", "riscv32", NULL };
static const char *const *const families[] = { x86, s390, arm, ppc, riscv };

void
invar_cpu_free(void *memory)
{
    g_free(memory);
}

const char *
invar_cpu_library_version(void)
{
    return PACKAGE_VERSION;
}

static void
dictionary_free(gpointer data)
{
    InvDictionary *dictionary = data;

    inv_cpu_basis_free(dictionary->basis);
    inv_cpu_decoder_free(dictionary->decoder);
    inv_cpu_about_free(dictionary->about);
    inv_cpu_models_free(dictionary->models);
    inv_cpu_map_free(dictionary->map);
    inv_feature_names_free(dictionary->names);
    g_free(dictionary);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvDictionary, dictionary_free)

static InvDictionary *
load(const char *folder, const char *const *arches, GError **error)
{
    g_autoptr(InvDictionary) dictionary = g_new0(InvDictionary, 1);

    dictionary->arches = arches;
    dictionary->names = inv_feature_names_new();
    dictionary->map = inv_cpu_map_load(folder, arches[0], error);
    dictionary->models = dictionary->map ? inv_cpu_models_load(folder, arches[0], error) : NULL;
    dictionary->about = dictionary->models ? inv_cpu_about_load(folder, arches[0], error) : NULL;
    if (!dictionary->about)
        return NULL;
    dictionary->has_features = inv_cpu_map_size(dictionary->map) > 0;
    if (!dictionary->has_features)
        return g_steal_pointer(&dictionary);
    dictionary->decoder = inv_cpu_decoder_new(folder, dictionary->map, dictionary->models, dictionary->names, error);
    if (!dictionary->decoder)
        return NULL;
    dictionary->basis = inv_cpu_basis_of_map(dictionary->decoder, arches[0]);
    return g_steal_pointer(&dictionary);
}

static const InvDictionary *
dictionary_locked(InvarCpuContext *context, const char *const *arches, GError **error)
{
    InvDictionary *loaded;

    for (guint i = 0; i < context->dictionaries->len; i++) {
        const InvDictionary *dictionary = g_ptr_array_index(context->dictionaries, i);

        if (dictionary->arches == arches)
            return dictionary;
    }
    loaded = load(context->folder, arches, error);
    if (loaded)
        g_ptr_array_add(context->dictionaries, loaded);
    return loaded;
}

static const char *const *
find_family(const char *arch, GError **error)
{
    g_autoptr(GString) known = g_string_new(NULL);

    for (guint i = 0; i < G_N_ELEMENTS(families); i++) {
        for (const char *const *name = families[i]; *name; name++) {
            if (strcmp(*name, arch) == 0)
                return families[i];
            g_string_append_printf(known, "%s%s", known->len ? ", " : "", *name);
        }
    }
    inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the architecture '%.64s' is not known; known are %s", arch, known->str);
    return NULL;
}

const InvDictionary *
inv_library_dictionary(InvarCpuContext *context, const char *arch, GError **error)
{
    const char *const *arches = find_family(arch, error);
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&context->lock);

    return arches ? dictionary_locked(context, arches, error) : NULL;
}

InvarCpuStatus
invar_cpu_context_new(const char *folder, InvarCpuContext **context, char **error)
{
    g_autofree char *chosen = g_strdup(folder ? folder : inv_cpu_map_default_folder());
    GError *fault = NULL;
    InvDictionary *dictionary = load(chosen, x86, &fault);

    *context = NULL;
    if (!dictionary)
        return inv_library_fail(fault, error);
    *context = g_new0(InvarCpuContext, 1);
    (*context)->references = 1;
    (*context)->folder = g_steal_pointer(&chosen);
    g_mutex_init(&(*context)->lock);
    (*context)->dictionaries = g_ptr_array_new_with_free_func(dictionary_free);
    g_ptr_array_add((*context)->dictionaries, dictionary);
    return INVAR_CPU_OK;
}

InvarCpuContext *
inv_library_context_ref(InvarCpuContext *context)
{
    g_atomic_int_inc(&context->references);
    return context;
}

void
invar_cpu_context_free(InvarCpuContext *context)
{
    if (!context || !g_atomic_int_dec_and_test(&context->references))
        return;
    g_clear_pointer(&context->explained, g_hash_table_unref);
    g_ptr_array_unref(context->dictionaries);
    g_mutex_clear(&context->lock);
    g_free(context->folder);
    g_free(context);
}

static InvarCpuStatus
status_of(virErrorNumber code)
{
    /* libvirt's enum, of which few are ever set below. */
    if (code == VIR_ERR_CONFIG_UNSUPPORTED)
        return INVAR_CPU_ERROR_UNKNOWN;
    if (code == VIR_ERR_NO_SUPPORT || code == VIR_ERR_OPERATION_UNSUPPORTED || code == VIR_ERR_ARGUMENT_UNSUPPORTED)
        return INVAR_CPU_ERROR_UNSUPPORTED;
    if (code == VIR_ERR_OPERATION_FAILED || code == VIR_ERR_OPERATION_INVALID)
        return INVAR_CPU_ERROR_NO_ANSWER;
    if (code == VIR_ERR_SYSTEM_ERROR || code == VIR_ERR_CONF_SYNTAX)
        return INVAR_CPU_ERROR_DATA;
    return INVAR_CPU_ERROR_INPUT;
}

InvarCpuStatus
inv_library_fail(GError *error, char **text)
{
    InvarCpuStatus status = status_of(inv_error_code(error));

    if (text)
        *text = g_strdup(error->message);
    g_error_free(error);
    return status;
}
