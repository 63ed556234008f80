/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/migration_peer.h"

#include "daemon/migration_end.h"
#include "daemon/migration_figures.h"
#include "daemon/migration_tunnel.h"
#include "daemon/migrations.h"
#include "rpc/invar_protocol.h"
#include "rpc/remote_protocol.h"
#include "rpc/typed_params.h"
#include "util/error.h"
#include "util/fault.h"

#include <string.h>

#define CONNECT_DEADLINE_MS 15000u
/* A guest stands still meanwhile, and is asked for again. */
#define ASK_DEADLINE_MS 5000u
/* Prepare starts a QEMU and may probe one, Finish waits for the state: each within what the other side allows itself. */
#define STEP_DEADLINE_MS 120000u
/* A side that is gone shall be noticed while the guest runs, not when it stands still. */
#define KEEPALIVE_SECONDS 2u
#define KEEPALIVE_COUNT 3u

/* libvirt's driver features, which no public header numbers. */
enum {
    FEATURE_MIGRATION_V3 = 6,
    FEATURE_MIGRATION_OFFLINE = 12,
    FEATURE_MIGRATION_PARAMS = 13,
};

typedef struct {
    InvDaemon *daemon;
    InvVm *vm;
    const InvMigrationOptions *options;
    const remote_typed_param *params;
    guint n_params;
    InvRpcConnection *connection;
    char *uri;            /* of the other daemon */
    char *xml;
    GBytes *begun;        /* the cookie of each step */
    GBytes *prepared;
    GBytes *performed;
    guint32 stream;       /* of a tunnel: the serial of its call */
    InvMigrationTunnel *tunnel; /* while the state goes through it */
    char *state_uri;      /* where the state goes */
    char *peer;           /* "UUID URI", once the other side has said who it is */
} Peer;

static void
peer_clear(Peer *peer)
{
    g_clear_pointer(&peer->connection, inv_rpc_connection_close);
    g_free(peer->xml);
    g_clear_pointer(&peer->begun, g_bytes_unref);
    g_clear_pointer(&peer->prepared, g_bytes_unref);
    g_clear_pointer(&peer->performed, g_bytes_unref);
    g_free(peer->state_uri);
    g_free(peer->peer);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Peer, peer_clear)

static gboolean
call(Peer *peer, guint32 procedure, gpointer args, gpointer ret, GError **error)
{
    return inv_rpc_connection_call(peer->connection, &inv_rpc_remote_program, procedure, args, ret, STEP_DEADLINE_MS, error);
}

static gboolean
check_feature(Peer *peer, int feature, const char *what, GError **error)
{
    remote_connect_supports_feature_args args = { .feature = feature };
    remote_connect_supports_feature_ret ret = { 0 };

    if (!call(peer, REMOTE_PROC_CONNECT_SUPPORTS_FEATURE, &args, &ret, error))
        return FALSE;
    return ret.supported || inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "the daemon at '%s' does not support %s",
                                          peer->uri, what);
}

static gboolean
connect_peer(Peer *peer, GError **error)
{
    g_autoptr(InvRpcTarget) target = inv_rpc_target_parse(peer->uri, error);

    if (!target)
        return FALSE;
    peer->connection = inv_rpc_connection_open_target(target, FALSE, CONNECT_DEADLINE_MS, error);
    if (!peer->connection) {
        g_prefix_error(error, "the destination cannot be reached: ");
        return FALSE;
    }
    inv_rpc_connection_set_keepalive(peer->connection, KEEPALIVE_SECONDS, KEEPALIVE_COUNT);
    return check_feature(peer, FEATURE_MIGRATION_V3, "migration protocol version 3", error) &&
           check_feature(peer, FEATURE_MIGRATION_PARAMS, "migration with parameters", error) &&
           (!(peer->options->flags & VIR_MIGRATE_OFFLINE) ||
            check_feature(peer, FEATURE_MIGRATION_OFFLINE, "offline migration", error));
}

/* The client's parameters, with the definition that Begin gave and, once known, where the state goes. */
static InvTypedParams *
make_params(const Peer *peer, gboolean with_xml)
{
    InvTypedParams *list = inv_typed_params_new();

    for (guint i = 0; i < peer->n_params; i++) {
        const remote_typed_param *param = &peer->params[i];

        if (strcmp(param->field, VIR_MIGRATE_PARAM_DEST_XML) != 0 && strcmp(param->field, VIR_MIGRATE_PARAM_PERSIST_XML) != 0)
            inv_typed_params_add_copy(list, param);
    }
    if (with_xml)
        inv_typed_params_add_string(list, VIR_MIGRATE_PARAM_DEST_XML, peer->xml);
    return list;
}

/* Borrowed by the argument struct for the call. */
static gpointer
bytes(GBytes *cookie, u_int *length)
{
    gsize size = 0;
    gconstpointer data = cookie ? g_bytes_get_data(cookie, &size) : NULL;

    *length = (u_int)size;
    return (gpointer)data;
}

static gboolean
prepare(Peer *peer, GError **error)
{
    g_autoptr(InvTypedParams) list = make_params(peer, TRUE);
    remote_domain_migrate_prepare3_params_args args = {
        .params = { .params_len = list->len, .params_val = (remote_typed_param *)list->data },
        .flags = peer->options->flags,
    };
    remote_domain_migrate_prepare3_params_ret ret = { 0 };
    gboolean ok;

    args.cookie_in.cookie_in_val = bytes(peer->begun, &args.cookie_in.cookie_in_len);
    ok = call(peer, REMOTE_PROC_DOMAIN_MIGRATE_PREPARE3_PARAMS, &args, &ret, error);
    if (ok) {
        peer->prepared = g_bytes_new(ret.cookie_out.cookie_out_val, ret.cookie_out.cookie_out_len);
        peer->state_uri = g_strdup(ret.uri_out ? *ret.uri_out : peer->options->uri);
    }
    inv_rpc_free((xdrproc_t)xdr_remote_domain_migrate_prepare3_params_ret, &ret);
    return ok;
}

/* The same, and the stream that the state will go through. */
static gboolean
prepare_tunnel(Peer *peer, GError **error)
{
    g_autoptr(InvTypedParams) list = make_params(peer, TRUE);
    remote_domain_migrate_prepare_tunnel3_params_args args = {
        .params = { .params_len = list->len, .params_val = (remote_typed_param *)list->data },
        .flags = peer->options->flags,
    };
    remote_domain_migrate_prepare_tunnel3_params_ret ret = { 0 };
    gboolean ok;

    args.cookie_in.cookie_in_val = bytes(peer->begun, &args.cookie_in.cookie_in_len);
    ok = inv_rpc_connection_open_stream(peer->connection, &inv_rpc_remote_program, REMOTE_PROC_DOMAIN_MIGRATE_PREPARE_TUNNEL3_PARAMS,
                                        &args, &ret, STEP_DEADLINE_MS, &peer->stream, error);
    if (ok)
        peer->prepared = g_bytes_new(ret.cookie_out.cookie_out_val, ret.cookie_out.cookie_out_len);
    inv_rpc_free((xdrproc_t)xdr_remote_domain_migrate_prepare_tunnel3_params_ret, &ret);
    return ok;
}

/* Keeps the connection to the other daemon alive while the state goes another way. */
static gboolean
look_after(gpointer user_data, GError **error)
{
    Peer *peer = user_data;
    g_autoptr(GError) cause = NULL;

    if (peer->tunnel)
        return inv_migration_tunnel_check(peer->tunnel, error);
    return inv_rpc_connection_wait(peer->connection, 0, &cause) ||
           inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the daemon at '%s' is gone while the guest is sent there: %s", peer->uri,
                         cause ? cause->message : "it has closed the connection");
}

/* Who is asked later for the outcome: whoever answers at the URI that the client gave, if it is the one that was told here. */
static gboolean
remember_peer(Peer *peer, GError **error)
{
    gsize length = 0;
    const char *data = g_bytes_get_data(peer->prepared, &length);
    g_autoptr(InvMigrationCookie) theirs = inv_migration_cookie_parse(data, length, error);

    if (!theirs)
        return FALSE;
    peer->peer = g_strdup_printf("%s %s", theirs->hostuuid ? theirs->hostuuid : "", peer->uri);
    return TRUE;
}

static gboolean
perform(Peer *peer, GError **error)
{
    InvMigrationOptions options = *peer->options;
    InvMigrationPerform step = { .options = &options, .tick = look_after, .user_data = peer };
    g_autoptr(GError) cause = NULL;
    gsize length = 0;
    gboolean ok;

    if (!remember_peer(peer, error))
        return FALSE;
    if (peer->options->flags & VIR_MIGRATE_TUNNELLED) {
        peer->tunnel = inv_migration_tunnel_new(peer->daemon, peer->vm, peer->connection,
                                                REMOTE_PROC_DOMAIN_MIGRATE_PREPARE_TUNNEL3_PARAMS, peer->stream, error);
        if (!peer->tunnel)
            return FALSE;
        peer->state_uri = g_strdup(inv_migration_tunnel_uri(peer->tunnel));
    }
    options.uri = peer->state_uri;
    step.cookie = g_bytes_get_data(peer->prepared, &length);
    step.cookie_length = length;
    step.peer = peer->peer;
    ok = inv_migration_out_perform(peer->daemon, peer->vm, &step, error);
    /* Even what was all sent by QEMU may be on its way still; whether it arrived, Finish tells. */
    if (peer->tunnel && !inv_migration_tunnel_close(g_steal_pointer(&peer->tunnel), !ok, ok ? &cause : NULL) && ok)
        g_message("the tunnel of domain %s broke at its end: %s", peer->vm->uuid_text, cause->message);
    if (!ok)
        return FALSE;
    peer->performed = step.cookie_out;
    return TRUE;
}

/* FALSE: the other side says no, or has not answered. */
static gboolean
finish(Peer *peer, gboolean cancelled, GError **error)
{
    g_autoptr(InvTypedParams) list = make_params(peer, FALSE);
    remote_domain_migrate_finish3_params_args args = { .flags = peer->options->flags, .cancelled = cancelled };
    remote_domain_migrate_finish3_params_ret ret = { 0 };
    gboolean ok;

    /* Finish names the domain by a parameter alone. */
    if (!peer->options->dname) {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(peer->vm->registry);

        inv_typed_params_add_string(list, VIR_MIGRATE_PARAM_DEST_NAME, peer->vm->name);
    }
    args.params.params_len = list->len;
    args.params.params_val = (remote_typed_param *)list->data;
    args.cookie_in.cookie_in_val = bytes(peer->performed ? peer->performed : peer->prepared, &args.cookie_in.cookie_in_len);
    inv_fault_point("migrate-out-before-finish");
    /* A postcopy is finished when the last page is there: as long as that daemon gives signs of life. */
    ok = inv_rpc_connection_call(peer->connection, &inv_rpc_remote_program, REMOTE_PROC_DOMAIN_MIGRATE_FINISH3_PARAMS, &args, &ret,
                                 peer->options->flags & VIR_MIGRATE_POSTCOPY ? 0 : STEP_DEADLINE_MS, error);
    if (ok)
        inv_migration_figures_confirm(peer->vm, ret.cookie_out.cookie_out_val, ret.cookie_out.cookie_out_len);
    inv_rpc_free((xdrproc_t)xdr_remote_domain_migrate_finish3_params_ret, &ret);
    return ok;
}

/* All was sent, and Finish did not succeed: the other side's own word counts, whatever the call said. */
static gboolean
settle(Peer *peer, GError *cause, GError **error)
{
    gboolean gone = FALSE;

    g_clear_pointer(&peer->connection, inv_rpc_connection_close);
    inv_migration_out_undecided(peer->daemon, peer->vm);
    if (inv_migration_out_is_undecided(peer->vm)) {
        inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                      "domain '%s' stands still: its state was sent, and whether it runs at '%s' is not known (%s). It goes on "
                      "here, or is ended here, as soon as that daemon answers",
                      peer->vm->name, peer->uri, cause->message);
        g_error_free(cause);
        return FALSE;
    }
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(peer->vm->registry);

        gone = !inv_vm_is_active(peer->vm);
    }
    /* It had been finished there, and only the answer was lost. */
    if (gone) {
        g_error_free(cause);
        return TRUE;
    }
    g_propagate_error(error, cause);
    return FALSE;
}

static gboolean
migrate(Peer *peer, GError **error)
{
    gboolean offline = (peer->options->flags & VIR_MIGRATE_OFFLINE) != 0;
    GError *cause = NULL;

    if (!connect_peer(peer, error))
        return FALSE;
    if (!inv_migration_out_begin(peer->daemon, peer->vm, peer->options, 0, &peer->begun, &peer->xml, error))
        return FALSE;
    if (!(peer->options->flags & VIR_MIGRATE_TUNNELLED ? prepare_tunnel(peer, error) : prepare(peer, error))) {
        inv_migration_out_confirm(peer->daemon, peer->vm, peer->options->flags, TRUE, NULL);
        return FALSE;
    }
    if (!offline && !perform(peer, error)) {
        finish(peer, TRUE, NULL);
        inv_migration_out_confirm(peer->daemon, peer->vm, peer->options->flags, TRUE, NULL);
        return FALSE;
    }
    if (finish(peer, FALSE, &cause))
        return inv_migration_out_confirm(peer->daemon, peer->vm, peer->options->flags, FALSE, error);
    if (!offline)
        return settle(peer, cause, error);
    g_propagate_error(error, cause);
    return FALSE;
}

gboolean
inv_migration_peer_migrate(InvDaemon *daemon, InvVm *vm, const char *uri, const InvMigrationOptions *options,
                           const remote_typed_param *params, guint n_params, GError **error)
{
    g_auto(Peer) peer = {
        .daemon = daemon, .vm = vm, .options = options, .params = params, .n_params = n_params, .uri = (char *)uri,
    };

    return migrate(&peer, error);
}

/* One address of who knows. */
static gboolean
ask_at(const char *uri, const invar_migration_outcome_args *args, InvMigrationPhase *outcome, GError **error)
{
    g_autoptr(InvRpcTarget) target = inv_rpc_target_parse(uri, error);
    g_autoptr(InvRpcConnection) connection = NULL;
    invar_migration_outcome_ret ret = { 0 };

    if (!target || !(connection = inv_rpc_connection_open_target(target, FALSE, ASK_DEADLINE_MS, error)) ||
        !inv_rpc_connection_call(connection, &inv_rpc_invar_program, INVAR_PROC_MIGRATION_OUTCOME, (gpointer)args, &ret,
                                 ASK_DEADLINE_MS, error))
        return FALSE;
    if (ret.outcome != INV_PHASE_FINISHED && ret.outcome != INV_PHASE_CANCELLED)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the daemon at '%s' gives the unknown outcome %d", uri, ret.outcome);
    *outcome = (InvMigrationPhase)ret.outcome;
    return TRUE;
}

gboolean
inv_migration_peer_ask(const char *peer, const char *token, const char *uuid, InvMigrationPhase *outcome, GError **error)
{
    g_autofree char *hostuuid = NULL;
    g_auto(GStrv) uris = NULL;
    g_autoptr(GString) causes = g_string_new(NULL);
    invar_migration_outcome_args args = { 0 };

    if (!inv_migrations_split_peer(peer, &hostuuid, &uris))
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the destination did not say where it can be asked");
    args.token = (char *)token;
    args.uuid = (char *)uuid;
    args.hostuuid = hostuuid;
    for (char **uri = uris; *uri; uri++) {
        g_autoptr(GError) cause = NULL;

        if (ask_at(*uri, &args, outcome, &cause))
            return TRUE;
        g_string_append_printf(causes, "%s%s: %s", causes->len ? "; " : "", *uri, cause->message);
    }
    return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "%s", causes->str);
}
