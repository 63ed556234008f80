/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TCP: what is different from a UNIX socket, at both ends, and a peer that is gone without a word. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <libvirt/virterror.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/autoclean.h"
#include "rpc/client.h"
#include "rpc/server.h"
#include "rpc/transport.h"
#include "tests/unit/rpc_peer.h"
#include "util/error.h"
#include "util/fd.h"

#define DEADLINE_MS PEER_PATIENCE_MS
#define PORT_ATTEMPTS 20

INV_RPC_AUTOCLEAN(remote_connect_get_hostname_ret)

static InvIoThread *io;
static InvRpcServer *server;
static GError *error;
static GMutex lock;
static GCond changed;
/* Guarded by lock. */
static guint started, permits, n_closed;
static InvRpcClient *last_client;

static gboolean
handle_auth_list(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
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

static gboolean
handle_keepalive(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
{
    inv_rpc_client_start_keepalive(client);
    ((remote_connect_supports_feature_ret *)ret)->supported = 1;
    return TRUE;
}

/* Gives a file descriptor, whoever asks. */
static gboolean
handle_fd(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
{
    inv_rpc_call_add_fd(client, dup(STDERR_FILENO));
    return TRUE;
}

static gboolean
handle_gated(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)DEADLINE_MS * 1000;

    g_mutex_lock(&lock);
    started++;
    g_cond_broadcast(&changed);
    while (!permits && g_cond_wait_until(&changed, &lock, deadline))
        ;
    permits--;
    g_mutex_unlock(&lock);
    return TRUE;
}

static const InvRpcMethod methods[] = {
    { REMOTE_PROC_AUTH_LIST, handle_auth_list, INV_RPC_INLINE | INV_RPC_BEFORE_OPEN | INV_RPC_READ },
    { REMOTE_PROC_CONNECT_OPEN, handle_open, INV_RPC_INLINE | INV_RPC_BEFORE_OPEN | INV_RPC_READ },
    { REMOTE_PROC_CONNECT_GET_HOSTNAME, handle_hostname, INV_RPC_READ },
    { REMOTE_PROC_CONNECT_SUPPORTS_FEATURE, handle_keepalive, INV_RPC_INLINE | INV_RPC_READ },
    { REMOTE_PROC_DOMAIN_SUSPEND, handle_fd, 0 },
    { REMOTE_PROC_DOMAIN_CREATE, handle_gated, 0 },
};

static void
opened(InvRpcClient *client, gpointer data)
{
    g_mutex_lock(&lock);
    g_clear_pointer(&last_client, inv_rpc_client_unref);
    last_client = inv_rpc_client_ref(client);
    g_cond_broadcast(&changed);
    g_mutex_unlock(&lock);
}

static void
closed(InvRpcClient *client, gpointer data)
{
    g_mutex_lock(&lock);
    n_closed++;
    g_cond_broadcast(&changed);
    g_mutex_unlock(&lock);
}

static void
wait_for(const guint *counter, guint value)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)DEADLINE_MS * 1000;

    g_mutex_lock(&lock);
    while (*counter < value && g_cond_wait_until(&changed, &lock, deadline))
        ;
    assert_int_equal(*counter, value);
    g_mutex_unlock(&lock);
}

static int
setup(void **state)
{
    io = inv_io_thread_new();
    started = permits = n_closed = 0;
    return 0;
}

static int
teardown(void **state)
{
    inv_fd_close(&peer.fd);
    g_mutex_lock(&lock);
    permits += 1000;
    g_cond_broadcast(&changed);
    g_mutex_unlock(&lock);
    g_clear_pointer(&peer.frame, g_bytes_unref);
    g_clear_pointer(&server, inv_rpc_server_free);
    g_clear_pointer(&last_client, inv_rpc_client_unref);
    g_clear_pointer(&io, inv_io_thread_free);
    g_clear_error(&error);
    return 0;
}

/* A port that was free a moment ago. */
static guint
free_port(const char *address)
{
    gboolean is_six = strchr(address, ':') != NULL;
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    struct sockaddr_in four = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    struct sockaddr *any = is_six ? (struct sockaddr *)&six : (struct sockaddr *)&four;
    socklen_t size = is_six ? sizeof(six) : sizeof(four);
    inv_autofd int fd = socket(any->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, any, size) < 0 || getsockname(fd, any, &size) < 0)
        return 0;
    return ntohs(is_six ? six.sin6_port : four.sin_port);
}

/* The listening socket's port in *@port; -1: this host has no such address. */
static int
listen_on(const char *address, guint *port)
{
    for (guint i = 0; i < PORT_ATTEMPTS; i++) {
        g_autofree char *text = NULL;
        int fd;

        *port = free_port(address);
        if (!*port)
            return -1;
        text = g_strdup_printf(strchr(address, ':') ? "[%s]:%u" : "%s:%u", address, *port);
        fd = inv_rpc_tcp_listen(text, NULL);
        if (fd >= 0)
            return fd;
    }
    fail_msg("no port is free");
    return -1;
}

static guint
serve(const char *address, const InvRpcServerOptions *options)
{
    guint port;
    int fd = listen_on(address, &port);

    if (fd < 0)
        return 0;
    server = inv_rpc_server_new(io, options);
    inv_rpc_server_add_program(server, &inv_rpc_remote_program, methods, G_N_ELEMENTS(methods), NULL);
    inv_rpc_server_set_client_callbacks(server, opened, closed, NULL);
    inv_rpc_server_listen(server, fd, FALSE);
    return port;
}

static InvRpcConnection *
dial(const char *host, guint port)
{
    const InvRpcTarget target = { .transport = INV_TRANSPORT_TCP, .host = (char *)host, .port = port, .uri = (char *)"qemu:///system" };

    return inv_rpc_connection_open_target(&target, FALSE, DEADLINE_MS, &error);
}

static void
serve_and_dial_raw(const InvRpcServerOptions *options)
{
    guint port = serve("127.0.0.1", options);

    peer.fd = inv_rpc_tcp_connect("127.0.0.1", port, g_get_monotonic_time() + (gint64)DEADLINE_MS * 1000, NULL);
    assert_true(peer.fd >= 0);
    assert_true(g_unix_set_fd_nonblocking(peer.fd, FALSE, NULL));
    peer_call_open(0);
    peer_expect_ok(0);
}

static void
a_call_over(void **state)
{
    g_auto(remote_connect_get_hostname_ret) ret = { 0 };
    g_autoptr(InvRpcConnection) connection = NULL;
    const char *address = *state;
    /* Credentials that nobody has do not matter. */
    guint port = serve(address, &(InvRpcServerOptions){ .check_uid = TRUE, .allowed_uid = getuid() + 1 });

    if (!port)
        skip();
    connection = dial(address, port);
    assert_non_null(connection);
    assert_true(inv_rpc_connection_call(connection, &inv_rpc_remote_program, REMOTE_PROC_CONNECT_GET_HOSTNAME, NULL, &ret, 0, &error));
    assert_string_equal(ret.hostname, "witness");
    assert_false(inv_rpc_client_is_local(last_client));
    assert_true(inv_rpc_client_uid(last_client) == (uid_t)-1);
    assert_int_equal(inv_rpc_client_pid(last_client), 0);
}

static void
a_taken_port(void **state)
{
    guint port;
    inv_autofd int fd = listen_on("127.0.0.1", &port);
    g_autofree char *text = g_strdup_printf("127.0.0.1:%u", port);

    assert_true(fd >= 0);
    assert_int_equal(inv_rpc_tcp_listen(text, &error), -1);
    assert_non_null(strstr(error->message, text));
    assert_non_null(strstr(error->message, "Address already in use"));
}

static void
nobody_listens(void **state)
{
    assert_null(dial("127.0.0.1", free_port("127.0.0.1")));
    assert_int_equal(inv_error_code(error), VIR_ERR_SYSTEM_ERROR);
    assert_non_null(strstr(error->message, "Connection refused"));
    assert_non_null(strstr(error->message, "listen_tcp"));
}

static void
a_host_that_is_not(void **state)
{
    /* No name server can know it: RFC 6761. */
    assert_null(dial("nobody.invalid", 1));
    assert_non_null(strstr(error->message, "nobody.invalid"));
}

static void
descriptors_are_refused(void **state)
{
    serve_and_dial_raw(NULL);
    peer_call(REMOTE_PROC_DOMAIN_SUSPEND, 1);
    peer_expect_error(1, VIR_ERR_OPERATION_UNSUPPORTED, VIR_FROM_RPC,
                      "DOMAIN_SUSPEND gives a file descriptor, which only a UNIX socket can carry");
    /* A call that says one will follow. */
    peer_write("\0\0\0\x20\x20\0\x80\x86\0\0\0\1\0\0\0\x0a\0\0\0\4\0\0\0\2\0\0\0\0\0\0\0\1", 32);
    assert_false(peer_receive());
    wait_for(&n_closed, 1);
}

static void
the_end_is_seen_in_calls(void **state)
{
    serve_and_dial_raw(&(InvRpcServerOptions){ .max_client_requests = 1 });
    peer_call(REMOTE_PROC_DOMAIN_CREATE, 1);
    wait_for(&started, 1);
    inv_fd_close(&peer.fd);
    wait_for(&n_closed, 1);
}

/* Longer than a client that does not answer pings is kept here. */
#define KEPT_S 3

static void
pings_on_request(void **state)
{
    guint port = serve("127.0.0.1", &(InvRpcServerOptions){ .keepalive_interval = 1, .keepalive_count = 1 });
    g_autoptr(InvRpcConnection) connection = dial("127.0.0.1", port);
    gint64 start = g_get_monotonic_time();

    assert_non_null(connection);
    assert_true(inv_rpc_connection_request_pings(connection, DEADLINE_MS, &error));
    while (g_get_monotonic_time() - start < KEPT_S * G_USEC_PER_SEC)
        assert_true(inv_rpc_connection_wait(connection, 100, &error));
    assert_int_equal(n_closed, 0);
    /* Nobody answers any more. */
    wait_for(&n_closed, 1);
    assert_false(inv_rpc_connection_wait(connection, 0, &error));
    assert_non_null(strstr(error->message, "is lost"));
}

/* --- a peer that answers the first calls and then nothing --- */

typedef struct {
    int listener;
    int hang_up; /* at its end the peer ends */
    guint answers;
} Silent;

static gpointer
fall_silent(gpointer data)
{
    static const char answers[3][36] = {
        "\0\0\0\x20\x20\0\x80\x86\0\0\0\1\0\0\0\x42\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0",
        "\0\0\0\x1c\x20\0\x80\x86\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\0",
        "\0\0\0\x1c\x20\0\x80\x86\0\0\0\1\0\0\0\x22\0\0\0\1\0\0\0\2\0\0\0\0", /* DOMAIN_SUSPEND */
    };
    static const gsize lengths[] = { 32, 28, 28 };
    const Silent *silent = data;
    inv_autofd int fd = accept(silent->listener, NULL, NULL);
    char bytes[4096];

    for (guint i = 0; i < silent->answers && recv(fd, bytes, sizeof(bytes), 0) > 0; i++)
        send(fd, answers[i], lengths[i], MSG_NOSIGNAL);
    while (read(silent->hang_up, bytes, 1) > 0)
        ;
    return NULL;
}

static void
with_silent_peer(guint answers, void (*check)(InvRpcConnection *connection))
{
    int pipe_ends[2];
    guint port;
    inv_autofd int listener = listen_on("127.0.0.1", &port);
    inv_autofd int hang_up = -1, held = -1;
    Silent silent = { 0 };
    InvRpcConnection *connection;
    GThread *thread;

    assert_true(g_unix_open_pipe(pipe_ends, FD_CLOEXEC, NULL));
    hang_up = pipe_ends[0];
    held = pipe_ends[1];
    /* What the kernel takes on behalf of a peer that does not read must be less than a message. */
    assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &(int){ 4096 }, sizeof(int)), 0);
    assert_true(listener >= 0 && g_unix_set_fd_nonblocking(listener, FALSE, NULL));
    silent = (Silent){ .listener = listener, .hang_up = hang_up, .answers = answers };
    thread = g_thread_new("peer", fall_silent, &silent);
    connection = dial("127.0.0.1", port);
    assert_non_null(connection);
    inv_rpc_connection_set_keepalive(connection, 1, 1);
    check(connection);
    inv_rpc_connection_close(connection);
    inv_fd_close(&held);
    g_thread_join(thread);
}

static void
expect_lost(const char *reason, gint64 since, double most_s)
{
    assert_non_null(error);
    assert_non_null(strstr(error->message, reason));
    assert_true(g_get_monotonic_time() - since < most_s * G_USEC_PER_SEC);
}

static void
call_forever(InvRpcConnection *connection)
{
    gint64 start = g_get_monotonic_time();

    assert_false(inv_rpc_connection_call(connection, &inv_rpc_remote_program, REMOTE_PROC_CONNECT_GET_HOSTNAME, NULL, NULL, 0, &error));
    expect_lost("gives no sign of life", start, 10);
}

static void
call_with_deadline(InvRpcConnection *connection)
{
    gint64 start = g_get_monotonic_time();

    assert_false(inv_rpc_connection_call(connection, &inv_rpc_remote_program, REMOTE_PROC_CONNECT_GET_HOSTNAME, NULL, NULL, DEADLINE_MS,
                                         &error));
    expect_lost("gives no sign of life", start, 10);
}

/* In many short waits, as somebody does who has other things to do between them. */
static void
wait_in_slices(InvRpcConnection *connection)
{
    gint64 start = g_get_monotonic_time();

    while (inv_rpc_connection_wait(connection, 50, &error))
        assert_true(g_get_monotonic_time() - start < 10 * G_USEC_PER_SEC);
    expect_lost("gives no sign of life", start, 10);
}

/* More than the kernel keeps for a peer that does not read. */
static void
call_with_much(InvRpcConnection *connection)
{
    g_autofree char *much = g_strnfill(4 * 1024 * 1024, 'x');
    remote_domain_lookup_by_name_args args = { .name = much };
    gint64 start = g_get_monotonic_time();

    assert_false(inv_rpc_connection_call(connection, &inv_rpc_remote_program, REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, &args, NULL, 0, &error));
    expect_lost("takes nothing any more", start, 10);
}

static void
a_silent_peer(void **state)
{
    void (*check)(InvRpcConnection *) = NULL;

    memcpy(&check, state, sizeof(check));
    with_silent_peer(2, check);
}

/* The third call opens a stream, as far as the client can tell. */
static void
pump_to_silence(InvRpcConnection *connection, int fd, const char *reason)
{
    remote_nonnull_domain domain = { .name = (char *)"guest" };
    gint64 start = g_get_monotonic_time();
    guint32 serial;

    assert_true(inv_rpc_connection_open_stream(connection, &inv_rpc_remote_program, REMOTE_PROC_DOMAIN_SUSPEND, &domain, NULL, DEADLINE_MS,
                                               &serial, &error));
    assert_false(inv_rpc_connection_send_fd(connection, &inv_rpc_remote_program, REMOTE_PROC_DOMAIN_SUSPEND, serial, fd, -1, &error));
    expect_lost(reason, start, 10);
}

static void
pump_nothing(InvRpcConnection *connection)
{
    int ends[2];

    assert_true(g_unix_open_pipe(ends, FD_CLOEXEC, NULL));
    pump_to_silence(connection, ends[0], "gives no sign of life");
    close(ends[0]);
    close(ends[1]);
}

static void
pump_without_end(InvRpcConnection *connection)
{
    inv_autofd int fd = g_open("/dev/zero", O_RDONLY | O_CLOEXEC, 0);

    assert_true(fd >= 0);
    pump_to_silence(connection, fd, "takes nothing any more");
}

static void
pumps_to_a_silent_peer(void **state)
{
    with_silent_peer(3, pump_nothing);
    g_clear_error(&error);
    with_silent_peer(3, pump_without_end);
}

#define SILENT(function) { #function, a_silent_peer, setup, teardown, (void *)(function) }

int
main(void)
{
    const struct CMUnitTest tests[] = {
        { "a call over IPv4", a_call_over, setup, teardown, (void *)"127.0.0.1" },
        { "a call over IPv6", a_call_over, setup, teardown, (void *)"::1" },
        cmocka_unit_test_setup_teardown(a_taken_port, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_listens, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_that_is_not, setup, teardown),
        cmocka_unit_test_setup_teardown(descriptors_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_is_seen_in_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(pings_on_request, setup, teardown),
        SILENT(call_forever),
        SILENT(call_with_deadline),
        SILENT(call_with_much),
        SILENT(wait_in_slices),
        cmocka_unit_test_setup_teardown(pumps_to_a_silent_peer, setup, teardown),
    };

    return cmocka_run_group_tests_name("rpc_tcp", tests, NULL, NULL);
}
