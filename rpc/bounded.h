/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <rpc/rpc.h>

/*
 * The XDR library's filters for what has a length, for a peer that is not trusted. The library
 * takes memory for the length that a message claims, up to the limit of the .x file; these first
 * look whether the message can hold that much, so that a message of n bytes never costs more than
 * a small multiple of n. A string with a NUL inside, which C would cut short, is refused.
 *
 * Only for streams of xdrmem_create(). Encoding and freeing are the library's.
 */
bool_t inv_xdr_array(XDR *xdrs, char **items, u_int *count, u_int limit, u_int size, xdrproc_t filter);
bool_t inv_xdr_bytes(XDR *xdrs, char **bytes, u_int *count, u_int limit);
bool_t inv_xdr_string(XDR *xdrs, char **string, u_int limit);
