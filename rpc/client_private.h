/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "rpc/client.h"
#include "rpc/frame.h"
#include "rpc/transport.h"

G_BEGIN_DECLS

#define INV_RPC_FOREVER (-1)

struct InvRpcConnection {
    char *name; /* of the other end, for messages */
    InvRpcTransportHandle way;
    gboolean broken; /* the stream of messages is lost: nothing can be called any more */
    gboolean open;
    guint32 serial;
    int ping_ms;
    guint pings_max;
    /* Monotonic times. */
    gint64 heard;  /* when the daemon last sent something, or somebody began to wait for an answer */
    gint64 pinged; /* when it was last asked for a sign of life */
    gint64 asked;  /* the first of the pings that it has not answered; 0: none */
    InvRpcReader reader;
    InvRpcEvent event;
    gpointer event_data;
    gboolean has_stream;    /* a stream is open, at this end at least */
    InvRpcHeader stream;    /* its call's */
    gboolean stream_over;   /* the daemon says so: it has all of it, or stream_failure */
    GError *stream_failure;
    gboolean in_packet;     /* half of one is out: a PONG has to wait */
    gboolean pong_due;
};

/* Monotonic time; 0 ms: INV_RPC_FOREVER. */
gint64 inv_rpc_deadline_after(guint ms);
/* Milliseconds until @deadline for poll(), rounded up; at most @most. */
int inv_rpc_remaining_ms(gint64 deadline, int most);
/* When a daemon that takes nothing from now on is given up. */
gint64 inv_rpc_connection_patience(const InvRpcConnection *connection);

/* Nothing can be called any more. Always FALSE. */
gboolean inv_rpc_connection_lost(InvRpcConnection *connection, GError **error, const char *why);
/* Sends a whole message. */
gboolean inv_rpc_connection_send(InvRpcConnection *connection, GBytes *message, gint64 deadline, GError **error);
/* Takes some bytes if there are any. FALSE: the connection is lost. */
gboolean inv_rpc_connection_receive_some(InvRpcConnection *connection, GError **error);
/* Nothing has come. Asks the daemon for a sign of life when it is time. FALSE: it has given none for too long. */
gboolean inv_rpc_connection_look(InvRpcConnection *connection, GError **error);
/* Handles the frame that is complete, which may be none that anybody waits for. FALSE: the connection is lost. */
gboolean inv_rpc_connection_handle_frame(InvRpcConnection *connection, GError **error);
/* Sends a keepalive message. */
gboolean inv_rpc_connection_send_keepalive(InvRpcConnection *connection, guint32 procedure, GError **error);
/* The next frame, or NULL: without @error when the time is over. Meanwhile the daemon is asked for signs of life. */
GBytes *inv_rpc_connection_receive(InvRpcConnection *connection, gint64 deadline, GError **error);
/* A frame that is no reply: keepalive's, an event, or of a stream. FALSE: the connection is lost. */
gboolean inv_rpc_connection_handle(InvRpcConnection *connection, const InvRpcHeader *header, const guint8 *payload, gsize length,
                                   GError **error);
/* The error that @payload is. Always FALSE. */
gboolean inv_rpc_connection_error(const guint8 *payload, gsize length, GError **error);

G_END_DECLS
