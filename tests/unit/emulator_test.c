/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/emulator_test.h"

EmulatorFixture *fixture;
InvEmulator *emulator;
GError *error;
char *path;
char *log_path;

int
emulator_test_setup(void **state)
{
    fixture = emulator_fixture_new();
    return 0;
}

int
emulator_test_teardown(void **state)
{
    gboolean left_behind = emulator_fixture_is_running(fixture->folder);

    g_clear_pointer(&emulator, inv_emulator_unref);
    g_clear_error(&error);
    g_clear_pointer(&path, g_free);
    g_clear_pointer(&log_path, g_free);
    g_clear_pointer(&fixture, emulator_fixture_free);
    return left_behind;
}
