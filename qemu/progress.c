/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happens to the emulators, told as it happens. */
#include "qemu/emulator_private.h"

#include "util/error.h"

static void
log_change(const InvEmulatorChange *change)
{
    const char *about = *change->subject ? ": " : "";

    switch (change->state) {
    case INV_EMULATOR_UNKNOWN:
        g_info("'%s'%s%s was not asked to the end: %s", change->path, about, change->subject, change->reason);
        break;
    case INV_EMULATOR_PROBING:
        g_info("'%s'%s%s is being asked", change->path, about, change->subject);
        break;
    case INV_EMULATOR_KNOWN:
        g_message("'%s'%s%s is known, in %u ms", change->path, about, change->subject, change->ms);
        break;
    case INV_EMULATOR_FAILED:
        g_message("no use can be made of '%s'%s%s: %s", change->path, about, change->subject, change->reason);
        break;
    case INV_EMULATOR_CHANGED:
        g_message("%s%s%s changed: %s", *change->path ? change->path : "this host", about, change->subject, change->reason);
        break;
    case INV_EMULATOR_GONE:
        g_message("'%s' is gone: %s", change->path, change->reason);
        break;
    }
}

void
inv_emulators_tell(InvEmulators *emulators, const InvEmulatorChange *change)
{
    log_change(change);
    if (emulators->news)
        emulators->news(change, emulators->news_data);
}

void
inv_emulators_set_news(InvEmulators *emulators, InvEmulatorNews news, gpointer user_data)
{
    emulators->news = news;
    emulators->news_data = user_data;
}

InvEmulatorChange
inv_emulators_begin(InvEmulators *emulators, const char *path, const char *subject)
{
    InvEmulatorChange change = {
        .path = path, .subject = subject, .state = INV_EMULATOR_PROBING, .reason = "", .begun = g_get_monotonic_time(),
    };

    inv_emulators_tell(emulators, &change);
    return change;
}

void
inv_emulators_end(InvEmulators *emulators, const InvEmulatorChange *begun, const GError *error)
{
    InvEmulatorChange change = *begun;

    change.ms = (guint)((g_get_monotonic_time() - begun->begun) / G_TIME_SPAN_MILLISECOND);
    change.state = INV_EMULATOR_KNOWN;
    if (error) {
        virErrorNumber code = inv_error_code(error);

        change.reason = error->message;
        change.state = code == VIR_ERR_RESOURCE_BUSY || code == VIR_ERR_OPERATION_ABORTED ? INV_EMULATOR_UNKNOWN
                                                                                        : INV_EMULATOR_FAILED;
    }
    inv_emulators_tell(emulators, &change);
}
