/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "rpc/program.h"
#include "rpc/uri.h"

#include <glib.h>

G_BEGIN_DECLS

/* A blocking client of the wire: one call at a time, for the command line and for a daemon that calls another. Not thread-safe. */
typedef struct InvRpcConnection InvRpcConnection;

/* An event that came while a call waited, or in inv_rpc_connection_wait(). @payload: its bytes, borrowed. */
typedef void (*InvRpcEvent)(guint32 program, guint32 procedure, const guint8 *payload, gsize length, gpointer user_data);

/*
 * Connects, does AUTH_LIST and CONNECT_OPEN, each within @deadline_ms (0: 10 s for the connection, the
 * others for as long as the daemon gives signs of life). Errors name the target.
 */
InvRpcConnection *inv_rpc_connection_open_target(const InvRpcTarget *target, gboolean read_only, guint deadline_ms, GError **error);

/* The same with a UNIX socket; @uri is what CONNECT_OPEN names ("qemu:///session"). */
InvRpcConnection *inv_rpc_connection_open(const char *socket_path, const char *uri, gboolean read_only, guint deadline_ms,
                                          GError **error);
void inv_rpc_connection_close(InvRpcConnection *connection);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvRpcConnection, inv_rpc_connection_close)

/*
 * While somebody waits (inv_rpc_connection_wait() again and again with a short time is as good as one long
 * call) the daemon is sent a ping after each @interval_s seconds of silence (at least 1); the connection is
 * lost when @count pings, and one interval more, bring no sign of life, or when the daemon takes nothing
 * for as long. 5 and 5 unless this is called.
 */
void inv_rpc_connection_set_keepalive(InvRpcConnection *connection, guint interval_s, guint count);

/*
 * Asks the daemon for pings of its own (feature 10), so that it closes the connection when this end is gone
 * without a word: over ssh nobody else would tell it. From then on the owner is to call or to wait (0 ms are
 * enough) more often than every 5 seconds, or is taken for gone. VIR_ERR_NO_SUPPORT: the daemon has none.
 */
gboolean inv_rpc_connection_request_pings(InvRpcConnection *connection, guint deadline_ms, GError **error);

/*
 * This program ends: whoever waits for a daemon, or will, on any thread, gets an error at once
 * (VIR_ERR_SYSTEM_ERROR, the connection is lost). From any thread.
 */
void inv_rpc_connections_end(void);

void inv_rpc_connection_set_event_handler(InvRpcConnection *connection, InvRpcEvent handler, gpointer user_data);

/*
 * Calls @procedure of @program and waits until the deadline (0: for as long as the daemon gives signs of life). @args and
 * @ret are the procedure's structs or NULL; *@ret must be zeroed and is filled: free it with
 * inv_rpc_free(). An error reply becomes a GError with the server's code and message.
 */
gboolean inv_rpc_connection_call(InvRpcConnection *connection, const InvRpcProgram *program, guint32 procedure, gpointer args,
                                 gpointer ret, guint deadline_ms, GError **error);

/*
 * The same, for a procedure that opens a stream, whose *@serial is the call's. The stream is to be ended
 * by inv_rpc_connection_send_fd(); calls may come between. A connection has one at a time.
 */
gboolean inv_rpc_connection_open_stream(InvRpcConnection *connection, const InvRpcProgram *program, guint32 procedure, gpointer args,
                                        gpointer ret, guint deadline_ms, guint32 *serial, GError **error);

/*
 * Sends what @fd (borrowed; blocking or not) gives until its end, finishes the stream and waits until
 * the daemon has written all of it. No deadline: it lasts as long as the daemon takes data and gives
 * signs of life. When @cancel_fd (-1: none) becomes readable, or @fd cannot be read, the stream is
 * aborted: VIR_ERR_OPERATION_ABORTED or VIR_ERR_SYSTEM_ERROR. The daemon's own reason for ending it is
 * given as it is. The connection can be used afterwards, unless it is lost.
 */
gboolean inv_rpc_connection_send_fd(InvRpcConnection *connection, const InvRpcProgram *program, guint32 procedure, guint32 serial,
                                    int fd, int cancel_fd, GError **error);

/* Handles events and keepalive for at most @timeout_ms. FALSE: the connection is gone. */
gboolean inv_rpc_connection_wait(InvRpcConnection *connection, guint timeout_ms, GError **error);

/* xdr_free() for a result or argument struct. */
void inv_rpc_free(xdrproc_t proc, gpointer data);

G_END_DECLS
