/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "emulator_fixture.h"
#include "tests/unit/test_folder.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MS 30000u

EmulatorFixture *
emulator_fixture_new(void)
{
    EmulatorFixture *fixture = g_new0(EmulatorFixture, 1);

    fixture->folder = g_dir_make_tmp("invar-test-XXXXXX", NULL);
    g_assert(fixture->folder);
    fixture->io = inv_io_thread_new();
    fixture->cache = inv_cache_open(NULL);
    fixture->emulators = inv_emulators_new(fixture->io, fixture->cache, (const char *const[]){ fixture->folder, NULL }, fixture->folder);
    return fixture;
}

void
emulator_fixture_free(EmulatorFixture *fixture)
{
    if (!fixture)
        return;
    inv_emulators_free(fixture->emulators);
    inv_cache_close(fixture->cache);
    inv_io_thread_free(fixture->io);
    test_folder_remove(fixture->folder);
    g_free(fixture->folder);
    g_free(fixture);
}

char *
emulator_fixture_source(const char *name)
{
    return g_build_filename(g_getenv("INVAR_TOP_SRCDIR") ?: ".", "tests", name, NULL);
}

char *
emulator_fixture_recording(const char *name)
{
    g_autofree char *path = g_build_filename(g_getenv("INVAR_TOP_SRCDIR") ?: ".", "..", "shared", "data", "replies", name, NULL);

    return g_file_test(path, G_FILE_TEST_EXISTS) ? g_steal_pointer(&path) : NULL;
}

char *
emulator_fixture_file(EmulatorFixture *fixture, const char *name, const char *text, int mode)
{
    char *path = g_build_filename(fixture->folder, name, NULL);

    g_assert(g_file_set_contents(path, text, -1, NULL));
    g_assert(g_chmod(path, mode) == 0);
    return path;
}

char *
emulator_fixture_fake(EmulatorFixture *fixture, const char *name, const char *config)
{
    g_autofree char *script = emulator_fixture_source("fake_qemu/fake_qemu.py");
    g_autofree char *config_name = g_strconcat(name, ".json", NULL);
    g_autofree char *config_path = emulator_fixture_file(fixture, config_name, config, 0644);
    g_autofree char *text = g_strdup_printf("#!/bin/sh\nexec /usr/bin/python3 -B '%s' '%s' \"$@\"\n", script, config_path);

    return emulator_fixture_file(fixture, name, text, 0755);
}

char *
emulator_fixture_counted(EmulatorFixture *fixture, const char *name, const char *program, char **log)
{
    g_autofree char *log_name = g_strconcat(name, ".log", NULL);
    g_autofree char *text = NULL;

    *log = g_build_filename(fixture->folder, log_name, NULL);
    text = g_strdup_printf("#!/bin/sh\necho \"$@\" >> '%s'\nexec '%s' \"$@\"\n", *log, program);
    return emulator_fixture_file(fixture, name, text, 0755);
}

guint
emulator_fixture_count(const char *log)
{
    g_autofree char *text = NULL;
    guint lines = 0;

    if (!g_file_get_contents(log, &text, NULL, NULL))
        return 0;
    for (const char *byte = text; *byte; byte++)
        lines += *byte == '\n';
    return lines;
}

gboolean
emulator_fixture_is_running(const char *text)
{
    g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
    const char *entry;

    while (dir && (entry = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename("/proc", entry, "cmdline", NULL);
        g_autofree char *command = NULL;
        gsize length = 0;

        if (!g_ascii_isdigit(entry[0]) || atoi(entry) == getpid() || !g_file_get_contents(path, &command, &length, NULL))
            continue;
        for (gsize i = 0; i + 1 < length; i++) {
            if (!command[i])
                command[i] = ' ';
        }
        if (strstr(command, text))
            return TRUE;
    }
    return FALSE;
}

InvJson *
emulator_fixture_ask(InvProbeProcess *process, const char *command, const InvJson *arguments)
{
    const InvQmpCommand one = { command, arguments };
    GError *refused = NULL;
    InvJson *reply = NULL;

    g_assert(inv_qmp_call_many(inv_probe_process_qmp(process), &one, 1, ANSWER_MS, &reply, &refused, NULL));
    g_clear_error(&refused);
    return reply;
}

InvJson *
emulator_fixture_expansion(InvProbeProcess *process, const char *type, const char *model)
{
    g_autoptr(InvJson) arguments = inv_json_new_object();
    InvJson *json = inv_json_new_object();

    inv_json_object_set_string(arguments, "type", type);
    inv_json_object_set_string(json, "name", model);
    inv_json_object_set(arguments, "model", json);
    return emulator_fixture_ask(process, "query-cpu-model-expansion", arguments);
}
