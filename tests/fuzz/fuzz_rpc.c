/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stream of messages as any peer may send it: framing, then the decoder of every payload, then encoded again. */
#include "rpc/frame.h"
#include "rpc/program.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const InvRpcProgram *const programs[] = { &inv_rpc_remote_program, &inv_rpc_qemu_program, &inv_rpc_invar_program };

static void
decode(const guint8 *payload, gsize length, xdrproc_t filter, gsize size)
{
    const InvRpcHeader header = { .type = INV_RPC_REPLY };
    g_autofree gpointer value = NULL;

    if (!filter)
        return;
    value = g_malloc0(size);
    if (inv_rpc_payload_decode(payload, length, filter, value, NULL)) {
        /* What was understood can be said again. */
        g_autoptr(GBytes) again = inv_rpc_message_new(&header, 0, filter, value, NULL);

        if (!again)
            abort();
    }
    xdr_free(filter, value);
}

static void
handle(GBytes *frame)
{
    gsize size;
    const guint8 *bytes = g_bytes_get_data(frame, &size);
    InvRpcHeader header;

    inv_rpc_header_read(bytes, &header);
    for (gsize i = 0; i < G_N_ELEMENTS(programs); i++) {
        const InvRpcProcedure *procedure = inv_rpc_program_find(programs[i], header.procedure);

        if (programs[i]->number != header.program || !procedure)
            continue;
        decode(bytes + INV_RPC_HEADER_SIZE, size - INV_RPC_HEADER_SIZE, procedure->args, procedure->args_size);
        decode(bytes + INV_RPC_HEADER_SIZE, size - INV_RPC_HEADER_SIZE, procedure->ret, procedure->ret_size);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    InvRpcReader reader = { 0 };

    while (size > 0) {
        gsize room;
        guint8 *space = inv_rpc_reader_space(&reader, &room);
        gsize part = MIN(room, size);

        memcpy(space, data, part);
        data += part;
        size -= part;
        if (!inv_rpc_reader_add(&reader, part, NULL))
            break;
        if (inv_rpc_reader_is_complete(&reader)) {
            g_autoptr(GBytes) frame = inv_rpc_reader_take(&reader);

            handle(frame);
        }
    }
    inv_rpc_reader_clear(&reader);
    return 0;
}
