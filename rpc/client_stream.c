/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client's end of a stream: what a file descriptor gives goes to the daemon. */
#include "config.h"

#include "rpc/client_private.h"

#include "util/error.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD (INV_RPC_LENGTH_SIZE + INV_RPC_HEADER_SIZE)
/* libvirt's own size of a packet. */
#define PACKET_MAX 262120u
/* An abort is answered at once, or the connection is given up. */
#define ABORT_DEADLINE_MS 5000

typedef struct {
    InvRpcConnection *connection;
    InvRpcHeader header;
    int fd;
    int cancel_fd;
    gboolean at_end;     /* nothing more is to be read: the daemon was told, or is being told */
    gsize start, end;    /* of what of the buffer is to be sent */
    gint64 stalled;      /* when a daemon that still takes nothing is given up */
    guint8 buffer[HEAD + PACKET_MAX];
} Pump;

static void
prepare_packet(Pump *pump, guint32 status, gsize length)
{
    pump->header.status = status;
    inv_rpc_header_write(pump->buffer, &pump->header, length);
    pump->start = 0;
    pump->end = HEAD + length;
    pump->stalled = inv_rpc_connection_patience(pump->connection);
}

static gboolean
is_temporary(int failed)
{
    return failed == EAGAIN || failed == EWOULDBLOCK || failed == EINTR;
}

/* The next packet, or the end of the stream, into the buffer. */
static gboolean
fill(Pump *pump, GError **error)
{
    ssize_t got = read(pump->fd, pump->buffer + HEAD, PACKET_MAX);

    if (got < 0 && is_temporary(errno))
        return TRUE;
    if (got < 0)
        return inv_error_set_errno(error, errno, "cannot read what is to be sent to invard at '%s'", pump->connection->name);
    pump->at_end = got == 0;
    prepare_packet(pump, got ? INV_RPC_CONTINUE : INV_RPC_OK, (gsize)got);
    return TRUE;
}

/* Sends some of the buffer. FALSE: the connection is lost. */
static gboolean
drain(Pump *pump, GError **error)
{
    ssize_t sent = send(pump->connection->way.fd, pump->buffer + pump->start, pump->end - pump->start, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0 && !is_temporary(errno))
        return inv_rpc_connection_lost(pump->connection, error, g_strerror(errno));
    if (sent > 0) {
        pump->start += (gsize)sent;
        pump->stalled = inv_rpc_connection_patience(pump->connection);
    }
    return TRUE;
}

/* Takes what the daemon has sent. A PONG that is due must not come into the middle of a packet. */
static gboolean
listen_to_daemon(Pump *pump, GError **error)
{
    InvRpcConnection *connection = pump->connection;
    gboolean handled;

    if (!inv_rpc_connection_receive_some(connection, error))
        return FALSE;
    if (!inv_rpc_reader_is_complete(&connection->reader))
        return TRUE;
    connection->in_packet = pump->start > 0 && pump->start < pump->end;
    handled = inv_rpc_connection_handle_frame(connection, error);
    connection->in_packet = FALSE;
    return handled;
}

/* Nothing has happened for an interval. FALSE: the connection is lost. */
static gboolean
look_for_daemon(Pump *pump, GError **error)
{
    if (pump->start == pump->end)
        return inv_rpc_connection_look(pump->connection, error);
    /* It does not read: it could not answer a ping either. */
    return g_get_monotonic_time() < pump->stalled ||
           inv_rpc_connection_lost(pump->connection, error, "the daemon takes nothing any more");
}

/*
 * One turn. FALSE: it cannot go on, @error says why. The daemon is listened to before anything is
 * sent, so that its reason for ending the stream is not lost behind a broken connection.
 */
static gboolean
step(Pump *pump, GError **error)
{
    InvRpcConnection *connection = pump->connection;
    gboolean to_send = pump->start < pump->end;
    struct pollfd fds[] = {
        { .fd = connection->way.fd, .events = (short)(POLLIN | (to_send ? POLLOUT : 0)) },
        /* A negative descriptor is left out. */
        { .fd = to_send || pump->at_end ? -1 : pump->fd, .events = POLLIN },
        { .fd = pump->cancel_fd, .events = POLLIN },
        { .fd = inv_rpc_end_fd(), .events = POLLIN },
    };
    int ready = poll(fds, G_N_ELEMENTS(fds), connection->ping_ms);

    if (ready < 0)
        return errno == EINTR || inv_rpc_connection_lost(connection, error, g_strerror(errno));
    if (ready == 0)
        return look_for_daemon(pump, error);
    if (fds[3].revents)
        return inv_rpc_connection_lost(connection, error, "this program ends");
    if (fds[2].revents)
        return inv_error_set(error, VIR_ERR_OPERATION_ABORTED, "the stream to invard at '%s' is aborted", connection->name);
    if ((fds[0].revents & ~POLLOUT) && !listen_to_daemon(pump, error))
        return FALSE;
    if (connection->stream_over)
        return TRUE;
    if (pump->start < pump->end && (fds[0].revents & POLLOUT) && !drain(pump, error))
        return FALSE;
    if (connection->pong_due && pump->start == pump->end &&
        !inv_rpc_connection_send_keepalive(connection, INV_RPC_KEEPALIVE_PONG, error))
        return FALSE;
    return !fds[1].revents || fill(pump, error);
}

/* A packet that was begun must be sent to its end: whatever follows could not be understood. */
static gboolean
complete_packet(Pump *pump, GError **error)
{
    g_autoptr(GBytes) rest = NULL;

    if (pump->start == 0 || pump->start == pump->end)
        return TRUE;
    rest = g_bytes_new(pump->buffer + pump->start, pump->end - pump->start);
    return inv_rpc_connection_send(pump->connection, rest, inv_rpc_deadline_after(ABORT_DEADLINE_MS), error);
}

/* The daemon is told, and what it still sends for the stream is taken. Of no use when the connection is lost. */
static void
abort_stream(Pump *pump)
{
    InvRpcConnection *connection = pump->connection;
    gint64 deadline = inv_rpc_deadline_after(ABORT_DEADLINE_MS);
    g_autoptr(GBytes) message = NULL;

    pump->header.status = INV_RPC_ERROR;
    message = inv_rpc_message_new(&pump->header, 0, NULL, NULL, NULL);
    if (!complete_packet(pump, NULL) || !inv_rpc_connection_send(connection, message, deadline, NULL))
        return;
    while (!connection->stream_over && !connection->broken && g_get_monotonic_time() < deadline) {
        struct pollfd fds[] = { { .fd = connection->way.fd, .events = POLLIN }, { .fd = inv_rpc_end_fd(), .events = POLLIN } };

        if (poll(fds, G_N_ELEMENTS(fds), inv_rpc_remaining_ms(deadline, ABORT_DEADLINE_MS)) <= 0)
            continue;
        if (fds[1].revents)
            return;
        if (!inv_rpc_connection_receive_some(connection, NULL))
            return;
        if (inv_rpc_reader_is_complete(&connection->reader) && !inv_rpc_connection_handle_frame(connection, NULL))
            return;
    }
}

gboolean
inv_rpc_connection_send_fd(InvRpcConnection *connection, const InvRpcProgram *program, guint32 procedure, guint32 serial, int fd,
                           int cancel_fd, GError **error)
{
    g_autofree Pump *pump = g_new0(Pump, 1);
    gboolean going = TRUE;

    if (!connection->has_stream || connection->stream.serial != serial || connection->stream.procedure != procedure ||
        connection->stream.program != program->number)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "the connection to invard at '%s' has no such stream", connection->name);
    pump->connection = connection;
    pump->header = connection->stream;
    pump->header.type = INV_RPC_STREAM;
    pump->fd = fd;
    pump->cancel_fd = cancel_fd;
    pump->stalled = inv_rpc_connection_patience(connection);
    connection->heard = g_get_monotonic_time();
    connection->asked = 0;
    while (going && !connection->broken && !connection->stream_over)
        going = step(pump, error);
    if (!going && !connection->broken)
        abort_stream(pump);
    connection->has_stream = FALSE;
    if (!going) {
        g_clear_error(&connection->stream_failure);
        return FALSE;
    }
    if (connection->broken)
        return inv_rpc_connection_lost(connection, error, "an earlier call failed");
    complete_packet(pump, NULL);
    if (connection->stream_failure) {
        g_propagate_error(error, g_steal_pointer(&connection->stream_failure));
        return FALSE;
    }
    /* An end that was not asked for leaves data behind. */
    return (pump->at_end && pump->start == pump->end) ||
           inv_error_set(error, VIR_ERR_OPERATION_FAILED, "invard at '%s' ended the stream before all of it was sent", connection->name);
}
