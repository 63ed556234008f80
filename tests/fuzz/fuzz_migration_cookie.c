/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <stdint.h>

#include "daemon/migration_cookie.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read is written, read again, and must then be written the same. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvMigrationCookie) first = inv_migration_cookie_parse((const char *)data, size, &error);
    g_autoptr(InvMigrationCookie) second = NULL;
    g_autoptr(GBytes) text = NULL;
    g_autoptr(GBytes) again = NULL;

    g_assert(!first == !!error);
    if (!first)
        return 0;
    text = inv_migration_cookie_format(first);
    /* Escaped, a definition can outgrow what is read. */
    if (g_bytes_get_size(text) > INV_COOKIE_MAX_BYTES)
        return 0;
    second = inv_migration_cookie_parse(g_bytes_get_data(text, NULL), g_bytes_get_size(text), &error);
    g_assert_no_error(error);
    again = inv_migration_cookie_format(second);
    g_assert(g_bytes_equal(text, again));
    return 0;
}
