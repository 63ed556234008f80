/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <rpc/rpc.h>

G_BEGIN_DECLS

/*
 * The framing of libvirt's RPC: a length word (which counts itself), a header of six words, a
 * payload in XDR. All words are big-endian. Here a "frame" is header and payload, without the
 * length word. Nothing here does I/O.
 */
#define INV_RPC_LENGTH_SIZE 4u
#define INV_RPC_HEADER_SIZE 24u
/* libvirt's own limit, which its clients keep: a frame of 32 MiB. */
#define INV_RPC_FRAME_MAX 33554432u
#define INV_RPC_PAYLOAD_MAX (INV_RPC_FRAME_MAX - INV_RPC_HEADER_SIZE)
/* libvirt's limit on the file descriptors of one message. */
#define INV_RPC_FDS_MAX 32u

#define INV_RPC_KEEPALIVE_PROGRAM 0x6b656570u
#define INV_RPC_KEEPALIVE_VERSION 1u
#define INV_RPC_KEEPALIVE_PING 1u
#define INV_RPC_KEEPALIVE_PONG 2u

/* Header words of a peer are any number: compare, do not cast to an enum. */
enum {
    INV_RPC_CALL = 0,
    INV_RPC_REPLY = 1,
    INV_RPC_MESSAGE = 2,
    INV_RPC_STREAM = 3,
    INV_RPC_CALL_WITH_FDS = 4,
    INV_RPC_REPLY_WITH_FDS = 5,
    INV_RPC_STREAM_HOLE = 6,
};

enum {
    INV_RPC_OK = 0,
    INV_RPC_ERROR = 1,
    INV_RPC_CONTINUE = 2,
};

typedef struct {
    guint32 program;
    guint32 version;
    guint32 procedure;
    guint32 type;
    guint32 serial;
    guint32 status;
} InvRpcHeader;

/* @frame has at least INV_RPC_HEADER_SIZE bytes. */
void inv_rpc_header_read(const guint8 *frame, InvRpcHeader *header);

/*
 * A whole message with its length word. @encode(@data) is its payload; NULL: none. @n_fds goes in
 * front of the payload when the type is one with file descriptors. NULL when the payload cannot be
 * encoded (a required string is missing, a list is beyond its limit) or is too large (VIR_ERR_RPC).
 */
GBytes *inv_rpc_message_new(const InvRpcHeader *header, guint32 n_fds, xdrproc_t encode, gpointer data, GError **error);

/* The length word and header of a message with @payload bytes behind it: INV_RPC_LENGTH_SIZE + INV_RPC_HEADER_SIZE bytes. No file descriptors. */
void inv_rpc_header_write(guint8 *bytes, const InvRpcHeader *header, gsize payload);

/* A message whose payload is encoded already. The same errors. */
GBytes *inv_rpc_message_new_encoded(const InvRpcHeader *header, GBytes *payload, GError **error);

/* A payload by itself, without header; owned by the caller. VIR_ERR_RPC when it cannot be encoded. */
GBytes *inv_rpc_payload_encode(xdrproc_t encode, gpointer data, GError **error);

/* Decodes @length bytes into the zeroed @data, which is to be xdr_free()d even after a failure. Bytes left over are ignored. */
gboolean inv_rpc_payload_decode(const guint8 *payload, gsize length, xdrproc_t decode, gpointer data, GError **error);

/*
 * Takes a message's bytes as they come. It never asks for bytes beyond the message: file
 * descriptors may follow. Memory grows with what really arrived, not with what the length claims.
 * All zeros is an empty reader.
 */
typedef struct {
    guint8 word[INV_RPC_LENGTH_SIZE];
    gsize have; /* of the length word and then of the frame, counted together */
    gsize length; /* of the frame; 0: not known yet */
    guint8 *frame;
    gsize allocated;
} InvRpcReader;

void inv_rpc_reader_clear(InvRpcReader *reader);
/* Where to put the next bytes, and in *@room how many at most. Not while a frame is complete. */
guint8 *inv_rpc_reader_space(InvRpcReader *reader, gsize *room);
/* @got bytes were put there. FALSE: the length is impossible, the stream is lost (VIR_ERR_RPC). */
gboolean inv_rpc_reader_add(InvRpcReader *reader, gsize got, GError **error);
gboolean inv_rpc_reader_is_complete(const InvRpcReader *reader);
/* The complete frame; the reader is empty again. */
GBytes *inv_rpc_reader_take(InvRpcReader *reader);

G_END_DECLS
