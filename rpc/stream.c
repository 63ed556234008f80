/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A call's stream at the server's end: packets that come are written to a file descriptor, what it
 * gives becomes packets. Everything but the opening happens on the I/O thread.
 */
#include "config.h"

#include "rpc/server_private.h"

#include "util/error.h"
#include "util/fd.h"

#include <errno.h>
#include <glib-unix.h>
#include <libvirt/virterror.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of one connection: a guest's console, a few migrations, a few volumes. */
#define STREAMS_MAX 64
/* What a waiting packet costs beside its bytes: else many small ones would be nearly free. */
#define PACKET_OVERHEAD 256u
/* libvirt's own size of a packet. */
#define PACKET_MAX 262120u
/* One stream must not keep the other sockets waiting: so many packets to the client, then it is the next one's turn. */
#define PACKETS_PER_TURN 4

/* A packet of the client's, of which the first bytes may be written already. */
typedef struct {
    GBytes *frame;
    gsize done; /* of the frame, header included */
} Packet;

struct InvRpcStream {
    InvRpcClient *client; /* a reference */
    InvRpcHeader header;  /* of its packets: the call's program, procedure and serial */
    int fd;
    gboolean from_client;
    gboolean to_client;
    InvRpcStreamDone done;
    gpointer user_data;

    gboolean is_open;     /* guarded by the client's lock: among its streams */

    /* I/O thread only. */
    GQueue packets;       /* Packet * */
    gsize waiting;        /* their bytes, as they are counted */
    gboolean finishing;   /* the client is through: nothing more comes */
    gboolean read_all;    /* @fd is through, and the client was told */
    GSource *source;      /* NULL: nothing is waited for */
    GIOCondition polled;
};

static void
packet_free(Packet *packet)
{
    g_bytes_unref(packet->frame);
    g_free(packet);
}

static void
stop_waiting(InvRpcStream *stream)
{
    if (stream->source) {
        g_source_destroy(stream->source);
        g_clear_pointer(&stream->source, g_source_unref);
    }
    stream->polled = 0;
}

static void
count_waiting(InvRpcStream *stream, gsize more, gsize less)
{
    stream->waiting += more - less;
    stream->client->stream_bytes += more - less;
}

/* Queues a packet of the stream's; @payload may be NULL. */
static void
send_packet(InvRpcStream *stream, guint32 status, GBytes *payload)
{
    g_autoptr(GBytes) nothing = g_bytes_new_static("", 0);
    InvRpcHeader header = stream->header;

    header.type = INV_RPC_STREAM;
    header.status = status;
    g_mutex_lock(&stream->client->lock);
    inv_rpc_client_queue_locked(stream->client, inv_rpc_message_new_encoded(&header, payload ? payload : nothing, NULL), NULL);
    g_mutex_unlock(&stream->client->lock);
}

static void
send_error(InvRpcStream *stream, const GError *error)
{
    GBytes *message = inv_rpc_error_message(&stream->header, INV_RPC_STREAM, inv_error_code(error), VIR_FROM_STREAMS, error->message);

    g_mutex_lock(&stream->client->lock);
    inv_rpc_client_queue_locked(stream->client, message, NULL);
    g_mutex_unlock(&stream->client->lock);
}

/* The stream is over, @error says how; it is freed. What the client is told was queued before. */
static void
end(InvRpcStream *stream, const GError *error)
{
    InvRpcClient *client = stream->client;

    stop_waiting(stream);
    inv_fd_close(&stream->fd);
    g_mutex_lock(&client->lock);
    client->n_streams--;
    if (stream->is_open)
        g_queue_remove(&client->streams, stream);
    g_mutex_unlock(&client->lock);
    count_waiting(stream, 0, stream->waiting);
    g_queue_clear_full(&stream->packets, (GDestroyNotify)packet_free);
    stream->done(error, stream->user_data);
    g_free(stream);
    inv_rpc_client_unref(client);
}

/* The client is told what was wrong. */
static void G_GNUC_PRINTF(3, 4)
fail(InvRpcStream *stream, virErrorNumber code, const char *format, ...)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    inv_error_set(&error, code, "%s", text);
    send_error(stream, error);
    end(stream, error);
}

static gboolean
is_temporary(int failed)
{
    return failed == EAGAIN || failed == EWOULDBLOCK || failed == EINTR;
}

/* A socket whose peer is gone must not end the daemon, or a test, by a signal. */
static ssize_t
put(int fd, const guint8 *bytes, gsize size)
{
    ssize_t done = send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

    return done < 0 && errno == ENOTSOCK ? write(fd, bytes, size) : done;
}

/* FALSE: the stream is over. */
static gboolean
write_packets(InvRpcStream *stream)
{
    Packet *packet;

    while ((packet = g_queue_peek_head(&stream->packets))) {
        gsize size;
        const guint8 *bytes = g_bytes_get_data(packet->frame, &size);
        ssize_t done = put(stream->fd, bytes + packet->done, size - packet->done);

        if (done < 0 && !is_temporary(errno)) {
            fail(stream, VIR_ERR_OPERATION_FAILED, "cannot write what the stream carries: %s", g_strerror(errno));
            return FALSE;
        }
        if (done < 0)
            break;
        packet->done += (gsize)done;
        if (packet->done < size)
            break;
        count_waiting(stream, 0, size - INV_RPC_HEADER_SIZE + PACKET_OVERHEAD);
        packet_free(g_queue_pop_head(&stream->packets));
    }
    if (stream->finishing && g_queue_is_empty(&stream->packets)) {
        send_packet(stream, INV_RPC_OK, NULL);
        end(stream, NULL);
        return FALSE;
    }
    return TRUE;
}

/* FALSE: the stream is over. */
static gboolean
read_packets(InvRpcStream *stream)
{
    for (guint i = 0; i < PACKETS_PER_TURN && !inv_rpc_client_has_much_queued(stream->client); i++) {
        g_autofree guint8 *bytes = g_malloc(PACKET_MAX);
        ssize_t got = read(stream->fd, bytes, PACKET_MAX);
        g_autoptr(GBytes) payload = NULL;

        if (got < 0 && !is_temporary(errno)) {
            fail(stream, VIR_ERR_OPERATION_FAILED, "cannot read what the stream is to carry: %s", g_strerror(errno));
            return FALSE;
        }
        if (got < 0)
            break;
        payload = got > 0 ? g_bytes_new(bytes, (gsize)got) : NULL;
        send_packet(stream, INV_RPC_CONTINUE, payload);
        if (got == 0) {
            stream->read_all = TRUE;
            break;
        }
    }
    return TRUE;
}

static void wait_for_fd(InvRpcStream *stream);

static gboolean
fd_ready(int fd, GIOCondition condition, gpointer data)
{
    InvRpcStream *stream = data;
    g_autoptr(InvRpcClient) client = inv_rpc_client_ref(stream->client);
    const GIOCondition broken = G_IO_HUP | G_IO_ERR;
    gboolean goes_on = TRUE;

    if ((stream->polled & G_IO_IN) && (condition & (G_IO_IN | broken)))
        goes_on = read_packets(stream);
    if (goes_on && (stream->polled & G_IO_OUT) && (condition & (G_IO_OUT | broken)))
        goes_on = write_packets(stream);
    if (goes_on)
        wait_for_fd(stream);
    /* Sends what was queued, and reads from the client again if there is room again. */
    inv_rpc_client_flush(client);
    return G_SOURCE_CONTINUE;
}

/* A descriptor that nothing is wanted of is not polled at all: one that hangs up would keep the loop busy. */
static void
wait_for_fd(InvRpcStream *stream)
{
    GIOCondition wanted = 0;

    if (stream->to_client && !stream->read_all && !inv_rpc_client_has_much_queued(stream->client))
        wanted |= G_IO_IN;
    if (!g_queue_is_empty(&stream->packets))
        wanted |= G_IO_OUT;
    if (wanted == stream->polled)
        return;
    stop_waiting(stream);
    if (!wanted)
        return;
    stream->polled = wanted;
    stream->source = g_unix_fd_source_new(stream->fd, wanted);
    g_source_set_callback(stream->source, G_SOURCE_FUNC(fd_ready), stream, NULL);
    g_source_set_static_name(stream->source, "rpc stream");
    g_source_attach(stream->source, inv_io_thread_context(stream->client->io));
}

static InvRpcStream *
find(InvRpcClient *client, const InvRpcHeader *header)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&client->lock);

    for (GList *each = client->streams.head; each; each = each->next) {
        InvRpcStream *stream = each->data;

        if (stream->header.serial == header->serial && stream->header.program == header->program &&
            stream->header.version == header->version && stream->header.procedure == header->procedure)
            return stream;
    }
    return NULL;
}

static void
take_data(InvRpcStream *stream, GBytes *frame)
{
    gsize length = g_bytes_get_size(frame) - INV_RPC_HEADER_SIZE;
    Packet *packet;

    if (!stream->from_client) {
        fail(stream, VIR_ERR_OPERATION_INVALID, "the stream carries nothing from the client");
        return;
    }
    if (!length)
        return;
    packet = g_new0(Packet, 1);
    packet->frame = g_bytes_ref(frame);
    packet->done = INV_RPC_HEADER_SIZE;
    g_queue_push_tail(&stream->packets, packet);
    count_waiting(stream, length + PACKET_OVERHEAD, 0);
    /* What waits already goes first, when there is room for it. */
    if (stream->polled & G_IO_OUT)
        return;
    if (write_packets(stream))
        wait_for_fd(stream);
}

void
inv_rpc_stream_receive(InvRpcClient *client, const InvRpcHeader *header, GBytes *frame)
{
    InvRpcStream *stream = find(client, header);
    g_autoptr(GError) aborted = NULL;

    /* The last packets of a stream may come after its end: nobody misses them. */
    if (!stream)
        return;
    if (header->type == INV_RPC_STREAM_HOLE) {
        fail(stream, VIR_ERR_OPERATION_UNSUPPORTED, "sparse streams are not supported by invard");
    } else if (header->status == INV_RPC_ERROR) {
        inv_error_set(&aborted, VIR_ERR_OPERATION_ABORTED, "the client has aborted the stream");
        send_packet(stream, INV_RPC_OK, NULL);
        end(stream, aborted);
    } else if (stream->finishing) {
        fail(stream, VIR_ERR_OPERATION_INVALID, "a packet of the stream came behind its end");
    } else if (header->status == INV_RPC_CONTINUE) {
        take_data(stream, frame);
    } else if (header->status == INV_RPC_OK) {
        stream->finishing = TRUE;
        /* What waits is written first. */
        if (!(stream->polled & G_IO_OUT))
            write_packets(stream);
    } else {
        fail(stream, VIR_ERR_RPC, "Unexpected message status %u", header->status);
    }
}

void
inv_rpc_streams_flushed(InvRpcClient *client)
{
    g_autoptr(GList) streams = NULL;

    g_mutex_lock(&client->lock);
    streams = g_list_copy(client->streams.head);
    g_mutex_unlock(&client->lock);
    for (GList *each = streams; each; each = each->next)
        wait_for_fd(each->data);
}

void
inv_rpc_streams_close(InvRpcClient *client)
{
    g_autoptr(GError) error = NULL;

    inv_error_set(&error, VIR_ERR_SYSTEM_ERROR, "the client's connection is closed while a stream is open");
    for (;;) {
        InvRpcStream *stream;

        g_mutex_lock(&client->lock);
        stream = g_queue_peek_head(&client->streams);
        g_mutex_unlock(&client->lock);
        if (!stream)
            return;
        end(stream, error);
    }
}

/* --- opening: on the handler's thread --- */

InvRpcStream *
inv_rpc_stream_new(InvRpcCall *call, int fd, gboolean from_client, gboolean to_client, InvRpcStreamDone done, gpointer user_data,
                   GError **error)
{
    InvRpcClient *client = call->client;
    InvRpcStream *stream;
    gboolean has_room;

    if (!g_unix_set_fd_nonblocking(fd, TRUE, error))
        return NULL;
    g_mutex_lock(&client->lock);
    has_room = client->n_streams < STREAMS_MAX;
    client->n_streams += has_room;
    g_mutex_unlock(&client->lock);
    if (!has_room) {
        inv_error_set(error, VIR_ERR_OPERATION_FAILED, "this connection has %u streams open already, the most that are allowed: finish one",
                      STREAMS_MAX);
        return NULL;
    }
    stream = g_new0(InvRpcStream, 1);
    stream->client = inv_rpc_client_ref(client);
    stream->header = call->header;
    stream->fd = fd;
    stream->from_client = from_client;
    stream->to_client = to_client;
    stream->done = done;
    stream->user_data = user_data;
    return stream;
}

static void
start(gpointer data)
{
    InvRpcClient *client = data;

    inv_rpc_streams_flushed(client);
    inv_rpc_client_unref(client);
}

static void
drop(gpointer data)
{
    g_autoptr(GError) error = NULL;

    inv_error_set(&error, VIR_ERR_OPERATION_FAILED, "the call that was to open the stream failed, or its client is gone");
    end(data, error);
}

void
inv_rpc_stream_drop(InvRpcStream *stream)
{
    inv_io_thread_post(stream->client->io, drop, stream);
}

void
inv_rpc_stream_open_locked(InvRpcStream *stream)
{
    InvRpcClient *client = stream->client;

    stream->is_open = TRUE;
    g_queue_push_tail(&client->streams, stream);
    inv_io_thread_post(client->io, start, inv_rpc_client_ref(client));
}
