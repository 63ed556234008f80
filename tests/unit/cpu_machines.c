/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/cpu_machines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
fail(const char *what, const GError *error)
{
    fprintf(stderr, "Bail out! %s: %s\n", what, error ? error->message : "missing");
    exit(99);
}

static char *
read_data(const char *machine, const char *suffix, gsize *length)
{
    const char *top = g_getenv("INVAR_TOP_SRCDIR");
    g_autofree char *file = g_strconcat(machine, suffix, NULL);
    g_autofree char *path = g_build_filename(top ? top : ".", "..", "shared", "data", "machines", file, NULL);
    char *text = NULL;

    return g_file_get_contents(path, &text, length, NULL) ? text : NULL;
}

static InvCpuidData *
read_words(const char *machine, const char *suffix)
{
    g_autoptr(GError) error = NULL;
    gsize length;
    g_autofree char *text = read_data(machine, suffix, &length);
    InvCpuidData *data = text ? inv_cpuid_data_parse(text, length, &error) : NULL;

    if (error)
        fail(machine, error);
    return data;
}

/* The file holds several replies: the first is the expansion. */
static InvJson *
first_document(const char *text)
{
    guint depth = 0;
    gboolean quoted = FALSE;

    for (gsize i = 0; text[i]; i++) {
        if (text[i] == '"' && (!i || text[i - 1] != '\\'))
            quoted = !quoted;
        if (!quoted && text[i] == '{')
            depth++;
        if (!quoted && text[i] == '}' && --depth == 0)
            return inv_json_parse(text, i + 1, NULL);
    }
    return NULL;
}

static CpuMachine *
load_machine(const CpuWorld *world, const char *name)
{
    g_autoptr(GError) error = NULL;
    CpuMachine *machine = g_new0(CpuMachine, 1);
    g_autoptr(InvCpuidData) words = read_words(name, ".cpuid.xml");
    g_autoptr(InvCpuidData) enabled = read_words(name, ".enabled.xml");
    g_autofree char *text = read_data(name, ".qmp.json", NULL);
    g_autoptr(InvJson) reply = text ? first_document(text) : NULL;

    machine->name = g_strdup(name);
    machine->cpuid = inv_cpu_seen_from_cpuid(world->decoder, words, &error);
    if (machine->cpuid && reply)
        machine->qemu = inv_cpu_seen_from_expansion(world->decoder, reply, &error);
    if (error)
        fail(name, error);
    if (enabled)
        machine->enabled = inv_cpuid_data_features(enabled, world->map, world->names);
    return machine;
}

static void
machine_free(gpointer data)
{
    CpuMachine *machine = data;

    g_free(machine->name);
    inv_cpu_seen_free(machine->cpuid);
    inv_cpu_seen_free(machine->qemu);
    inv_feature_set_free(machine->enabled);
    g_free(machine);
}

static int
compare_machines(const void *a, const void *b)
{
    return strcmp((*(CpuMachine *const *)a)->name, (*(CpuMachine *const *)b)->name);
}

static void
load_machines(CpuWorld *world)
{
    const char *top = g_getenv("INVAR_TOP_SRCDIR");
    g_autofree char *path = g_build_filename(top ? top : ".", "..", "shared", "data", "machines", NULL);
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    const char *file;

    world->machines = g_ptr_array_new_with_free_func(machine_free);
    while (folder && (file = g_dir_read_name(folder))) {
        if (g_str_has_suffix(file, ".cpuid.xml")) {
            g_autofree char *name = g_strndup(file, strlen(file) - strlen(".cpuid.xml"));

            g_ptr_array_add(world->machines, load_machine(world, name));
        }
    }
    g_ptr_array_sort(world->machines, compare_machines);
}

CpuWorld *
cpu_world_load(const char *folder)
{
    g_autoptr(GError) error = NULL;
    CpuWorld *world = g_new0(CpuWorld, 1);
    const char *from = folder ? folder : inv_cpu_map_default_folder();

    world->map = inv_cpu_map_load(from, "x86_64", &error);
    if (!world->map || !(world->models = inv_cpu_models_load(from, "x86_64", &error)))
        fail(from, error);
    world->names = inv_feature_names_new();
    world->decoder = inv_cpu_decoder_new(from, world->map, world->models, world->names, &error);
    if (!world->decoder)
        fail(from, error);
    world->basis = inv_cpu_basis_of_map(world->decoder, "x86_64");
    load_machines(world);
    return world;
}

void
cpu_world_free(CpuWorld *world)
{
    if (!world)
        return;
    g_ptr_array_unref(world->machines);
    inv_cpu_basis_free(world->basis);
    inv_cpu_decoder_free(world->decoder);
    inv_feature_names_free(world->names);
    inv_cpu_models_free(world->models);
    inv_cpu_map_free(world->map);
    g_free(world);
}
