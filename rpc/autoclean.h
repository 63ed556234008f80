/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <rpc/rpc.h>

/*
 * INV_RPC_AUTOCLEAN(type) makes `g_auto(type) name = { 0 };` free what rpcgen's struct @type holds
 * at the end of its scope. The variable must start as zeros.
 */
#define INV_RPC_AUTOCLEAN(type) \
    static inline void type##_autoclean(type *value) \
    { \
        xdr_free((xdrproc_t)xdr_##type, (char *)value); \
    } \
    G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(type, type##_autoclean)
