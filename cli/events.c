/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/events.h"
#include "cli/domain_ref.h"
#include "rpc/typed_params.h"

#include <string.h>

/* By VIR_DOMAIN_EVENT_ID_…. @reason: a number stands between the callback's and the domain. */
static const struct {
    const char *name;
    guint32 procedure;
    gboolean reason;
} kinds[] = {
    { "lifecycle", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_LIFECYCLE, FALSE },
    { "reboot", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_REBOOT, FALSE },
    { "rtc-change", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_RTC_CHANGE, FALSE },
    { "watchdog", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_WATCHDOG, FALSE },
    { "io-error", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_IO_ERROR, FALSE },
    { "graphics", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_GRAPHICS, FALSE },
    { "io-error-reason", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_IO_ERROR_REASON, FALSE },
    { "control-error", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_CONTROL_ERROR, FALSE },
    { "block-job", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_BLOCK_JOB, FALSE },
    { "disk-change", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_DISK_CHANGE, FALSE },
    { "tray-change", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_TRAY_CHANGE, FALSE },
    { "pm-wakeup", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_PMWAKEUP, TRUE },
    { "pm-suspend", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_PMSUSPEND, TRUE },
    { "balloon-change", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_BALLOON_CHANGE, FALSE },
    { "pm-suspend-disk", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_PMSUSPEND_DISK, TRUE },
    { "device-removed", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_DEVICE_REMOVED, FALSE },
    { "block-job-2", REMOTE_PROC_DOMAIN_EVENT_BLOCK_JOB_2, FALSE },
    { "tunable", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_TUNABLE, FALSE },
    { "agent-lifecycle", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_AGENT_LIFECYCLE, FALSE },
    { "device-added", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_DEVICE_ADDED, FALSE },
    { "migration-iteration", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_MIGRATION_ITERATION, FALSE },
    { "job-completed", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_JOB_COMPLETED, FALSE },
    { "device-removal-failed", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_DEVICE_REMOVAL_FAILED, FALSE },
    { "metadata-change", REMOTE_PROC_DOMAIN_EVENT_CALLBACK_METADATA_CHANGE, FALSE },
    { "block-threshold", REMOTE_PROC_DOMAIN_EVENT_BLOCK_THRESHOLD, FALSE },
    { "memory-failure", REMOTE_PROC_DOMAIN_EVENT_MEMORY_FAILURE, FALSE },
    { "memory-device-size-change", REMOTE_PROC_DOMAIN_EVENT_MEMORY_DEVICE_SIZE_CHANGE, FALSE },
};
G_STATIC_ASSERT(VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE + 1 == G_N_ELEMENTS(kinds));

#define MOST_DETAILS 9

/* By VIR_DOMAIN_EVENT_…, then by the detail of that event. */
static const struct {
    const char *type;
    const char *details[MOST_DETAILS];
} lifecycle[] = {
    { "Defined", { "Added", "Updated", "Renamed", "Snapshot" } },
    { "Undefined", { "Removed", "Renamed" } },
    { "Started", { "Booted", "Migrated", "Restored", "Snapshot", "Event wakeup" } },
    { "Suspended",
      { "Paused", "Migrated", "I/O Error", "Watchdog", "Restored", "Snapshot", "API error", "Post-copy", "Post-copy Error" } },
    { "Resumed", { "Unpaused", "Migrated", "Snapshot", "Post-copy", "Post-copy Error" } },
    { "Stopped", { "Shutdown", "Destroyed", "Crashed", "Migrated", "Saved", "Failed", "Snapshot" } },
    { "Shutdown", { "Finished", "Finished after guest request", "Finished after host request" } },
    { "PMSuspended", { "Memory", "Disk" } },
    { "Crashed", { "Panicked", "Crashloaded" } },
};
G_STATIC_ASSERT(VIR_DOMAIN_EVENT_CRASHED + 1 == G_N_ELEMENTS(lifecycle));

const char *
inv_event_name(int id)
{
    return id >= 0 && (gsize)id < G_N_ELEMENTS(kinds) ? kinds[id].name : NULL;
}

int
inv_event_id(const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (!strcmp(kinds[i].name, name))
            return (int)i;
    }
    return -1;
}

void
inv_event_clear(InvEvent *event)
{
    g_free(event->domain);
    g_free(event->uuid);
    g_strfreev(event->figures);
}

static gboolean
decode_lifecycle(XDR *xdr, InvEvent *event)
{
    int type, detail;

    if (!xdr_int(xdr, &type) || !xdr_int(xdr, &detail))
        return FALSE;
    event->type = "Unknown";
    event->detail = "unknown";
    if (type < 0 || (gsize)type >= G_N_ELEMENTS(lifecycle))
        return TRUE;
    event->type = lifecycle[type].type;
    if (detail >= 0 && detail < MOST_DETAILS && lifecycle[type].details[detail])
        event->detail = lifecycle[type].details[detail];
    return TRUE;
}

/* The message from its beginning: its list has a filter of its own only there. */
static gboolean
decode_figures(XDR *xdr, InvEvent *event)
{
    remote_domain_event_callback_job_completed_msg message = { 0 };
    gboolean decoded = xdr_setpos(xdr, 0) && xdr_remote_domain_event_callback_job_completed_msg(xdr, &message);
    g_autoptr(GStrvBuilder) lines = g_strv_builder_new();

    for (u_int i = 0; decoded && i < message.params.params_len; i++) {
        g_autofree char *line = inv_typed_param_format(&message.params.params_val[i]);

        g_strv_builder_add(lines, line);
    }
    xdr_free((xdrproc_t)xdr_remote_domain_event_callback_job_completed_msg, (char *)&message);
    if (decoded)
        event->figures = g_strv_builder_end(lines);
    return decoded;
}

/* All kinds begin alike: the callback's number, the domain. What follows is read of some. */
static gboolean
decode(XDR *xdr, guint kind, InvEvent *event)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    char uuid[INV_UUID_TEXT_SIZE];
    int number;

    if (!xdr_int(xdr, &number) || (kinds[kind].reason && !xdr_int(xdr, &number)) || !xdr_remote_nonnull_domain(xdr, &domain))
        return FALSE;
    inv_domain_uuid_format(domain.uuid, uuid);
    event->name = kinds[kind].name;
    event->domain = g_strdup(domain.name);
    event->uuid = g_strdup(uuid);
    switch (kind) {
    case VIR_DOMAIN_EVENT_ID_LIFECYCLE:
        return decode_lifecycle(xdr, event);
    case VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION:
        return xdr_int(xdr, &event->iteration);
    case VIR_DOMAIN_EVENT_ID_JOB_COMPLETED:
        return decode_figures(xdr, event);
    default:
        return TRUE;
    }
}

gboolean
inv_event_decode(guint32 procedure, const guint8 *payload, gsize length, InvEvent *event)
{
    gboolean decoded = FALSE;
    XDR xdr;

    for (guint i = 0; i < G_N_ELEMENTS(kinds) && length <= G_MAXINT; i++) {
        if (kinds[i].procedure != procedure)
            continue;
        xdrmem_create(&xdr, (char *)payload, (u_int)length, XDR_DECODE);
        decoded = decode(&xdr, i, event);
        xdr_destroy(&xdr);
    }
    return decoded;
}
