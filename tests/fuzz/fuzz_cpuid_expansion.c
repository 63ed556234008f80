/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <stdint.h>

#include "tests/fuzz/decoder_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* QEMU's expansions of a CPU model: what is JSON can be decoded or is refused. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvJson) json = inv_json_parse((const char *)data, size, NULL);
    g_autoptr(InvCpuSeen) seen = NULL;

    if (!json)
        return 0;
    seen = inv_cpu_seen_from_expansion(decoder_fixture(), json, &error);
    g_assert(!seen == !!error);
    check_description(seen);
    return 0;
}
