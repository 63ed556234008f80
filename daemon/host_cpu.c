/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host_cpu.h"

#include "qemu/kvm.h"

#include <string.h>

void
inv_host_cpu_description_free(InvHostCpuDescription *description)
{
    if (!description)
        return;
    g_free(description->model);
    g_strfreev(description->features);
    g_free(description);
}

gboolean
inv_cpu_model_is_generic(const char *name)
{
    return g_str_equal(name, "host") || g_str_equal(name, "max") || g_str_equal(name, "base");
}

/* "EPYC-v1": clients older than QEMU's versions do not know such names. */
static gboolean
is_versioned(const char *name)
{
    const char *version = strrchr(name, '-');

    return version && version[1] == 'v' && version[2] && !version[2 + strspn(version + 2, "0123456789")];
}

const char *
inv_cpu_model_client_name(const InvCpuTable *table, const char *model)
{
    if (!is_versioned(model))
        return model;
    for (guint i = 0; i < inv_cpu_table_size(table); i++) {
        const InvCpuModel *other = inv_cpu_table_at(table, i);

        if (g_strcmp0(other->alias_of, model) == 0 && !is_versioned(other->name))
            return other->name;
    }
    return model;
}

static gboolean
takes_away(const InvCpu *cpu)
{
    for (guint i = 0; i < cpu->features->len; i++) {
        if (((const InvCpuFeature *)g_ptr_array_index(cpu->features, i))->policy == INV_CPU_POLICY_DISABLE)
            return TRUE;
    }
    return FALSE;
}

static gboolean
is_newer(const InvCpuModelEntry *entry, const InvCpuModelEntry *than)
{
    return entry->deprecated != than->deprecated ? than->deprecated : entry->version > than->version;
}

/* Of the models of its vendor all of whose features it has the one that leaves the least to add; NULL: none. */
static const InvCpuModelEntry *
largest_within(const InvCpuDecoder *decoder, const InvCpuSeen *seen)
{
    const InvCpuModels *models = inv_cpu_decoder_models(decoder);
    const InvCpuModelEntry *best = NULL;
    guint most = 0;

    for (guint i = 0; i < inv_cpu_models_size(models); i++) {
        const InvCpuModelEntry *entry = inv_cpu_models_at(models, i);
        const InvFeatureSet *features = inv_cpu_decoder_model(decoder, entry->name, FALSE);
        guint count;

        if (g_strcmp0(entry->vendor, seen->vendor) != 0 || !features || !inv_feature_set_is_subset(features, seen->features))
            continue;
        count = inv_feature_set_count(features);
        if (!best || count > most || (count == most && is_newer(entry, best))) {
            best = entry;
            most = count;
        }
    }
    return best;
}

static const char *
client_name(const InvCpuModelEntry *entry)
{
    for (const char *const *alias = entry->aliases; *alias; alias++) {
        if (!is_versioned(*alias))
            return *alias;
    }
    return entry->name;
}

InvHostCpuDescription *
inv_host_cpu_describe_seen(const InvCpuDecoder *decoder, const InvCpuSeen *seen)
{
    InvHostCpuDescription *description = g_new0(InvHostCpuDescription, 1);
    g_autoptr(InvCpu) cpu = inv_cpu_describe_seen(decoder, seen, NULL);
    g_autoptr(InvFeatureSet) rest = inv_feature_set_copy(seen->features);
    g_autofree const char **names = NULL;
    const InvCpuModelEntry *entry = NULL;

    if (cpu)
        entry = takes_away(cpu) ? largest_within(decoder, seen) : inv_cpu_models_find(inv_cpu_decoder_models(decoder), cpu->model);
    if (entry) {
        description->model = g_strdup(client_name(entry));
        /* What comes along with vmx is not worth naming. */
        inv_feature_set_subtract(rest, inv_cpu_decoder_model(decoder, entry->name, inv_feature_set_has(seen->features, "vmx")));
    }
    names = inv_feature_set_list(rest);
    description->features = g_strdupv((char **)names);
    return description;
}

static InvHostCpuDescription *
describe_machine(const InvCpuMap *map, const InvCpuModels *models, InvFeatureNames *names, GError **error)
{
    g_autoptr(InvCpuDecoder) decoder = inv_cpu_decoder_new(inv_cpu_map_default_folder(), map, models, names, error);
    g_autoptr(InvCpuidData) data = inv_cpuid_data_of_this_machine();
    g_autoptr(InvCpuSeen) seen = NULL;

    if (!decoder || !data)
        return NULL;
    seen = inv_cpu_seen_from_cpuid(decoder, data, error);
    return seen ? inv_host_cpu_describe_seen(decoder, seen) : NULL;
}

static InvHostCpuDescription *
make_description(void)
{
    static const char arch[] = "x86_64";
    g_autoptr(GError) error = NULL;
    g_autoptr(InvCpuMap) map = inv_cpu_map_load(inv_cpu_map_default_folder(), arch, &error);
    g_autoptr(InvCpuModels) models = map ? inv_cpu_models_load(inv_cpu_map_default_folder(), arch, &error) : NULL;
    g_autoptr(InvFeatureNames) names = inv_feature_names_new();
    InvHostCpuDescription *description = models ? describe_machine(map, models, names, &error) : NULL;

    if (error)
        g_warning("The host's processor cannot be described: %s", error->message);
    return description;
}

static InvHostCpuDescription *
copy_description(const InvHostCpuDescription *description)
{
    InvHostCpuDescription *copy = g_new0(InvHostCpuDescription, 1);

    copy->model = g_strdup(description->model);
    copy->features = g_strdupv(description->features);
    return copy;
}

InvHostCpuDescription *
inv_host_cpu_describe_host(void)
{
    static GMutex lock;
    static char *fingerprint;                  /* guarded by lock */
    static InvHostCpuDescription *description; /* guarded by lock */
    g_autofree char *now = inv_host_cpu_fingerprint();
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&lock);

    if (g_strcmp0(fingerprint, now) != 0) {
        inv_host_cpu_description_free(description);
        description = make_description();
        g_free(fingerprint);
        fingerprint = g_steal_pointer(&now);
    }
    return description ? copy_description(description) : NULL;
}

InvHostCpuDescription *
inv_host_cpu_describe(const InvCpuFacts *facts)
{
    return facts->hardware ? inv_host_cpu_describe_host() : NULL;
}
