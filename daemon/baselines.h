/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/cpu_common.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * The baselines that one connection has open, by number. Bounded in number; what each keeps does not
 * grow with the CPUs that are added. Safe from any thread.
 */
typedef struct InvBaselines InvBaselines;

/* A client that needs more is better served by several connections. */
#define INV_BASELINES_MAX 16u

InvBaselines *inv_baselines_new(void);
void inv_baselines_free(InvBaselines *baselines);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvBaselines, inv_baselines_free)

/* Takes @common over; its number, or 0 with VIR_ERR_OPERATION_INVALID: too many are open. */
gint64 inv_baselines_open(InvBaselines *baselines, InvCpuCommon *common, GError **error);

/* VIR_ERR_INVALID_ARG: no such baseline is open; other errors as of inv_cpu_common_add(). *@count: of all that are in. */
gboolean inv_baselines_add(InvBaselines *baselines, gint64 number, char *const *documents, guint n, guint64 *count, GError **error);

/* As inv_cpu_common_result(); the baseline stays open. */
char *inv_baselines_result(InvBaselines *baselines, gint64 number, unsigned int flags, guint64 *count, GError **error);

/* One that is in use is freed by its last user. */
gboolean inv_baselines_close(InvBaselines *baselines, gint64 number, GError **error);

G_END_DECLS
