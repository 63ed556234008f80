/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far a migration is, as query-migrate tells it. */
#include "qemu/migration.h"

#include "util/error.h"

#include <string.h>

static const char *const state_names[] = {
    [INV_MIGRATION_NONE] = "none",
    [INV_MIGRATION_SETUP] = "setup",
    [INV_MIGRATION_ACTIVE] = "active",
    [INV_MIGRATION_PRE_SWITCHOVER] = "pre-switchover",
    [INV_MIGRATION_DEVICE] = "device",
    [INV_MIGRATION_POSTCOPY] = "postcopy-active",
    [INV_MIGRATION_POSTCOPY_PAUSED] = "postcopy-paused",
    [INV_MIGRATION_POSTCOPY_RECOVER] = "postcopy-recover",
    [INV_MIGRATION_COMPLETED] = "completed",
    [INV_MIGRATION_FAILED] = "failed",
    [INV_MIGRATION_CANCELLING] = "cancelling",
    [INV_MIGRATION_CANCELLED] = "cancelled",
};
G_STATIC_ASSERT(G_N_ELEMENTS(state_names) == INV_MIGRATION_CANCELLED + 1);

/* Steps of which Invar makes no difference; the last two came with QEMU 9.1 and 10.1. */
static const struct {
    const char *name;
    InvMigrationState state;
} further_states[] = {
    { "wait-unplug", INV_MIGRATION_SETUP },
    { "postcopy-recover-setup", INV_MIGRATION_POSTCOPY_RECOVER },
    { "postcopy-device", INV_MIGRATION_POSTCOPY },
};

const char *
inv_migration_state_to_string(InvMigrationState state)
{
    return state_names[state];
}

gboolean
inv_migration_state_from_string(const char *text, InvMigrationState *state)
{
    for (gsize i = 0; text && i < G_N_ELEMENTS(state_names); i++) {
        if (strcmp(text, state_names[i]) == 0) {
            *state = (InvMigrationState)i;
            return TRUE;
        }
    }
    for (gsize i = 0; text && i < G_N_ELEMENTS(further_states); i++) {
        if (strcmp(text, further_states[i].name) == 0) {
            *state = further_states[i].state;
            return TRUE;
        }
    }
    return FALSE;
}

void
inv_migration_progress_clear(InvMigrationProgress *progress)
{
    g_free(progress->error);
    memset(progress, 0, sizeof *progress);
}

/* QEMU gives megabits/s with a fraction; what is no sensible figure is 0. */
static guint64
bytes_per_second(const InvJson *mbps)
{
    g_autofree char *text = inv_json_type(mbps) == INV_JSON_NUMBER ? inv_json_format(mbps, FALSE) : NULL;
    double figure = text ? g_ascii_strtod(text, NULL) : 0;

    return figure > 0 && figure < 1e9 ? (guint64)(figure * 1e6 / 8) : 0;
}

static void
read_progress(const InvJson *reply, InvMigrationProgress *progress)
{
    const InvJson *ram = inv_json_get(reply, "ram");
    const InvJson *xbzrle = inv_json_get(reply, "xbzrle-cache");
    const struct {
        const InvJson *from;
        const char *name;
        guint64 *to;
    } rows[] = {
        { ram, "total", &progress->total },
        { ram, "transferred", &progress->transferred },
        { ram, "remaining", &progress->remaining },
        { ram, "duplicate", &progress->duplicate_pages },
        { ram, "normal", &progress->normal_pages },
        { ram, "normal-bytes", &progress->normal_bytes },
        { ram, "page-size", &progress->page_size },
        { ram, "dirty-pages-rate", &progress->dirty_rate },
        { ram, "dirty-sync-count", &progress->iterations },
        { ram, "postcopy-requests", &progress->postcopy_requests },
        { reply, "total-time", &progress->total_ms },
        { reply, "setup-time", &progress->setup_ms },
        { reply, "downtime", &progress->downtime_ms },
        { reply, "expected-downtime", &progress->expected_downtime_ms },
        { xbzrle, "cache-size", &progress->xbzrle_cache },
        { xbzrle, "bytes", &progress->xbzrle_bytes },
        { xbzrle, "pages", &progress->xbzrle_pages },
        { xbzrle, "cache-miss", &progress->xbzrle_cache_miss },
        { xbzrle, "overflow", &progress->xbzrle_overflow },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
        *rows[i].to = inv_json_get_uint(rows[i].from, rows[i].name, 0);
    progress->has_downtime = inv_json_get(reply, "downtime") != NULL;
    progress->throttle = (guint)MIN(inv_json_get_uint(reply, "cpu-throttle-percentage", 0), 100);
    progress->bps = bytes_per_second(inv_json_get(ram, "mbps"));
    progress->error = g_strdup(inv_json_get_string(reply, "error-desc"));
}

gboolean
inv_migration_query(InvQmp *qmp, InvMigrationProgress *progress, guint deadline_ms, GError **error)
{
    g_autoptr(InvJson) reply = NULL;
    const char *status;

    memset(progress, 0, sizeof *progress);
    if (!inv_qmp_call(qmp, "query-migrate", NULL, deadline_ms, &reply, error))
        return FALSE;
    status = inv_json_get_string(reply, "status");
    if (!inv_migration_state_from_string(status ? status : "none", &progress->state))
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "QEMU calls its migration '%s', a state that Invar does not know",
                             status);
    read_progress(reply, progress);
    return TRUE;
}
