/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "rpc/uri.h"

#include <glib.h>
#include <sys/types.h>

G_BEGIN_DECLS

/* The way to a daemon: a connected, non-blocking stream socket and, over ssh, the client that it leads to. */
typedef struct {
    int fd;
    GPid ssh;   /* 0: none */
    int errors; /* what ssh says on its standard error; -1: none */
} InvRpcTransportHandle;

#define INV_RPC_TRANSPORT_NONE { .fd = -1, .errors = -1 }

/*
 * Connects within @deadline_ms (0: 10 s), the look-up of a host's name included; ssh is started and
 * connects by itself. Errors name the target and why: VIR_ERR_SYSTEM_ERROR, VIR_ERR_OPERATION_TIMEOUT,
 * VIR_ERR_INVALID_ARG.
 */
gboolean inv_rpc_transport_open(InvRpcTransportHandle *handle, const InvRpcTarget *target, guint deadline_ms, GError **error);

/* Closes the socket and ends ssh, for which it waits a second at most. Twice is harmless. */
void inv_rpc_transport_close(InvRpcTransportHandle *handle);

/* What ssh has said so far, on one line; NULL: nothing. Owned by the caller. */
char *inv_rpc_transport_complaint(const InvRpcTransportHandle *handle);

/* tcp.c. A connected, non-blocking TCP socket, or -1. @deadline: monotonic time. */
int inv_rpc_tcp_connect(const char *host, guint port, gint64 deadline, GError **error);

/*
 * A listening TCP socket for "ADDRESS[:PORT]" (inv_rpc_address_parse()), or -1. One for an IPv6
 * address takes no IPv4 connections. VIR_ERR_INVALID_ARG, VIR_ERR_SYSTEM_ERROR.
 */
int inv_rpc_tcp_listen(const char *text, GError **error);

/*
 * For a connected TCP socket: small messages are not held back, and the kernel looks whether the
 * other host is there: after @interval_s seconds of silence, and then @count times. It gives up one
 * that takes nothing for as long, too.
 */
void inv_rpc_tcp_prepare(int fd, guint interval_s, guint count);

/*
 * Copies between @in/@out and the UNIX socket at @socket_path until either end is over: what
 * `invar relay` does on the host that a connection over ssh leads to.
 */
gboolean inv_rpc_relay(const char *socket_path, int in, int out, GError **error);

/* Readable once this program ends (inv_rpc_connections_end()): every wait for another looks at it. */
int inv_rpc_end_fd(void);

G_END_DECLS
