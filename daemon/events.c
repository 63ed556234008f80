/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's headers give the ends of their enumerations only on demand: VIR_DOMAIN_EVENT_ID_LAST. */
#define VIR_ENUM_SENTINELS
#include "daemon/events.h"

#include "rpc/invar_protocol.h"
#include "rpc/remote_protocol.h"
#include "util/error.h"

#include <string.h>

/* virsh registers 28 at once; a client that wants more than this is broken. */
#define MAX_CALLBACKS_PER_CLIENT 1024u

typedef struct {
    InvRpcClient *client; /* borrowed: inv_events_forget_client() comes before its end */
    int callback_id;
    int event_id;
    gboolean legacy;
    gboolean has_uuid;
    unsigned char uuid[VIR_UUID_BUFLEN];
} Callback;

struct InvEvents {
    GMutex lock;
    GPtrArray *callbacks; /* of Callback */
    GPtrArray *emulator_clients; /* of InvRpcClient, borrowed as those of callbacks are */
    int last_id;
};

InvEvents *
inv_events_new(void)
{
    InvEvents *events = g_new0(InvEvents, 1);

    g_mutex_init(&events->lock);
    events->callbacks = g_ptr_array_new_with_free_func(g_free);
    events->emulator_clients = g_ptr_array_new();
    return events;
}

void
inv_events_free(InvEvents *events)
{
    if (!events)
        return;
    g_ptr_array_unref(events->callbacks);
    g_ptr_array_unref(events->emulator_clients);
    g_mutex_clear(&events->lock);
    g_free(events);
}

static guint
count_of_client(const InvEvents *events, const InvRpcClient *client)
{
    guint count = 0;

    for (guint i = 0; i < events->callbacks->len; i++)
        count += ((const Callback *)g_ptr_array_index(events->callbacks, i))->client == client;
    return count;
}

int
inv_events_register(InvEvents *events, InvRpcClient *client, int event_id, const unsigned char *uuid, gboolean legacy,
                    GError **error)
{
    g_autoptr(GMutexLocker) lock = g_mutex_locker_new(&events->lock);
    Callback *callback;

    if (event_id < 0 || event_id >= VIR_DOMAIN_EVENT_ID_LAST) {
        inv_error_set(error, VIR_ERR_INTERNAL_ERROR, "unsupported event ID %d", event_id);
        return -1;
    }
    if (count_of_client(events, client) >= MAX_CALLBACKS_PER_CLIENT) {
        inv_error_set(error, VIR_ERR_OPERATION_FAILED, "this connection has %u event callbacks already, which is the limit",
                      MAX_CALLBACKS_PER_CLIENT);
        return -1;
    }
    callback = g_new0(Callback, 1);
    callback->client = client;
    callback->callback_id = events->last_id;
    callback->event_id = event_id;
    callback->legacy = legacy;
    if (uuid) {
        callback->has_uuid = TRUE;
        memcpy(callback->uuid, uuid, sizeof(callback->uuid));
    }
    events->last_id = events->last_id == G_MAXINT ? 0 : events->last_id + 1;
    g_ptr_array_add(events->callbacks, callback);
    return callback->callback_id;
}

gboolean
inv_events_deregister(InvEvents *events, InvRpcClient *client, int callback_id, GError **error)
{
    g_autoptr(GMutexLocker) lock = g_mutex_locker_new(&events->lock);

    for (guint i = 0; i < events->callbacks->len; i++) {
        const Callback *callback = g_ptr_array_index(events->callbacks, i);

        if (callback->client == client && callback->callback_id == callback_id && !callback->legacy) {
            g_ptr_array_remove_index(events->callbacks, i);
            return TRUE;
        }
    }
    return inv_error_set(error, VIR_ERR_INVALID_ARG, "this connection has no event callback %d", callback_id);
}

gboolean
inv_events_deregister_legacy(InvEvents *events, InvRpcClient *client, int event_id, GError **error)
{
    g_autoptr(GMutexLocker) lock = g_mutex_locker_new(&events->lock);

    for (guint i = 0; i < events->callbacks->len; i++) {
        const Callback *callback = g_ptr_array_index(events->callbacks, i);

        if (callback->client == client && callback->event_id == event_id && callback->legacy) {
            g_ptr_array_remove_index(events->callbacks, i);
            return TRUE;
        }
    }
    return inv_error_set(error, VIR_ERR_INVALID_ARG, "this connection has not registered for event %d", event_id);
}

void
inv_events_forget_client(InvEvents *events, InvRpcClient *client)
{
    g_autoptr(GMutexLocker) lock = g_mutex_locker_new(&events->lock);

    for (guint i = events->callbacks->len; i-- > 0;) {
        if (((const Callback *)g_ptr_array_index(events->callbacks, i))->client == client)
            g_ptr_array_remove_index(events->callbacks, i);
    }
    g_ptr_array_remove_fast(events->emulator_clients, client);
}

void
inv_events_register_emulators(InvEvents *events, InvRpcClient *client)
{
    g_autoptr(GMutexLocker) lock = g_mutex_locker_new(&events->lock);

    if (!g_ptr_array_find(events->emulator_clients, client, NULL))
        g_ptr_array_add(events->emulator_clients, client);
}

gboolean
inv_events_deregister_emulators(InvEvents *events, InvRpcClient *client, GError **error)
{
    g_autoptr(GMutexLocker) lock = g_mutex_locker_new(&events->lock);

    if (!g_ptr_array_remove_fast(events->emulator_clients, client))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "this connection has not registered for news of emulators");
    return TRUE;
}

void
inv_events_emulator(InvEvents *events, const InvEmulatorChange *change)
{
    g_autoptr(GMutexLocker) lock = g_mutex_locker_new(&events->lock);
    invar_emulator_event_msg message = {
        .path = (char *)change->path,
        .subject = (char *)change->subject,
        .state = (int)change->state,
        .ms = change->ms,
        .reason = (char *)change->reason,
    };

    for (guint i = 0; i < events->emulator_clients->len; i++)
        inv_rpc_client_send_event(g_ptr_array_index(events->emulator_clients, i), &inv_rpc_invar_program,
                                  INVAR_PROC_EMULATOR_EVENT, (xdrproc_t)xdr_invar_emulator_event_msg, &message);
}

static void
fill_domain(remote_nonnull_domain *wire, const InvEventDomain *domain)
{
    wire->name = (char *)domain->name;
    memcpy(wire->uuid, domain->uuid, VIR_UUID_BUFLEN);
    wire->id = domain->id;
}

typedef void (*SendFunc)(const Callback *callback, const InvEventDomain *domain, int event, int detail,
                         const InvTypedParams *params);

static void
send_lifecycle(const Callback *callback, const InvEventDomain *domain, int event, int detail, const InvTypedParams *params)
{
    remote_domain_event_callback_lifecycle_msg message = { .callbackID = callback->callback_id };

    fill_domain(&message.msg.dom, domain);
    message.msg.event = event;
    message.msg.detail = detail;
    if (callback->legacy)
        inv_rpc_client_send_event(callback->client, &inv_rpc_remote_program, REMOTE_PROC_DOMAIN_EVENT_LIFECYCLE,
                                  (xdrproc_t)xdr_remote_domain_event_lifecycle_msg, &message.msg);
    else
        inv_rpc_client_send_event(callback->client, &inv_rpc_remote_program, REMOTE_PROC_DOMAIN_EVENT_CALLBACK_LIFECYCLE,
                                  (xdrproc_t)xdr_remote_domain_event_callback_lifecycle_msg, &message);
}

static void
send_reboot(const Callback *callback, const InvEventDomain *domain, int event, int detail, const InvTypedParams *params)
{
    remote_domain_event_callback_reboot_msg message = { .callbackID = callback->callback_id };

    fill_domain(&message.msg.dom, domain);
    if (callback->legacy)
        inv_rpc_client_send_event(callback->client, &inv_rpc_remote_program, REMOTE_PROC_DOMAIN_EVENT_REBOOT,
                                  (xdrproc_t)xdr_remote_domain_event_reboot_msg, &message.msg);
    else
        inv_rpc_client_send_event(callback->client, &inv_rpc_remote_program, REMOTE_PROC_DOMAIN_EVENT_CALLBACK_REBOOT,
                                  (xdrproc_t)xdr_remote_domain_event_callback_reboot_msg, &message);
}

static void
send_iteration(const Callback *callback, const InvEventDomain *domain, int event, int detail, const InvTypedParams *params)
{
    remote_domain_event_callback_migration_iteration_msg message = { .callbackID = callback->callback_id, .iteration = event };

    fill_domain(&message.dom, domain);
    inv_rpc_client_send_event(callback->client, &inv_rpc_remote_program, REMOTE_PROC_DOMAIN_EVENT_CALLBACK_MIGRATION_ITERATION,
                              (xdrproc_t)xdr_remote_domain_event_callback_migration_iteration_msg, &message);
}

static void
send_job_completed(const Callback *callback, const InvEventDomain *domain, int event, int detail, const InvTypedParams *params)
{
    remote_domain_event_callback_job_completed_msg message = { .callbackID = callback->callback_id };

    fill_domain(&message.dom, domain);
    /* Only read: the message is encoded at once. */
    message.params.params_val = (remote_typed_param *)(gpointer)params->data;
    message.params.params_len = params->len;
    inv_rpc_client_send_event(callback->client, &inv_rpc_remote_program, REMOTE_PROC_DOMAIN_EVENT_CALLBACK_JOB_COMPLETED,
                              (xdrproc_t)xdr_remote_domain_event_callback_job_completed_msg, &message);
}

static void
send_all(InvEvents *events, int event_id, const InvEventDomain *domain, int event, int detail, const InvTypedParams *params,
         SendFunc send)
{
    g_autoptr(GMutexLocker) lock = g_mutex_locker_new(&events->lock);

    for (guint i = 0; i < events->callbacks->len; i++) {
        const Callback *callback = g_ptr_array_index(events->callbacks, i);

        if (callback->event_id != event_id)
            continue;
        if (callback->has_uuid && memcmp(callback->uuid, domain->uuid, VIR_UUID_BUFLEN) != 0)
            continue;
        send(callback, domain, event, detail, params);
    }
}

void
inv_events_lifecycle(InvEvents *events, const InvEventDomain *domain, int event, int detail)
{
    send_all(events, VIR_DOMAIN_EVENT_ID_LIFECYCLE, domain, event, detail, NULL, send_lifecycle);
}

void
inv_events_reboot(InvEvents *events, const InvEventDomain *domain)
{
    send_all(events, VIR_DOMAIN_EVENT_ID_REBOOT, domain, 0, 0, NULL, send_reboot);
}

void
inv_events_iteration(InvEvents *events, const InvEventDomain *domain, int iteration)
{
    send_all(events, VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, domain, iteration, 0, NULL, send_iteration);
}

void
inv_events_job_completed(InvEvents *events, const InvEventDomain *domain, const InvTypedParams *params)
{
    send_all(events, VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, domain, 0, 0, params, send_job_completed);
}
