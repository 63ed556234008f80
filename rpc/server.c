/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "rpc/server_private.h"

#include "util/error.h"
#include "util/fd.h"

#include <errno.h>
#include <glib-unix.h>
#include <libvirt/virterror.h>
#include <sys/socket.h>

#define DEFAULT_WORKERS 8
#define DEFAULT_PRIORITY_WORKERS 4
#define DEFAULT_MAX_CLIENTS 5000
#define DEFAULT_MAX_CLIENT_REQUESTS 5
#define DEFAULT_KEEPALIVE_INTERVAL 5
#define DEFAULT_KEEPALIVE_COUNT 5
#define DEFAULT_MAX_QUEUED (64u * 1024u * 1024u)

/* When no connection can be taken, look again after so long. Until then clients wait in the backlog. */
#define ACCEPT_RETRY_SECONDS 1
/* So many connections at once, then it is the other sockets' turn. */
#define ACCEPTS_PER_TURN 32

static void
service_free(gpointer data)
{
    InvRpcService *service = data;

    g_hash_table_unref(service->methods);
    g_free(service);
}

static void
run_call(gpointer data, gpointer user_data)
{
    inv_rpc_call_run(data);
}

static void
fill_defaults(InvRpcServerOptions *options)
{
    if (!options->n_workers)
        options->n_workers = DEFAULT_WORKERS;
    if (!options->n_priority_workers)
        options->n_priority_workers = DEFAULT_PRIORITY_WORKERS;
    if (!options->max_clients)
        options->max_clients = DEFAULT_MAX_CLIENTS;
    if (!options->max_client_requests)
        options->max_client_requests = DEFAULT_MAX_CLIENT_REQUESTS;
    if (!options->keepalive_interval)
        options->keepalive_interval = DEFAULT_KEEPALIVE_INTERVAL;
    if (!options->keepalive_count)
        options->keepalive_count = DEFAULT_KEEPALIVE_COUNT;
    if (!options->max_queued)
        options->max_queued = DEFAULT_MAX_QUEUED;
    if (!options->error_domain)
        options->error_domain = VIR_FROM_QEMU;
}

InvRpcServer *
inv_rpc_server_new(InvIoThread *io, const InvRpcServerOptions *options)
{
    InvRpcServer *server = g_new0(InvRpcServer, 1);

    server->io = io;
    if (options)
        server->options = *options;
    fill_defaults(&server->options);
    server->linger = inv_rpc_linger_new(inv_io_thread_context(io));
    server->services = g_ptr_array_new_with_free_func(service_free);
    server->listeners = g_ptr_array_new();
    server->clients = g_hash_table_new_full(NULL, NULL, (GDestroyNotify)inv_rpc_client_unref, NULL);
    server->workers = inv_rpc_workers_new(run_call, server, server->options.n_workers);
    server->priority_workers = inv_rpc_workers_new(run_call, server, server->options.n_priority_workers);
    return server;
}

void
inv_rpc_server_add_program(InvRpcServer *server, const InvRpcProgram *program, const InvRpcMethod *methods, guint n_methods,
                           gpointer user_data)
{
    InvRpcService *service = g_new0(InvRpcService, 1);

    service->program = program;
    service->user_data = user_data;
    service->methods = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < n_methods; i++)
        g_hash_table_insert(service->methods, GUINT_TO_POINTER(methods[i].procedure), (gpointer)&methods[i]);
    g_ptr_array_add(server->services, service);
}

const InvRpcService *
inv_rpc_server_find(InvRpcServer *server, guint32 program, guint32 version)
{
    for (guint i = 0; i < server->services->len; i++) {
        const InvRpcService *service = g_ptr_array_index(server->services, i);

        if (service->program->number == program && service->program->version == version)
            return service;
    }
    return NULL;
}

void
inv_rpc_server_set_client_callbacks(InvRpcServer *server, InvRpcClientChanged opened, InvRpcClientChanged closed,
                                    gpointer user_data)
{
    server->opened = opened;
    server->closed = closed;
    server->changed_data = user_data;
}

static void
drop_source(GSource **source)
{
    if (!*source)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

static gboolean accept_ready(int fd, GIOCondition condition, gpointer data);

static void
listener_start(InvRpcListener *listener)
{
    drop_source(&listener->retry);
    if (listener->source || listener->server->ending)
        return;
    listener->source = g_unix_fd_source_new(listener->fd, G_IO_IN);
    g_source_set_callback(listener->source, G_SOURCE_FUNC(accept_ready), listener, NULL);
    g_source_set_static_name(listener->source, "rpc listener");
    g_source_attach(listener->source, inv_io_thread_context(listener->server->io));
}

static gboolean
retry_accept(gpointer data)
{
    listener_start(data);
    return G_SOURCE_REMOVE;
}

/* Waiting clients make the socket ready all the time: to leave it in the loop would be a busy loop. */
static void
listener_pause(InvRpcListener *listener)
{
    drop_source(&listener->source);
    if (listener->retry)
        return;
    listener->retry = g_timeout_source_new_seconds(ACCEPT_RETRY_SECONDS);
    g_source_set_callback(listener->retry, retry_accept, listener, NULL);
    g_source_attach(listener->retry, inv_io_thread_context(listener->server->io));
}

static gboolean
may_connect(InvRpcServer *server, InvRpcClient *client)
{
    if (!client->is_local || !server->options.check_uid || client->uid == 0 || client->uid == server->options.allowed_uid)
        return TRUE;
    g_warning("%s may not connect: this daemon is user %u's", client->peer, (unsigned)server->options.allowed_uid);
    return FALSE;
}

static void
welcome(InvRpcServer *server, int fd, gboolean read_only)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvRpcClient) client = inv_rpc_client_new(server, fd, read_only, &error);

    if (!client) {
        g_warning("a connection is refused: %s", error->message);
        return;
    }
    if (!may_connect(server, client))
        return;
    g_debug("client %" G_GUINT64_FORMAT ": %s", client->number, client->peer);
    g_hash_table_add(server->clients, inv_rpc_client_ref(client));
    inv_rpc_client_attach(client);
    if (server->opened)
        server->opened(client, server->changed_data);
}

static gboolean
accept_ready(int fd, GIOCondition condition, gpointer data)
{
    InvRpcListener *listener = data;
    InvRpcServer *server = listener->server;

    for (guint i = 0; i < ACCEPTS_PER_TURN; i++) {
        int client_fd;

        if (g_hash_table_size(server->clients) >= server->options.max_clients) {
            if (!server->full)
                g_warning("there are %u clients, the most that are allowed: others wait", server->options.max_clients);
            server->full = TRUE;
            listener_pause(listener);
            break;
        }
        client_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client_fd >= 0) {
            welcome(server, client_fd, listener->read_only);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
            g_warning("cannot take a connection: %s", g_strerror(errno));
            listener_pause(listener);
        }
        break;
    }
    return G_SOURCE_CONTINUE;
}

static void
listener_add(gpointer data)
{
    InvRpcListener *listener = data;

    g_ptr_array_add(listener->server->listeners, listener);
    listener_start(listener);
}

void
inv_rpc_server_listen(InvRpcServer *server, int fd, gboolean read_only)
{
    InvRpcListener *listener = g_new0(InvRpcListener, 1);

    listener->server = server;
    listener->fd = fd;
    listener->read_only = read_only;
    g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    inv_io_thread_call(server->io, listener_add, listener);
}

void
inv_rpc_server_forget(InvRpcServer *server, InvRpcClient *client)
{
    g_autoptr(InvRpcClient) kept = inv_rpc_client_ref(client);

    g_hash_table_remove(server->clients, client);
    server->full = FALSE;
    if (server->closed)
        server->closed(client, server->changed_data);
}

static void
listener_free(InvRpcListener *listener)
{
    drop_source(&listener->source);
    drop_source(&listener->retry);
    inv_fd_close(&listener->fd);
    g_free(listener);
}

static void
end_connections(gpointer data)
{
    InvRpcServer *server = data;
    g_autoptr(GList) clients = g_hash_table_get_keys(server->clients);

    server->ending = TRUE;
    for (guint i = 0; i < server->listeners->len; i++)
        listener_free(g_ptr_array_index(server->listeners, i));
    g_ptr_array_set_size(server->listeners, 0);
    for (GList *each = clients; each; each = each->next)
        inv_rpc_client_close(each->data);
    drop_source(&server->linger);
}

static void
nothing(gpointer data)
{
}

void
inv_rpc_server_free(InvRpcServer *server)
{
    if (!server)
        return;
    inv_io_thread_call(server->io, end_connections, server);
    /* Calls that run end; those that wait see that their client is gone. */
    inv_rpc_workers_free(server->workers);
    inv_rpc_workers_free(server->priority_workers);
    /* What was posted to the I/O thread before the clients closed has references: let it run. */
    inv_io_thread_call(server->io, nothing, NULL);
    g_hash_table_unref(server->clients);
    g_ptr_array_unref(server->listeners);
    g_ptr_array_unref(server->services);
    g_free(server);
}
