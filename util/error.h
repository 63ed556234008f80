/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libvirt/virterror.h>

G_BEGIN_DECLS

/*
 * Errors are GErrors of one domain whose codes are libvirt's virErrorNumber, so that what a room
 * says travels to a client unchanged. An error is set once, where the cause is known; callers only
 * put context in front with g_prefix_error(). The message names the thing, what was wrong with it
 * and what to do.
 */
#define INV_ERROR (inv_error_quark())
GQuark inv_error_quark(void);

/* Sets *@error (which may be NULL). Always returns FALSE, so that a failing path is one statement. */
gboolean inv_error_set(GError **error, virErrorNumber code, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* The same, with VIR_ERR_SYSTEM_ERROR and ": strerror(@errnum)" behind the message. */
gboolean inv_error_set_errno(GError **error, int errnum, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* The virErrorNumber to show a client: our own code, or the nearest for an error of GLib's domains. */
virErrorNumber inv_error_code(const GError *error);

G_END_DECLS
