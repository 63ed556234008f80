/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/rpc_peer.h"

#include "rpc/program.h"
#include "util/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <libvirt/virterror.h>
#include <poll.h>
#include <sys/socket.h>

Peer peer = { .fd = -1 };

int
peer_dial(const char *path)
{
    int fd = inv_unix_connect(path, NULL);

    assert_true(fd >= 0);
    return fd;
}

void
peer_write(const void *bytes, gsize length)
{
    const char *next = bytes;

    while (length > 0) {
        ssize_t done = send(peer.fd, next, length, MSG_NOSIGNAL);

        assert_true(done > 0);
        next += done;
        length -= (gsize)done;
    }
}

GBytes *
peer_message(guint32 procedure, guint32 serial, xdrproc_t encode, gpointer args)
{
    const InvRpcHeader header = { .program = REMOTE_PROGRAM, .version = 1, .procedure = procedure, .serial = serial };

    return inv_rpc_message_new(&header, 0, encode, args, NULL);
}

void
peer_send(GBytes *message)
{
    peer_write(g_bytes_get_data(message, NULL), g_bytes_get_size(message));
    g_bytes_unref(message);
}

void
peer_call(guint32 procedure, guint32 serial)
{
    remote_nonnull_domain domain = { .name = (char *)"guest" };
    const InvRpcProcedure *found = inv_rpc_program_find(&inv_rpc_remote_program, procedure);

    /* All procedures with arguments that are called so take just a domain. */
    peer_send(peer_message(procedure, serial, found && found->args ? (xdrproc_t)xdr_remote_nonnull_domain : NULL, &domain));
}

void
peer_call_open(guint32 flags)
{
    remote_connect_open_args args = { .flags = flags };

    peer_send(peer_message(REMOTE_PROC_CONNECT_OPEN, 0, (xdrproc_t)xdr_remote_connect_open_args, &args));
}

gboolean
peer_readable(int ms)
{
    struct pollfd poll_fd = { .fd = peer.fd, .events = POLLIN };

    return poll(&poll_fd, 1, ms) > 0;
}

gboolean
peer_receive(void)
{
    InvRpcReader reader = { 0 };

    g_clear_pointer(&peer.frame, g_bytes_unref);
    while (!inv_rpc_reader_is_complete(&reader)) {
        gsize room;
        guint8 *space = inv_rpc_reader_space(&reader, &room);
        ssize_t got;

        assert_true(peer_readable(PEER_PATIENCE_MS));
        got = recv(peer.fd, space, room, 0);
        if (got <= 0) {
            inv_rpc_reader_clear(&reader);
            return FALSE;
        }
        assert_true(inv_rpc_reader_add(&reader, (gsize)got, NULL));
    }
    peer.frame = inv_rpc_reader_take(&reader);
    peer.payload = g_bytes_get_data(peer.frame, &peer.payload_length);
    inv_rpc_header_read(peer.payload, &peer.reply);
    peer.payload += INV_RPC_HEADER_SIZE;
    peer.payload_length -= INV_RPC_HEADER_SIZE;
    return TRUE;
}

void
peer_expect_ok(guint32 serial)
{
    assert_true(peer_receive());
    assert_int_equal(peer.reply.type, INV_RPC_REPLY);
    assert_int_equal(peer.reply.serial, serial);
    assert_int_equal(peer.reply.status, INV_RPC_OK);
}

void
peer_expect_error(guint32 serial, int code, int domain, const char *message)
{
    remote_error error = { 0 };

    assert_true(peer_receive());
    assert_int_equal(peer.reply.type, INV_RPC_REPLY);
    assert_int_equal(peer.reply.serial, serial);
    assert_int_equal(peer.reply.status, INV_RPC_ERROR);
    assert_true(inv_rpc_payload_decode(peer.payload, peer.payload_length, (xdrproc_t)xdr_remote_error, &error, NULL));
    assert_int_equal(error.code, code);
    assert_int_equal(error.domain, domain);
    assert_int_equal(error.level, VIR_ERR_ERROR);
    assert_int_equal(error.int1, -1);
    assert_string_equal(*error.message, message);
    xdr_free((xdrproc_t)xdr_remote_error, &error);
}
