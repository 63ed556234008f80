/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is wrong with an emulator, kept in the capability cache: a sick one costs a restarted daemon nothing either. */
#include "qemu/emulator_private.h"

#include "qemu/probe_budget.h"
#include "qemu/probe_process.h"
#include "util/error.h"

#include <string.h>
#include <unistd.h>

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

/* Changes when the form of a kept failure does. */
#define FAILURE_FORMAT 1

static char *
entry_of(const char *path, const char *subject)
{
    return g_strdup_printf("%s failure %s", path, subject);
}

/* The background takes any failure for one, and what it misses itself a client's own question may still get. */
static guint
patience_of(guint deadline_ms)
{
    return inv_probe_budget_is_idle() ? 0 : deadline_ms;
}

/* Who asks is part of it: a program may be another user's only. */
static char *
key_of(const char *state)
{
    return g_strdup_printf("format %d of " PACKAGE_STRING ", user %u, %s", FAILURE_FORMAT, (unsigned)geteuid(), state);
}

gboolean
inv_failure_recall(InvEmulators *emulators, const char *path, const char *subject, const char *state, guint deadline_ms,
                   GError **error)
{
    g_autofree char *entry = entry_of(path, subject);
    g_autofree char *key = key_of(state);
    g_autofree char *text = inv_cache_get(emulators->cache, entry, key);
    g_autoptr(InvJson) json = text ? inv_json_parse(text, strlen(text), NULL) : NULL;
    const char *message = inv_json_get_string(json, "message");
    gint64 code = inv_json_get_int(json, "code", 0);

    /* Nothing but what is kept below; a damaged text is none. */
    if (!message || (code != VIR_ERR_CONFIG_UNSUPPORTED && code != VIR_ERR_OPERATION_FAILED && code != VIR_ERR_OPERATION_TIMEOUT))
        return FALSE;
    if (code == VIR_ERR_OPERATION_TIMEOUT && inv_json_get_int(json, "waited-ms", 0) < (gint64)patience_of(deadline_ms))
        return FALSE;
    inv_error_set(error, (virErrorNumber)code, "%s", message);
    return TRUE;
}

void
inv_failure_keep(InvEmulators *emulators, const char *path, const char *subject, const char *state, guint deadline_ms,
                 const GError *failure)
{
    virErrorNumber code = inv_error_code(failure);
    g_autofree char *entry = entry_of(path, subject);
    g_autofree char *key = key_of(state);
    g_autofree char *text = NULL;
    g_autoptr(InvJson) json = NULL;

    if (code != VIR_ERR_CONFIG_UNSUPPORTED && code != VIR_ERR_OPERATION_FAILED && code != VIR_ERR_OPERATION_TIMEOUT)
        return;
    if (inv_probe_failure_passes(failure))
        return;
    json = inv_json_new_object();
    inv_json_object_set_int(json, "code", code);
    inv_json_object_set_string(json, "message", failure->message);
    inv_json_object_set_int(json, "waited-ms", patience_of(deadline_ms));
    text = inv_json_format(json, FALSE);
    inv_cache_put(emulators->cache, entry, key, text);
}
