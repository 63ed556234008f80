/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/bounded.h"

#include <string.h>

/* The least that an element takes on the wire: no type of ours is empty. */
#define LEAST_ELEMENT 4u

/* Whether the length word that comes next, in elements of @least bytes, fits into what follows it. */
static bool_t
length_is_possible(XDR *xdrs, u_int least, u_int *length)
{
    u_int start = xdr_getpos(xdrs);

    if (!xdr_u_int(xdrs, length))
        return FALSE;
    /* x_handy of a memory stream: the bytes that are left. */
    return *length <= xdrs->x_handy / least && xdr_setpos(xdrs, start);
}

bool_t
inv_xdr_array(XDR *xdrs, char **items, u_int *count, u_int limit, u_int size, xdrproc_t filter)
{
    u_int length = 0;

    if (xdrs->x_op == XDR_DECODE && !length_is_possible(xdrs, LEAST_ELEMENT, &length))
        return FALSE;
    return xdr_array(xdrs, items, count, limit, size, filter);
}

bool_t
inv_xdr_bytes(XDR *xdrs, char **bytes, u_int *count, u_int limit)
{
    u_int length = 0;

    if (xdrs->x_op == XDR_DECODE && !length_is_possible(xdrs, 1, &length))
        return FALSE;
    return xdr_bytes(xdrs, bytes, count, limit);
}

bool_t
inv_xdr_string(XDR *xdrs, char **string, u_int limit)
{
    u_int length = 0;

    /* The library would measure a string that was left away. */
    if (xdrs->x_op == XDR_ENCODE && !*string)
        return FALSE;
    if (xdrs->x_op != XDR_DECODE)
        return xdr_string(xdrs, string, limit);
    return length_is_possible(xdrs, 1, &length) && xdr_string(xdrs, string, limit) && strlen(*string) == length;
}
