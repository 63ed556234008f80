/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams: the server's end, with well and badly behaved clients; then the client's end against it. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <glib-unix.h>
#include <glib/gstdio.h>
#include <libvirt/virterror.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/client.h"
#include "rpc/server.h"
#include "tests/unit/rpc_peer.h"
#include "tests/unit/test_table.h"
#include "util/error.h"
#include "util/fd.h"

#define SILENCE_MS 150
#define MIB (1024u * 1024u)
/* The server's own limits. */
#define STREAMS_MAX 64u
#define WAITING_MAX (16u * MIB)

/* The procedures that open streams here; each only takes a domain. */
#define FROM_CLIENT REMOTE_PROC_DOMAIN_SUSPEND
#define TO_CLIENT REMOTE_PROC_DOMAIN_RESUME
#define BOTH_WAYS REMOTE_PROC_DOMAIN_DESTROY
#define OPENS_AND_FAILS REMOTE_PROC_DOMAIN_CREATE
#define OPENS_TWICE REMOTE_PROC_DOMAIN_UNDEFINE

static char *folder, *path;
static InvIoThread *io;
static InvRpcServer *server;
static GError *error;

static GMutex lock;
static GCond changed;
/* Guarded by lock. */
static guint n_done;
static int done_code; /* of the last stream; 0: it was finished */
static int far_ends[STREAMS_MAX + 1]; /* of the descriptors that the streams got, in their order */
static guint n_far_ends;

static void
stream_done(const GError *failure, gpointer user_data)
{
    assert_true(inv_io_thread_is_current(io));
    assert_ptr_equal(user_data, &n_done);
    g_mutex_lock(&lock);
    n_done++;
    done_code = failure ? (int)inv_error_code(failure) : 0;
    g_cond_broadcast(&changed);
    g_mutex_unlock(&lock);
}

static void
wait_done(guint count, int code)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)PEER_PATIENCE_MS * 1000;

    g_mutex_lock(&lock);
    while (n_done < count && g_cond_wait_until(&changed, &lock, deadline))
        ;
    assert_int_equal(n_done, count);
    assert_int_equal(done_code, code);
    g_mutex_unlock(&lock);
}

static gboolean
open_stream(InvRpcClient *client, gboolean from_client, gboolean to_client, GError **failure)
{
    inv_autofd int near_end = -1, far_end = -1;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return inv_error_set(failure, VIR_ERR_SYSTEM_ERROR, "no socket");
    near_end = ends[0];
    far_end = ends[1];
    if (!inv_rpc_call_open_stream(client, near_end, from_client, to_client, stream_done, &n_done, failure))
        return FALSE;
    inv_fd_steal(&near_end);
    g_mutex_lock(&lock);
    far_ends[n_far_ends++] = inv_fd_steal(&far_end);
    g_mutex_unlock(&lock);
    return TRUE;
}

static gboolean
handle_from(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
{
    return open_stream(client, TRUE, FALSE, failure);
}

static gboolean
handle_to(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
{
    return open_stream(client, FALSE, TRUE, failure);
}

static gboolean
handle_both(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
{
    return open_stream(client, TRUE, TRUE, failure);
}

static gboolean
handle_failing(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
{
    return open_stream(client, TRUE, FALSE, failure) && inv_error_set(failure, VIR_ERR_NO_DOMAIN, "not after all");
}

static gboolean
handle_twice(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
{
    return open_stream(client, TRUE, FALSE, failure) && open_stream(client, TRUE, FALSE, failure);
}

static gboolean
handle_nothing(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
{
    return TRUE;
}

static gboolean
handle_open(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
{
    inv_rpc_client_set_open(client, TRUE);
    return TRUE;
}

static gboolean
handle_hostname(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
{
    ((remote_connect_get_hostname_ret *)ret)->hostname = g_strdup("witness");
    return TRUE;
}

static const InvRpcMethod methods[] = {
    { REMOTE_PROC_AUTH_LIST, handle_nothing, INV_RPC_INLINE | INV_RPC_BEFORE_OPEN },
    { REMOTE_PROC_CONNECT_OPEN, handle_open, INV_RPC_INLINE | INV_RPC_BEFORE_OPEN },
    { REMOTE_PROC_CONNECT_GET_HOSTNAME, handle_hostname, INV_RPC_INLINE },
    { FROM_CLIENT, handle_from, 0 },
    { TO_CLIENT, handle_to, INV_RPC_INLINE },
    { BOTH_WAYS, handle_both, INV_RPC_PRIORITY },
    { OPENS_AND_FAILS, handle_failing, 0 },
    { OPENS_TWICE, handle_twice, 0 },
};

static int
setup(void **state)
{
    int fd;

    folder = g_dir_make_tmp("invar-rpc-XXXXXX", NULL);
    assert_non_null(folder);
    path = g_build_filename(folder, "sock", NULL);
    io = inv_io_thread_new();
    n_done = n_far_ends = 0;
    done_code = -1;
    server = inv_rpc_server_new(io, NULL);
    inv_rpc_server_add_program(server, &inv_rpc_remote_program, methods, G_N_ELEMENTS(methods), NULL);
    fd = inv_unix_listen(path, 0600, NULL);
    assert_true(fd >= 0);
    inv_rpc_server_listen(server, fd, FALSE);
    return 0;
}

static int
teardown(void **state)
{
    inv_fd_close(&peer.fd);
    g_clear_pointer(&peer.frame, g_bytes_unref);
    g_clear_pointer(&server, inv_rpc_server_free);
    /* Whatever became of them, all streams are over, once each. */
    assert_int_equal(n_done, n_far_ends);
    for (guint i = 0; i < n_far_ends; i++)
        inv_fd_close(&far_ends[i]);
    g_clear_pointer(&io, inv_io_thread_free);
    g_clear_error(&error);
    g_unlink(path);
    g_rmdir(folder);
    g_clear_pointer(&path, g_free);
    g_clear_pointer(&folder, g_free);
    return 0;
}

/* --- the raw client --- */

static void
open_connection(void)
{
    peer.fd = peer_dial(path);
    peer_call_open(0);
    peer_expect_ok(0);
}

static GBytes *
packet(guint32 procedure, guint32 serial, guint32 type, guint32 status, const void *bytes, gsize length)
{
    const InvRpcHeader header = {
        .program = REMOTE_PROGRAM, .version = 1, .procedure = procedure, .type = type, .serial = serial, .status = status
    };
    g_autoptr(GBytes) payload = g_bytes_new(bytes, length);

    return inv_rpc_message_new_encoded(&header, payload, NULL);
}

static void
send_packet(guint32 procedure, guint32 status, const void *bytes, gsize length)
{
    peer_send(packet(procedure, 1, INV_RPC_STREAM, status, bytes, length));
}

static void
open_stream_as_peer(guint32 procedure)
{
    open_connection();
    peer_call(procedure, 1);
    peer_expect_ok(1);
}

static void
expect_packet(guint32 procedure, guint32 status)
{
    assert_true(peer_receive());
    assert_int_equal(peer.reply.type, INV_RPC_STREAM);
    assert_int_equal(peer.reply.procedure, procedure);
    assert_int_equal(peer.reply.serial, 1);
    assert_int_equal(peer.reply.status, status);
}

static void
expect_failure(guint32 procedure, int code, const char *part)
{
    remote_error failure = { 0 };

    expect_packet(procedure, INV_RPC_ERROR);
    assert_true(inv_rpc_payload_decode(peer.payload, peer.payload_length, (xdrproc_t)xdr_remote_error, &failure, NULL));
    assert_int_equal(failure.code, code);
    assert_non_null(strstr(*failure.message, part));
    xdr_free((xdrproc_t)xdr_remote_error, &failure);
}

static void
expect_usable(void)
{
    peer_call(REMOTE_PROC_CONNECT_GET_HOSTNAME, 77);
    peer_expect_ok(77);
}

/* The @length bytes that come at the far end. */
static void
expect_bytes(const char *bytes, gsize length)
{
    g_autofree char *got = g_malloc0(length);
    gsize have = 0;

    while (have < length) {
        struct pollfd poll_fd = { .fd = far_ends[0], .events = POLLIN };
        ssize_t more;

        assert_int_equal(poll(&poll_fd, 1, PEER_PATIENCE_MS), 1);
        more = read(far_ends[0], got + have, length - have);
        assert_true(more > 0);
        have += (gsize)more;
    }
    assert_memory_equal(got, bytes, length);
}

static void
expect_far_end_closed(void)
{
    struct pollfd poll_fd = { .fd = far_ends[0], .events = POLLIN };
    char byte;

    assert_int_equal(poll(&poll_fd, 1, PEER_PATIENCE_MS), 1);
    assert_true(read(far_ends[0], &byte, 1) <= 0);
}

static void
data_arrives_and_ends(void **state)
{
    open_stream_as_peer(FROM_CLIENT);
    send_packet(FROM_CLIENT, INV_RPC_CONTINUE, "abc", 3);
    send_packet(FROM_CLIENT, INV_RPC_CONTINUE, "", 0);
    send_packet(FROM_CLIENT, INV_RPC_CONTINUE, "defgh", 5);
    expect_bytes("abcdefgh", 8);
    assert_int_equal(n_done, 0);
    send_packet(FROM_CLIENT, INV_RPC_OK, NULL, 0);
    expect_packet(FROM_CLIENT, INV_RPC_OK);
    assert_int_equal(peer.payload_length, 0);
    wait_done(1, 0);
    expect_far_end_closed();
    /* Late packets. */
    send_packet(FROM_CLIENT, INV_RPC_CONTINUE, "late", 4);
    send_packet(FROM_CLIENT, INV_RPC_OK, NULL, 0);
    expect_usable();
}

/* Sends @message again and again until the server reads no more; how many times. */
static guint
send_until_stuck(GBytes *message, guint most)
{
    gsize size, done = 0;
    const char *bytes = g_bytes_get_data(message, &size);
    guint count = 0;

    assert_true(g_unix_set_fd_nonblocking(peer.fd, TRUE, NULL));
    while (count < most) {
        struct pollfd poll_fd = { .fd = peer.fd, .events = POLLOUT };
        ssize_t more = send(peer.fd, bytes + done, size - done, MSG_NOSIGNAL);

        if (more < 0 && poll(&poll_fd, 1, 1000) == 0)
            break;
        done += more > 0 ? (gsize)more : 0;
        count += done == size;
        done = done == size ? 0 : done;
    }
    assert_true(g_unix_set_fd_nonblocking(peer.fd, FALSE, NULL));
    /* The rest of the message, with room made for it. */
    while (done) {
        g_autofree char *bin = g_malloc(MIB);
        ssize_t more = send(peer.fd, bytes + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);

        assert_true(more > 0 || read(far_ends[0], bin, MIB) > 0);
        done += more > 0 ? (gsize)more : 0;
        count += done == size;
        done = done == size ? 0 : done;
    }
    return count;
}

typedef struct {
    const char *name;
    gsize packet;
    guint most; /* packets that may have been taken, those in the kernel's buffers included */
} FloodCase;

static const FloodCase flood_cases[] = {
    { "flood of large packets", MIB, 24 },
    { "flood of small packets", 1, WAITING_MAX / 257 + 60000 },
};

static void
flood(void **state)
{
    const FloodCase *row = *state;
    g_autofree char *bytes = g_strnfill(row->packet, 'x');
    g_autoptr(GBytes) message = packet(FROM_CLIENT, 1, INV_RPC_STREAM, INV_RPC_CONTINUE, bytes, row->packet);
    guint count;

    open_stream_as_peer(FROM_CLIENT);
    count = send_until_stuck(message, row->most + 1);
    assert_true(count <= row->most);
    assert_int_equal(n_done, 0);
    /* An end of the stream by the other end sets the connection free. */
    inv_fd_close(&far_ends[0]);
    expect_failure(FROM_CLIENT, VIR_ERR_OPERATION_FAILED, "cannot write");
    wait_done(1, VIR_ERR_OPERATION_FAILED);
    expect_usable();
}

static void
backpressure_loses_nothing(void **state)
{
    g_autofree char *bytes = g_malloc(MIB);
    gsize total = 0;
    guint count;
    g_autoptr(GBytes) message = NULL;
    g_autofree char *got = g_malloc(MIB);

    for (gsize i = 0; i < MIB; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    message = packet(FROM_CLIENT, 1, INV_RPC_STREAM, INV_RPC_CONTINUE, bytes, MIB);
    open_stream_as_peer(FROM_CLIENT);
    /* Whole packets only: what is stuck is what the server has not read. */
    for (count = 0; count < 12; count++)
        peer_write(g_bytes_get_data(message, NULL), g_bytes_get_size(message));
    send_packet(FROM_CLIENT, INV_RPC_OK, NULL, 0);
    /* The end is not confirmed before all is written. */
    assert_false(peer_readable(SILENCE_MS));
    assert_int_equal(n_done, 0);
    for (ssize_t more; total < (gsize)count * MIB && (more = read(far_ends[0], got, MIB)) > 0; total += (gsize)more)
        for (ssize_t i = 0; i < more; i++)
            if (got[i] != bytes[(total + (gsize)i) % MIB])
                fail_msg("byte %zu is another", total + (gsize)i);
    assert_int_equal(total, (gsize)count * MIB);
    expect_packet(FROM_CLIENT, INV_RPC_OK);
    wait_done(1, 0);
}

static void
data_goes_to_the_client(void **state)
{
    open_stream_as_peer(TO_CLIENT);
    assert_int_equal(write(far_ends[0], "hello", 5), 5);
    expect_packet(TO_CLIENT, INV_RPC_CONTINUE);
    assert_int_equal(peer.payload_length, 5);
    assert_memory_equal(peer.payload, "hello", 5);
    inv_fd_close(&far_ends[0]);
    expect_packet(TO_CLIENT, INV_RPC_CONTINUE);
    assert_int_equal(peer.payload_length, 0);
    assert_int_equal(n_done, 0);
    send_packet(TO_CLIENT, INV_RPC_OK, NULL, 0);
    expect_packet(TO_CLIENT, INV_RPC_OK);
    wait_done(1, 0);
}

static void
both_ways(void **state)
{
    open_stream_as_peer(BOTH_WAYS);
    send_packet(BOTH_WAYS, INV_RPC_CONTINUE, "ping", 4);
    expect_bytes("ping", 4);
    assert_int_equal(write(far_ends[0], "pong", 4), 4);
    expect_packet(BOTH_WAYS, INV_RPC_CONTINUE);
    assert_memory_equal(peer.payload, "pong", 4);
    /* One direction ends; the other goes on. */
    assert_int_equal(shutdown(far_ends[0], SHUT_WR), 0);
    expect_packet(BOTH_WAYS, INV_RPC_CONTINUE);
    assert_int_equal(peer.payload_length, 0);
    send_packet(BOTH_WAYS, INV_RPC_CONTINUE, "more", 4);
    expect_bytes("more", 4);
    send_packet(BOTH_WAYS, INV_RPC_OK, NULL, 0);
    expect_packet(BOTH_WAYS, INV_RPC_OK);
    wait_done(1, 0);
}

/* What a client that does not read makes the server take from the descriptor. */
static void
slow_reader(void **state)
{
    g_autofree char *bytes = g_strnfill(MIB, 'y');
    gsize taken = 0, got = 0;

    open_stream_as_peer(TO_CLIENT);
    assert_true(g_unix_set_fd_nonblocking(far_ends[0], TRUE, NULL));
    for (;;) {
        struct pollfd poll_fd = { .fd = far_ends[0], .events = POLLOUT };
        ssize_t more = send(far_ends[0], bytes, MIB, MSG_NOSIGNAL);

        if (more < 0 && poll(&poll_fd, 1, 1000) == 0)
            break;
        taken += more > 0 ? (gsize)more : 0;
        assert_true(taken < 16 * MIB);
    }
    inv_fd_close(&far_ends[0]);
    do {
        expect_packet(TO_CLIENT, INV_RPC_CONTINUE);
        got += peer.payload_length;
    } while (peer.payload_length);
    assert_int_equal(got, taken);
    send_packet(TO_CLIENT, INV_RPC_OK, NULL, 0);
    expect_packet(TO_CLIENT, INV_RPC_OK);
    wait_done(1, 0);
}

static void
client_aborts(void **state)
{
    open_stream_as_peer(FROM_CLIENT);
    send_packet(FROM_CLIENT, INV_RPC_CONTINUE, "abc", 3);
    send_packet(FROM_CLIENT, INV_RPC_ERROR, NULL, 0);
    expect_packet(FROM_CLIENT, INV_RPC_OK);
    wait_done(1, VIR_ERR_OPERATION_ABORTED);
    expect_usable();
}

static void
connection_is_lost(void **state)
{
    open_stream_as_peer(*(const guint32 *)*state);
    inv_fd_close(&peer.fd);
    wait_done(1, VIR_ERR_SYSTEM_ERROR);
    expect_far_end_closed();
}

static void
server_ends(void **state)
{
    open_stream_as_peer(BOTH_WAYS);
    g_clear_pointer(&server, inv_rpc_server_free);
    wait_done(1, VIR_ERR_SYSTEM_ERROR);
}

typedef struct {
    const char *name;
    guint32 procedure;
    guint32 type;
    guint32 status;
    gsize length;
    gboolean behind_the_end;
    int code;
    const char *message;
} MisuseCase;

static const MisuseCase misuse_cases[] = {
    { "data where none is wanted", TO_CLIENT, INV_RPC_STREAM, INV_RPC_CONTINUE, 3, FALSE, VIR_ERR_OPERATION_INVALID, "nothing from the client" },
    { "unknown status", FROM_CLIENT, INV_RPC_STREAM, 7, 0, FALSE, VIR_ERR_RPC, "status 7" },
    { "a hole", FROM_CLIENT, INV_RPC_STREAM_HOLE, INV_RPC_CONTINUE, 12, FALSE, VIR_ERR_OPERATION_UNSUPPORTED, "sparse" },
    { "data behind the end", FROM_CLIENT, INV_RPC_STREAM, INV_RPC_CONTINUE, 3, TRUE, VIR_ERR_OPERATION_INVALID, "behind its end" },
    { "a second end", FROM_CLIENT, INV_RPC_STREAM, INV_RPC_OK, 0, TRUE, VIR_ERR_OPERATION_INVALID, "behind its end" },
};

static void
misuse(void **state)
{
    const MisuseCase *row = *state;
    g_autofree char *much = g_malloc0(4 * MIB);

    open_stream_as_peer(row->procedure);
    if (row->behind_the_end) {
        /* More than the far end takes, or the stream would be over already. */
        send_packet(row->procedure, INV_RPC_CONTINUE, much, 4 * MIB);
        send_packet(row->procedure, INV_RPC_OK, NULL, 0);
    }
    peer_send(packet(row->procedure, 1, row->type, row->status, much, row->length));
    expect_failure(row->procedure, row->code, row->message);
    wait_done(1, row->code);
    expect_usable();
}

static void
packets_of_no_stream(void **state)
{
    open_stream_as_peer(FROM_CLIENT);
    peer_send(packet(FROM_CLIENT, 2, INV_RPC_STREAM, INV_RPC_CONTINUE, "x", 1));
    peer_send(packet(FROM_CLIENT, 0xffffffff, INV_RPC_STREAM, INV_RPC_OK, NULL, 0));
    peer_send(packet(TO_CLIENT, 1, INV_RPC_STREAM, INV_RPC_ERROR, NULL, 0));
    peer_send(packet(FROM_CLIENT, 1, INV_RPC_STREAM, INV_RPC_CONTINUE, "y", 1));
    expect_bytes("y", 1);
    expect_usable();
    assert_int_equal(n_done, 0);
}

static void
too_many(void **state)
{
    open_connection();
    for (guint32 i = 0; i < STREAMS_MAX; i++) {
        peer_call(FROM_CLIENT, 100 + i);
        peer_expect_ok(100 + i);
    }
    peer_call(FROM_CLIENT, 1);
    peer_expect_error(1, VIR_ERR_OPERATION_FAILED, VIR_FROM_QEMU,
                      "this connection has 64 streams open already, the most that are allowed: finish one");
    assert_int_equal(n_done, 0);
    /* One that is over makes room. */
    peer_send(packet(FROM_CLIENT, 100, INV_RPC_STREAM, INV_RPC_OK, NULL, 0));
    assert_true(peer_receive());
    wait_done(1, 0);
    peer_call(FROM_CLIENT, 2);
    peer_expect_ok(2);
}

static void
handler_fails_after_opening(void **state)
{
    open_connection();
    peer_call(OPENS_AND_FAILS, 1);
    peer_expect_error(1, VIR_ERR_NO_DOMAIN, VIR_FROM_QEMU, "not after all");
    wait_done(1, VIR_ERR_OPERATION_FAILED);
    peer_call(OPENS_TWICE, 2);
    peer_expect_error(2, VIR_ERR_OPERATION_FAILED, VIR_FROM_QEMU, "this call opens a stream already");
    wait_done(2, VIR_ERR_OPERATION_FAILED);
}

/* --- Invar's own client --- */

static InvRpcConnection *
dial(guint32 *serial)
{
    InvRpcConnection *connection = inv_rpc_connection_open(path, "", FALSE, PEER_PATIENCE_MS, &error);
    remote_nonnull_domain domain = { .name = (char *)"guest" };

    assert_non_null(connection);
    assert_true(inv_rpc_connection_open_stream(connection, &inv_rpc_remote_program, FROM_CLIENT, &domain, NULL, PEER_PATIENCE_MS, serial,
                                               &error));
    return connection;
}

static gboolean
pump(InvRpcConnection *connection, guint32 serial, int fd, int cancel_fd)
{
    return inv_rpc_connection_send_fd(connection, &inv_rpc_remote_program, FROM_CLIENT, serial, fd, cancel_fd, &error);
}

static void
expect_client_usable(InvRpcConnection *connection)
{
    remote_connect_get_hostname_ret ret = { 0 };

    assert_true(inv_rpc_connection_call(connection, &inv_rpc_remote_program, REMOTE_PROC_CONNECT_GET_HOSTNAME, NULL, &ret, PEER_PATIENCE_MS,
                                        NULL));
    assert_string_equal(ret.hostname, "witness");
    inv_rpc_free((xdrproc_t)xdr_remote_connect_get_hostname_ret, &ret);
}

typedef struct {
    int fd;
    gsize total;
    guint32 sum;
    gsize stop_at; /* closes @fd when it has so much; 0: never */
} Sink;

static gpointer
swallow(gpointer data)
{
    Sink *sink = data;
    g_autofree guint8 *bytes = g_malloc(MIB);

    for (ssize_t got; (got = read(sink->fd, bytes, MIB)) > 0;) {
        for (ssize_t i = 0; i < got; i++)
            sink->sum = sink->sum * 31 + bytes[i];
        sink->total += (gsize)got;
        if (sink->stop_at && sink->total >= sink->stop_at)
            break;
    }
    inv_fd_close(&sink->fd);
    return NULL;
}

typedef struct {
    int fd;
    gsize total;
    guint32 sum;
} Source;

static gpointer
produce(gpointer data)
{
    Source *source = data;
    guint8 bytes[5000];

    for (gsize done = 0; done < source->total; done += sizeof(bytes)) {
        for (gsize i = 0; i < sizeof(bytes); i++) {
            bytes[i] = (guint8)((done + i) * 13 / 7);
            source->sum = source->sum * 31 + bytes[i];
        }
        if (send(source->fd, bytes, sizeof(bytes), MSG_NOSIGNAL) < 0)
            break;
    }
    inv_fd_close(&source->fd);
    return NULL;
}

/* Pumps what a thread produces to what another swallows. */
static gboolean
pump_much(gsize total, gsize stop_at, Source *source, Sink *sink)
{
    guint32 serial;
    g_autoptr(InvRpcConnection) connection = dial(&serial);
    inv_autofd int fd = -1;
    GThread *threads[2];
    int ends[2];
    gboolean done;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    fd = ends[0];
    *source = (Source){ .fd = ends[1], .total = total };
    *sink = (Sink){ .fd = inv_fd_steal(&far_ends[0]), .stop_at = stop_at };
    threads[0] = g_thread_new("source", produce, source);
    threads[1] = g_thread_new("sink", swallow, sink);
    done = pump(connection, serial, fd, -1);
    inv_fd_close(&fd);
    g_thread_join(threads[0]);
    g_thread_join(threads[1]);
    expect_client_usable(connection);
    return done;
}

static void
pumps_all(void **state)
{
    Source source;
    Sink sink;

    assert_true(pump_much(40000000, 0, &source, &sink));
    assert_null(error);
    wait_done(1, 0);
    assert_int_equal(sink.total, 40000000);
    assert_int_equal(sink.sum, source.sum);
}

static void
pumps_nothing(void **state)
{
    guint32 serial;
    g_autoptr(InvRpcConnection) connection = dial(&serial);
    int ends[2];

    assert_true(g_unix_open_pipe(ends, FD_CLOEXEC, NULL));
    close(ends[1]);
    assert_true(pump(connection, serial, ends[0], -1));
    close(ends[0]);
    wait_done(1, 0);
    expect_far_end_closed();
    /* Once only. */
    assert_false(pump(connection, serial, -1, -1));
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_INVALID);
    expect_client_usable(connection);
}

static void
far_end_breaks(void **state)
{
    Source source;
    Sink sink;

    assert_false(pump_much(40000000, 3000000, &source, &sink));
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_FAILED);
    assert_non_null(strstr(error->message, "cannot write what the stream carries"));
    wait_done(1, VIR_ERR_OPERATION_FAILED);
}

static void
pump_is_cancelled(void **state)
{
    guint32 serial;
    g_autoptr(InvRpcConnection) connection = dial(&serial);
    int ends[2], cancel[2];

    assert_true(g_unix_open_pipe(ends, FD_CLOEXEC, NULL) && g_unix_open_pipe(cancel, FD_CLOEXEC, NULL));
    assert_int_equal(write(ends[1], "abc", 3), 3);
    assert_int_equal(write(cancel[1], "x", 1), 1);
    assert_false(pump(connection, serial, ends[0], cancel[0]));
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_ABORTED);
    wait_done(1, VIR_ERR_OPERATION_ABORTED);
    expect_client_usable(connection);
    for (guint i = 0; i < 2; i++) {
        close(ends[i]);
        close(cancel[i]);
    }
}

static void
source_cannot_be_read(void **state)
{
    guint32 serial;
    g_autoptr(InvRpcConnection) connection = dial(&serial);
    inv_autofd int fd = g_open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY, 0);

    assert_true(fd >= 0);
    assert_false(pump(connection, serial, fd, -1));
    assert_non_null(strstr(error->message, "Is a directory"));
    wait_done(1, VIR_ERR_OPERATION_ABORTED);
    expect_client_usable(connection);
}

static void
server_goes_while_pumping(void **state)
{
    guint32 serial;
    g_autoptr(InvRpcConnection) connection = dial(&serial);
    int ends[2];

    assert_true(g_unix_open_pipe(ends, FD_CLOEXEC, NULL));
    g_clear_pointer(&server, inv_rpc_server_free);
    assert_false(pump(connection, serial, ends[0], -1));
    assert_non_null(strstr(error->message, "is lost"));
    close(ends[0]);
    close(ends[1]);
}

/* Between the call and the pump the far end has gone; and there is but one stream at a time. */
static void
far_end_gone_before_the_pump(void **state)
{
    guint32 serial;
    g_autoptr(InvRpcConnection) connection = dial(&serial);
    remote_nonnull_domain domain = { .name = (char *)"guest" };
    int ends[2];

    assert_true(g_unix_open_pipe(ends, FD_CLOEXEC, NULL));
    inv_fd_close(&far_ends[0]);
    assert_int_equal(write(ends[1], "abc", 3), 3);
    close(ends[1]);
    assert_false(inv_rpc_connection_open_stream(connection, &inv_rpc_remote_program, FROM_CLIENT, &domain, NULL, 0, &serial, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_INVALID);
    g_clear_error(&error);
    assert_false(pump(connection, serial, ends[0], -1));
    assert_non_null(strstr(error->message, "cannot write"));
    close(ends[0]);
    expect_client_usable(connection);
}

int
main(void)
{
    static const guint32 ways[] = { FROM_CLIENT, TO_CLIENT, BOTH_WAYS };
    static const struct CMUnitTest others[] = {
        cmocka_unit_test_setup_teardown(data_arrives_and_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(backpressure_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(data_goes_to_the_client, setup, teardown),
        cmocka_unit_test_setup_teardown(both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(client_aborts, setup, teardown),
        { "connection lost, from the client", connection_is_lost, setup, teardown, (void *)&ways[0] },
        { "connection lost, to the client", connection_is_lost, setup, teardown, (void *)&ways[1] },
        { "connection lost, both ways", connection_is_lost, setup, teardown, (void *)&ways[2] },
        cmocka_unit_test_setup_teardown(server_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(packets_of_no_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many, setup, teardown),
        cmocka_unit_test_setup_teardown(handler_fails_after_opening, setup, teardown),
        cmocka_unit_test_setup_teardown(pumps_all, setup, teardown),
        cmocka_unit_test_setup_teardown(pumps_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(far_end_breaks, setup, teardown),
        cmocka_unit_test_setup_teardown(pump_is_cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(source_cannot_be_read, setup, teardown),
        cmocka_unit_test_setup_teardown(server_goes_while_pumping, setup, teardown),
        cmocka_unit_test_setup_teardown(far_end_gone_before_the_pump, setup, teardown),
    };
    TestTable *table = test_table_new(setup, teardown);

    TEST_TABLE_ADD_ROWS(table, flood_cases, flood);
    TEST_TABLE_ADD_ROWS(table, misuse_cases, misuse);
    test_table_add_all(table, others, G_N_ELEMENTS(others));
    return test_table_run(table, "rpc_stream", NULL, NULL);
}
