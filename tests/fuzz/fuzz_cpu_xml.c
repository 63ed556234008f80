/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <stdint.h>

#include "xml/cpu_scan.h"
#include "xml/domain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read without a parser is what the parser reads. */
static void
check_scan(const char *xml, const InvCpu *parsed)
{
    g_autoptr(InvCpu) scanned = inv_cpu_scan(xml);
    g_autoptr(InvCpu) bare = NULL;
    g_autofree char *text = NULL;
    g_autofree char *expected = NULL;

    if (!scanned)
        return;
    g_assert_nonnull(parsed);
    bare = inv_cpu_copy(parsed);
    g_clear_pointer(&bare->source, xmlFreeNode);
    text = inv_cpu_format(scanned);
    expected = inv_cpu_format(bare);
    g_assert_cmpstr(text, ==, expected);
}

/* What is read is written, read again, and must then be written the same. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *xml = g_strndup((const char *)data, size);
    g_autoptr(GError) error = NULL;
    g_autoptr(InvCpu) first = inv_cpu_parse(xml, &error);
    g_autoptr(InvCpu) second = NULL;
    g_autofree char *text = NULL;
    g_autofree char *again = NULL;

    g_assert(!first == !!error);
    check_scan(xml, first);
    if (!first)
        return 0;
    text = inv_cpu_format(first);
    second = inv_cpu_parse(text, &error);
    g_assert_no_error(error);
    again = inv_cpu_format(second);
    g_assert_cmpstr(text, ==, again);
    return 0;
}
