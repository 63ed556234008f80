/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "rpc/client_private.h"

#include "rpc/autoclean.h"
#include "rpc/remote_protocol.h"
#include "util/error.h"
#include "util/fd.h"

#include <errno.h>
#include <libvirt/libvirt.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/* A connection's polite end must not keep a command waiting. */
#define CLOSE_DEADLINE_MS 1000
/* Who waits asks after so long whether the daemon is still there, and gives up after so many times. */
#define PING_INTERVAL_S 5
#define PINGS_MAX 5
#define PING_INTERVAL_MAX_S 86400
/* A daemon that never stops sending is no reason to wait much longer than was asked for. */
#define DRAIN_US G_USEC_PER_SEC
/* libvirt's VIR_DRV_FEATURE_PROGRAM_KEEPALIVE, which no public header has. */
#define FEATURE_KEEPALIVE 10

INV_RPC_AUTOCLEAN(remote_error)
INV_RPC_AUTOCLEAN(remote_auth_list_ret)

void
inv_rpc_free(xdrproc_t proc, gpointer data)
{
    xdr_free(proc, data);
}

void
inv_rpc_connection_set_event_handler(InvRpcConnection *connection, InvRpcEvent handler, gpointer user_data)
{
    connection->event = handler;
    connection->event_data = user_data;
}

gint64
inv_rpc_deadline_after(guint ms)
{
    return ms ? g_get_monotonic_time() + (gint64)ms * 1000 : INV_RPC_FOREVER;
}

/* Milliseconds until @deadline for poll(), rounded up; at most @most. */
int
inv_rpc_remaining_ms(gint64 deadline, int most)
{
    gint64 left;

    if (deadline == INV_RPC_FOREVER)
        return most;
    left = (deadline - g_get_monotonic_time() + 999) / 1000;
    return (int)CLAMP(left, 0, most);
}

gint64
inv_rpc_connection_patience(const InvRpcConnection *connection)
{
    return g_get_monotonic_time() + (gint64)connection->ping_ms * (connection->pings_max + 1) * 1000;
}

gboolean
inv_rpc_connection_lost(InvRpcConnection *connection, GError **error, const char *why)
{
    g_autofree char *complaint = inv_rpc_transport_complaint(&connection->way);

    connection->broken = TRUE;
    return inv_error_set(error, VIR_ERR_SYSTEM_ERROR, "the connection to invard at '%s' is lost: %s%s%s%s", connection->name, why,
                         complaint ? " (" : "", complaint ? complaint : "", complaint ? ")" : "");
}

void
inv_rpc_connections_end(void)
{
    if (eventfd_write(inv_rpc_end_fd(), 1) < 0)
        g_warning("calls of other daemons are waited for: %s", g_strerror(errno));
}

/* 1: ready, 0: the time is over, -1: broken, @error is set. */
static int
wait_ready(InvRpcConnection *connection, short events, int ms, GError **error)
{
    struct pollfd fds[] = { { .fd = connection->way.fd, .events = events }, { .fd = inv_rpc_end_fd(), .events = POLLIN } };
    int ready = poll(fds, G_N_ELEMENTS(fds), ms);

    if (ready < 0 && errno != EINTR) {
        inv_rpc_connection_lost(connection, error, g_strerror(errno));
        return -1;
    }
    if (ready > 0 && fds[1].revents) {
        inv_rpc_connection_lost(connection, error, "this program ends");
        return -1;
    }
    return ready > 0;
}

static gboolean
timed_out(InvRpcConnection *connection, GError **error)
{
    return inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT, "invard at '%s' did not answer in time", connection->name);
}

gboolean
inv_rpc_connection_send(InvRpcConnection *connection, GBytes *message, gint64 deadline, GError **error)
{
    gsize size, done = 0;
    const guint8 *bytes = g_bytes_get_data(message, &size);
    gint64 stalled = inv_rpc_connection_patience(connection);

    while (done < size) {
        ssize_t sent = send(connection->way.fd, bytes + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent >= 0) {
            done += (gsize)sent;
            stalled = inv_rpc_connection_patience(connection);
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            return inv_rpc_connection_lost(connection, error, g_strerror(errno));
        if (wait_ready(connection, POLLOUT, inv_rpc_remaining_ms(deadline, connection->ping_ms), error) < 0)
            return FALSE;
        if (deadline != INV_RPC_FOREVER && g_get_monotonic_time() >= deadline) {
            /* Half a message is out: what follows could not be understood. */
            connection->broken = TRUE;
            return timed_out(connection, error);
        }
        if (g_get_monotonic_time() >= stalled)
            return inv_rpc_connection_lost(connection, error, "the daemon takes nothing any more");
    }
    return TRUE;
}

gboolean
inv_rpc_connection_send_keepalive(InvRpcConnection *connection, guint32 procedure, GError **error)
{
    const InvRpcHeader header = {
        .program = INV_RPC_KEEPALIVE_PROGRAM,
        .version = INV_RPC_KEEPALIVE_VERSION,
        .procedure = procedure,
        .type = INV_RPC_MESSAGE,
    };
    g_autoptr(GBytes) message = inv_rpc_message_new(&header, 0, NULL, NULL, error);

    connection->pong_due &= procedure != INV_RPC_KEEPALIVE_PONG;
    return message && inv_rpc_connection_send(connection, message, inv_rpc_connection_patience(connection), error);
}

gboolean
inv_rpc_connection_receive_some(InvRpcConnection *connection, GError **error)
{
    gsize room;
    guint8 *space = inv_rpc_reader_space(&connection->reader, &room);
    ssize_t got = recv(connection->way.fd, space, room, MSG_DONTWAIT);

    if (got > 0) {
        connection->heard = g_get_monotonic_time();
        connection->asked = 0;
        if (inv_rpc_reader_add(&connection->reader, (gsize)got, error))
            return TRUE;
        connection->broken = TRUE;
        return FALSE;
    }
    if (got == 0)
        return inv_rpc_connection_lost(connection, error, "the daemon closed it");
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        return TRUE;
    return inv_rpc_connection_lost(connection, error, g_strerror(errno));
}

/* Whether to wait no longer; what is there already, as @ready says, is taken first. */
static gboolean
is_over(gint64 deadline, gboolean ready)
{
    return deadline != INV_RPC_FOREVER && g_get_monotonic_time() >= deadline + (ready ? DRAIN_US : 0);
}

gboolean
inv_rpc_connection_look(InvRpcConnection *connection, GError **error)
{
    const gint64 interval = (gint64)connection->ping_ms * 1000;
    gint64 now = g_get_monotonic_time();

    if (connection->asked && now - connection->asked >= interval * connection->pings_max)
        return inv_rpc_connection_lost(connection, error, "the daemon gives no sign of life");
    if (now - MAX(connection->heard, connection->pinged) < interval)
        return TRUE;
    connection->pinged = now;
    if (!connection->asked)
        connection->asked = now;
    return inv_rpc_connection_send_keepalive(connection, INV_RPC_KEEPALIVE_PING, error);
}

GBytes *
inv_rpc_connection_receive(InvRpcConnection *connection, gint64 deadline, GError **error)
{
    for (;;) {
        gint64 look = MAX(connection->heard, connection->pinged) + (gint64)connection->ping_ms * 1000;
        int ready = wait_ready(connection, POLLIN, inv_rpc_remaining_ms(deadline, inv_rpc_remaining_ms(look, connection->ping_ms)), error);

        if (ready < 0)
            return NULL;
        if (ready) {
            if (!inv_rpc_connection_receive_some(connection, error))
                return NULL;
            if (inv_rpc_reader_is_complete(&connection->reader))
                return inv_rpc_reader_take(&connection->reader);
        } else if (!inv_rpc_connection_look(connection, error)) {
            return NULL;
        }
        if (is_over(deadline, ready))
            return NULL;
    }
}

/* Nothing that is called here returns file descriptors: they are received, which closes them. */
static gboolean
skip_fds(InvRpcConnection *connection, guint32 count, gint64 deadline, GError **error)
{
    while (count > 0) {
        char byte;
        ssize_t got = recv(connection->way.fd, &byte, 1, MSG_DONTWAIT);

        if (got > 0) {
            count--;
            continue;
        }
        if (got == 0)
            return inv_rpc_connection_lost(connection, error, "the daemon closed it");
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            int ready = wait_ready(connection, POLLIN, inv_rpc_remaining_ms(deadline, connection->ping_ms), error);

            if (ready < 0 || (deadline != INV_RPC_FOREVER && g_get_monotonic_time() >= deadline))
                return ready < 0 ? FALSE : inv_rpc_connection_lost(connection, error, "file descriptors did not follow their message");
        } else if (errno != EINTR) {
            return inv_rpc_connection_lost(connection, error, g_strerror(errno));
        }
    }
    return TRUE;
}

/* A packet of the stream, or a late one of an earlier, which nobody misses. */
static gboolean
handle_stream(InvRpcConnection *connection, const InvRpcHeader *header, const guint8 *payload, gsize length)
{
    const InvRpcHeader *own = &connection->stream;

    if (!connection->has_stream || connection->stream_over || header->program != own->program || header->procedure != own->procedure ||
        header->serial != own->serial)
        return TRUE;
    if (header->status == INV_RPC_ERROR)
        inv_rpc_connection_error(payload, length, &connection->stream_failure);
    connection->stream_over = header->status == INV_RPC_ERROR || header->status == INV_RPC_OK;
    return TRUE;
}

gboolean
inv_rpc_connection_handle(InvRpcConnection *connection, const InvRpcHeader *header, const guint8 *payload, gsize length, GError **error)
{
    if (header->program == INV_RPC_KEEPALIVE_PROGRAM) {
        connection->pong_due |= header->procedure == INV_RPC_KEEPALIVE_PING;
        return !connection->pong_due || connection->in_packet ||
               inv_rpc_connection_send_keepalive(connection, INV_RPC_KEEPALIVE_PONG, error);
    }
    if (header->type == INV_RPC_STREAM || header->type == INV_RPC_STREAM_HOLE)
        return handle_stream(connection, header, payload, length);
    if (header->type != INV_RPC_MESSAGE)
        return inv_rpc_connection_lost(connection, error, "the daemon sent a message that is neither reply nor event");
    if (connection->event)
        connection->event(header->program, header->procedure, payload, length, connection->event_data);
    return TRUE;
}

gboolean
inv_rpc_connection_error(const guint8 *payload, gsize length, GError **error)
{
    g_auto(remote_error) reply = { 0 };

    if (!inv_rpc_payload_decode(payload, length, (xdrproc_t)xdr_remote_error, &reply, error))
        return FALSE;
    g_set_error_literal(error, INV_ERROR, reply.code, reply.message ? *reply.message : "the daemon gave no reason");
    return FALSE;
}

static gboolean
take_reply(InvRpcConnection *connection, const InvRpcHeader *header, const guint8 *payload, gsize length,
           const InvRpcProcedure *procedure, gpointer ret, gint64 deadline, GError **error)
{
    if (header->procedure != procedure->number)
        return inv_rpc_connection_lost(connection, error, "the daemon answered another call");
    if (header->status == INV_RPC_ERROR)
        return inv_rpc_connection_error(payload, length, error);
    if (header->type == INV_RPC_REPLY_WITH_FDS) {
        guint32 count;

        if (length < sizeof(count))
            return inv_rpc_connection_lost(connection, error, "a reply is too short");
        memcpy(&count, payload, sizeof(count));
        count = GUINT32_FROM_BE(count);
        if (count > INV_RPC_FDS_MAX)
            return inv_rpc_connection_lost(connection, error, "a reply has too many file descriptors");
        if (!skip_fds(connection, count, deadline, error))
            return FALSE;
        payload += sizeof(count);
        length -= sizeof(count);
    }
    return !procedure->ret || !ret || inv_rpc_payload_decode(payload, length, procedure->ret, ret, error);
}

/* Waits for the reply to @call. */
static gboolean
await_reply(InvRpcConnection *connection, const InvRpcHeader *call, const InvRpcProcedure *procedure, gpointer ret, gint64 deadline,
            GError **error)
{
    for (;;) {
        g_autoptr(GError) failure = NULL;
        g_autoptr(GBytes) frame = inv_rpc_connection_receive(connection, deadline, &failure);
        InvRpcHeader header;
        const guint8 *bytes;
        gsize size;

        if (!frame && !failure)
            return timed_out(connection, error);
        if (!frame) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return FALSE;
        }
        bytes = g_bytes_get_data(frame, &size);
        inv_rpc_header_read(bytes, &header);
        bytes += INV_RPC_HEADER_SIZE;
        size -= INV_RPC_HEADER_SIZE;
        if (header.type != INV_RPC_REPLY && header.type != INV_RPC_REPLY_WITH_FDS) {
            if (!inv_rpc_connection_handle(connection, &header, bytes, size, error))
                return FALSE;
            continue;
        }
        if (header.program == call->program && header.version == call->version && header.serial == call->serial)
            return take_reply(connection, &header, bytes, size, procedure, ret, deadline, error);
        /* Another serial is the late answer to a call whose time was over. */
        if (header.type == INV_RPC_REPLY_WITH_FDS)
            return inv_rpc_connection_lost(connection, error, "file descriptors came that nobody asked for");
    }
}

/* Sends the call; *@call is its header. */
static const InvRpcProcedure *
send_call(InvRpcConnection *connection, const InvRpcProgram *program, guint32 number, gpointer args, gint64 deadline,
          InvRpcHeader *call, GError **error)
{
    const InvRpcProcedure *procedure = inv_rpc_program_find(program, number);
    g_autoptr(GBytes) message = NULL;

    *call = (InvRpcHeader){ .program = program->number, .version = program->version, .procedure = number };
    if (connection->broken) {
        inv_rpc_connection_lost(connection, error, "an earlier call failed");
        return NULL;
    }
    if (!procedure) {
        inv_error_set(error, VIR_ERR_NO_SUPPORT, "procedure %u is not supported by program %s", number, program->name);
        return NULL;
    }
    /* What was not said while nobody asked says nothing. */
    connection->heard = g_get_monotonic_time();
    connection->asked = 0;
    call->serial = connection->serial++;
    message = inv_rpc_message_new(call, 0, procedure->args, args, error);
    return message && inv_rpc_connection_send(connection, message, deadline, error) ? procedure : NULL;
}

gboolean
inv_rpc_connection_call(InvRpcConnection *connection, const InvRpcProgram *program, guint32 number, gpointer args, gpointer ret,
                        guint deadline_ms, GError **error)
{
    gint64 deadline = inv_rpc_deadline_after(deadline_ms);
    InvRpcHeader call;
    const InvRpcProcedure *procedure = send_call(connection, program, number, args, deadline, &call, error);

    return procedure && await_reply(connection, &call, procedure, ret, deadline, error);
}

gboolean
inv_rpc_connection_open_stream(InvRpcConnection *connection, const InvRpcProgram *program, guint32 number, gpointer args,
                               gpointer ret, guint deadline_ms, guint32 *serial, GError **error)
{
    gint64 deadline = inv_rpc_deadline_after(deadline_ms);
    InvRpcHeader call;
    const InvRpcProcedure *procedure;

    if (connection->has_stream)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "the connection to invard at '%s' has a stream open already", connection->name);
    procedure = send_call(connection, program, number, args, deadline, &call, error);
    if (!procedure || !await_reply(connection, &call, procedure, ret, deadline, error))
        return FALSE;
    connection->has_stream = TRUE;
    connection->stream_over = FALSE;
    connection->stream = call;
    *serial = call.serial;
    return TRUE;
}

/* @frame is one that nobody waits for. */
static gboolean
handle_other(InvRpcConnection *connection, GBytes *frame, GError **error)
{
    InvRpcHeader header;
    gsize size;
    const guint8 *bytes = g_bytes_get_data(frame, &size);

    inv_rpc_header_read(bytes, &header);
    /* The late answer to a call whose time was over. */
    if (header.type == INV_RPC_REPLY)
        return TRUE;
    return inv_rpc_connection_handle(connection, &header, bytes + INV_RPC_HEADER_SIZE, size - INV_RPC_HEADER_SIZE, error);
}

gboolean
inv_rpc_connection_handle_frame(InvRpcConnection *connection, GError **error)
{
    g_autoptr(GBytes) frame = inv_rpc_reader_take(&connection->reader);

    return handle_other(connection, frame, error);
}

gboolean
inv_rpc_connection_wait(InvRpcConnection *connection, guint timeout_ms, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;

    if (connection->broken)
        return inv_rpc_connection_lost(connection, error, "an earlier call failed");
    for (;;) {
        g_autoptr(GError) failure = NULL;
        g_autoptr(GBytes) frame = inv_rpc_connection_receive(connection, deadline, &failure);

        if (failure) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return FALSE;
        }
        if (!frame)
            return TRUE;
        if (!handle_other(connection, frame, error))
            return FALSE;
        if (is_over(deadline, TRUE))
            return TRUE;
    }
}

static gboolean
authenticate(InvRpcConnection *connection, guint deadline_ms, GError **error)
{
    g_auto(remote_auth_list_ret) list = { 0 };

    if (!inv_rpc_connection_call(connection, &inv_rpc_remote_program, REMOTE_PROC_AUTH_LIST, NULL, &list, deadline_ms, error))
        return FALSE;
    if (list.types.types_len == 0 || list.types.types_val[0] == REMOTE_AUTH_NONE)
        return TRUE;
    return inv_error_set(error, VIR_ERR_AUTH_FAILED, "the daemon at '%s' asks for authentication of type %d, which is not supported by this client",
                         connection->name, (int)list.types.types_val[0]);
}

InvRpcConnection *
inv_rpc_connection_open_target(const InvRpcTarget *target, gboolean read_only, guint deadline_ms, GError **error)
{
    g_autoptr(InvRpcConnection) connection = g_new0(InvRpcConnection, 1);
    const InvRpcTransportHandle none = INV_RPC_TRANSPORT_NONE;
    char *name = target->uri; /* only read: XDR has no const */
    remote_connect_open_args args = { .name = &name, .flags = read_only ? VIR_CONNECT_RO : 0 };

    connection->name = inv_rpc_target_describe(target);
    connection->way = none;
    inv_rpc_connection_set_keepalive(connection, PING_INTERVAL_S, PINGS_MAX);
    if (!inv_rpc_transport_open(&connection->way, target, deadline_ms, error) || !authenticate(connection, deadline_ms, error) ||
        !inv_rpc_connection_call(connection, &inv_rpc_remote_program, REMOTE_PROC_CONNECT_OPEN, &args, NULL, deadline_ms, error))
        return NULL;
    connection->open = TRUE;
    return g_steal_pointer(&connection);
}

InvRpcConnection *
inv_rpc_connection_open(const char *socket_path, const char *uri, gboolean read_only, guint deadline_ms, GError **error)
{
    const InvRpcTarget target = { .transport = INV_TRANSPORT_UNIX, .socket = (char *)socket_path, .uri = (char *)uri };

    return inv_rpc_connection_open_target(&target, read_only, deadline_ms, error);
}

void
inv_rpc_connection_set_keepalive(InvRpcConnection *connection, guint interval_s, guint count)
{
    connection->ping_ms = (int)CLAMP(interval_s, 1, PING_INTERVAL_MAX_S) * 1000;
    connection->pings_max = count;
}

gboolean
inv_rpc_connection_request_pings(InvRpcConnection *connection, guint deadline_ms, GError **error)
{
    remote_connect_supports_feature_args args = { .feature = FEATURE_KEEPALIVE };
    remote_connect_supports_feature_ret ret = { 0 };

    if (!inv_rpc_connection_call(connection, &inv_rpc_remote_program, REMOTE_PROC_CONNECT_SUPPORTS_FEATURE, &args, &ret, deadline_ms, error))
        return FALSE;
    return ret.supported || inv_error_set(error, VIR_ERR_NO_SUPPORT, "keepalive is not supported by the daemon at '%s'", connection->name);
}

void
inv_rpc_connection_close(InvRpcConnection *connection)
{
    if (!connection)
        return;
    if (connection->open && !connection->broken)
        inv_rpc_connection_call(connection, &inv_rpc_remote_program, REMOTE_PROC_CONNECT_CLOSE, NULL, NULL, CLOSE_DEADLINE_MS,
                                NULL);
    inv_rpc_reader_clear(&connection->reader);
    inv_rpc_transport_close(&connection->way);
    g_free(connection->name);
    g_free(connection);
}
