/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/cpu_model_info.h"

#include "cpu_driver/nearest.h"
#include "util/error.h"

#include <string.h>

gboolean
inv_cpu_arch_asks_qemu(const char *arch)
{
    return strcmp(arch, "s390x") == 0;
}

static const char *
host_model(const InvCpuFacts *facts)
{
    return facts->accelerator == INV_VIRT_KVM ? "host" : "max";
}

InvJson *
inv_cpu_host_model_info(const InvCpuFacts *facts)
{
    InvJson *info = inv_json_new_object();

    inv_json_object_set_string(info, "name", host_model(facts));
    return info;
}

static const char *
find_model(const InvCpuFacts *facts, const char *name, GError **error)
{
    const InvCpuModel *model = inv_cpu_table_find(facts->table, name);
    g_autoptr(GPtrArray) names = NULL;
    g_autofree char *nearest = NULL;

    if (model)
        return model->name;
    names = g_ptr_array_new();
    for (guint i = 0; i < inv_cpu_table_size(facts->table); i++)
        g_ptr_array_add(names, inv_cpu_table_at(facts->table, i)->name);
    nearest = inv_nearest_names(name, (const char *const *)names->pdata, names->len);
    inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s has no CPU model '%.64s' on machine %s%s%s", facts->emulator, name, facts->machine,
                  nearest ? "; nearest are: " : "", nearest ? nearest : "");
    return NULL;
}

/* As in the rules for domains: what follows the host names no model. */
static const char *
model_of(const InvCpuFacts *facts, const InvCpu *cpu, GError **error)
{
    switch (cpu->mode) {
    case INV_CPU_MODE_HOST_MODEL:
    case INV_CPU_MODE_HOST_PASSTHROUGH:
    case INV_CPU_MODE_MAXIMUM:
        return host_model(facts);
    case INV_CPU_MODE_UNSET:
    case INV_CPU_MODE_CUSTOM:
        break;
    }
    if (cpu->model && (strcmp(cpu->model, "host") == 0 || strcmp(cpu->model, "max") == 0))
        return host_model(facts);
    if (!cpu->model && cpu->arch) {
        inv_error_set(error, VIR_ERR_XML_ERROR, "<cpu>: the description of a host's CPU needs a <model>");
        return NULL;
    }
    if (!cpu->model && !facts->default_model) {
        inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "<cpu> needs a <model>: machine %s of %s has no default CPU model",
                      facts->machine, facts->emulator);
        return NULL;
    }
    return find_model(facts, cpu->model ? cpu->model : facts->default_model, error);
}

static gboolean
check_properties(const InvCpuFacts *facts, const InvCpu *cpu, GError **error)
{
    const char *said = cpu->vendor                                       ? "<vendor>"
                       : cpu->vendor_id                                  ? "<model vendor_id=>"
                       : cpu->maxphysaddr != INV_CPU_MAXPHYSADDR_NONE    ? "<maxphysaddr>"
                       : cpu->cache != INV_CPU_CACHE_NONE                ? "<cache>"
                                                                         : NULL;

    /* IBM makes them all. */
    if (!said || (cpu->vendor && strcmp(cpu->vendor, "IBM") == 0))
        return TRUE;
    return inv_error_set(error, VIR_ERR_NO_SUPPORT, "%s is not supported by the %s CPU driver: QEMU compares models and features", said,
                         facts->arch);
}

static int
compare_features(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const InvCpuFeature *const *)a)->name, (*(const InvCpuFeature *const *)b)->name);
}

static InvJson *
properties(const InvCpuFacts *facts, const InvCpu *cpu)
{
    InvJson *props = inv_json_new_object();
    g_autoptr(GPtrArray) sorted = g_ptr_array_new();

    for (guint i = 0; i < cpu->features->len; i++)
        g_ptr_array_add(sorted, g_ptr_array_index(cpu->features, i));
    g_ptr_array_sort(sorted, compare_features);
    for (guint i = 0; i < sorted->len; i++) {
        const InvCpuFeature *feature = g_ptr_array_index(sorted, i);
        const char *name = inv_cpu_map_to_libvirt(facts->map, feature->name);

        if (feature->policy != INV_CPU_POLICY_OPTIONAL)
            inv_json_object_set_boolean(props, inv_cpu_map_to_qemu(facts->map, name),
                                        feature->policy != INV_CPU_POLICY_DISABLE && feature->policy != INV_CPU_POLICY_FORBID);
    }
    return props;
}

InvJson *
inv_cpu_to_model_info(const InvCpuFacts *facts, const InvCpu *cpu, GError **error)
{
    const char *model = model_of(facts, cpu, error);
    g_autoptr(InvJson) props = NULL;
    InvJson *info;

    if (!model || !check_properties(facts, cpu, error))
        return NULL;
    props = properties(facts, cpu);
    info = inv_json_new_object();
    inv_json_object_set_string(info, "name", model);
    if (inv_json_size(props) > 0)
        inv_json_object_set(info, "props", g_steal_pointer(&props));
    return info;
}

void
inv_cpu_model_info_explain(const InvCpuFacts *facts, const InvJson *const *models, guint n, GError **error)
{
    g_autofree const char **known = facts->host ? inv_feature_set_list(facts->host->known) : NULL;

    if (!known || !error || !*error || (*error)->code != VIR_ERR_CONFIG_UNSUPPORTED)
        return;
    for (guint i = 0; i < n; i++) {
        const InvJson *props = inv_json_get(models[i], "props");

        for (guint k = 0; k < inv_json_size(props); k++) {
            const InvJson *value;
            const char *name = inv_json_member(props, k, &value);
            g_autofree char *quoted = g_strdup_printf(".%s'", name);
            g_autofree char *nearest = NULL;

            /* Names of groups of features are no features, and QEMU takes them too. */
            if (inv_feature_set_has(facts->host->known, name) || !strstr((*error)->message, quoted))
                continue;
            nearest = inv_nearest_names(name, known, g_strv_length((char **)known));
            if (nearest) {
                g_autofree char *text = g_strdup_printf("%s; nearest are: %s", (*error)->message, nearest);

                g_clear_error(error);
                inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s", text);
            }
            return;
        }
    }
}

typedef struct {
    const char *name;
    gboolean on;
} Property;

static int
compare_properties(gconstpointer a, gconstpointer b)
{
    return strcmp(((const Property *)a)->name, ((const Property *)b)->name);
}

InvCpu *
inv_cpu_from_model_info(const InvCpuFacts *facts, const InvJson *model, gboolean all, GError **error)
{
    const InvJson *props = inv_json_get(model, "props");
    g_autoptr(GArray) sorted = g_array_new(FALSE, FALSE, sizeof(Property));
    g_autoptr(InvCpu) cpu = inv_cpu_new();

    cpu->mode = INV_CPU_MODE_CUSTOM;
    cpu->match = INV_CPU_MATCH_EXACT;
    cpu->model = g_strdup(inv_json_get_string(model, "name"));
    cpu->fallback = INV_CPU_FALLBACK_FORBID;
    if (!cpu->model) {
        inv_error_set(error, VIR_ERR_OPERATION_FAILED, "%s answered a CPU model without a name", facts->emulator);
        return NULL;
    }
    for (guint i = 0; i < inv_json_size(props); i++) {
        const InvJson *value;
        const char *name = inv_json_member(props, i, &value);
        Property property = { .name = inv_cpu_map_to_libvirt(facts->map, name) };

        if (inv_json_boolean(value, &property.on) && (property.on || !all))
            g_array_append_val(sorted, property);
    }
    g_array_sort(sorted, compare_properties);
    for (guint i = 0; i < sorted->len; i++) {
        const Property *property = &g_array_index(sorted, Property, i);

        inv_cpu_set_feature(cpu, property->name, property->on ? INV_CPU_POLICY_REQUIRE : INV_CPU_POLICY_DISABLE);
    }
    return g_steal_pointer(&cpu);
}
