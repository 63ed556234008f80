/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/emulator.h"
#include "qemu/probe_process.h"

#include <glib.h>

/* What tests with emulators share: a temporary folder, a cache in memory, the I/O thread, and fake emulators. */
typedef struct {
    char *folder;
    InvIoThread *io;
    InvCache *cache;
    InvEmulators *emulators;
} EmulatorFixture;

EmulatorFixture *emulator_fixture_new(void);
void emulator_fixture_free(EmulatorFixture *fixture);

/* Puts an emulator in the folder that answers as the JSON text @config says (tests/fake_qemu); its path, owned by the caller. */
char *emulator_fixture_fake(EmulatorFixture *fixture, const char *name, const char *config);
/* A script there that counts its runs and then runs @program; *@log: where it counts. Both owned by the caller. */
char *emulator_fixture_counted(EmulatorFixture *fixture, const char *name, const char *program, char **log);
guint emulator_fixture_count(const char *log);
/* Puts a file there. */
char *emulator_fixture_file(EmulatorFixture *fixture, const char *name, const char *text, int mode);

/* The path of a file of tests/ in the source tree, owned by the caller. */
char *emulator_fixture_source(const char *name);
/* A recorded session, or NULL where the recordings are not. */
char *emulator_fixture_recording(const char *name);
/* Whether any process has @text in its command line. */
gboolean emulator_fixture_is_running(const char *text);
/* QEMU's answer to a test's own question, owned by the caller; NULL where it refuses. */
InvJson *emulator_fixture_ask(InvProbeProcess *process, const char *command, const InvJson *arguments);
/* query-cpu-model-expansion of @type "full" or "static". */
InvJson *emulator_fixture_expansion(InvProbeProcess *process, const char *type, const char *model);
