/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/algebra_fixture.h"

CpuWorld *world;
InvCpuDifference *difference;
GError *error;

int
algebra_load(void **state)
{
    world = cpu_world_load(NULL);
    difference = inv_cpu_difference_new(world->basis);
    return 0;
}

int
algebra_unload(void **state)
{
    g_clear_pointer(&difference, inv_cpu_difference_free);
    g_clear_pointer(&world, cpu_world_free);
    return 0;
}

int
algebra_teardown(void **state)
{
    g_clear_error(&error);
    return 0;
}

InvCpuDescription *
describe(const InvCpu *cpu)
{
    InvCpuDescription *description = inv_cpu_describe(world->basis, cpu, NULL, &error);

    if (!description)
        fail_msg("%s", error->message);
    return description;
}
