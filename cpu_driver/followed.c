/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/followed.h"

#include "cpu_driver/description.h"

#include <string.h>

static const char *
expanded_vendor(const InvCpuModel *model)
{
    return model->expansion ? inv_json_get_string(model->expansion->others, "vendor") : NULL;
}

static const InvCpuModelEntry *
entry_of(const InvCpuModels *models, const InvCpuModel *model)
{
    const InvCpuModelEntry *entry = models ? inv_cpu_models_find(models, model->name) : NULL;

    return entry || !models || !model->alias_of ? entry : inv_cpu_models_find(models, model->alias_of);
}

/* Another name of a model is none of its own, and these follow the host or are empty: inv_cpu_basis_choose() takes none of them. */
static gboolean
can_be_chosen(const InvCpuModel *model)
{
    static const char *const no_models[] = { "host", "max", "base", NULL };

    return !model->alias_of && !g_strv_contains(no_models, model->name);
}

static guint
class_of(const InvCpuModel *model)
{
    gboolean unusable = model->unavailable && *model->unavailable;

    return (unusable ? 2u : 0) + (model->deprecated ? 1u : 0);
}

GPtrArray *
inv_cpu_followed_names(const InvCpuTable *table, const InvCpuModels *models, const char *vendor, guint rank)
{
    GPtrArray *names = g_ptr_array_new();

    for (guint i = 0; i < inv_cpu_table_size(table); i++) {
        const InvCpuModel *model = inv_cpu_table_at(table, i);
        const InvCpuModelEntry *entry = entry_of(models, model);
        gboolean anybodys = !vendor || !entry || !entry->vendor || inv_cpu_is_generic_model(model->name);

        if (can_be_chosen(model) && class_of(model) == rank && (anybodys || strcmp(entry->vendor, vendor) == 0))
            g_ptr_array_add(names, model->name);
    }
    return names;
}

GPtrArray *
inv_cpu_strange_names(const InvCpuTable *table, const InvCpuModels *models)
{
    GPtrArray *names = g_ptr_array_new();

    for (guint i = 0; i < inv_cpu_table_size(table); i++) {
        const InvCpuModel *model = inv_cpu_table_at(table, i);
        const InvCpuModelEntry *entry = entry_of(models, model);
        const InvCpuModel *real = inv_cpu_table_resolve_alias(table, model);

        /* What it is an alias of tells for both. */
        if (!(entry && entry->vendor) && !model->expansion && real == model && can_be_chosen(model))
            g_ptr_array_add(names, model->name);
    }
    return names;
}

gboolean
inv_cpu_followed_suffices(const InvCpuTable *table, const InvCpuModels *models, InvVirtType accelerator, const char *vendor, guint rank)
{
    for (guint i = 0; i < inv_cpu_table_size(table); i++) {
        const InvCpuModel *model = inv_cpu_table_at(table, i);
        const InvCpuModelEntry *entry = entry_of(models, model);
        gboolean by_entry = accelerator == INV_VIRT_KVM && entry && entry->vendor && !inv_cpu_is_generic_model(model->name);

        if (model->expansion && can_be_chosen(model) && class_of(model) == rank &&
            (!vendor || g_strcmp0(by_entry ? entry->vendor : expanded_vendor(model), vendor) == 0))
            return TRUE;
    }
    return FALSE;
}

const char *
inv_cpu_vendor_of_model(const InvCpuTable *table, const InvCpuModels *models, InvVirtType accelerator, const InvCpuModel *model)
{
    const InvCpuModelEntry *entry = entry_of(models, model);
    const InvCpuModel *real = inv_cpu_table_resolve_alias(table, model);
    const char *known = entry ? entry->vendor : NULL;
    const char *told = expanded_vendor(model);

    if (!told)
        told = expanded_vendor(real);
    return accelerator == INV_VIRT_KVM && known ? known : told ? told : known;
}
