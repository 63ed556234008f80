/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The server, seen from the other end of a real socket: what well and badly behaved clients get. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
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

#define PATIENCE_MS PEER_PATIENCE_MS
/* Long enough to see that something does not come. */
#define SILENCE_MS 150

static char *folder, *path;
static InvIoThread *io;
static InvRpcServer *server;

static GMutex lock;
static GCond changed;
/* Guarded by lock. */
static guint started, finished, permits, n_opened, n_closed;
static InvRpcClient *last_client;

/* A call that ends when the test says so. */
static gboolean
handle_gated(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)PATIENCE_MS * 1000;

    g_mutex_lock(&lock);
    started++;
    g_cond_broadcast(&changed);
    while (!permits && g_cond_wait_until(&changed, &lock, deadline))
        ;
    permits--;
    finished++;
    g_cond_broadcast(&changed);
    g_mutex_unlock(&lock);
    /* The connection may be gone: all of this must still be safe. */
    inv_rpc_client_set_open(client, inv_rpc_client_is_open(client));
    inv_rpc_client_start_keepalive(client);
    return TRUE;
}

static gboolean
handle_auth_list(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    remote_auth_list_ret *result = ret;

    result->types.types_len = 1;
    result->types.types_val = g_new0(remote_auth_type, 1);
    return TRUE;
}

static gboolean
handle_open(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_open_args *open = args;

    if (open->flags & 1)
        inv_rpc_client_set_read_only(client);
    inv_rpc_client_set_open(client, TRUE);
    return TRUE;
}

static gboolean
handle_close(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    inv_rpc_client_close_after_replies(client);
    return TRUE;
}

static gboolean
handle_hostname(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    ((remote_connect_get_hostname_ret *)ret)->hostname = g_strdup("witness");
    return TRUE;
}

/* Leaves the required string away. */
static gboolean
handle_broken(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    return TRUE;
}

static gboolean
handle_lookup(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_lookup_by_name_args *lookup = args;

    return inv_error_set(error, VIR_ERR_NO_DOMAIN, "no domain is called '%s'", lookup->name);
}

/* The server's limit: longer messages are none for quick handlers. */
#define QUICK_MAX (1024 * 1024)

/* By the name that is looked up: an answer at once, an error at once, or the handler's. */
static InvRpcOutcome
quick_lookup(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_lookup_by_name_args *lookup = args;

    assert_true(inv_io_thread_is_current(io));
    if (strcmp(lookup->name, "quick") == 0) {
        ((remote_domain_lookup_by_name_ret *)ret)->dom.name = g_strdup("guest");
        return INV_RPC_DONE;
    }
    if (strcmp(lookup->name, "refused") == 0)
        inv_error_set(error, VIR_ERR_OPERATION_INVALID, "not at once");
    return *error || strcmp(lookup->name, "silent") == 0 || strlen(lookup->name) > QUICK_MAX ? INV_RPC_FAILED : INV_RPC_LATER;
}

/* Has an answer for "ready", as it was encoded before; its handler would give another. */
static GBytes *
ready_lookup(InvRpcClient *client, guint32 procedure, const guint8 *args, gsize length, gpointer user_data)
{
    remote_domain_lookup_by_name_args known = { .name = (char *)"ready" };
    remote_domain_lookup_by_name_ret answer = { .dom = { .name = (char *)"remembered", .id = 7 } };
    g_autoptr(GBytes) question = inv_rpc_payload_encode((xdrproc_t)xdr_remote_domain_lookup_by_name_args, &known, NULL);

    assert_true(inv_io_thread_is_current(io));
    assert_int_equal(procedure, REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME);
    if (length != g_bytes_get_size(question) || memcmp(args, g_bytes_get_data(question, NULL), length) != 0)
        return NULL;
    return inv_rpc_payload_encode((xdrproc_t)xdr_remote_domain_lookup_by_name_ret, &answer, NULL);
}

static void
send_lifecycle(InvRpcClient *client, int detail)
{
    char name[] = "guest";
    remote_domain_event_callback_lifecycle_msg message = { .callbackID = 7, .msg = { .dom = { .name = name }, .detail = detail } };

    inv_rpc_client_send_event(client, &inv_rpc_remote_program, REMOTE_PROC_DOMAIN_EVENT_CALLBACK_LIFECYCLE,
                              (xdrproc_t)xdr_remote_domain_event_callback_lifecycle_msg, &message);
}

static gpointer
send_from_elsewhere(gpointer client)
{
    send_lifecycle(client, 1);
    send_lifecycle(client, 2);
    return NULL;
}

/* Its events must not overtake its reply, whoever posts them. */
static gboolean
handle_register(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    g_thread_join(g_thread_new("poster", send_from_elsewhere, client));
    ((remote_connect_domain_event_callback_register_any_ret *)ret)->callbackID = 7;
    return TRUE;
}

static gboolean
handle_event_inside(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    send_lifecycle(client, 3);
    g_thread_join(g_thread_new("poster", send_from_elsewhere, client));
    return TRUE;
}

/* As a migration: what it tells is wanted while it lasts. */
static gboolean
handle_event_and_wait(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    send_lifecycle(client, 3);
    return handle_gated(client, args, ret, user_data, error);
}

static gboolean
handle_keepalive(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    inv_rpc_client_start_keepalive(client);
    ((remote_connect_supports_feature_ret *)ret)->supported = 1;
    return TRUE;
}

/* Says how many descriptors came and gives the first one back. */
static gboolean
handle_fds(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    remote_domain_create_with_files_ret *result = ret;
    int fd = inv_rpc_call_take_fd(client, 0);

    result->dom.name = g_strdup("guest");
    result->dom.id = (int)inv_rpc_call_n_fds(client);
    if (inv_rpc_call_take_fd(client, 0) != -1)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "a descriptor was there twice");
    if (fd >= 0)
        inv_rpc_call_add_fd(client, fd);
    return TRUE;
}

static const InvRpcMethod methods[] = {
    { REMOTE_PROC_AUTH_LIST, handle_auth_list, INV_RPC_INLINE | INV_RPC_BEFORE_AUTH | INV_RPC_BEFORE_OPEN | INV_RPC_READ },
    { REMOTE_PROC_CONNECT_OPEN, handle_open, INV_RPC_INLINE | INV_RPC_BEFORE_OPEN | INV_RPC_READ },
    { REMOTE_PROC_CONNECT_CLOSE, handle_close, INV_RPC_INLINE | INV_RPC_BEFORE_OPEN | INV_RPC_READ },
    { REMOTE_PROC_CONNECT_SUPPORTS_FEATURE, handle_keepalive, INV_RPC_INLINE | INV_RPC_BEFORE_OPEN | INV_RPC_READ },
    { REMOTE_PROC_CONNECT_GET_HOSTNAME, handle_hostname, INV_RPC_INLINE | INV_RPC_READ },
    { REMOTE_PROC_CONNECT_GET_TYPE, handle_broken, INV_RPC_READ },
    { REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, handle_lookup, INV_RPC_READ, quick_lookup, ready_lookup },
    { REMOTE_PROC_DOMAIN_CREATE, handle_gated, 0 },
    { REMOTE_PROC_DOMAIN_SUSPEND, handle_event_inside, 0 },
    { REMOTE_PROC_DOMAIN_RESUME, handle_event_and_wait, INV_RPC_EVENTS_AT_ONCE },
    { REMOTE_PROC_DOMAIN_DESTROY, handle_broken, INV_RPC_PRIORITY },
    { REMOTE_PROC_DOMAIN_CREATE_WITH_FILES, handle_fds, 0 },
    { REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, handle_register, INV_RPC_READ },
};

static void
opened(InvRpcClient *client, gpointer data)
{
    g_mutex_lock(&lock);
    n_opened++;
    if (last_client)
        inv_rpc_client_unref(last_client);
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
    gint64 deadline = g_get_monotonic_time() + (gint64)PATIENCE_MS * 1000;

    g_mutex_lock(&lock);
    while (*counter < value && g_cond_wait_until(&changed, &lock, deadline))
        ;
    assert_int_equal(*counter, value);
    g_mutex_unlock(&lock);
}

static void
permit(guint count)
{
    g_mutex_lock(&lock);
    permits += count;
    g_cond_broadcast(&changed);
    g_mutex_unlock(&lock);
}

static int
setup(void **state)
{
    folder = g_dir_make_tmp("invar-rpc-XXXXXX", NULL);
    assert_non_null(folder);
    path = g_build_filename(folder, "sock", NULL);
    io = inv_io_thread_new();
    started = finished = permits = n_opened = n_closed = 0;
    return 0;
}

static void
drop_last_client(void)
{
    g_mutex_lock(&lock);
    g_clear_pointer(&last_client, inv_rpc_client_unref);
    g_mutex_unlock(&lock);
}

static int
teardown(void **state)
{
    inv_fd_close(&peer.fd);
    permit(1000);
    g_clear_pointer(&peer.frame, g_bytes_unref);
    g_clear_pointer(&server, inv_rpc_server_free);
    drop_last_client();
    g_clear_pointer(&io, inv_io_thread_free);
    g_unlink(path);
    g_rmdir(folder);
    g_clear_pointer(&path, g_free);
    g_clear_pointer(&folder, g_free);
    return 0;
}

static void
serve(const InvRpcServerOptions *options)
{
    int fd;

    server = inv_rpc_server_new(io, options);
    inv_rpc_server_add_program(server, &inv_rpc_remote_program, methods, G_N_ELEMENTS(methods), NULL);
    inv_rpc_server_set_client_callbacks(server, opened, closed, NULL);
    fd = inv_unix_listen(path, 0600, NULL);
    assert_true(fd >= 0);
    inv_rpc_server_listen(server, fd, FALSE);
    peer.fd = peer_dial(path);
}

static void
expect_event(int detail)
{
    remote_domain_event_callback_lifecycle_msg event = { 0 };

    assert_true(peer_receive());
    assert_int_equal(peer.reply.type, INV_RPC_MESSAGE);
    assert_int_equal(peer.reply.procedure, REMOTE_PROC_DOMAIN_EVENT_CALLBACK_LIFECYCLE);
    assert_true(inv_rpc_payload_decode(peer.payload, peer.payload_length, (xdrproc_t)xdr_remote_domain_event_callback_lifecycle_msg,
                                       &event, NULL));
    assert_int_equal(event.msg.detail, detail);
    xdr_free((xdrproc_t)xdr_remote_domain_event_callback_lifecycle_msg, &event);
}

static void
expect_end(void)
{
    assert_false(peer_receive());
    wait_for(&n_closed, 1);
}

static void
open_connection(void)
{
    peer_call_open(0);
    peer_expect_ok(0);
}

/* --- tests --- */

typedef struct {
    const char *name;
    const char *words; /* hex; blanks are ignored */
    gboolean end;      /* the server closes the connection */
    int code;          /* or answers with this error */
    const char *message;
} WireCase;

#define HEAD(program, procedure, type) "0000001c " program " 00000001 " procedure " " type " 00000009 00000000"

static const WireCase wire_cases[] = {
    { "length zero", "00000000", TRUE },
    { "length less than itself", "00000003", TRUE },
    { "length without a header", "0000001b", TRUE },
    { "length beyond the limit", "02000005", TRUE },
    { "length of all ones", "ffffffff", TRUE },
    { "unknown program", HEAD("11223344", "00000001", "00000000"), FALSE, VIR_ERR_RPC,
      "Cannot find program 287454020 version 1" },
    { "unknown procedure", HEAD("20008086", "000003e7", "00000000"), FALSE, VIR_ERR_RPC, "unknown procedure: 999" },
    { "negative procedure", HEAD("20008086", "ffffffff", "00000000"), FALSE, VIR_ERR_RPC, "unknown procedure: 4294967295" },
    { "procedure that is not implemented", HEAD("20008086", "00000027", "00000000"), FALSE, VIR_ERR_RPC, "unknown procedure: 39" },
    { "a reply that nobody waits for", HEAD("20008086", "0000003b", "00000001"), FALSE, VIR_ERR_RPC, "Unexpected message type 1" },
    { "unknown type", HEAD("20008086", "0000003b", "00000063"), FALSE, VIR_ERR_RPC, "Unexpected message type 99" },
    { "a status in a call", "0000001c 20008086 00000001 0000003b 00000000 00000009 00000001", FALSE, VIR_ERR_RPC,
      "Unexpected message status 1" },
    { "no payload where one is due", HEAD("20008086", "00000017", "00000000"), FALSE, VIR_ERR_RPC,
      "Unable to decode message payload" },
    { "string longer than the message", "00000024 20008086 00000001 00000017 00000000 00000009 00000000 00000400 61626364", FALSE,
      VIR_ERR_RPC, "Unable to decode message payload" },
    { "string of four billion bytes", "00000024 20008086 00000001 00000017 00000000 00000009 00000000 ffffffff 61626364", FALSE,
      VIR_ERR_RPC, "Unable to decode message payload" },
    { "string with a NUL inside", "00000024 20008086 00000001 00000017 00000000 00000009 00000000 00000003 61006200", FALSE,
      VIR_ERR_RPC, "Unable to decode message payload" },
    { "descriptors without their count", HEAD("20008086", "00000136", "00000004"), TRUE },
    { "too many descriptors", "00000020 20008086 00000001 00000136 00000004 00000009 00000000 00000021", TRUE },
    { "a byte where a descriptor is due", "00000020 20008086 00000001 00000136 00000004 00000009 00000000 00000001 00", TRUE },
    { "required string left away by the handler", HEAD("20008086", "00000003", "00000000"), FALSE, VIR_ERR_RPC,
      "Unable to encode message payload" },
};

static void
send_hex(const char *words)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    for (const char *at = words; *at; at++) {
        guint8 byte;

        if (*at == ' ')
            continue;
        byte = (guint8)(g_ascii_xdigit_value(at[0]) << 4 | g_ascii_xdigit_value(at[1]));
        g_byte_array_append(bytes, &byte, 1);
        at++;
    }
    peer_write(bytes->data, bytes->len);
}

static void
wire_case(void **state)
{
    const WireCase *row = *state;

    serve(NULL);
    open_connection();
    send_hex(row->words);
    if (row->end) {
        expect_end();
        return;
    }
    peer_expect_error(9, row->code, VIR_FROM_RPC, row->message);
    /* The connection lives on. */
    peer_call(REMOTE_PROC_CONNECT_GET_HOSTNAME, 10);
    peer_expect_ok(10);
}

static void
byte_at_a_time(void **state)
{
    g_autoptr(GBytes) message = peer_message(REMOTE_PROC_CONNECT_GET_HOSTNAME, 3, NULL, NULL);
    const guint8 *bytes = g_bytes_get_data(message, NULL);

    serve(NULL);
    open_connection();
    for (gsize i = 0; i < g_bytes_get_size(message); i++)
        peer_write(bytes + i, 1);
    peer_expect_ok(3);
    assert_int_equal(peer.payload_length, 12);
    assert_memory_equal(peer.payload, "\0\0\0\7witness\0", 12);
}

static void
two_in_one_write(void **state)
{
    g_autoptr(GByteArray) both = g_byte_array_new();

    serve(NULL);
    open_connection();
    for (guint32 i = 1; i <= 2; i++) {
        g_autoptr(GBytes) one = peer_message(REMOTE_PROC_CONNECT_GET_HOSTNAME, i, NULL, NULL);

        g_byte_array_append(both, g_bytes_get_data(one, NULL), (guint)g_bytes_get_size(one));
    }
    peer_write(both->data, both->len);
    peer_expect_ok(1);
    peer_expect_ok(2);
}

static void
extra_bytes_are_ignored(void **state)
{
    serve(NULL);
    open_connection();
    send_hex("00000020 20008086 00000001 0000003b 00000000 00000004 00000000 deadbeef");
    peer_expect_ok(4);
}

static void
truncated_then_gone(void **state)
{
    serve(NULL);
    open_connection();
    send_hex("02000004 20008086 00000001");
    inv_fd_close(&peer.fd);
    wait_for(&n_closed, 1);
}

static void
largest_message(void **state)
{
    g_autofree guint8 *zeros = g_malloc0(INV_RPC_PAYLOAD_MAX);

    serve(NULL);
    open_connection();
    send_hex("02000004 20008086 00000001 0000003b 00000000 00000005 00000000");
    peer_write(zeros, INV_RPC_PAYLOAD_MAX);
    peer_expect_ok(5);
}

static void
before_open(void **state)
{
    serve(NULL);
    peer_call(REMOTE_PROC_CONNECT_GET_HOSTNAME, 0);
    peer_expect_error(0, VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC, "hypervisor connection not open");
    peer_call(REMOTE_PROC_AUTH_LIST, 1);
    peer_expect_ok(1);
    assert_memory_equal(peer.payload, "\0\0\0\1\0\0\0\0", 8);
}

static void
before_authentication(void **state)
{
    serve(&(InvRpcServerOptions){ .require_auth = TRUE });
    peer_call_open(0);
    peer_expect_error(0, VIR_ERR_RPC, VIR_FROM_RPC, "authentication required");
    peer_call(REMOTE_PROC_AUTH_LIST, 1);
    peer_expect_ok(1);
    inv_rpc_client_set_authenticated(last_client);
    open_connection();
}

static void
read_only(void **state)
{
    serve(NULL);
    peer_call_open(1);
    peer_expect_ok(0);
    peer_call(REMOTE_PROC_DOMAIN_CREATE, 1);
    peer_expect_error(1, VIR_ERR_OPERATION_DENIED, VIR_FROM_QEMU, "operation forbidden: read only access prevents DOMAIN_CREATE");
    peer_call(REMOTE_PROC_CONNECT_GET_HOSTNAME, 2);
    peer_expect_ok(2);
}

static void
handler_error(void **state)
{
    remote_domain_lookup_by_name_args args = { .name = (char *)"x%sy" };

    serve(&(InvRpcServerOptions){ .error_domain = VIR_FROM_TEST });
    open_connection();
    peer_send(peer_message(REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, 1, (xdrproc_t)xdr_remote_domain_lookup_by_name_args, &args));
    peer_expect_error(1, VIR_ERR_NO_DOMAIN, VIR_FROM_TEST, "no domain is called 'x%sy'");
}

static void
look_up(const char *name, guint32 serial)
{
    remote_domain_lookup_by_name_args args = { .name = (char *)name };

    peer_send(peer_message(REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, serial, (xdrproc_t)xdr_remote_domain_lookup_by_name_args, &args));
}

static void
quick_answers(void **state)
{
    const gsize size = 2 * QUICK_MAX;
    g_autofree char *name = g_strnfill(size, 'x');
    g_autofree char *expected = g_strdup_printf("no domain is called '%s'", name);

    serve(&(InvRpcServerOptions){ .error_domain = VIR_FROM_TEST });
    open_connection();
    look_up("quick", 1);
    peer_expect_ok(1);
    look_up("later", 2);
    peer_expect_error(2, VIR_ERR_NO_DOMAIN, VIR_FROM_TEST, "no domain is called 'later'");
    look_up("refused", 3);
    peer_expect_error(3, VIR_ERR_OPERATION_INVALID, VIR_FROM_TEST, "not at once");
    /* The quick handler would fail without a reason: it is not asked about what is that long. */
    look_up(name, 4);
    peer_expect_error(4, VIR_ERR_NO_DOMAIN, VIR_FROM_TEST, expected);
    look_up("silent", 5);
    peer_expect_error(5, VIR_ERR_INTERNAL_ERROR, VIR_FROM_TEST,
                 "DOMAIN_LOOKUP_BY_NAME failed without a reason: this is a defect of the daemon");
}

static void
answers_at_hand(void **state)
{
    remote_domain_lookup_by_name_ret answer = { .dom = { .name = NULL } };

    serve(&(InvRpcServerOptions){ .error_domain = VIR_FROM_TEST });
    /* Nobody is answered who may not ask. */
    look_up("ready", 0);
    peer_expect_error(0, VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC, "hypervisor connection not open");
    peer_call_open(0);
    peer_expect_ok(0);
    for (guint32 serial = 1; serial < 50; serial++) {
        look_up("ready", serial);
        peer_expect_ok(serial);
        assert_true(inv_rpc_payload_decode(peer.payload, peer.payload_length, (xdrproc_t)xdr_remote_domain_lookup_by_name_ret, &answer, NULL));
        assert_string_equal(answer.dom.name, "remembered");
        assert_int_equal(answer.dom.id, 7);
        xdr_free((xdrproc_t)xdr_remote_domain_lookup_by_name_ret, (char *)&answer);
        memset(&answer, 0, sizeof(answer));
        look_up("quick", serial);
        peer_expect_ok(serial);
        look_up("later", serial);
        peer_expect_error(serial, VIR_ERR_NO_DOMAIN, VIR_FROM_TEST, "no domain is called 'later'");
    }
    /* Many at once come back in order. */
    for (guint32 serial = 100; serial < 200; serial++)
        look_up("ready", serial);
    for (guint32 serial = 100; serial < 200; serial++)
        peer_expect_ok(serial);
}

static void
replies_out_of_order(void **state)
{
    serve(NULL);
    open_connection();
    peer_call(REMOTE_PROC_DOMAIN_CREATE, 1);
    peer_call(REMOTE_PROC_CONNECT_GET_HOSTNAME, 2);
    peer_expect_ok(2);
    permit(1);
    peer_expect_ok(1);
}

static void
calls_in_flight_are_limited(void **state)
{
    serve(NULL);
    open_connection();
    for (guint32 i = 1; i <= 5; i++)
        peer_call(REMOTE_PROC_DOMAIN_CREATE, i);
    wait_for(&started, 5);
    peer_call(REMOTE_PROC_CONNECT_GET_HOSTNAME, 6);
    assert_false(peer_readable(SILENCE_MS));
    permit(1);
    assert_true(peer_receive());
    assert_true(peer.reply.serial < 6);
    peer_expect_ok(6);
    permit(4);
    for (guint i = 0; i < 4; i++)
        assert_true(peer_receive());
}

static void
priority_calls_are_not_counted(void **state)
{
    serve(&(InvRpcServerOptions){ .n_workers = 1, .max_client_requests = 3 });
    open_connection();
    peer_call(REMOTE_PROC_DOMAIN_CREATE, 1);
    peer_call(REMOTE_PROC_DOMAIN_CREATE, 2);
    wait_for(&started, 1);
    /* The only worker is taken: this has workers of its own. */
    for (guint32 i = 3; i < 8; i++) {
        peer_call(REMOTE_PROC_DOMAIN_DESTROY, i);
        peer_expect_ok(i);
    }
    permit(2);
    peer_expect_ok(1);
    peer_expect_ok(2);
}

static void
registration_before_event(void **state)
{
    remote_connect_domain_event_callback_register_any_args args = { 0 };

    serve(NULL);
    open_connection();
    for (guint32 i = 1; i <= 20; i++) {
        peer_send(peer_message(REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, i,
                                (xdrproc_t)xdr_remote_connect_domain_event_callback_register_any_args, &args));
        peer_expect_ok(i);
        expect_event(1);
        expect_event(2);
    }
}

static void
handlers_event_after_its_reply(void **state)
{
    serve(NULL);
    open_connection();
    peer_call(REMOTE_PROC_DOMAIN_SUSPEND, 1);
    peer_expect_ok(1);
    expect_event(3);
    expect_event(1);
    expect_event(2);
}

static void
event_of_a_lasting_call_at_once(void **state)
{
    serve(NULL);
    open_connection();
    peer_call(REMOTE_PROC_DOMAIN_RESUME, 1);
    expect_event(3);
    permit(1);
    peer_expect_ok(1);
}

static void
no_event_before_open(void **state)
{
    serve(NULL);
    peer_call(REMOTE_PROC_AUTH_LIST, 0);
    peer_expect_ok(0);
    send_lifecycle(last_client, 1);
    assert_false(peer_readable(SILENCE_MS));
}

static void
who_does_not_read_is_closed(void **state)
{
    guint i;

    serve(&(InvRpcServerOptions){ .max_queued = 1024 * 1024 });
    open_connection();
    for (i = 0; i < 100000 && !n_closed; i++)
        send_lifecycle(last_client, 0);
    wait_for(&n_closed, 1);
    /* Once more: nobody is there. */
    send_lifecycle(last_client, 0);
}

/* Calls whose answers nobody takes stop being read, long before they fill the memory. */
static void
answers_that_nobody_reads(void **state)
{
    g_autoptr(GBytes) message = peer_message(REMOTE_PROC_CONNECT_GET_HOSTNAME, 1, NULL, NULL);
    gsize size = g_bytes_get_size(message), sent = 0, limit = 64u * 1024 * 1024;
    struct pollfd poll_fd = { .events = POLLOUT };

    serve(NULL);
    open_connection();
    assert_true(g_unix_set_fd_nonblocking(peer.fd, TRUE, NULL));
    poll_fd.fd = peer.fd;
    while (sent < limit && poll(&poll_fd, 1, 1000) > 0)
        for (ssize_t done = 0; done >= 0 && sent < limit; sent += done > 0 ? (gsize)done : 0)
            done = send(peer.fd, (const char *)g_bytes_get_data(message, NULL) + sent % size, size - sent % size,
                        MSG_NOSIGNAL | MSG_DONTWAIT);
    assert_true(sent < limit);
    assert_int_equal(n_closed, 0);
}

static void
client_vanishes_in_a_call(void **state)
{
    serve(NULL);
    open_connection();
    for (guint32 i = 1; i <= 5; i++)
        peer_call(REMOTE_PROC_DOMAIN_CREATE, i);
    wait_for(&started, 5);
    inv_fd_close(&peer.fd);
    /* It is noticed although nothing is read from it now. */
    wait_for(&n_closed, 1);
    permit(5);
    wait_for(&finished, 5);
}

static void
server_ends_in_a_call(void **state)
{
    serve(NULL);
    open_connection();
    peer_call(REMOTE_PROC_DOMAIN_CREATE, 1);
    wait_for(&started, 1);
    permit(1);
    g_clear_pointer(&server, inv_rpc_server_free);
    assert_int_equal(finished, 1);
    assert_int_equal(n_closed, 1);
    /* References outlive the server. */
    send_lifecycle(last_client, 1);
    inv_rpc_client_start_keepalive(last_client);
}

static void
close_after_replies(void **state)
{
    serve(NULL);
    open_connection();
    peer_call(REMOTE_PROC_DOMAIN_CREATE, 1);
    wait_for(&started, 1);
    peer_call(REMOTE_PROC_CONNECT_CLOSE, 2);
    peer_expect_ok(2);
    permit(1);
    peer_expect_ok(1);
    expect_end();
}

static void
ping_is_answered(void **state)
{
    serve(NULL);
    send_hex(HEAD("6b656570", "00000001", "00000002"));
    assert_true(peer_receive());
    assert_int_equal(peer.reply.program, INV_RPC_KEEPALIVE_PROGRAM);
    assert_int_equal(peer.reply.procedure, INV_RPC_KEEPALIVE_PONG);
    assert_int_equal(peer.reply.type, INV_RPC_MESSAGE);
    assert_int_equal(peer.payload_length, 0);
}

static void
late_stream_packets_are_dropped(void **state)
{
    serve(NULL);
    open_connection();
    send_hex(HEAD("20008086", "000000c9", "00000003") HEAD("20008086", "000000c9", "00000006"));
    peer_call(REMOTE_PROC_CONNECT_GET_HOSTNAME, 7);
    peer_expect_ok(7);
}

static void
keepalive(void **state)
{
    serve(&(InvRpcServerOptions){ .keepalive_interval = 1, .keepalive_count = 1 });
    /* Not before it is asked for. */
    assert_false(peer_readable(1500));
    send_hex("00000020 20008086 00000001 0000003c 00000000 00000000 00000000 0000000a");
    peer_expect_ok(0);
    assert_true(peer_receive());
    assert_int_equal(peer.reply.program, INV_RPC_KEEPALIVE_PROGRAM);
    assert_int_equal(peer.reply.procedure, INV_RPC_KEEPALIVE_PING);
    send_hex(HEAD("6b656570", "00000002", "00000002"));
    /* Answered, so there is another; this one is not answered. */
    assert_true(peer_receive());
    assert_int_equal(peer.reply.procedure, INV_RPC_KEEPALIVE_PING);
    expect_end();
}

static void
credentials(void **state)
{
    serve(NULL);
    wait_for(&n_opened, 1);
    assert_int_equal(inv_rpc_client_uid(last_client), getuid());
    assert_int_equal(inv_rpc_client_pid(last_client), getpid());
    assert_int_equal(inv_rpc_client_number(last_client), 1);
}

static void
other_users_are_refused(void **state)
{
    /* Root may always connect. */
    gboolean refused = getuid() != 0;

    serve(&(InvRpcServerOptions){ .check_uid = TRUE, .allowed_uid = getuid() + 1 });
    if (refused) {
        assert_false(peer_receive());
        assert_int_equal(n_opened, 0);
        return;
    }
    peer_call(REMOTE_PROC_AUTH_LIST, 0);
    peer_expect_ok(0);
}

static void
clients_are_limited(void **state)
{
    inv_autofd int first = -1;

    serve(&(InvRpcServerOptions){ .max_clients = 1 });
    wait_for(&n_opened, 1);
    first = inv_fd_steal(&peer.fd);
    peer.fd = peer_dial(path);
    peer_call(REMOTE_PROC_AUTH_LIST, 0);
    assert_false(peer_readable(SILENCE_MS));
    inv_fd_close(&first);
    /* The second waited in the backlog. */
    peer_expect_ok(0);
}

/* One zero byte with one descriptor, as libvirt sends them. */
static void
send_descriptor(int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec part = { .iov_base = (char *)"", .iov_len = 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes) };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    assert_int_equal(sendmsg(peer.fd, &message, MSG_NOSIGNAL), 1);
}

static int
receive_descriptor(void)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec part = { .iov_base = &byte, .iov_len = 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes) };
    int fd;

    assert_true(peer_readable(PATIENCE_MS));
    assert_int_equal(recvmsg(peer.fd, &message, MSG_CMSG_CLOEXEC), 1);
    assert_non_null(CMSG_FIRSTHDR(&message));
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    return fd;
}

static void
descriptors(void **state)
{
    const InvRpcHeader header = {
        .program = REMOTE_PROGRAM, .version = 1, .procedure = REMOTE_PROC_DOMAIN_CREATE_WITH_FILES, .type = INV_RPC_CALL_WITH_FDS, .serial = 1
    };
    remote_domain_create_with_files_args args = { .dom = { .name = (char *)"guest" } };
    remote_domain_create_with_files_ret ret = { 0 };
    inv_autofd int back = -1;
    int ends[2];
    char text[4];

    assert_int_equal(pipe(ends), 0);
    serve(NULL);
    open_connection();
    peer_send(inv_rpc_message_new(&header, 2, (xdrproc_t)xdr_remote_domain_create_with_files_args, &args, NULL));
    assert_false(peer_readable(SILENCE_MS));
    send_descriptor(ends[1]);
    send_descriptor(ends[0]);
    peer_call(REMOTE_PROC_CONNECT_GET_HOSTNAME, 2);
    for (guint i = 0; i < 2; i++) {
        assert_true(peer_receive());
        if (peer.reply.serial == 2)
            continue;
        assert_int_equal(peer.reply.type, INV_RPC_REPLY_WITH_FDS);
        assert_memory_equal(peer.payload, "\0\0\0\1", 4);
        assert_true(inv_rpc_payload_decode(peer.payload + 4, peer.payload_length - 4, (xdrproc_t)xdr_remote_domain_create_with_files_ret,
                                           &ret, NULL));
        back = receive_descriptor();
    }
    assert_int_equal(ret.dom.id, 2);
    xdr_free((xdrproc_t)xdr_remote_domain_create_with_files_ret, &ret);
    assert_int_equal(write(back, "abc", 3), 3);
    assert_int_equal(read(ends[0], text, 3), 3);
    close(ends[0]);
    close(ends[1]);
}

int
main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test_setup_teardown(byte_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(two_in_one_write, setup, teardown),
        cmocka_unit_test_setup_teardown(extra_bytes_are_ignored, setup, teardown),
        cmocka_unit_test_setup_teardown(truncated_then_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(largest_message, setup, teardown),
        cmocka_unit_test_setup_teardown(before_open, setup, teardown),
        cmocka_unit_test_setup_teardown(before_authentication, setup, teardown),
        cmocka_unit_test_setup_teardown(read_only, setup, teardown),
        cmocka_unit_test_setup_teardown(handler_error, setup, teardown),
        cmocka_unit_test_setup_teardown(quick_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_at_hand, setup, teardown),
        cmocka_unit_test_setup_teardown(replies_out_of_order, setup, teardown),
        cmocka_unit_test_setup_teardown(calls_in_flight_are_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(priority_calls_are_not_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(registration_before_event, setup, teardown),
        cmocka_unit_test_setup_teardown(handlers_event_after_its_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(event_of_a_lasting_call_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(no_event_before_open, setup, teardown),
        cmocka_unit_test_setup_teardown(who_does_not_read_is_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_that_nobody_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(client_vanishes_in_a_call, setup, teardown),
        cmocka_unit_test_setup_teardown(server_ends_in_a_call, setup, teardown),
        cmocka_unit_test_setup_teardown(close_after_replies, setup, teardown),
        cmocka_unit_test_setup_teardown(ping_is_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(late_stream_packets_are_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(keepalive, setup, teardown),
        cmocka_unit_test_setup_teardown(credentials, setup, teardown),
        cmocka_unit_test_setup_teardown(other_users_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_are_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(descriptors, setup, teardown),
    };
    TestTable *table = test_table_new(setup, teardown);

    TEST_TABLE_ADD_ROWS(table, wire_cases, wire_case);
    test_table_add_all(table, others, G_N_ELEMENTS(others));
    return test_table_run(table, "rpc_server", NULL, NULL);
}
