/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "rpc/remote_protocol.h"

#include <glib.h>
#include <libvirt/libvirt.h>

G_BEGIN_DECLS

/*
 * libvirt's typed parameters: a list of names, each with a value and its type. What a peer sends is
 * checked against a table of what is known before anything is read of it.
 */

/* The most that one call of a migration or of a job's statistics carries. */
#define INV_TYPED_PARAMS_MAX 64u

/* What a call takes. */
typedef struct {
    const char *name;              /* NULL ends a table */
    virTypedParameterType type;
    gboolean repeated;             /* may stand there more than once */
} InvTypedParamSpec;

/*
 * FALSE for more than INV_TYPED_PARAMS_MAX of them (VIR_ERR_INVALID_ARG), for a name that is not in
 * @known (VIR_ERR_ARGUMENT_UNSUPPORTED), a wrong type or a duplicate (VIR_ERR_INVALID_ARG): the
 * error names it.
 */
gboolean inv_typed_params_validate(const remote_typed_param *params, guint n, const InvTypedParamSpec *known, GError **error);

/*
 * The value of @name: *@out is left alone when it is not there. FALSE and VIR_ERR_INVALID_ARG when
 * it has another type. A string is borrowed from @params.
 */
gboolean inv_typed_params_get_string(const remote_typed_param *params, guint n, const char *name, const char **out,
                                     GError **error);
gboolean inv_typed_params_get_int(const remote_typed_param *params, guint n, const char *name, gint *out, GError **error);
gboolean inv_typed_params_get_uint(const remote_typed_param *params, guint n, const char *name, guint *out, GError **error);
gboolean inv_typed_params_get_llong(const remote_typed_param *params, guint n, const char *name, gint64 *out, GError **error);
gboolean inv_typed_params_get_ullong(const remote_typed_param *params, guint n, const char *name, guint64 *out, GError **error);
gboolean inv_typed_params_get_boolean(const remote_typed_param *params, guint n, const char *name, gboolean *out,
                                      GError **error);
gboolean inv_typed_params_get_double(const remote_typed_param *params, guint n, const char *name, double *out, GError **error);
/* All strings of a name that may be repeated, in their order, ended by NULL; *@out is NULL when there is none. Free with g_strfreev(). */
gboolean inv_typed_params_get_strings(const remote_typed_param *params, guint n, const char *name, GStrv *out, GError **error);

/* NULL when it is not there; whatever its type. Borrowed. */
const remote_typed_param *inv_typed_params_find(const remote_typed_param *params, guint n, const char *name);

/* A list to fill: a GArray of remote_typed_param that owns what is in it. */
typedef GArray InvTypedParams;
InvTypedParams *inv_typed_params_new(void);
void inv_typed_params_free(InvTypedParams *list);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvTypedParams, inv_typed_params_free)

/* Copies of name and text. A string that is NULL adds nothing. */
void inv_typed_params_add_int(InvTypedParams *list, const char *name, gint value);
void inv_typed_params_add_uint(InvTypedParams *list, const char *name, guint value);
void inv_typed_params_add_llong(InvTypedParams *list, const char *name, gint64 value);
void inv_typed_params_add_ullong(InvTypedParams *list, const char *name, guint64 value);
void inv_typed_params_add_double(InvTypedParams *list, const char *name, double value);
void inv_typed_params_add_boolean(InvTypedParams *list, const char *name, gboolean value);
void inv_typed_params_add_string(InvTypedParams *list, const char *name, const char *value);
/* In the place of what @name had before, if it was there. */
void inv_typed_params_set_string(InvTypedParams *list, const char *name, const char *value);
/* A copy of one of another list. */
void inv_typed_params_add_copy(InvTypedParams *list, const remote_typed_param *param);

/* Moves what is in the list into a message of the wire, which frees it; the list is empty then. */
void inv_typed_params_steal(InvTypedParams *list, remote_typed_param **values, u_int *count);

/* "name: value" in the words of virsh's event job-completed: numbers in decimal, yes or no, text. Owned by the caller. */
char *inv_typed_param_format(const remote_typed_param *param);

G_END_DECLS
