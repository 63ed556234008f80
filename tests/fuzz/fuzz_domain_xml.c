/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <stdint.h>

#include "xml/domain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read is written, read again, and must then be written the same. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *xml = g_strndup((const char *)data, size);
    g_autoptr(GError) error = NULL;
    g_autoptr(InvDomain) first = inv_domain_parse(xml, &error);
    g_autoptr(InvDomain) second = NULL;
    g_autofree char *text = NULL;
    g_autofree char *again = NULL;

    g_assert(!first == !!error);
    if (!first)
        return 0;
    if (!inv_domain_complete(first, "x86_64", NULL, NULL) || !inv_domain_validate(first, NULL))
        return 0;
    text = inv_domain_format(first, INV_FORMAT_SECURE);
    second = inv_domain_parse(text, &error);
    g_assert_no_error(error);
    again = inv_domain_format(second, INV_FORMAT_SECURE);
    g_assert_cmpstr(text, ==, again);
    return 0;
}
