/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/server_private.h"

static void
queue_message(InvRpcClient *client, guint32 procedure)
{
    const InvRpcHeader header = {
        .program = INV_RPC_KEEPALIVE_PROGRAM,
        .version = INV_RPC_KEEPALIVE_VERSION,
        .procedure = procedure,
        .type = INV_RPC_MESSAGE,
    };

    g_mutex_lock(&client->lock);
    inv_rpc_client_queue_locked(client, inv_rpc_message_new(&header, 0, NULL, NULL, NULL), NULL);
    g_mutex_unlock(&client->lock);
}

gboolean
inv_rpc_keepalive_receive(InvRpcClient *client, const InvRpcHeader *header)
{
    if (header->program != INV_RPC_KEEPALIVE_PROGRAM || header->version != INV_RPC_KEEPALIVE_VERSION ||
        header->type != INV_RPC_MESSAGE)
        return FALSE;
    /* A PONG has done its work by arriving. */
    if (header->procedure == INV_RPC_KEEPALIVE_PING)
        queue_message(client, INV_RPC_KEEPALIVE_PONG);
    return TRUE;
}

static gboolean
interval_over(gpointer data)
{
    InvRpcClient *client = data;
    const InvRpcServerOptions *options = &client->server->options;

    /* While nothing is read on purpose, silence says nothing about the client. */
    if (client->heard || inv_rpc_client_is_paused(client)) {
        client->heard = FALSE;
        client->missed = 0;
        return G_SOURCE_CONTINUE;
    }
    if (client->missed >= options->keepalive_count) {
        g_info("client %" G_GUINT64_FORMAT " (%s) is closed: it answered none of %u pings", client->number, client->peer,
               client->missed);
        inv_rpc_client_close(client);
        return G_SOURCE_REMOVE;
    }
    client->missed++;
    queue_message(client, INV_RPC_KEEPALIVE_PING);
    inv_rpc_client_flush(client);
    return G_SOURCE_CONTINUE;
}

static void
start(gpointer data)
{
    g_autoptr(InvRpcClient) client = data;
    gboolean closed;

    g_mutex_lock(&client->lock);
    closed = client->closed;
    g_mutex_unlock(&client->lock);
    if (closed || client->keepalive)
        return;
    client->keepalive = g_timeout_source_new_seconds(client->server->options.keepalive_interval);
    /* The timer's own reference: it may fire while the last other one is dropped. */
    g_source_set_callback(client->keepalive, interval_over, inv_rpc_client_ref(client),
                          (GDestroyNotify)inv_rpc_client_unref);
    g_source_set_static_name(client->keepalive, "rpc keepalive");
    g_source_attach(client->keepalive, inv_io_thread_context(client->io));
}

void
inv_rpc_client_start_keepalive(InvRpcClient *client)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&client->lock);

    /* The lock keeps the server, and so the thread to post to, from going. */
    if (!client->closed)
        inv_io_thread_post(client->io, start, inv_rpc_client_ref(client));
}

void
inv_rpc_keepalive_stop(InvRpcClient *client)
{
    if (!client->keepalive)
        return;
    g_source_destroy(client->keepalive);
    g_clear_pointer(&client->keepalive, g_source_unref);
}
