/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/server_private.h"

#include "rpc/remote_protocol.h"
#include "util/error.h"
#include "util/fd.h"

#include <string.h>

/* Larger messages are decoded on a worker. */
#define QUICK_FRAME_MAX (1024u * 1024u)

/* The call whose handler runs on this thread: handlers know only their client. */
static GPrivate current_call;

static void
free_args(InvRpcCall *call)
{
    if (call->args)
        xdr_free(call->procedure->args, call->args);
    g_clear_pointer(&call->args, g_free);
}

static void
call_free(InvRpcCall *call)
{
    free_args(call);
    inv_rpc_close_fds(call->fds);
    inv_rpc_close_fds(call->reply_fds);
    g_clear_pointer(&call->stream, inv_rpc_stream_drop);
    g_bytes_unref(call->frame);
    inv_rpc_client_unref(call->client);
    g_free(call);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvRpcCall, call_free)

GBytes *
inv_rpc_error_message(const InvRpcHeader *call, guint32 type, virErrorNumber code, int domain, const char *text)
{
    /* A handler may quote a whole document: what is beyond the limit of a string is cut off. */
    g_autofree char *message = g_strndup(text, REMOTE_STRING_MAX);
    char format[] = "%s";
    char *format_pointer = format;
    InvRpcHeader header = *call;
    remote_error error = {
        .code = (int)code,
        .domain = domain,
        .message = &message,
        .level = VIR_ERR_ERROR,
        .str1 = &format_pointer,
        .str2 = &message,
        .int1 = -1,
        .int2 = -1,
    };

    header.type = type;
    header.status = INV_RPC_ERROR;
    return inv_rpc_message_new(&header, 0, (xdrproc_t)xdr_remote_error, &error, NULL);
}

static void G_GNUC_PRINTF(5, 6)
refuse(InvRpcClient *client, const InvRpcHeader *header, virErrorNumber code, int domain, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_mutex_lock(&client->lock);
    inv_rpc_client_queue_locked(client, inv_rpc_error_message(header, INV_RPC_REPLY, code, domain, text), NULL);
    g_mutex_unlock(&client->lock);
}

/* Whether this connection may make the call now; if not, it was told. */
static gboolean
is_allowed(InvRpcClient *client, const InvRpcHeader *header, const InvRpcProcedure *procedure, const InvRpcMethod *method)
{
    if (!g_atomic_int_get(&client->authenticated) && !(method->flags & INV_RPC_BEFORE_AUTH)) {
        refuse(client, header, VIR_ERR_RPC, VIR_FROM_RPC, "authentication required");
        return FALSE;
    }
    if (!inv_rpc_client_is_open(client) && !(method->flags & INV_RPC_BEFORE_OPEN)) {
        refuse(client, header, VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC, "hypervisor connection not open");
        return FALSE;
    }
    if (inv_rpc_client_is_read_only(client) && !(method->flags & INV_RPC_READ)) {
        refuse(client, header, VIR_ERR_OPERATION_DENIED, client->server->options.error_domain,
               "operation forbidden: read only access prevents %s", procedure->name);
        return FALSE;
    }
    return TRUE;
}

/* The service and method of a call, or NULL: the client was told. */
static const InvRpcMethod *
find_method(InvRpcClient *client, const InvRpcHeader *header, const InvRpcService **service,
            const InvRpcProcedure **procedure)
{
    const InvRpcMethod *method;

    *service = inv_rpc_server_find(client->server, header->program, header->version);
    if (!*service) {
        refuse(client, header, VIR_ERR_RPC, VIR_FROM_RPC, "Cannot find program %u version %u", header->program,
               header->version);
        return NULL;
    }
    if (header->type != INV_RPC_CALL && header->type != INV_RPC_CALL_WITH_FDS) {
        refuse(client, header, VIR_ERR_RPC, VIR_FROM_RPC, "Unexpected message type %u", header->type);
        return NULL;
    }
    if (header->status != INV_RPC_OK) {
        refuse(client, header, VIR_ERR_RPC, VIR_FROM_RPC, "Unexpected message status %u", header->status);
        return NULL;
    }
    *procedure = inv_rpc_program_find((*service)->program, header->procedure);
    method = g_hash_table_lookup((*service)->methods, GUINT_TO_POINTER(header->procedure));
    if (!*procedure || !method) {
        /* Clients know this beginning: to them it says that the server has no such feature. */
        refuse(client, header, VIR_ERR_RPC, VIR_FROM_RPC, "unknown procedure: %u", header->procedure);
        return NULL;
    }
    return method;
}

/* Registrations are known by their names, in every program: DOMAIN_EVENT_REGISTER_ANY, MONITOR_EVENT_REGISTER. */
static gboolean
registers_events(const InvRpcProcedure *procedure)
{
    return strstr(procedure->name, "EVENT") && strstr(procedure->name, "_REGISTER");
}

static void
begin(InvRpcCall *call)
{
    InvRpcClient *client = call->client;
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&client->lock);

    if (call->method->flags & INV_RPC_PRIORITY)
        client->priority_calls++;
    else
        client->calls++;
    call->holds_events = registers_events(call->procedure);
    if (call->holds_events)
        client->holders++;
}

/* The end of a call: its reply, and behind it the events that waited. @reply NULL: nobody is there. */
static void
finish(InvRpcCall *call, GBytes *reply)
{
    InvRpcClient *client = call->client;
    InvRpcOutgoing *event;
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&client->lock);

    /* Before the reply, which the client may have read as soon as it is queued. */
    if (call->stream && reply && !client->closed)
        inv_rpc_stream_open_locked(g_steal_pointer(&call->stream));
    if (reply)
        inv_rpc_client_queue_locked(client, reply, g_steal_pointer(&call->reply_fds));
    if (call->holds_events && --client->holders == 0)
        while ((event = g_queue_pop_head(&client->held)))
            g_queue_push_tail(&client->outgoing, event);
    if (call->method->flags & INV_RPC_PRIORITY)
        client->priority_calls--;
    else
        client->calls--;
}

/* Once. What is half decoded at an error is freed with the call. */
static gboolean
decode_args(InvRpcCall *call, GError **error)
{
    gsize size, skip = INV_RPC_HEADER_SIZE + (call->header.type == INV_RPC_CALL_WITH_FDS ? 4 : 0);
    const guint8 *bytes = g_bytes_get_data(call->frame, &size);

    if (!call->procedure->args || call->args)
        return TRUE;
    call->args = g_malloc0(call->procedure->args_size);
    return inv_rpc_payload_decode(bytes + skip, size - skip, call->procedure->args, call->args, error);
}

static InvRpcOutcome
ask_handler(InvRpcCall *call, gboolean quick, gpointer ret, GError **error)
{
    const InvRpcMethod *method = call->method;
    InvRpcOutcome outcome;

    g_private_set(&current_call, call);
    if (quick)
        outcome = method->quick(call->client, call->args, ret, call->service->user_data, error);
    else
        outcome = method->handler(call->client, call->args, ret, call->service->user_data, error) ? INV_RPC_DONE : INV_RPC_FAILED;
    g_private_set(&current_call, NULL);
    if (outcome == INV_RPC_FAILED && error && !*error)
        inv_error_set(error, VIR_ERR_INTERNAL_ERROR, "%s failed without a reason: this is a defect of the daemon",
                      call->procedure->name);
    return outcome;
}

/*
 * Decodes, calls the handler, encodes. NULL with @error and the domain it is of; without @error:
 * @quick could not answer.
 */
static GBytes *
answer(InvRpcCall *call, gboolean quick, gpointer ret, int *domain, GError **error)
{
    InvRpcHeader header = call->header;
    guint n_fds;

    *domain = VIR_FROM_RPC;
    if (!decode_args(call, error))
        return NULL;
    *domain = call->client->server->options.error_domain;
    if (ask_handler(call, quick, ret, error) != INV_RPC_DONE)
        return NULL;
    *domain = VIR_FROM_RPC;
    if (call->reply_fds && !call->client->is_local) {
        inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "%s gives a file descriptor, which only a UNIX socket can carry",
                      call->procedure->name);
        return NULL;
    }
    n_fds = call->reply_fds ? call->reply_fds->len : 0;
    header.type = call->reply_fds ? INV_RPC_REPLY_WITH_FDS : INV_RPC_REPLY;
    header.status = INV_RPC_OK;
    return inv_rpc_message_new(&header, n_fds, call->procedure->ret, ret, error);
}

static gboolean
client_is_gone(InvRpcClient *client)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&client->lock);

    return client->closed;
}

/* FALSE: the quick handler leaves it to the other. */
static gboolean
run(InvRpcCall *call, gboolean quick)
{
    g_autoptr(GError) error = NULL;
    g_autofree gpointer ret = call->procedure->ret ? g_malloc0(call->procedure->ret_size) : NULL;
    GBytes *reply = NULL;
    int domain;

    /* A call that did not begin before its client went is not begun. */
    if (!client_is_gone(call->client)) {
        reply = answer(call, quick, ret, &domain, &error);
        if (ret)
            xdr_free(call->procedure->ret, ret);
        if (!reply && !error)
            return FALSE;
        if (!reply) {
            g_clear_pointer(&call->reply_fds, inv_rpc_close_fds);
            g_clear_pointer(&call->stream, inv_rpc_stream_drop);
            reply = inv_rpc_error_message(&call->header, INV_RPC_REPLY, inv_error_code(error), domain, error->message);
        }
    }
    free_args(call);
    finish(call, reply);
    return TRUE;
}

void
inv_rpc_call_run(InvRpcCall *taken)
{
    g_autoptr(InvRpcCall) call = taken;

    run(call, FALSE);
    /* On the I/O thread whoever read the call flushes when it has read enough. */
    if (!inv_io_thread_is_current(call->client->io))
        inv_rpc_client_post_flush(call->client);
}

/* TRUE: there was an answer at hand, and it is on its way. */
static gboolean
answer_ready(const InvRpcCall *call)
{
    InvRpcClient *client = call->client;
    InvRpcHeader header = call->header;
    g_autoptr(GBytes) payload = NULL;
    gsize size;
    const guint8 *bytes = g_bytes_get_data(call->frame, &size);
    GBytes *message;

    if (!call->method->ready || header.type != INV_RPC_CALL)
        return FALSE;
    payload = call->method->ready(client, header.procedure, bytes + INV_RPC_HEADER_SIZE, size - INV_RPC_HEADER_SIZE,
                                  call->service->user_data);
    if (!payload)
        return FALSE;
    header.type = INV_RPC_REPLY;
    header.status = INV_RPC_OK;
    message = inv_rpc_message_new_encoded(&header, payload, NULL);
    if (!message)
        return FALSE;
    g_mutex_lock(&client->lock);
    inv_rpc_client_queue_locked(client, message, NULL);
    g_mutex_unlock(&client->lock);
    return TRUE;
}

void
inv_rpc_dispatch(InvRpcClient *client, GBytes *frame, GArray *fds)
{
    g_autoptr(InvRpcCall) call = g_new0(InvRpcCall, 1);
    InvRpcWorkers *workers;

    call->client = inv_rpc_client_ref(client);
    call->frame = frame;
    call->fds = fds;
    inv_rpc_header_read(g_bytes_get_data(frame, NULL), &call->header);
    if (inv_rpc_keepalive_receive(client, &call->header))
        return;
    if (call->header.type == INV_RPC_STREAM || call->header.type == INV_RPC_STREAM_HOLE) {
        inv_rpc_stream_receive(client, &call->header, frame);
        return;
    }
    call->method = find_method(client, &call->header, &call->service, &call->procedure);
    if (!call->method || !is_allowed(client, &call->header, call->procedure, call->method))
        return;
    if (answer_ready(call))
        return;
    begin(call);
    if (call->method->flags & INV_RPC_INLINE) {
        inv_rpc_call_run(g_steal_pointer(&call));
        return;
    }
    if (call->method->quick && g_bytes_get_size(call->frame) <= QUICK_FRAME_MAX && run(call, TRUE))
        return;
    workers = call->method->flags & INV_RPC_PRIORITY ? client->server->priority_workers : client->server->workers;
    inv_rpc_workers_push(workers, g_steal_pointer(&call));
}

void
inv_rpc_client_send_event(InvRpcClient *client, const InvRpcProgram *program, guint32 procedure, xdrproc_t encode,
                          gpointer data)
{
    const InvRpcHeader header = {
        .program = program->number, .version = program->version, .procedure = procedure, .type = INV_RPC_MESSAGE
    };
    InvRpcCall *call = g_private_get(&current_call);
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) message = NULL;
    gboolean held;

    if (!inv_rpc_client_is_open(client))
        return;
    message = inv_rpc_message_new(&header, 0, encode, data, &error);
    if (!message) {
        g_warning("event %u of program %s is not sent: %s", procedure, program->name, error->message);
        return;
    }
    g_mutex_lock(&client->lock);
    if (call && call->client == client && !call->holds_events && !(call->method->flags & INV_RPC_EVENTS_AT_ONCE)) {
        call->holds_events = TRUE;
        client->holders++;
    }
    held = client->holders > 0;
    if (client->queued && client->queued + g_bytes_get_size(message) > client->max_queued)
        client->overflowed = TRUE;
    else
        inv_rpc_client_queue_locked(client, g_steal_pointer(&message), NULL);
    /* Where it was put, it is the last: move it over. */
    if (held && !client->overflowed && !client->closed)
        g_queue_push_tail(&client->held, g_queue_pop_tail(&client->outgoing));
    g_mutex_unlock(&client->lock);
    inv_rpc_client_post_flush(client);
}

static InvRpcCall *
call_of(InvRpcClient *client)
{
    InvRpcCall *call = g_private_get(&current_call);

    g_return_val_if_fail(call && call->client == client, NULL);
    return call;
}

guint
inv_rpc_call_n_fds(InvRpcClient *client)
{
    InvRpcCall *call = call_of(client);

    return call && call->fds ? call->fds->len : 0;
}

int
inv_rpc_call_take_fd(InvRpcClient *client, guint index)
{
    InvRpcCall *call = call_of(client);

    if (!call || !call->fds || index >= call->fds->len)
        return -1;
    return inv_fd_steal(&g_array_index(call->fds, int, index));
}

void
inv_rpc_call_add_fd(InvRpcClient *client, int fd)
{
    InvRpcCall *call = call_of(client);

    g_return_if_fail(call && (!call->reply_fds || call->reply_fds->len < INV_RPC_FDS_MAX));
    if (!call->reply_fds)
        call->reply_fds = g_array_new(FALSE, FALSE, sizeof(int));
    g_array_append_val(call->reply_fds, fd);
}

gboolean
inv_rpc_call_open_stream(InvRpcClient *client, int fd, gboolean from_client, gboolean to_client, InvRpcStreamDone done,
                         gpointer user_data, GError **error)
{
    InvRpcCall *call = call_of(client);

    g_return_val_if_fail(call && fd >= 0 && done && (from_client || to_client), FALSE);
    if (call->stream)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "this call opens a stream already");
    call->stream = inv_rpc_stream_new(call, fd, from_client, to_client, done, user_data, error);
    return call->stream != NULL;
}
