/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/frame.h"

#include "util/error.h"

#include <string.h>

/* The first piece of memory of a frame: all but documents fit. */
#define FIRST_ALLOCATION 65536u

static guint32
read_word(const guint8 *bytes)
{
    guint32 word;

    memcpy(&word, bytes, sizeof(word));
    return GUINT32_FROM_BE(word);
}

static guint8 *
write_word(guint8 *bytes, guint32 value)
{
    guint32 word = GUINT32_TO_BE(value);

    memcpy(bytes, &word, sizeof(word));
    return bytes + sizeof(word);
}

void
inv_rpc_header_read(const guint8 *frame, InvRpcHeader *header)
{
    header->program = read_word(frame);
    header->version = read_word(frame + 4);
    header->procedure = read_word(frame + 8);
    header->type = read_word(frame + 12);
    header->serial = read_word(frame + 16);
    header->status = read_word(frame + 20);
}

void
inv_rpc_header_write(guint8 *bytes, const InvRpcHeader *header, gsize payload)
{
    guint8 *next = write_word(bytes, (guint32)(INV_RPC_LENGTH_SIZE + INV_RPC_HEADER_SIZE + payload));

    next = write_word(next, header->program);
    next = write_word(next, header->version);
    next = write_word(next, header->procedure);
    next = write_word(next, header->type);
    next = write_word(next, header->serial);
    write_word(next, header->status);
}

/* Memory for a message with its fixed part filled in, and where its payload goes. NULL with an error: too large. */
static guint8 *
message_start(const InvRpcHeader *header, guint32 n_fds, gsize payload, gsize *total, guint8 **rest, GError **error)
{
    gboolean with_fds = header->type == INV_RPC_CALL_WITH_FDS || header->type == INV_RPC_REPLY_WITH_FDS;
    guint8 *bytes;

    *total = INV_RPC_LENGTH_SIZE + INV_RPC_HEADER_SIZE + (with_fds ? 4 : 0) + payload;
    if (*total - INV_RPC_LENGTH_SIZE > INV_RPC_FRAME_MAX) {
        inv_error_set(error, VIR_ERR_RPC, "a message of %" G_GSIZE_FORMAT " bytes is larger than the limit of %u", *total,
                      INV_RPC_FRAME_MAX);
        return NULL;
    }
    bytes = g_malloc(*total);
    inv_rpc_header_write(bytes, header, (with_fds ? 4 : 0) + payload);
    *rest = bytes + INV_RPC_LENGTH_SIZE + INV_RPC_HEADER_SIZE;
    if (with_fds)
        *rest = write_word(*rest, n_fds);
    return bytes;
}

static gboolean
encode_into(guint8 *bytes, gsize size, xdrproc_t encode, gpointer data, GError **error)
{
    gboolean done;
    XDR xdr;

    xdrmem_create(&xdr, (char *)bytes, (u_int)size, XDR_ENCODE);
    done = encode(&xdr, data);
    xdr_destroy(&xdr);
    return done || inv_error_set(error, VIR_ERR_RPC, "Unable to encode message payload");
}

GBytes *
inv_rpc_message_new(const InvRpcHeader *header, guint32 n_fds, xdrproc_t encode, gpointer data, GError **error)
{
    gsize payload = encode ? xdr_sizeof(encode, data) : 0;
    gsize total;
    guint8 *rest = NULL;
    g_autofree guint8 *bytes = NULL;

    if (encode && !payload) {
        inv_error_set(error, VIR_ERR_RPC, "Unable to encode message payload");
        return NULL;
    }
    bytes = message_start(header, n_fds, payload, &total, &rest, error);
    if (!bytes || (encode && !encode_into(rest, payload, encode, data, error)))
        return NULL;
    return g_bytes_new_take(g_steal_pointer(&bytes), total);
}

GBytes *
inv_rpc_message_new_encoded(const InvRpcHeader *header, GBytes *payload, GError **error)
{
    gsize size, total;
    const guint8 *encoded = g_bytes_get_data(payload, &size);
    guint8 *rest = NULL;
    guint8 *bytes = message_start(header, 0, size, &total, &rest, error);

    if (!bytes)
        return NULL;
    if (size)
        memcpy(rest, encoded, size);
    return g_bytes_new_take(bytes, total);
}

GBytes *
inv_rpc_payload_encode(xdrproc_t encode, gpointer data, GError **error)
{
    gsize size = xdr_sizeof(encode, data);
    g_autofree guint8 *bytes = g_malloc(MAX(size, 1));

    if (size > INV_RPC_PAYLOAD_MAX) {
        inv_error_set(error, VIR_ERR_RPC, "a payload of %" G_GSIZE_FORMAT " bytes is larger than the limit of %u", size,
                      INV_RPC_PAYLOAD_MAX);
        return NULL;
    }
    if (!encode_into(bytes, size, encode, data, error))
        return NULL;
    return g_bytes_new_take(g_steal_pointer(&bytes), size);
}

gboolean
inv_rpc_payload_decode(const guint8 *payload, gsize length, xdrproc_t decode, gpointer data, GError **error)
{
    gboolean done;
    XDR xdr;

    /* The stream only reads: the library has no const variant. */
    xdrmem_create(&xdr, (char *)payload, (u_int)length, XDR_DECODE);
    done = decode(&xdr, data);
    xdr_destroy(&xdr);
    return done || inv_error_set(error, VIR_ERR_RPC, "Unable to decode message payload");
}

void
inv_rpc_reader_clear(InvRpcReader *reader)
{
    g_free(reader->frame);
    memset(reader, 0, sizeof(*reader));
}

guint8 *
inv_rpc_reader_space(InvRpcReader *reader, gsize *room)
{
    gsize have;

    if (!reader->length) {
        *room = INV_RPC_LENGTH_SIZE - reader->have;
        return reader->word + reader->have;
    }
    have = reader->have - INV_RPC_LENGTH_SIZE;
    if (have == reader->allocated) {
        reader->allocated = MIN(reader->length, reader->allocated ? reader->allocated * 2 : FIRST_ALLOCATION);
        reader->frame = g_realloc(reader->frame, reader->allocated);
    }
    *room = reader->allocated - have;
    return reader->frame + have;
}

gboolean
inv_rpc_reader_add(InvRpcReader *reader, gsize got, GError **error)
{
    guint32 length;

    reader->have += got;
    if (reader->length || reader->have < INV_RPC_LENGTH_SIZE)
        return TRUE;
    length = read_word(reader->word);
    if (length < INV_RPC_LENGTH_SIZE + INV_RPC_HEADER_SIZE)
        return inv_error_set(error, VIR_ERR_RPC, "a message of %u bytes is too short for its header", length);
    if (length - INV_RPC_LENGTH_SIZE > INV_RPC_FRAME_MAX)
        return inv_error_set(error, VIR_ERR_RPC, "a message of %u bytes is larger than the limit of %u", length,
                             INV_RPC_FRAME_MAX + INV_RPC_LENGTH_SIZE);
    reader->length = length - INV_RPC_LENGTH_SIZE;
    return TRUE;
}

gboolean
inv_rpc_reader_is_complete(const InvRpcReader *reader)
{
    return reader->length && reader->have == INV_RPC_LENGTH_SIZE + reader->length;
}

GBytes *
inv_rpc_reader_take(InvRpcReader *reader)
{
    GBytes *frame = g_bytes_new_take(g_steal_pointer(&reader->frame), reader->length);

    inv_rpc_reader_clear(reader);
    return frame;
}
