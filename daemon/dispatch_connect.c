/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening, closing and asking about a connection. */
#include "daemon/dispatch.h"
#include "util/error.h"

#include <string.h>

/*
 * libvirt's driver features (VIR_DRV_FEATURE_*), which no public header numbers: a client asks for
 * them before it chooses between an old and a new form of a call.
 */
enum {
    FEATURE_MIGRATION_P2P = 4,
    FEATURE_MIGRATION_V3 = 6,
    FEATURE_CHANGE_PROTECTION = 7,
    FEATURE_PROGRAM_KEEPALIVE = 10,
    FEATURE_MIGRATION_OFFLINE = 12,
    FEATURE_MIGRATION_PARAMS = 13,
    FEATURE_TYPED_PARAM_STRING = 9,
    FEATURE_XML_MIGRATABLE = 11,
    FEATURE_REMOTE_EVENT_CALLBACK = 14,
    FEATURE_REMOTE_CLOSE_CALLBACK = 15,
};

static gboolean
auth_list(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    remote_auth_list_ret *reply = ret;

    /* The socket's permissions are the authentication. */
    reply->types.types_len = 1;
    reply->types.types_val = g_new0(remote_auth_type, 1);
    reply->types.types_val[0] = REMOTE_AUTH_NONE;
    return TRUE;
}

/* What a URI names: "qemu:///system" and its like, or nothing ("whatever you are"). */
static gboolean
check_uri(const InvDaemon *daemon, const char *uri, GError **error)
{
    g_autoptr(GUri) parsed = NULL;
    const char *path = NULL;

    if (!uri || !*uri)
        return TRUE;
    parsed = g_uri_parse(uri, G_URI_FLAGS_NONE, NULL);
    if (!parsed || (strcmp(g_uri_get_scheme(parsed), "qemu") != 0 && strcmp(g_uri_get_scheme(parsed), "invar") != 0))
        return inv_error_set(error, VIR_ERR_NO_CONNECT, "no connection driver available for '%s': this is %s", uri,
                             daemon->paths->uri);
    path = g_uri_get_path(parsed);
    if (strcmp(path, "/system") != 0 && strcmp(path, "/session") != 0)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "unexpected path '%s' in '%s': try %s", path, uri,
                             daemon->paths->uri);
    if (strcmp(path, daemon->paths->session ? "/session" : "/system") != 0)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "'%s' was asked of a daemon that serves %s", uri, daemon->paths->uri);
    return TRUE;
}

static gboolean
connect_open(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_open_args *wanted = args;
    InvDaemon *daemon = user_data;

    if (inv_rpc_client_is_open(client))
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "this connection is open already");
    if (!check_uri(daemon, wanted->name ? *wanted->name : NULL, error))
        return FALSE;
    if (wanted->flags & VIR_CONNECT_RO)
        inv_rpc_client_set_read_only(client);
    inv_rpc_client_set_open(client, TRUE);
    return TRUE;
}

static gboolean
connect_close(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    InvDaemon *daemon = user_data;

    inv_events_forget_client(daemon->events, client);
    inv_rpc_client_set_open(client, FALSE);
    inv_rpc_client_close_after_replies(client);
    return TRUE;
}

static gboolean
supports_feature(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_supports_feature_args *asked = args;
    remote_connect_supports_feature_ret *reply = ret;

    /* Asked before the connection is open: it is about the wire, not the driver. */
    if (asked->feature == FEATURE_PROGRAM_KEEPALIVE) {
        inv_rpc_client_start_keepalive(client);
        reply->supported = 1;
        return TRUE;
    }
    if (!inv_rpc_client_is_open(client))
        return inv_error_set(error, VIR_ERR_INTERNAL_ERROR, "hypervisor connection not open");
    switch (asked->feature) {
    case FEATURE_MIGRATION_V3:
    case FEATURE_MIGRATION_P2P:
    case FEATURE_CHANGE_PROTECTION:
    case FEATURE_MIGRATION_OFFLINE:
    case FEATURE_MIGRATION_PARAMS:
    case FEATURE_TYPED_PARAM_STRING:
    case FEATURE_XML_MIGRATABLE:
    case FEATURE_REMOTE_EVENT_CALLBACK:
    case FEATURE_REMOTE_CLOSE_CALLBACK:
        reply->supported = 1;
        break;
    default:
        reply->supported = 0;
        break;
    }
    return TRUE;
}

static gboolean
get_uri(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const InvDaemon *daemon = user_data;
    remote_connect_get_uri_ret *reply = ret;

    reply->uri = g_strdup(daemon->paths->uri);
    return TRUE;
}

static gboolean
get_type(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    remote_connect_get_type_ret *reply = ret;

    /* The name that clients of libvirt's QEMU driver compare with. */
    reply->type = g_strdup("QEMU");
    return TRUE;
}

static gboolean
get_lib_version(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    remote_connect_get_lib_version_ret *reply = ret;

    /* The API that we follow is that of the headers we were built with. */
    reply->lib_ver = LIBVIR_VERSION_NUMBER;
    return TRUE;
}

static gboolean
is_secure(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    remote_connect_is_secure_ret *reply = ret;

    /* A UNIX socket does not leave the host; TCP is read by whoever is on the way. */
    reply->secure = inv_rpc_client_is_local(client);
    return TRUE;
}

/* The close callback is a message of ours when the daemon ends; registering it costs nothing. */
static gboolean
register_close(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    return TRUE;
}

#define ALWAYS (INV_RPC_INLINE | INV_RPC_READ)

static const InvRpcMethod methods[] = {
    { REMOTE_PROC_AUTH_LIST, auth_list, ALWAYS | INV_RPC_BEFORE_OPEN | INV_RPC_BEFORE_AUTH },
    { REMOTE_PROC_CONNECT_OPEN, connect_open, ALWAYS | INV_RPC_BEFORE_OPEN },
    { REMOTE_PROC_CONNECT_CLOSE, connect_close, ALWAYS | INV_RPC_BEFORE_OPEN },
    { REMOTE_PROC_CONNECT_SUPPORTS_FEATURE, supports_feature, ALWAYS | INV_RPC_BEFORE_OPEN },
    { REMOTE_PROC_CONNECT_GET_URI, get_uri, ALWAYS },
    { REMOTE_PROC_CONNECT_GET_TYPE, get_type, ALWAYS },
    { REMOTE_PROC_CONNECT_GET_LIB_VERSION, get_lib_version, ALWAYS },
    { REMOTE_PROC_CONNECT_IS_SECURE, is_secure, ALWAYS },
    { REMOTE_PROC_CONNECT_REGISTER_CLOSE_CALLBACK, register_close, ALWAYS },
    { REMOTE_PROC_CONNECT_UNREGISTER_CLOSE_CALLBACK, register_close, ALWAYS },
};

const InvDispatchFamily inv_dispatch_connect = { methods, G_N_ELEMENTS(methods) };
