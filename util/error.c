/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/error.h"

G_DEFINE_QUARK(invar-error-quark, inv_error)

gboolean
inv_error_set(GError **error, virErrorNumber code, const char *format, ...)
{
    va_list args;

    if (error) {
        va_start(args, format);
        *error = g_error_new_valist(INV_ERROR, (int)code, format, args);
        va_end(args);
    }
    return FALSE;
}

gboolean
inv_error_set_errno(GError **error, int errnum, const char *format, ...)
{
    va_list args;
    g_autofree char *text = NULL;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    return inv_error_set(error, VIR_ERR_SYSTEM_ERROR, "%s: %s", text, g_strerror(errnum));
}

virErrorNumber
inv_error_code(const GError *error)
{
    if (!error)
        return VIR_ERR_OK;
    if (error->domain == INV_ERROR)
        return (virErrorNumber)error->code;
    if (error->domain == G_FILE_ERROR || error->domain == G_SPAWN_ERROR)
        return VIR_ERR_SYSTEM_ERROR;
    if (error->domain == G_KEY_FILE_ERROR)
        return VIR_ERR_CONF_SYNTAX;
    return VIR_ERR_INTERNAL_ERROR;
}
