/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/migrate.h"

#include "util/error.h"

#include <string.h>

INV_RPC_AUTOCLEAN(remote_domain_migrate_begin3_params_ret)
INV_RPC_AUTOCLEAN(remote_domain_migrate_prepare3_params_ret)
INV_RPC_AUTOCLEAN(remote_domain_migrate_perform3_params_ret)
INV_RPC_AUTOCLEAN(remote_domain_migrate_finish3_params_ret)

#define CONNECT_DEADLINE_MS 10000u
/* libvirt's numbers of features of a driver, which its public headers do not have. */
#define FEATURE_OFFLINE 12
#define FEATURE_PARAMS 13

/* A migration under way. */
typedef struct {
    InvMigrate *migrate;
    InvRpcConnection *source, *dest;
    guint source_flags, dest_flags;
    char *cookie; /* what the last step gave for the next one; may hold NULs */
    guint cookie_size;
} Run;

static void
run_clear(Run *run)
{
    inv_rpc_connection_close(run->source);
    inv_rpc_connection_close(run->dest);
    g_free(run->cookie);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)

#define PARAMS(run, args)                                                                        \
    do {                                                                                         \
        (args).params.params_val = (remote_typed_param *)(gpointer)(run)->migrate->params->data; \
        (args).params.params_len = (run)->migrate->params->len;                                  \
    } while (0)

#define COOKIE(run, args)                             \
    do {                                              \
        (args).cookie_in.cookie_in_val = (run)->cookie;      \
        (args).cookie_in.cookie_in_len = (run)->cookie_size; \
    } while (0)

/* What a step's reply gives the next one. */
static void
keep_cookie(Run *run, const char *cookie, guint size)
{
    g_free(run->cookie);
    run->cookie = size ? g_memdup2(cookie, size) : NULL;
    run->cookie_size = size;
}

static gboolean
connect_to(InvRpcConnection **connection, const InvRpcTarget *target, GError **error)
{
    if (!*connection)
        *connection = inv_rpc_connection_open_target(target, FALSE, CONNECT_DEADLINE_MS, error);
    return *connection != NULL;
}

/* Long ago, before the memory went, this connection was last used: the network may have come and gone. */
static gboolean
connect_again(InvRpcConnection **connection, const InvRpcTarget *target, GError **error)
{
    if (*connection && !inv_rpc_connection_wait(*connection, 0, NULL))
        g_clear_pointer(connection, inv_rpc_connection_close);
    return connect_to(connection, target, error);
}

static gboolean
call(Run *run, InvRpcConnection *connection, guint32 procedure, gpointer args, gpointer ret, GError **error)
{
    return inv_rpc_connection_call(connection, &inv_rpc_remote_program, procedure, args, ret, run->migrate->timeout_ms, error);
}

static gboolean
check_feature(Run *run, InvRpcConnection *connection, int feature, const char *what, const InvRpcTarget *target, GError **error)
{
    remote_connect_supports_feature_args args = { .feature = feature };
    remote_connect_supports_feature_ret ret = { 0 };
    g_autofree char *where = inv_rpc_target_describe(target);

    if (!call(run, connection, REMOTE_PROC_CONNECT_SUPPORTS_FEATURE, &args, &ret, error))
        return FALSE;
    return ret.supported || inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "%s is not supported by the daemon at '%s'", what, where);
}

static gboolean
check_features(Run *run, InvRpcConnection *connection, const InvRpcTarget *target, GError **error)
{
    return check_feature(run, connection, FEATURE_PARAMS, "migration with parameters", target, error) &&
           (!(run->migrate->flags & VIR_MIGRATE_OFFLINE) ||
            check_feature(run, connection, FEATURE_OFFLINE, "offline migration", target, error));
}

static gboolean
begin(Run *run, GError **error)
{
    remote_domain_migrate_begin3_params_args args = { .dom = run->migrate->domain, .flags = run->source_flags };
    g_auto(remote_domain_migrate_begin3_params_ret) ret = { 0 };

    PARAMS(run, args);
    if (!call(run, run->source, REMOTE_PROC_DOMAIN_MIGRATE_BEGIN3_PARAMS, &args, &ret, error))
        return FALSE;
    keep_cookie(run, ret.cookie_out.cookie_out_val, ret.cookie_out.cookie_out_len);
    inv_typed_params_set_string(run->migrate->params, VIR_MIGRATE_PARAM_DEST_XML, ret.xml);
    return TRUE;
}

/* A paused guest arrives paused. */
static gboolean
look_at_state(Run *run, GError **error)
{
    remote_domain_get_state_args args = { .dom = run->migrate->domain };
    remote_domain_get_state_ret ret = { 0 };

    if (!call(run, run->source, REMOTE_PROC_DOMAIN_GET_STATE, &args, &ret, error))
        return FALSE;
    if (ret.state == VIR_DOMAIN_PAUSED) {
        run->source_flags |= VIR_MIGRATE_PAUSED;
        run->dest_flags |= VIR_MIGRATE_PAUSED;
    }
    return TRUE;
}

static gboolean
prepare(Run *run, GError **error)
{
    remote_domain_migrate_prepare3_params_args args = { .flags = run->dest_flags };
    g_auto(remote_domain_migrate_prepare3_params_ret) ret = { 0 };

    PARAMS(run, args);
    COOKIE(run, args);
    if (!call(run, run->dest, REMOTE_PROC_DOMAIN_MIGRATE_PREPARE3_PARAMS, &args, &ret, error))
        return FALSE;
    keep_cookie(run, ret.cookie_out.cookie_out_val, ret.cookie_out.cookie_out_len);
    if (ret.uri_out)
        inv_typed_params_set_string(run->migrate->params, VIR_MIGRATE_PARAM_URI, *ret.uri_out);
    return TRUE;
}

static gboolean
check_before_perform(Run *run, GError **error)
{
    const InvTypedParams *params = run->migrate->params;

    if (g_atomic_int_get(&run->migrate->stop))
        return inv_error_set(error, VIR_ERR_OPERATION_ABORTED, "the migration was interrupted before it began");
    if (!inv_typed_params_find((const remote_typed_param *)(gconstpointer)params->data, params->len, VIR_MIGRATE_PARAM_URI))
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                             "the destination did not say where it waits for the guest: name it with --migrateuri");
    return TRUE;
}

static gboolean
perform(Run *run, const char *dconnuri, GError **error)
{
    remote_domain_migrate_perform3_params_args args = { .dom = run->migrate->domain, .flags = run->source_flags };
    g_auto(remote_domain_migrate_perform3_params_ret) ret = { 0 };
    char *uri = (char *)dconnuri; /* only read: XDR has no const */

    args.dconnuri = uri ? &uri : NULL;
    PARAMS(run, args);
    COOKIE(run, args);
    /* It lasts as long as the guest's memory takes: no deadline. */
    if (!inv_rpc_connection_call(run->source, &inv_rpc_remote_program, REMOTE_PROC_DOMAIN_MIGRATE_PERFORM3_PARAMS, &args, &ret, 0, error))
        return FALSE;
    keep_cookie(run, ret.cookie_out.cookie_out_val, ret.cookie_out.cookie_out_len);
    return TRUE;
}

static gboolean
finish(Run *run, gboolean cancelled, GError **error)
{
    remote_domain_migrate_finish3_params_args args = { .flags = run->dest_flags, .cancelled = cancelled };
    g_auto(remote_domain_migrate_finish3_params_ret) ret = { 0 };
    InvTypedParams *params = run->migrate->params;

    if (!inv_typed_params_find((const remote_typed_param *)(gconstpointer)params->data, params->len, VIR_MIGRATE_PARAM_DEST_NAME))
        inv_typed_params_add_string(params, VIR_MIGRATE_PARAM_DEST_NAME, run->migrate->domain.name);
    PARAMS(run, args);
    COOKIE(run, args);
    if (!connect_again(&run->dest, run->migrate->dest_target, error) ||
        !call(run, run->dest, REMOTE_PROC_DOMAIN_MIGRATE_FINISH3_PARAMS, &args, &ret, error)) {
        keep_cookie(run, NULL, 0);
        return FALSE;
    }
    keep_cookie(run, ret.cookie_out.cookie_out_val, ret.cookie_out.cookie_out_len);
    return TRUE;
}

static gboolean
confirm(Run *run, gboolean cancelled, GError **error)
{
    remote_domain_migrate_confirm3_params_args args = {
        .dom = run->migrate->domain, .flags = run->source_flags, .cancelled = cancelled
    };

    PARAMS(run, args);
    COOKIE(run, args);
    return connect_again(&run->source, run->migrate->source_target, error) &&
           call(run, run->source, REMOTE_PROC_DOMAIN_MIGRATE_CONFIRM3_PARAMS, &args, NULL, error);
}

/* The source has begun: from here on whatever fails must be told to whoever has already done something. */
static gboolean
run_begun(Run *run, GError **error)
{
    gboolean offline = (run->migrate->flags & VIR_MIGRATE_OFFLINE) != 0, performed = FALSE, arrived, tell_source = TRUE;
    g_autoptr(GError) cause = NULL;
    g_autoptr(GError) late = NULL;

    if (!look_at_state(run, &cause) || !prepare(run, &cause)) {
        keep_cookie(run, NULL, 0);
        confirm(run, TRUE, NULL);
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    if (offline) {
        performed = TRUE;
    } else if (check_before_perform(run, &cause)) {
        performed = perform(run, NULL, &cause);
        /* It has taken the guest back already. */
        tell_source = performed;
    }
    /* A step that failed gave nothing to the next. */
    if (!performed)
        keep_cookie(run, NULL, 0);
    /* The first error is the cause; what follows from it says less. */
    arrived = finish(run, !performed, cause ? &late : &cause) && performed;
    g_clear_error(&late);
    if (tell_source && !confirm(run, !arrived, cause ? &late : &cause) && arrived) {
        /* The guest runs at the destination: that stays true, whatever the source could not tidy up. */
        run->migrate->warning = g_strdup_printf("the guest runs at the destination, but the source could not be told: %s", cause->message);
    }
    if (!arrived)
        g_propagate_error(error, g_steal_pointer(&cause));
    return arrived;
}

gboolean
inv_migrate_run(InvMigrate *migrate, GError **error)
{
    const guint only_source = VIR_MIGRATE_ABORT_ON_ERROR | VIR_MIGRATE_AUTO_CONVERGE;
    g_auto(Run) run = { .migrate = migrate, .source_flags = migrate->flags, .dest_flags = migrate->flags & ~only_source };

    if (!connect_to(&run.source, migrate->source_target, error) ||
        !check_features(&run, run.source, migrate->source_target, error))
        return FALSE;
    if (migrate->flags & VIR_MIGRATE_PEER2PEER)
        return perform(&run, migrate->dest_uri, error);
    if (!connect_to(&run.dest, migrate->dest_target, error) || !check_features(&run, run.dest, migrate->dest_target, error))
        return FALSE;
    /* From the first step on nobody changes the domain between two steps. */
    run.source_flags |= VIR_MIGRATE_CHANGE_PROTECTION;
    return begin(&run, error) && run_begun(&run, error);
}
