/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registering for events: new calls with callback ids, old ones without. */
#include "daemon/dispatch.h"

static gboolean
register_any(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_domain_event_callback_register_any_args *wanted = args;
    remote_connect_domain_event_callback_register_any_ret *reply = ret;
    InvDaemon *daemon = user_data;
    const unsigned char *uuid = wanted->dom ? (const unsigned char *)wanted->dom->uuid : NULL;

    reply->callbackID = inv_events_register(daemon->events, client, wanted->eventID, uuid, FALSE, error);
    return reply->callbackID >= 0;
}

static gboolean
deregister_any(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_domain_event_callback_deregister_any_args *wanted = args;
    InvDaemon *daemon = user_data;

    return inv_events_deregister(daemon->events, client, wanted->callbackID, error);
}

static gboolean
register_lifecycle(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    InvDaemon *daemon = user_data;

    ((remote_connect_domain_event_register_ret *)ret)->cb_registered = 1;
    return inv_events_register(daemon->events, client, VIR_DOMAIN_EVENT_ID_LIFECYCLE, NULL, TRUE, error) >= 0;
}

static gboolean
deregister_lifecycle(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    InvDaemon *daemon = user_data;

    return inv_events_deregister_legacy(daemon->events, client, VIR_DOMAIN_EVENT_ID_LIFECYCLE, error);
}

static gboolean
register_legacy(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_domain_event_register_any_args *wanted = args;
    InvDaemon *daemon = user_data;

    return inv_events_register(daemon->events, client, wanted->eventID, NULL, TRUE, error) >= 0;
}

static gboolean
deregister_legacy(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_domain_event_deregister_any_args *wanted = args;
    InvDaemon *daemon = user_data;

    return inv_events_deregister_legacy(daemon->events, client, wanted->eventID, error);
}

#define AT_ONCE (INV_RPC_INLINE | INV_RPC_READ)

static const InvRpcMethod methods[] = {
    { REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, register_any, AT_ONCE },
    { REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY, deregister_any, AT_ONCE },
    { REMOTE_PROC_CONNECT_DOMAIN_EVENT_REGISTER, register_lifecycle, AT_ONCE },
    { REMOTE_PROC_CONNECT_DOMAIN_EVENT_DEREGISTER, deregister_lifecycle, AT_ONCE },
    { REMOTE_PROC_CONNECT_DOMAIN_EVENT_REGISTER_ANY, register_legacy, AT_ONCE },
    { REMOTE_PROC_CONNECT_DOMAIN_EVENT_DEREGISTER_ANY, deregister_legacy, AT_ONCE },
};

const InvDispatchFamily inv_dispatch_event = { methods, G_N_ELEMENTS(methods) };
