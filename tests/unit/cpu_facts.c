/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/cpu_facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
fail(const char *what, GError *error)
{
    fprintf(stderr, "Bail out! %s: %s\n", what, error ? error->message : "missing");
    exit(99);
}

const InvJson *
cpu_facts_max(const CpuFacts *all)
{
    return inv_json_get(all->json, "max");
}

static InvJson *
changed_max(const CpuFacts *all, const InvJson *changes)
{
    InvJson *props = inv_json_copy(cpu_facts_max(all));

    for (guint i = 0; i < inv_json_size(changes); i++) {
        const InvJson *value;
        const char *name = inv_json_member(changes, i, &value);

        inv_json_object_set(props, name, inv_json_copy(value));
    }
    return props;
}

InvJson *
cpu_facts_props(const CpuFacts *all, const char *model)
{
    const InvJson *changes = inv_json_get(inv_json_get(all->json, "models"), model);

    return changes ? changed_max(all, changes) : NULL;
}

InvGuestCpu *
cpu_facts_guest(const CpuFacts *all, const char *argument)
{
    const InvJson *recorded = argument ? inv_json_get(inv_json_get(all->json, "guests"), argument) : NULL;
    g_autoptr(InvJson) props = NULL;
    InvGuestCpu *guest;

    if (!recorded) {
        fprintf(stderr, "# tests/data/cpu/record.py %s '%s'\n", all->file, argument ? argument : "(no model)");
        return NULL;
    }
    props = changed_max(all, inv_json_get(recorded, "props"));
    guest = g_new0(InvGuestCpu, 1);
    guest->machine = g_strdup(all->facts.machine);
    guest->model = g_strndup(argument, strcspn(argument, ","));
    guest->type_name = g_strdup_printf("%s-%s-cpu", guest->model, all->facts.arch);
    guest->cpu = inv_cpu_expansion_new(all->map, all->names, props);
    guest->words = g_strdup(inv_json_get_string(recorded, "words"));
    guest->unavailable = inv_cpu_names_to_libvirt(all->map, inv_json_get(recorded, "unavailable"));
    for (char **name = guest->unavailable; *name; name++)
        inv_feature_set_remove(guest->cpu->on, *name);
    return guest;
}

static void
add_expansions(CpuFacts *all)
{
    const InvJson *models = inv_json_get(all->json, "models");

    for (guint i = 0; i < inv_json_size(models); i++) {
        const char *name = inv_json_member(models, i, NULL);
        g_autoptr(InvJson) props = cpu_facts_props(all, name);

        if (!inv_cpu_table_set_expansion(all->table, name, inv_cpu_expansion_new(all->map, all->names, props)))
            fail(name, NULL);
    }
}

CpuFacts *
cpu_facts_load(const char *arch)
{
    return cpu_facts_load_with(arch, inv_cpu_map_default_folder());
}

CpuFacts *
cpu_facts_load_with(const char *file, const char *folder)
{
    CpuFacts *all = g_new0(CpuFacts, 1);
    g_autofree char *path = g_strdup_printf("%s/tests/data/cpu/%s.json", g_getenv("INVAR_TOP_SRCDIR"), file);
    g_auto(GStrv) parts = g_strsplit(file, "-", 2);
    const char *arch = g_intern_string(parts[0]);
    g_autofree char *text = NULL;
    gsize length;
    GError *error = NULL;

    if (!g_file_get_contents(path, &text, &length, &error) || !(all->json = inv_json_parse(text, length, &error)))
        fail(path, error);
    all->map = inv_cpu_map_load(folder, arch, &error);
    if (!all->map)
        fail("cpu_map", error);
    all->file = g_strconcat(file, ".json", NULL);
    all->names = inv_feature_names_new();
    all->table = inv_cpu_table_new(arch, inv_json_get_string(all->json, "machine"), all->names);
    if (!inv_cpu_table_set_definitions(all->table, all->map, inv_json_get(all->json, "definitions"), &error))
        fail("definitions", error);
    add_expansions(all);
    if (inv_json_size(cpu_facts_max(all)))
        all->host = inv_cpu_expansion_new(all->map, all->names, cpu_facts_max(all));
    all->facts = (InvCpuFacts){
        .map = all->map,
        .table = all->table,
        .arch = arch,
        .emulator = inv_json_get_string(all->json, "emulator"),
        .accelerator = INV_VIRT_QEMU,
        .machine = inv_json_get_string(all->json, "machine"),
        .default_model = strcmp(arch, "x86_64") == 0 ? "qemu64" : NULL,
        .host = all->host,
        .host_vendor = all->host ? inv_json_get_string(all->host->others, "vendor") : NULL,
    };
    return all;
}

void
cpu_facts_free(CpuFacts *all)
{
    if (!all)
        return;
    inv_cpu_table_unref(all->table);
    inv_cpu_expansion_free(all->host);
    inv_feature_set_free(all->hardware);
    inv_feature_set_free(all->kernel);
    inv_feature_names_free(all->names);
    inv_cpu_map_free(all->map);
    inv_json_free(all->json);
    g_free(all->file);
    g_free(all);
}

char **
cpu_facts_unavailable(const CpuFacts *all, const InvCpuRequest *request)
{
    g_autofree char *argument = inv_cpu_request_argument(request, FALSE);
    const char *const *known;
    const InvJson *list;

    if (inv_cpu_request_known_unavailable(&all->facts, request, &known))
        return g_strdupv((char **)known);
    list = argument ? inv_json_get(inv_json_get(all->json, "dry_runs"), argument) : NULL;
    if (!list) {
        fprintf(stderr, "# tests/data/cpu/record.py '%s'\n", argument ? argument : "(no model)");
        return NULL;
    }
    return inv_cpu_names_to_libvirt(all->map, list);
}
