/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/driver.h"
#include "cpu_driver/nearest.h"
#include "util/error.h"

#include <string.h>

/* A model that only KVM has was asked for under TCG: `max` stands in for the dry run, never for the guest. */
static void
refuse_host(const InvCpuFacts *facts, InvCpuRequest *request, const char *what)
{
    g_autofree char *reason = g_strdup_printf("%s is the host's own CPU, which only KVM can pass on; this domain runs under TCG", what);

    inv_cpu_request_refuse(request, "mode", INV_LAYER_CONFIGURATION, reason,
                           "take mode='maximum' for all that TCG can emulate, or run the domain under KVM (<domain type='kvm'>)");
}

static gboolean
choose_special(const InvCpuFacts *facts, InvCpuRequest *request, const char *model, const char *mode, GError **error)
{
    if (!inv_cpu_table_find(facts->table, model))
        return inv_error_set(error, VIR_ERR_NO_SUPPORT, "CPU mode '%s' is not supported by %s for %s: it has no model '%s'", mode,
                             facts->emulator, facts->arch, model);
    request->model = g_strdup(model);
    return TRUE;
}

static gboolean
choose_custom(const InvCpuFacts *facts, const InvCpu *cpu, InvCpuRequest *request, GError **error)
{
    const char *wanted = cpu && cpu->model ? cpu->model : facts->default_model;
    const InvCpuModel *model;

    if (!wanted) {
        if (cpu && cpu->features->len)
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                 "CPU features need a <model>: machine %s of %s has no default CPU model", facts->machine, facts->emulator);
        return TRUE;
    }
    if (strcmp(wanted, "host") == 0 && facts->accelerator != INV_VIRT_KVM && inv_cpu_table_find(facts->table, "max")) {
        refuse_host(facts, request, "model 'host'");
        return choose_special(facts, request, "max", "custom", error);
    }
    model = inv_cpu_find_model(facts, wanted, error);
    if (!model)
        return FALSE;
    request->model = g_strdup(model->name);
    return TRUE;
}

static gboolean
choose_model(const InvCpuFacts *facts, const InvCpuDriver *driver, const InvCpu *cpu, InvCpuRequest *request, GError **error)
{
    if (cpu && cpu->mode != INV_CPU_MODE_UNSET)
        request->mode = cpu->mode;
    if (cpu && cpu->match != INV_CPU_MATCH_UNSET && request->mode == INV_CPU_MODE_CUSTOM)
        request->match = cpu->match;

    switch (request->mode) {
    case INV_CPU_MODE_UNSET:
    case INV_CPU_MODE_CUSTOM:
        return choose_custom(facts, cpu, request, error);
    case INV_CPU_MODE_HOST_MODEL:
        if (!driver->host_model)
            return inv_cpu_not_supported(facts, error, "mode='host-model'");
        return driver->host_model(facts, cpu, request, error);
    case INV_CPU_MODE_HOST_PASSTHROUGH:
        if (facts->accelerator == INV_VIRT_KVM)
            return choose_special(facts, request, "host", "host-passthrough", error);
        refuse_host(facts, request, "mode='host-passthrough'");
        return choose_special(facts, request, "max", "host-passthrough", error);
    case INV_CPU_MODE_MAXIMUM:
        return choose_special(facts, request, "max", "maximum", error);
    }
    return TRUE;
}

gboolean
inv_cpu_unknown_feature(const InvCpuFacts *facts, const char *name, GError **error)
{
    const InvFeatureSet *known = inv_cpu_known_features(facts, NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree const char **listed = NULL;
    g_autofree char *nearest = NULL;

    /* To find the nearest names takes longer than all else. */
    if (!error)
        return FALSE;
    listed = known ? inv_feature_set_list(known) : NULL;
    for (guint i = 0; i < inv_cpu_map_size(facts->map); i++)
        g_ptr_array_add(names, (gpointer)inv_cpu_map_at(facts->map, i)->name);
    for (guint i = 0; listed && listed[i]; i++) {
        if (!inv_cpu_map_find(facts->map, listed[i]))
            g_ptr_array_add(names, (gpointer)listed[i]);
    }
    nearest = inv_nearest_names(name, (const char *const *)names->pdata, names->len);
    return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "CPU feature '%.100s' is not known%s%s%s", name,
                         nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

static gboolean
is_promise(InvCpuPolicy policy)
{
    return policy == INV_CPU_POLICY_UNSET || policy == INV_CPU_POLICY_REQUIRE || policy == INV_CPU_POLICY_FORCE;
}

static void
refuse_unknown_to_qemu(const InvCpuFacts *facts, InvCpuRequest *request, const char *name, gboolean any_version)
{
    g_autofree char *reason = g_strdup_printf("%s does not know %s", any_version ? "QEMU" : facts->emulator, name);
    g_autofree char *remedy =
        any_version ? g_strdup_printf("take it out: no QEMU can give '%s' to a guest", name)
                    : g_strdup_printf("run the domain with a newer QEMU, or take it out: <feature name='%s' policy='optional'/>", name);

    inv_cpu_request_refuse(request, name, INV_LAYER_QEMU, reason, remedy);
}

/* Refuses what the host could give: the promise of `forbid` is that the guest runs nowhere where it is. */
static void
apply_forbid(const InvCpuFacts *facts, InvCpuRequest *request, const char *name)
{
    g_autoptr(InvFeatureSet) gives = inv_cpu_host_gives(facts);
    gboolean given = gives && inv_feature_set_has(gives, name);
    g_autofree char *reason = NULL;
    g_autofree char *remedy = NULL;

    if (facts->accelerator == INV_VIRT_KVM && facts->hardware && inv_feature_set_has(facts->hardware, name))
        given = TRUE;
    if (!given)
        return;
    reason = g_strdup_printf("%s is forbidden and this host has it", name);
    remedy = g_strdup_printf("run the domain on a host without it, or only hide it from the guest: <feature name='%s' policy='disable'/>", name);
    inv_cpu_request_refuse(request, name, INV_LAYER_CONFIGURATION, reason, remedy);
}

/*
 * Where QEMU tells of no filtering (s390x) it does not start a guest whose features it cannot give:
 * better said here, by name, than by a process that dies.
 */
static void
refuse_ungiven(const InvCpuFacts *facts, InvCpuRequest *request, const char *name)
{
    const InvCpuModel *model = request->model ? inv_cpu_table_find(facts->table, request->model) : NULL;
    g_autoptr(InvFeatureSet) gives = inv_cpu_host_gives(facts);
    gboolean kvm = facts->accelerator == INV_VIRT_KVM;
    g_autofree char *reason = NULL;

    if (!model || !model->has_usable || !gives || inv_feature_set_has(gives, name))
        return;
    reason = kvm ? g_strdup_printf("the host (hardware or kernel) does not give %s", name)
                 : g_strdup_printf("%s does not emulate %s (TCG)", facts->emulator, name);
    inv_cpu_request_refuse(request, name, kvm ? INV_LAYER_HARDWARE : INV_LAYER_QEMU, reason,
                           kvm ? "run the domain on a host that has it, or take it out"
                               : "run the domain under KVM (<domain type='kvm'>) on a host that has it, or take it out");
}

static gboolean
ask_feature(const InvCpuFacts *facts, const InvCpuDriver *driver, InvCpuRequest *request, const InvCpuFeature *wanted, const char *name,
            GError **error)
{
    const InvCpuMapFeature *entry = inv_cpu_map_find(facts->map, name);
    const InvFeatureSet *known = inv_cpu_known_features(facts, request->model);

    if (!driver->tells_filtered) {
        if (wanted->policy == INV_CPU_POLICY_FORCE)
            return inv_cpu_not_supported(facts, error, "feature policy 'force'");
        if (wanted->policy == INV_CPU_POLICY_OPTIONAL)
            return inv_cpu_not_supported(facts, error, "feature policy 'optional'");
    }
    if (entry && !entry->passed) {
        /* osxsave and ospke come and go with the guest's own system: nothing is promised, nothing lost. */
        if (is_promise(wanted->policy) && !entry->by_guest)
            refuse_unknown_to_qemu(facts, request, name, TRUE);
        return TRUE;
    }
    if (known && !inv_feature_set_has(known, name)) {
        if (is_promise(wanted->policy))
            refuse_unknown_to_qemu(facts, request, name, FALSE);
        return TRUE;
    }
    if (!driver->tells_filtered && is_promise(wanted->policy))
        refuse_ungiven(facts, request, name);
    if (wanted->policy == INV_CPU_POLICY_FORBID)
        apply_forbid(facts, request, name);
    inv_cpu_request_ask(request, facts->map, name, wanted->policy, INV_ORIGIN_USER);
    return TRUE;
}

static gboolean
ask_features(const InvCpuFacts *facts, const InvCpuDriver *driver, const InvCpu *cpu, InvCpuRequest *request, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    if (!cpu || !cpu->features->len)
        return TRUE;
    if (!driver->takes_features || (!inv_cpu_known_features(facts, NULL) && !inv_cpu_map_size(facts->map)))
        return inv_cpu_not_supported(facts, error, "<feature>");
    for (guint i = 0; i < cpu->features->len; i++) {
        const InvCpuFeature *wanted = g_ptr_array_index(cpu->features, i);
        const char *name = inv_cpu_canonical_feature(facts, wanted->name);

        if (!name)
            return inv_cpu_unknown_feature(facts, wanted->name, error);
        if (!g_hash_table_add(seen, (gpointer)name))
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "CPU feature '%s' is given twice%s%s%s", name,
                                 strcmp(name, wanted->name) != 0 ? ", once as '" : "",
                                 strcmp(name, wanted->name) != 0 ? wanted->name : "", strcmp(name, wanted->name) != 0 ? "'" : "");
        if (!ask_feature(facts, driver, request, wanted, name, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
check_x86_only(const InvCpuFacts *facts, const InvCpu *cpu, GError **error)
{
    if (cpu->vendor)
        return inv_cpu_not_supported(facts, error, "<vendor>");
    if (cpu->vendor_id)
        return inv_cpu_not_supported(facts, error, "<model vendor_id=>");
    if (cpu->migratable != INV_TRISTATE_UNSET)
        return inv_cpu_not_supported(facts, error, "<cpu migratable=>");
    if (cpu->maxphysaddr != INV_CPU_MAXPHYSADDR_NONE)
        return inv_cpu_not_supported(facts, error, "<maxphysaddr>");
    if (cpu->cache != INV_CPU_CACHE_NONE)
        return inv_cpu_not_supported(facts, error, "<cache>");
    return TRUE;
}

static gboolean
apply_steps(const InvCpuFacts *facts, const InvCpuDriver *driver, const InvCpu *cpu, InvCpuRequest *request, GError **error)
{
    if (!cpu)
        return TRUE;
    if (request->match != INV_CPU_MATCH_EXACT) {
        if (!driver->match)
            return inv_cpu_not_supported(facts, error, request->match == INV_CPU_MATCH_MINIMUM ? "match='minimum'" : "match='strict'");
        if (!driver->match(facts, cpu, request, error))
            return FALSE;
    }
    if (driver->properties ? !driver->properties(facts, cpu, request, error) : !check_x86_only(facts, cpu, error))
        return FALSE;
    if (cpu->deprecated_features != INV_TRISTATE_UNSET) {
        if (!driver->deprecated_features)
            return inv_cpu_not_supported(facts, error, "<cpu deprecated_features=>");
        return driver->deprecated_features(facts, cpu, request, error);
    }
    return TRUE;
}

InvCpuRequest *
inv_cpu_resolve(const InvCpuFacts *facts, const InvCpu *cpu, GError **error)
{
    g_autoptr(InvCpuRequest) request = inv_cpu_request_new();
    const InvCpuDriver *driver = inv_cpu_driver_find(facts->arch, error);

    /* What Invar adds never overrides what the user wrote: the user's features come first wherever the model allows. */
    if (!driver)
        return NULL;
    if (cpu && cpu->mode == INV_CPU_MODE_HOST_MODEL) {
        if (!ask_features(facts, driver, cpu, request, error) || !choose_model(facts, driver, cpu, request, error))
            return NULL;
    } else if (!choose_model(facts, driver, cpu, request, error) || !ask_features(facts, driver, cpu, request, error)) {
        return NULL;
    }
    if (!apply_steps(facts, driver, cpu, request, error))
        return NULL;
    return g_steal_pointer(&request);
}
