/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What handlers may ask of a connection and do with it, from any thread. */
#include "rpc/server_private.h"

#include "util/error.h"

gboolean
inv_rpc_client_is_local(const InvRpcClient *client)
{
    return client->is_local;
}

uid_t
inv_rpc_client_uid(const InvRpcClient *client)
{
    return client->uid;
}

pid_t
inv_rpc_client_pid(const InvRpcClient *client)
{
    return client->pid;
}

guint64
inv_rpc_client_number(const InvRpcClient *client)
{
    return client->number;
}

gboolean
inv_rpc_client_is_read_only(const InvRpcClient *client)
{
    return g_atomic_int_get(&client->read_only);
}

void
inv_rpc_client_set_read_only(InvRpcClient *client)
{
    g_atomic_int_set(&client->read_only, TRUE);
}

void
inv_rpc_client_set_open(InvRpcClient *client, gboolean open)
{
    g_atomic_int_set(&client->open, open);
}

gboolean
inv_rpc_client_is_open(const InvRpcClient *client)
{
    return g_atomic_int_get(&client->open);
}

void
inv_rpc_client_set_authenticated(InvRpcClient *client)
{
    g_atomic_int_set(&client->authenticated, TRUE);
}

void
inv_rpc_client_close_after_replies(InvRpcClient *client)
{
    g_mutex_lock(&client->lock);
    client->closing = TRUE;
    g_mutex_unlock(&client->lock);
    inv_rpc_client_post_flush(client);
}

void
inv_rpc_client_set_data(InvRpcClient *client, gpointer data, GDestroyNotify destroy)
{
    GDestroyNotify old_destroy;
    gpointer old;

    g_mutex_lock(&client->lock);
    old = client->data;
    old_destroy = client->data_destroy;
    client->data = data;
    client->data_destroy = destroy;
    g_mutex_unlock(&client->lock);
    if (old_destroy)
        old_destroy(old);
}

gpointer
inv_rpc_client_get_data(const InvRpcClient *client)
{
    InvRpcClient *mutable = (InvRpcClient *)client;
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&mutable->lock);

    return client->data;
}
