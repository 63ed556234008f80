/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <rpc/rpc.h>

G_BEGIN_DECLS

/* One procedure of a program: generated from the .x file, for both ends. */
typedef struct {
    guint32 number;
    const char *name;      /* "DOMAIN_CREATE" */
    xdrproc_t args;        /* NULL: no arguments */
    gsize args_size;
    xdrproc_t ret;         /* the result or, for an event, its message; NULL: none */
    gsize ret_size;
} InvRpcProcedure;

/* @procedures is sorted by number, without gaps being required. */
typedef struct {
    guint32 number;
    guint32 version;
    const char *name; /* "remote" */
    const InvRpcProcedure *procedures;
    guint n_procedures;
} InvRpcProgram;

extern const InvRpcProgram inv_rpc_remote_program; /* libvirt's, 0x20008086 */
extern const InvRpcProgram inv_rpc_qemu_program;   /* libvirt's, 0x20008087 */
extern const InvRpcProgram inv_rpc_invar_program;  /* Invar's own, rpc/invar_protocol.x */

/* NULL when the program has no such procedure. */
const InvRpcProcedure *inv_rpc_program_find(const InvRpcProgram *program, guint32 number);

G_END_DECLS
