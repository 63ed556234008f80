/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The blocking client, against the real server and against peers that misbehave. */
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
#include <libvirt/libvirt.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/autoclean.h"
#include "rpc/client.h"
#include "rpc/frame.h"
#include "rpc/remote_protocol.h"
#include "rpc/server.h"
#include "tests/unit/test_table.h"
#include "util/error.h"
#include "util/fd.h"

#define DEADLINE_MS 20000

INV_RPC_AUTOCLEAN(remote_connect_get_hostname_ret)
INV_RPC_AUTOCLEAN(remote_domain_lookup_by_name_ret)

static char *folder, *path;
static InvIoThread *io;
static InvRpcServer *server;
static GError *error;
static GMutex lock;
static GCond changed;
static guint n_closes; /* guarded by lock */
static gboolean want_auth, was_read_only;
static char opened_name[64];

static gboolean
handle_auth_list(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
{
    remote_auth_list_ret *result = ret;

    result->types.types_len = 1;
    result->types.types_val = g_new0(remote_auth_type, 1);
    if (want_auth)
        result->types.types_val[0] = REMOTE_AUTH_POLKIT;
    return TRUE;
}

static gboolean
handle_open(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
{
    const remote_connect_open_args *open = args;

    g_strlcpy(opened_name, *open->name, sizeof(opened_name));
    was_read_only = open->flags & VIR_CONNECT_RO;
    inv_rpc_client_set_open(client, TRUE);
    return TRUE;
}

static gboolean
handle_close(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
{
    g_mutex_lock(&lock);
    n_closes++;
    g_mutex_unlock(&lock);
    inv_rpc_client_close_after_replies(client);
    return TRUE;
}

static gboolean
handle_hostname(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
{
    ((remote_connect_get_hostname_ret *)ret)->hostname = g_strdup("witness");
    return TRUE;
}

static gboolean
handle_lookup(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
{
    const remote_domain_lookup_by_name_args *lookup = args;

    return inv_error_set(failure, VIR_ERR_NO_DOMAIN, "no domain is called '%s'", lookup->name);
}

static gboolean
handle_event(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
{
    remote_connect_event_connection_closed_msg message = { .reason = 3 };

    inv_rpc_client_send_event(client, &inv_rpc_remote_program, REMOTE_PROC_CONNECT_EVENT_CONNECTION_CLOSED,
                              (xdrproc_t)xdr_remote_connect_event_connection_closed_msg, &message);
    return TRUE;
}

/* Slower than the client waits. */
static gboolean
handle_slow(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **failure)
{
    gint64 until = g_get_monotonic_time() + 300 * G_TIME_SPAN_MILLISECOND;

    g_mutex_lock(&lock);
    while (g_cond_wait_until(&changed, &lock, until))
        ;
    g_mutex_unlock(&lock);
    ((remote_connect_get_type_ret *)ret)->type = g_strdup("slow");
    return TRUE;
}

static const InvRpcMethod methods[] = {
    { REMOTE_PROC_AUTH_LIST, handle_auth_list, INV_RPC_INLINE | INV_RPC_BEFORE_AUTH | INV_RPC_BEFORE_OPEN | INV_RPC_READ },
    { REMOTE_PROC_CONNECT_OPEN, handle_open, INV_RPC_INLINE | INV_RPC_BEFORE_OPEN | INV_RPC_READ },
    { REMOTE_PROC_CONNECT_CLOSE, handle_close, INV_RPC_INLINE | INV_RPC_READ },
    { REMOTE_PROC_CONNECT_GET_HOSTNAME, handle_hostname, INV_RPC_READ },
    { REMOTE_PROC_CONNECT_GET_TYPE, handle_slow, INV_RPC_READ },
    { REMOTE_PROC_CONNECT_REGISTER_CLOSE_CALLBACK, handle_event, INV_RPC_INLINE | INV_RPC_READ },
    { REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, handle_lookup, INV_RPC_READ },
};

static int
setup(void **state)
{
    folder = g_dir_make_tmp("invar-rpc-XXXXXX", NULL);
    assert_non_null(folder);
    path = g_build_filename(folder, "sock", NULL);
    io = inv_io_thread_new();
    want_auth = FALSE;
    n_closes = 0;
    return 0;
}

static int
teardown(void **state)
{
    g_clear_pointer(&server, inv_rpc_server_free);
    g_clear_pointer(&io, inv_io_thread_free);
    g_clear_error(&error);
    g_unlink(path);
    g_rmdir(folder);
    g_clear_pointer(&path, g_free);
    g_clear_pointer(&folder, g_free);
    return 0;
}

static InvRpcConnection *
dial(void)
{
    return inv_rpc_connection_open(path, "qemu:///session", TRUE, DEADLINE_MS, &error);
}

static void
serve(void)
{
    int fd = inv_unix_listen(path, 0600, NULL);

    assert_true(fd >= 0);
    server = inv_rpc_server_new(io, NULL);
    inv_rpc_server_add_program(server, &inv_rpc_remote_program, methods, G_N_ELEMENTS(methods), NULL);
    inv_rpc_server_listen(server, fd, FALSE);
}

static gboolean
call(InvRpcConnection *connection, guint32 procedure, gpointer args, gpointer ret, guint ms)
{
    return inv_rpc_connection_call(connection, &inv_rpc_remote_program, procedure, args, ret, ms, &error);
}

static void
open_call_close(void **state)
{
    g_auto(remote_connect_get_hostname_ret) ret = { 0 };
    InvRpcConnection *connection;

    serve();
    connection = dial();
    assert_non_null(connection);
    assert_string_equal(opened_name, "qemu:///session");
    assert_true(was_read_only);
    assert_true(call(connection, REMOTE_PROC_CONNECT_GET_HOSTNAME, NULL, &ret, 0));
    assert_string_equal(ret.hostname, "witness");
    inv_rpc_connection_close(connection);
    assert_int_equal(n_closes, 1);
}

static void
error_is_kept_verbatim(void **state)
{
    g_autoptr(InvRpcConnection) connection = NULL;
    remote_domain_lookup_by_name_args args = { .name = (char *)"a%sb" };
    g_auto(remote_domain_lookup_by_name_ret) ret = { 0 };

    serve();
    connection = dial();
    assert_false(call(connection, REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, &args, &ret, DEADLINE_MS));
    assert_int_equal(inv_error_code(error), VIR_ERR_NO_DOMAIN);
    assert_string_equal(error->message, "no domain is called 'a%sb'");
}

static void
count_event(guint32 program, guint32 procedure, const guint8 *payload, gsize length, gpointer user_data)
{
    assert_int_equal(procedure, REMOTE_PROC_CONNECT_EVENT_CONNECTION_CLOSED);
    assert_int_equal(length, 4);
    assert_memory_equal(payload, "\0\0\0\3", 4);
    ++*(guint *)user_data;
}

static void
events_while_waiting(void **state)
{
    g_autoptr(InvRpcConnection) connection = NULL;
    guint count = 0;

    serve();
    connection = dial();
    inv_rpc_connection_set_event_handler(connection, count_event, &count);
    assert_true(call(connection, REMOTE_PROC_CONNECT_REGISTER_CLOSE_CALLBACK, NULL, NULL, DEADLINE_MS));
    assert_true(inv_rpc_connection_wait(connection, 100, &error));
    assert_int_equal(count, 1);
}

static void
late_answer_is_skipped(void **state)
{
    g_autoptr(InvRpcConnection) connection = NULL;
    g_auto(remote_connect_get_hostname_ret) ret = { 0 };

    serve();
    connection = dial();
    assert_false(call(connection, REMOTE_PROC_CONNECT_GET_TYPE, NULL, NULL, 50));
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_TIMEOUT);
    g_clear_error(&error);
    assert_true(inv_rpc_connection_wait(connection, 500, &error));
    assert_true(call(connection, REMOTE_PROC_CONNECT_GET_HOSTNAME, NULL, &ret, DEADLINE_MS));
    assert_string_equal(ret.hostname, "witness");
}

static void
server_goes_away(void **state)
{
    g_autoptr(InvRpcConnection) connection = NULL;

    serve();
    connection = dial();
    g_clear_pointer(&server, inv_rpc_server_free);
    assert_false(inv_rpc_connection_wait(connection, DEADLINE_MS, &error));
    assert_non_null(strstr(error->message, "is lost"));
    g_clear_error(&error);
    assert_false(call(connection, REMOTE_PROC_CONNECT_GET_HOSTNAME, NULL, NULL, DEADLINE_MS));
}

static void
nobody_listens(void **state)
{
    g_autofree char *message = g_strdup_printf("cannot connect to invard at '%s': No such file or directory. Is invard running?", path);

    assert_null(dial());
    assert_string_equal(error->message, message);
}

static void
authentication_is_not_supported(void **state)
{
    want_auth = TRUE;
    serve();
    assert_null(dial());
    assert_int_equal(inv_error_code(error), VIR_ERR_AUTH_FAILED);
}

typedef struct {
    const char *name;
    const char *bytes;
    gsize length;
    const char *message; /* a part of the error's message */
} PeerCase;

#define WORDS(text) text, sizeof(text) - 1
#define REPLY_HEAD "\x20\0\x80\x86\0\0\0\1"

static const PeerCase peer_cases[] = {
    { "closes at once", WORDS(""), "is lost: the daemon closed it" },
    { "half a message", WORDS("\0\0\0\x20\x20"), "is lost: the daemon closed it" },
    { "endless message", WORDS("\x7f\xff\xff\xff"), "larger than the limit" },
    { "short message", WORDS("\0\0\0\1"), "too short" },
    { "answers another procedure", WORDS("\0\0\0\x1c" REPLY_HEAD "\0\0\0\7\0\0\0\1\0\0\0\0\0\0\0\0"), "another call" },
    { "calls the client", WORDS("\0\0\0\x1c" REPLY_HEAD "\0\0\0\7\0\0\0\0\0\0\0\0\0\0\0\0"), "neither reply nor event" },
    { "list that is not there", WORDS("\0\0\0\x20" REPLY_HEAD "\0\0\0\x42\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\x14"), "Unable to decode" },
    { "error without content", WORDS("\0\0\0\x1c" REPLY_HEAD "\0\0\0\x42\0\0\0\1\0\0\0\0\0\0\0\1"), "Unable to decode" },
    { "too many descriptors", WORDS("\0\0\0\x20" REPLY_HEAD "\0\0\0\x42\0\0\0\5\0\0\0\0\0\0\0\0\0\0\1\0"), "too many file descriptors" },
};

typedef struct {
    int fd;
    const PeerCase *row;
} Peer;

static gpointer
misbehave(gpointer data)
{
    const Peer *peer = data;
    inv_autofd int fd = accept(peer->fd, NULL, NULL);
    char call_bytes[28];

    /* The call has to be taken, or the client sees a reset. */
    if (recv(fd, call_bytes, sizeof(call_bytes), MSG_WAITALL) > 0)
        send(fd, peer->row->bytes, peer->row->length, MSG_NOSIGNAL);
    return NULL;
}

static void
bad_peer(void **state)
{
    Peer peer = { .row = *state };
    inv_autofd int fd = inv_unix_listen(path, 0600, NULL);
    GThread *thread;

    assert_true(fd >= 0);
    /* Its accept() is to wait. */
    assert_true(g_unix_set_fd_nonblocking(fd, FALSE, NULL));
    peer.fd = fd;
    thread = g_thread_new("peer", misbehave, &peer);
    assert_null(dial());
    g_thread_join(thread);
    assert_non_null(strstr(error->message, peer.row->message));
}

int
main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test_setup_teardown(open_call_close, setup, teardown),
        cmocka_unit_test_setup_teardown(error_is_kept_verbatim, setup, teardown),
        cmocka_unit_test_setup_teardown(events_while_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(late_answer_is_skipped, setup, teardown),
        cmocka_unit_test_setup_teardown(server_goes_away, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_listens, setup, teardown),
        cmocka_unit_test_setup_teardown(authentication_is_not_supported, setup, teardown),
    };
    TestTable *table = test_table_new(setup, teardown);

    TEST_TABLE_ADD_ROWS(table, peer_cases, bad_peer);
    test_table_add_all(table, others, G_N_ELEMENTS(others));
    return test_table_run(table, "rpc_client", NULL, NULL);
}
