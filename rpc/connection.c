/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "rpc/server_private.h"

#include "rpc/transport.h"
#include "util/error.h"
#include "util/fd.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One client must not keep the others waiting: so many reads, then it is the next one's turn. */
#define READS_PER_TURN 64
/* So many unsent bytes, and no further calls are read: their answers would wait as well. */
#define QUEUED_PAUSE (1024u * 1024u)
/* So many bytes of streams whose descriptors take no more, and nothing is read. One message more may be on its way. */
#define STREAM_BYTES_PAUSE (16u * 1024u * 1024u)
/* Calls that are not counted by max_client_requests: enough for any client, few for memory. */
#define PRIORITY_CALLS_MAX 64

void
inv_rpc_close_fds(GArray *fds)
{
    if (!fds)
        return;
    for (guint i = 0; i < fds->len; i++)
        inv_fd_close(&g_array_index(fds, int, i));
    g_array_unref(fds);
}

void
inv_rpc_outgoing_free(InvRpcOutgoing *outgoing)
{
    g_bytes_unref(outgoing->bytes);
    inv_rpc_close_fds(outgoing->fds);
    g_free(outgoing);
}

static void
queue_clear(GQueue *queue)
{
    g_queue_clear_full(queue, (GDestroyNotify)inv_rpc_outgoing_free);
}

InvRpcClient *
inv_rpc_client_ref(InvRpcClient *client)
{
    g_atomic_ref_count_inc(&client->references);
    return client;
}

void
inv_rpc_client_unref(InvRpcClient *client)
{
    if (!client || !g_atomic_ref_count_dec(&client->references))
        return;
    if (client->data_destroy)
        client->data_destroy(client->data);
    inv_rpc_reader_clear(&client->reader);
    g_clear_pointer(&client->frame, g_bytes_unref);
    inv_rpc_close_fds(client->fds);
    queue_clear(&client->outgoing);
    queue_clear(&client->held);
    inv_fd_close(&client->fd);
    g_mutex_clear(&client->lock);
    g_free(client->peer);
    g_free(client);
}

/* "10.0.0.2 port 40112" */
static char *
address_of(int fd)
{
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof(address);
    char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";

    if (getpeername(fd, (struct sockaddr *)&address, &size) == 0)
        getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
    return g_strdup_printf("%s port %s", host, port);
}

/* Who is at the other end. */
static gboolean
find_peer(InvRpcClient *client, GError **error)
{
    const InvRpcServerOptions *options = &client->server->options;
    struct ucred peer;
    socklen_t size = sizeof(peer);
    int family = AF_UNSPEC;
    socklen_t family_size = sizeof(family);

    if (getsockopt(client->fd, SOL_SOCKET, SO_DOMAIN, &family, &family_size) < 0)
        return inv_error_set_errno(error, errno, "cannot tell what kind of socket it is");
    client->is_local = family == AF_UNIX;
    client->uid = (uid_t)-1;
    if (!client->is_local) {
        client->peer = address_of(client->fd);
        inv_rpc_tcp_prepare(client->fd, options->keepalive_interval, options->keepalive_count);
        return TRUE;
    }
    if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return inv_error_set_errno(error, errno, "cannot tell who connects");
    client->uid = peer.uid;
    client->pid = peer.pid;
    client->peer = g_strdup_printf("process %d of user %u", (int)peer.pid, (unsigned)peer.uid);
    return TRUE;
}

InvRpcClient *
inv_rpc_client_new(InvRpcServer *server, int fd, gboolean read_only, GError **error)
{
    g_autoptr(InvRpcClient) client = g_new0(InvRpcClient, 1);

    g_atomic_ref_count_init(&client->references);
    g_mutex_init(&client->lock);
    client->fd = fd;
    client->server = server;
    if (!find_peer(client, error))
        return NULL;
    client->io = server->io;
    client->max_queued = server->options.max_queued;
    client->number = ++server->last_number;
    client->read_only = read_only;
    client->authenticated = !server->options.require_auth;
    return g_steal_pointer(&client);
}

gboolean
inv_rpc_client_is_paused(InvRpcClient *client)
{
    const InvRpcServerOptions *options = &client->server->options;
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&client->lock);

    return client->closed || client->closing || client->calls >= options->max_client_requests ||
           client->priority_calls >= PRIORITY_CALLS_MAX || client->queued >= QUEUED_PAUSE ||
           client->stream_bytes >= STREAM_BYTES_PAUSE;
}

gboolean
inv_rpc_client_has_much_queued(InvRpcClient *client)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&client->lock);

    return client->queued >= QUEUED_PAUSE;
}

static InvRpcOutgoing *
peek_outgoing(InvRpcClient *client)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&client->lock);

    return g_queue_peek_head(&client->outgoing);
}

void
inv_rpc_client_close(InvRpcClient *client)
{
    g_mutex_lock(&client->lock);
    if (client->closed) {
        g_mutex_unlock(&client->lock);
        return;
    }
    client->closed = TRUE;
    queue_clear(&client->outgoing);
    queue_clear(&client->held);
    client->queued = 0;
    g_mutex_unlock(&client->lock);

    inv_rpc_streams_close(client);
    inv_rpc_keepalive_stop(client);
    if (client->source) {
        g_source_destroy(client->source);
        g_clear_pointer(&client->source, g_source_unref);
    }
    inv_fd_close(&client->fd);
    inv_rpc_reader_clear(&client->reader);
    g_debug("client %" G_GUINT64_FORMAT " is gone", client->number);
    inv_rpc_server_forget(client->server, client);
}

static void
update_polled(InvRpcClient *client)
{
    GIOCondition wanted = 0;

    if (!client->source)
        return;
    if (!inv_rpc_client_is_paused(client))
        wanted |= G_IO_IN;
    /* The end of a TCP connection is no hang-up, and would not be seen while nothing is read. */
    else if (!client->is_local)
        wanted |= (GIOCondition)POLLRDHUP;
    if (peek_outgoing(client))
        wanted |= G_IO_OUT;
    if (wanted != client->polled)
        g_source_modify_unix_fd(client->source, client->tag, wanted);
    client->polled = wanted;
}

/* Sends one zero byte that carries @fd, as libvirt does. */
static ssize_t
send_fd(int socket_fd, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    char zero = 0;
    struct iovec part = { .iov_base = &zero, .iov_len = 1 };
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    return sendmsg(socket_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Sends a piece of @outgoing. What is sent only the I/O thread looks at. */
static ssize_t
send_some(InvRpcClient *client, InvRpcOutgoing *outgoing)
{
    gsize size;
    const guint8 *bytes = g_bytes_get_data(outgoing->bytes, &size);
    ssize_t sent;

    if (outgoing->sent < size) {
        sent = send(client->fd, bytes + outgoing->sent, size - outgoing->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0)
            outgoing->sent += (gsize)sent;
        return sent;
    }
    sent = send_fd(client->fd, g_array_index(outgoing->fds, int, outgoing->fds_sent));
    if (sent > 0)
        outgoing->fds_sent++;
    return sent;
}

static gboolean
outgoing_is_sent(const InvRpcOutgoing *outgoing)
{
    return outgoing->sent == g_bytes_get_size(outgoing->bytes) &&
           (!outgoing->fds || outgoing->fds_sent == outgoing->fds->len);
}

static void
drop_sent(InvRpcClient *client, InvRpcOutgoing *outgoing)
{
    g_mutex_lock(&client->lock);
    g_queue_pop_head(&client->outgoing);
    client->queued -= g_bytes_get_size(outgoing->bytes);
    g_mutex_unlock(&client->lock);
    inv_rpc_outgoing_free(outgoing);
}

/* FALSE: the connection is broken. */
static gboolean
send_queue(InvRpcClient *client)
{
    InvRpcOutgoing *outgoing;

    while ((outgoing = peek_outgoing(client))) {
        if (send_some(client, outgoing) < 0) {
            if (errno == EINTR)
                continue;
            return errno == EAGAIN || errno == EWOULDBLOCK;
        }
        if (outgoing_is_sent(outgoing))
            drop_sent(client, outgoing);
    }
    return TRUE;
}

void
inv_rpc_client_flush(InvRpcClient *client)
{
    gboolean overflowed, done, has_streams;

    g_mutex_lock(&client->lock);
    client->flush_posted = FALSE;
    overflowed = client->overflowed;
    done = client->closed;
    g_mutex_unlock(&client->lock);
    if (done)
        return;
    if (overflowed) {
        g_warning("client %" G_GUINT64_FORMAT " (%s) is closed: it does not read, and %" G_GSIZE_FORMAT
                  " bytes of events are the most that wait for it", client->number, client->peer, client->max_queued);
        inv_rpc_client_close(client);
        return;
    }
    if (!send_queue(client)) {
        inv_rpc_client_close(client);
        return;
    }
    g_mutex_lock(&client->lock);
    done = client->closing && !client->calls && !client->priority_calls && g_queue_is_empty(&client->outgoing);
    has_streams = !g_queue_is_empty(&client->streams);
    g_mutex_unlock(&client->lock);
    if (done) {
        inv_rpc_client_close(client);
        return;
    }
    if (has_streams)
        inv_rpc_streams_flushed(client);
    update_polled(client);
}

static void
flush_and_unref(gpointer data)
{
    InvRpcClient *client = data;

    inv_rpc_client_flush(client);
    inv_rpc_client_unref(client);
}

void
inv_rpc_client_post_flush(InvRpcClient *client)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&client->lock);

    if (client->closed || client->flush_posted)
        return;
    client->flush_posted = TRUE;
    inv_io_thread_post(client->io, flush_and_unref, inv_rpc_client_ref(client));
}

static InvRpcOutgoing *
outgoing_new(GBytes *message, GArray *fds)
{
    InvRpcOutgoing *outgoing = g_new0(InvRpcOutgoing, 1);

    outgoing->bytes = message;
    outgoing->fds = fds;
    return outgoing;
}

void
inv_rpc_client_queue_locked(InvRpcClient *client, GBytes *message, GArray *fds)
{
    if (client->closed) {
        inv_rpc_close_fds(fds);
        g_bytes_unref(message);
        return;
    }
    client->queued += g_bytes_get_size(message);
    g_queue_push_tail(&client->outgoing, outgoing_new(message, fds));
}

/* A frame with file descriptors says how many in its first word. FALSE: it lies. */
static gboolean
expect_fds(InvRpcClient *client, GBytes *frame, const InvRpcHeader *header)
{
    gsize size;
    const guint8 *bytes = g_bytes_get_data(frame, &size);
    guint32 count;

    client->fds_due = 0;
    if (header->type != INV_RPC_CALL_WITH_FDS)
        return TRUE;
    if (size < INV_RPC_HEADER_SIZE + sizeof(count))
        return FALSE;
    memcpy(&count, bytes + INV_RPC_HEADER_SIZE, sizeof(count));
    client->fds_due = GUINT32_FROM_BE(count);
    /* Over TCP there is no way for them to come. */
    return client->fds_due <= (client->is_local ? INV_RPC_FDS_MAX : 0);
}

/* Takes one byte with one file descriptor. 1: done, 0: not yet, -1: the connection is broken. */
static int
receive_fd(InvRpcClient *client)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec part = { .iov_base = &byte, .iov_len = 1 };
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
    };
    struct cmsghdr *header;
    ssize_t got = recvmsg(client->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    int fd;

    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
    header = CMSG_FIRSTHDR(&message);
    if (got == 0 || !header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
        header->cmsg_len != CMSG_LEN(sizeof(int)))
        return -1;
    memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    g_array_append_val(client->fds, fd);
    client->fds_due--;
    /* More than one with one byte: the kernel closed those that had no room. */
    return message.msg_flags & MSG_CTRUNC ? -1 : 1;
}

/* Takes some bytes. The same answers. */
static int
receive_bytes(InvRpcClient *client)
{
    g_autoptr(GError) error = NULL;
    gsize room;
    guint8 *space = inv_rpc_reader_space(&client->reader, &room);
    ssize_t got = recv(client->fd, space, room, MSG_DONTWAIT);

    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
    if (got == 0)
        return -1;
    if (!inv_rpc_reader_add(&client->reader, (gsize)got, &error)) {
        g_info("client %" G_GUINT64_FORMAT " is closed: %s", client->number, error->message);
        return -1;
    }
    return 1;
}

/* One step of reading. FALSE: nothing more for now, or the connection is closed. */
static gboolean
read_step(InvRpcClient *client)
{
    InvRpcHeader header;
    int result = client->frame ? receive_fd(client) : receive_bytes(client);

    if (result < 0)
        inv_rpc_client_close(client);
    if (result <= 0)
        return FALSE;
    client->heard = TRUE;
    if (!client->frame) {
        if (!inv_rpc_reader_is_complete(&client->reader))
            return TRUE;
        client->frame = inv_rpc_reader_take(&client->reader);
        inv_rpc_header_read(g_bytes_get_data(client->frame, NULL), &header);
        if (!expect_fds(client, client->frame, &header)) {
            g_info("client %" G_GUINT64_FORMAT " is closed: bad count of file descriptors", client->number);
            inv_rpc_client_close(client);
            return FALSE;
        }
        client->fds = g_array_new(FALSE, FALSE, sizeof(int));
    }
    if (!client->fds_due)
        inv_rpc_dispatch(client, g_steal_pointer(&client->frame), g_steal_pointer(&client->fds));
    return TRUE;
}

static gboolean
socket_ready(GSource *source, GSourceFunc callback, gpointer data)
{
    InvRpcClient *client = *(InvRpcClient **)(source + 1);
    g_autoptr(InvRpcClient) kept = inv_rpc_client_ref(client);
    GIOCondition condition = g_source_query_unix_fd(source, client->tag);

    if (condition & (G_IO_ERR | G_IO_NVAL)) {
        inv_rpc_client_close(client);
        return G_SOURCE_CONTINUE;
    }
    if (condition & G_IO_IN) {
        for (guint i = 0; i < READS_PER_TURN && !inv_rpc_client_is_paused(client); i++) {
            if (!read_step(client))
                break;
            /* Who waits for an answer need not wait for a look whether there is more to read. */
            if (peek_outgoing(client)) {
                inv_rpc_client_flush(client);
                inv_rpc_linger_answered(client->server->linger, &client->answered);
            }
        }
    } else if (condition & (G_IO_HUP | POLLRDHUP)) {
        /* It is gone, with whatever it still had to say: nobody is there to hear the answers. */
        inv_rpc_client_close(client);
    }
    inv_rpc_client_flush(client);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs socket_functions = { .dispatch = socket_ready };

void
inv_rpc_client_attach(InvRpcClient *client)
{
    client->source = g_source_new(&socket_functions, sizeof(GSource) + sizeof(InvRpcClient *));
    *(InvRpcClient **)(client->source + 1) = client;
    client->polled = G_IO_IN;
    client->tag = g_source_add_unix_fd(client->source, client->fd, client->polled);
    g_source_set_static_name(client->source, "rpc client");
    /* The loop is never run from within: else GLib takes the socket out of it and puts it back around each turn, which wakes it twice. */
    g_source_set_can_recurse(client->source, TRUE);
    g_source_attach(client->source, inv_io_thread_context(client->io));
}
