/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/difference.h"
#include "tests/unit/cpu_machines.h"

#include <glib.h>

/* What tests of the algebra share. The first two are made by algebra_load() for all of them. */
extern CpuWorld *world;
extern InvCpuDifference *difference; /* each comparison fills it anew */
extern GError *error;                /* of one test */

/* Of the group, and of each test. */
int algebra_load(void **state);
int algebra_unload(void **state);
int algebra_teardown(void **state);

/* By the map. Fails the test when that does not take it. Owned by the caller. */
InvCpuDescription *describe(const InvCpu *cpu);
