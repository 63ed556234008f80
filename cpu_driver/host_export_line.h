/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Inside of host_export_*.c: what the writer and the reader must agree on. */
#define INV_HOST_EXPORT_SUM ",\"sum\":\""
/* FNV-1a, 64 bit. */
guint64 inv_host_export_sum(const char *text, gsize length);

G_END_DECLS
