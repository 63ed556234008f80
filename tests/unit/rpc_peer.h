/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "rpc/frame.h"
#include "rpc/remote_protocol.h"

#include <glib.h>

/* The other end of a server's socket, as raw as a test wants it. What goes wrong fails the test. */

/* Nothing takes longer, even under a sanitizer on a busy machine. */
#define PEER_PATIENCE_MS 20000

typedef struct {
    int fd; /* -1: not connected */
    /* The frame that was received last: peer_receive(). */
    GBytes *frame;
    InvRpcHeader reply;
    const guint8 *payload;
    gsize payload_length;
} Peer;

extern Peer peer;

int peer_dial(const char *path);
void peer_write(const void *bytes, gsize length);
/* A call of libvirt's program; owned by the caller. */
GBytes *peer_message(guint32 procedure, guint32 serial, xdrproc_t encode, gpointer args);
/* Takes the message over. */
void peer_send(GBytes *message);
/* A call without arguments, or with the domain "guest". */
void peer_call(guint32 procedure, guint32 serial);
void peer_call_open(guint32 flags);
gboolean peer_readable(int ms);
/* The next frame into `peer`; FALSE at the end of the connection. */
gboolean peer_receive(void);
void peer_expect_ok(guint32 serial);
void peer_expect_error(guint32 serial, int code, int domain, const char *message);
