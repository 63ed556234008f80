/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/typed_params.h"

#include "util/error.h"

#include <string.h>

static const char *
type_name(int type)
{
    static const char *const names[] = { "unknown", "int", "uint", "llong", "ullong", "double", "boolean", "string" };

    /* The decoder lets no other through, but a caller's struct may hold anything. */
    return type > 0 && (gsize)type < G_N_ELEMENTS(names) ? names[type] : names[0];
}

static gboolean
check_type(const remote_typed_param *param, virTypedParameterType type, GError **error)
{
    if (param->value.type == (int)type)
        return TRUE;
    return inv_error_set(error, VIR_ERR_INVALID_ARG, "invalid type '%s' for parameter '%s', expected '%s'",
                         type_name(param->value.type), param->field, type_name((int)type));
}

static const InvTypedParamSpec *
find_spec(const InvTypedParamSpec *known, const char *name)
{
    for (; known->name; known++) {
        if (strcmp(known->name, name) == 0)
            return known;
    }
    return NULL;
}

const remote_typed_param *
inv_typed_params_find(const remote_typed_param *params, guint n, const char *name)
{
    for (guint i = 0; i < n; i++) {
        if (strcmp(params[i].field, name) == 0)
            return &params[i];
    }
    return NULL;
}

gboolean
inv_typed_params_validate(const remote_typed_param *params, guint n, const InvTypedParamSpec *known, GError **error)
{
    if (n > INV_TYPED_PARAMS_MAX)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "%u parameters are more than the %u that a call may have", n,
                             INV_TYPED_PARAMS_MAX);
    for (guint i = 0; i < n; i++) {
        const InvTypedParamSpec *spec = find_spec(known, params[i].field);

        if (!spec)
            return inv_error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED, "parameter '%s' is not supported by Invar in this call",
                                 params[i].field);
        if (!check_type(&params[i], spec->type, error))
            return FALSE;
        if (!spec->repeated && inv_typed_params_find(params, i, params[i].field))
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "parameter '%s' occurs multiple times", params[i].field);
    }
    return TRUE;
}

#define GETTER(name, ctype, wire_type, field_)                                                                             \
    gboolean inv_typed_params_get_##name(const remote_typed_param *params, guint n, const char *wanted, ctype *out,        \
                                         GError **error)                                                                   \
    {                                                                                                                      \
        const remote_typed_param *param = inv_typed_params_find(params, n, wanted);                                        \
                                                                                                                           \
        if (!param)                                                                                                        \
            return TRUE;                                                                                                   \
        if (!check_type(param, wire_type, error))                                                                          \
            return FALSE;                                                                                                  \
        *out = (ctype)param->value.remote_typed_param_value_u.field_;                                                      \
        return TRUE;                                                                                                       \
    }

GETTER(string, const char *, VIR_TYPED_PARAM_STRING, s)
GETTER(int, gint, VIR_TYPED_PARAM_INT, i)
GETTER(uint, guint, VIR_TYPED_PARAM_UINT, ui)
GETTER(llong, gint64, VIR_TYPED_PARAM_LLONG, l)
GETTER(ullong, guint64, VIR_TYPED_PARAM_ULLONG, ul)
GETTER(boolean, gboolean, VIR_TYPED_PARAM_BOOLEAN, b)
GETTER(double, double, VIR_TYPED_PARAM_DOUBLE, d)

gboolean
inv_typed_params_get_strings(const remote_typed_param *params, guint n, const char *name, GStrv *out, GError **error)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    guint found = 0;

    *out = NULL;
    for (guint i = 0; i < n; i++) {
        if (strcmp(params[i].field, name) != 0)
            continue;
        if (!check_type(&params[i], VIR_TYPED_PARAM_STRING, error))
            return FALSE;
        g_strv_builder_add(builder, params[i].value.remote_typed_param_value_u.s);
        found++;
    }
    if (found)
        *out = g_strv_builder_end(builder);
    return TRUE;
}

static void
clear_param(gpointer data)
{
    remote_typed_param *param = data;

    g_free(param->field);
    if (param->value.type == VIR_TYPED_PARAM_STRING)
        g_free(param->value.remote_typed_param_value_u.s);
}

InvTypedParams *
inv_typed_params_new(void)
{
    GArray *list = g_array_new(FALSE, TRUE, sizeof(remote_typed_param));

    g_array_set_clear_func(list, clear_param);
    return list;
}

void
inv_typed_params_free(InvTypedParams *list)
{
    if (list)
        g_array_unref(list);
}

static remote_typed_param *
add(InvTypedParams *list, const char *name, virTypedParameterType type)
{
    remote_typed_param *param;

    g_array_set_size(list, list->len + 1);
    param = &g_array_index(list, remote_typed_param, list->len - 1);
    param->field = g_strdup(name);
    param->value.type = (int)type;
    return param;
}

void
inv_typed_params_add_int(InvTypedParams *list, const char *name, gint value)
{
    add(list, name, VIR_TYPED_PARAM_INT)->value.remote_typed_param_value_u.i = value;
}

void
inv_typed_params_add_uint(InvTypedParams *list, const char *name, guint value)
{
    add(list, name, VIR_TYPED_PARAM_UINT)->value.remote_typed_param_value_u.ui = value;
}

void
inv_typed_params_add_llong(InvTypedParams *list, const char *name, gint64 value)
{
    add(list, name, VIR_TYPED_PARAM_LLONG)->value.remote_typed_param_value_u.l = value;
}

void
inv_typed_params_add_ullong(InvTypedParams *list, const char *name, guint64 value)
{
    add(list, name, VIR_TYPED_PARAM_ULLONG)->value.remote_typed_param_value_u.ul = value;
}

void
inv_typed_params_add_double(InvTypedParams *list, const char *name, double value)
{
    add(list, name, VIR_TYPED_PARAM_DOUBLE)->value.remote_typed_param_value_u.d = value;
}

void
inv_typed_params_add_boolean(InvTypedParams *list, const char *name, gboolean value)
{
    add(list, name, VIR_TYPED_PARAM_BOOLEAN)->value.remote_typed_param_value_u.b = value ? 1 : 0;
}

void
inv_typed_params_add_string(InvTypedParams *list, const char *name, const char *value)
{
    if (value)
        add(list, name, VIR_TYPED_PARAM_STRING)->value.remote_typed_param_value_u.s = g_strdup(value);
}

void
inv_typed_params_set_string(InvTypedParams *list, const char *name, const char *value)
{
    for (guint i = 0; i < list->len; i++) {
        if (strcmp(g_array_index(list, remote_typed_param, i).field, name) == 0) {
            g_array_remove_index(list, i);
            break;
        }
    }
    inv_typed_params_add_string(list, name, value);
}

void
inv_typed_params_add_copy(InvTypedParams *list, const remote_typed_param *param)
{
    remote_typed_param copy = *param;

    copy.field = g_strdup(param->field);
    if (copy.value.type == VIR_TYPED_PARAM_STRING)
        copy.value.remote_typed_param_value_u.s = g_strdup(param->value.remote_typed_param_value_u.s);
    g_array_append_val(list, copy);
}

void
inv_typed_params_steal(InvTypedParams *list, remote_typed_param **values, u_int *count)
{
    *count = list->len;
    *values = list->len ? g_memdup2(list->data, list->len * sizeof(remote_typed_param)) : NULL;
    /* What the names and texts belong to is the copy now. */
    g_array_set_clear_func(list, NULL);
    g_array_set_size(list, 0);
    g_array_set_clear_func(list, clear_param);
}

char *
inv_typed_param_format(const remote_typed_param *param)
{
    char number[G_ASCII_DTOSTR_BUF_SIZE];

    switch ((virTypedParameterType)param->value.type) {
    case VIR_TYPED_PARAM_INT:
        return g_strdup_printf("%s: %d", param->field, param->value.remote_typed_param_value_u.i);
    case VIR_TYPED_PARAM_UINT:
        return g_strdup_printf("%s: %u", param->field, param->value.remote_typed_param_value_u.ui);
    case VIR_TYPED_PARAM_LLONG:
        return g_strdup_printf("%s: %" G_GINT64_FORMAT, param->field, (gint64)param->value.remote_typed_param_value_u.l);
    case VIR_TYPED_PARAM_ULLONG:
        return g_strdup_printf("%s: %" G_GUINT64_FORMAT, param->field, (guint64)param->value.remote_typed_param_value_u.ul);
    case VIR_TYPED_PARAM_DOUBLE:
        return g_strdup_printf("%s: %s", param->field,
                               g_ascii_formatd(number, sizeof(number), "%f", param->value.remote_typed_param_value_u.d));
    case VIR_TYPED_PARAM_BOOLEAN:
        return g_strdup_printf("%s: %s", param->field, param->value.remote_typed_param_value_u.b ? "yes" : "no");
    case VIR_TYPED_PARAM_STRING:
        return g_strdup_printf("%s: %s", param->field, param->value.remote_typed_param_value_u.s);
    }
    return g_strdup(param->field);
}
