/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <stdint.h>

#include "tests/fuzz/decoder_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Dumps of CPUID as text, and <cpudata>: what is read can be decoded or is refused. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvCpuidData) dump = inv_cpuid_data_parse((const char *)data, size, &error);
    g_autoptr(InvCpuSeen) seen = NULL;

    g_assert(!dump == !!error);
    if (!dump)
        return 0;
    seen = inv_cpu_seen_from_cpuid(decoder_fixture(), dump, &error);
    g_assert(!seen == !!error);
    check_description(seen);
    return 0;
}
