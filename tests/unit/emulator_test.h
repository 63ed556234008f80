/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tests/unit/emulator_fixture.h"

#include <glib.h>

/* What a test that asks one emulator starts with and leaves to be freed. */
extern EmulatorFixture *fixture;
extern InvEmulator *emulator;
extern GError *error;
extern char *path;     /* of the emulator */
extern char *log_path; /* where it counts its runs */

int emulator_test_setup(void **state);
/* Fails the test when a process with the fixture's folder in its command line is left behind. */
int emulator_test_teardown(void **state);
