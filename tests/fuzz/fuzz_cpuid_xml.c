/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/fuzz/decoder_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * The input is raw registers, put into a <cpudata> that is well-formed: so the fuzzer is past the
 * parser at once. 24 bytes are a leaf: number, subleaf, four registers; an MSR when the subleaf has
 * its highest bit. Text that begins with '<' is taken as it is.
 */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvCpuidData) dump = NULL;
    g_autoptr(InvCpuSeen) seen = NULL;
    g_autoptr(GString) xml = g_string_new("<cpudata arch='x86'>");

    for (size_t at = 0; at + 24 <= size; at += 24) {
        guint32 words[6];

        memcpy(words, data + at, sizeof(words));
        if (words[1] & 0x80000000u)
            g_string_append_printf(xml, "<msr index='0x%x' eax='0x%x' edx='0x%x'/>", words[0], words[2], words[5]);
        else
            g_string_append_printf(xml, "<cpuid eax_in='0x%x' ecx_in='0x%x' eax='0x%x' ebx='0x%x' ecx='0x%x' edx='0x%x'/>", words[0],
                                   words[1], words[2], words[3], words[4], words[5]);
    }
    g_string_append(xml, "</cpudata>");
    dump = size && data[0] == '<' ? inv_cpuid_data_parse((const char *)data, size, &error) : inv_cpuid_data_parse(xml->str, xml->len, &error);
    g_assert(!dump == !!error);
    if (!dump)
        return 0;
    seen = inv_cpu_seen_from_cpuid(decoder_fixture(), dump, &error);
    g_assert(!seen == !!error);
    check_description(seen);
    return 0;
}
