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

char *
cpu_machine_text(const char *machine, const char *suffix, gsize *length)
{
    const char *top = g_getenv("INVAR_TOP_SRCDIR");
    g_autofree char *file = g_strconcat(machine, suffix, NULL);
    g_autofree char *path = g_build_filename(top ? top : ".", "..", "shared", "data", "machines", file, NULL);
    char *text = NULL;

    return g_file_get_contents(path, &text, length, NULL) ? text : NULL;
}

InvCpuidData *
cpu_machine_words(const char *machine, const char *suffix)
{
    g_autoptr(GError) error = NULL;
    gsize length;
    g_autofree char *text = cpu_machine_text(machine, suffix, &length);
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

InvJson *
cpu_machine_expansion(const char *machine)
{
    g_autofree char *text = cpu_machine_text(machine, ".qmp.json", NULL);
    InvJson *reply = text ? first_document(text) : NULL;

    if (text && !reply)
        fail(machine, NULL);
    return reply;
}

static CpuMachine *
load_machine(const CpuWorld *world, const char *name)
{
    g_autoptr(GError) error = NULL;
    CpuMachine *machine = g_new0(CpuMachine, 1);
    g_autoptr(InvCpuidData) words = cpu_machine_words(name, ".cpuid.xml");
    g_autoptr(InvCpuidData) enabled = cpu_machine_words(name, ".enabled.xml");
    g_autoptr(InvJson) reply = cpu_machine_expansion(name);

    machine->name = g_strdup(name);
    machine->cpuid = inv_cpu_seen_from_cpuid(world->tools.decoder, words, &error);
    if (machine->cpuid && reply)
        machine->qemu = inv_cpu_seen_from_expansion(world->tools.decoder, reply, &error);
    if (error)
        fail(name, error);
    if (enabled)
        machine->enabled = inv_cpuid_data_features(enabled, world->tools.map, world->tools.names);
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
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

GPtrArray *
cpu_machine_names(void)
{
    const char *top = g_getenv("INVAR_TOP_SRCDIR");
    g_autofree char *path = g_build_filename(top ? top : ".", "..", "shared", "data", "machines", NULL);
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    const char *file;

    while (folder && (file = g_dir_read_name(folder))) {
        if (g_str_has_suffix(file, ".cpuid.xml"))
            g_ptr_array_add(names, g_strndup(file, strlen(file) - strlen(".cpuid.xml")));
    }
    g_ptr_array_sort(names, compare_names);
    return names;
}

static void
load_machines(CpuWorld *world)
{
    g_autoptr(GPtrArray) names = cpu_machine_names();

    world->machines = g_ptr_array_new_with_free_func(machine_free);
    for (guint i = 0; i < names->len; i++)
        g_ptr_array_add(world->machines, load_machine(world, g_ptr_array_index(names, i)));
}

CpuWorld *
cpu_world_load(const char *folder)
{
    g_autoptr(GError) error = NULL;
    CpuWorld *world = g_new0(CpuWorld, 1);

    if (!decode_tools_load(&world->tools, folder, &error))
        fail("the map", error);
    world->basis = inv_cpu_basis_of_map(world->tools.decoder, "x86_64");
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
    decode_tools_clear(&world->tools);
    g_free(world);
}
