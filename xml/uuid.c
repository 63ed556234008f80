/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/domain.h"

void
inv_uuid_format(const unsigned char uuid[VIR_UUID_BUFLEN], char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (guint i = 0; i < VIR_UUID_BUFLEN; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *text++ = '-';
        *text++ = digits[uuid[i] >> 4];
        *text++ = digits[uuid[i] & 0xf];
    }
    *text = '\0';
}

gboolean
inv_uuid_parse(const char *text, unsigned char uuid[VIR_UUID_BUFLEN])
{
    unsigned char bytes[VIR_UUID_BUFLEN];

    while (g_ascii_isspace(*text))
        text++;
    for (guint i = 0; i < VIR_UUID_BUFLEN; i++) {
        while (i > 0 && (*text == '-' || *text == ' '))
            text++;
        if (!g_ascii_isxdigit(text[0]) || !g_ascii_isxdigit(text[1]))
            return FALSE;
        bytes[i] = (unsigned char)(g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]));
        text += 2;
    }
    while (g_ascii_isspace(*text))
        text++;
    if (*text)
        return FALSE;
    for (guint i = 0; i < VIR_UUID_BUFLEN; i++)
        uuid[i] = bytes[i];
    return TRUE;
}
