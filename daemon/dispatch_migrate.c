/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's migration protocol, version 3, with parameters and without. */
#include "daemon/dispatch.h"
#include "daemon/migration_cookie.h"
#include "daemon/migration_figures.h"
#include "daemon/migration_in.h"
#include "daemon/migration_out.h"
#include "daemon/migration_peer.h"
#include "daemon/migrations.h"
#include "rpc/invar_protocol.h"
#include "rpc/typed_params.h"
#include "util/error.h"
#include "util/fd.h"

#include <string.h>

/* The cookies of one step: what came with the call (borrowed), and where the reply's goes. */
typedef struct {
    const char *in;
    gsize in_length;
    char **out;
    u_int *out_length;
} Cookies;

/* Of the argument and result structs of a step that has both. */
#define COOKIES(wanted, reply)                                                                                     \
    (&(Cookies){ (wanted)->cookie_in.cookie_in_val, (wanted)->cookie_in.cookie_in_len, &(reply)->cookie_out.cookie_out_val, \
                 &(reply)->cookie_out.cookie_out_len })

/* Takes @cookie over: the wire's opaque<>, which the reply frees with free(). */
static void
give_cookie(const Cookies *cookies, GBytes *cookie)
{
    gsize size = 0;
    gconstpointer bytes = cookie ? g_bytes_get_data(cookie, &size) : NULL;

    *cookies->out = g_memdup2(bytes, size);
    *cookies->out_length = (u_int)size;
    if (cookie)
        g_bytes_unref(cookie);
}

static remote_string
give_string(char *text)
{
    remote_string wire = NULL;

    if (!text)
        return NULL;
    wire = g_new(remote_nonnull_string, 1);
    *wire = text;
    return wire;
}

/* The steps, for both forms of their calls. @options NULL: they could not be read, and @error says why. */

static gboolean
begin(InvDaemon *daemon, InvRpcClient *client, const remote_nonnull_domain *dom, const InvMigrationOptions *options,
      const Cookies *cookies, char **xml, GError **error)
{
    g_autoptr(InvVm) vm = options ? inv_dispatch_find(daemon, dom, error) : NULL;
    GBytes *cookie = NULL;

    if (!vm || !inv_migration_out_begin(daemon, vm, options, inv_rpc_client_number(client), &cookie, xml, error))
        return FALSE;
    give_cookie(cookies, cookie);
    return TRUE;
}

static gboolean
begin3_params(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_begin3_params_args *wanted = args;
    remote_domain_migrate_begin3_params_ret *reply = ret;
    const Cookies cookies = { NULL, 0, &reply->cookie_out.cookie_out_val, &reply->cookie_out.cookie_out_len };
    g_autoptr(InvMigrationOptions) options =
        inv_migration_options_read(wanted->params.params_val, wanted->params.params_len, wanted->flags, error);

    return begin(user_data, client, &wanted->dom, options, &cookies, &reply->xml, error);
}

static gboolean
begin3(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_begin3_args *wanted = args;
    remote_domain_migrate_begin3_ret *reply = ret;
    const Cookies cookies = { NULL, 0, &reply->cookie_out.cookie_out_val, &reply->cookie_out.cookie_out_len };
    g_autoptr(InvMigrationOptions) options =
        inv_migration_options_read_old(wanted->flags, inv_dispatch_optional(wanted->dname), NULL,
                                       inv_dispatch_optional(wanted->xmlin), wanted->resource, error);

    return begin(user_data, client, &wanted->dom, options, &cookies, &reply->xml, error);
}

/* What a failed step has made already goes. */
static gboolean
prepare(InvDaemon *daemon, InvMigrationPrepare *step, GError **error)
{
    step->tunnel_fd = -1;
    if (inv_migration_in_prepare(daemon, step, error))
        return TRUE;
    inv_fd_close(&step->tunnel_fd);
    g_clear_pointer(&step->uri_out, g_free);
    g_clear_pointer(&step->cookie_out, g_bytes_unref);
    g_clear_pointer(&step->vm, inv_vm_unref);
    return FALSE;
}

/* The state comes on a way of its own. */
static gboolean
prepare_direct(InvDaemon *daemon, InvRpcClient *client, const InvMigrationOptions *options, const Cookies *cookies,
               remote_string *uri_out, GError **error)
{
    InvMigrationPrepare step = {
        .options = options,
        .cookie = cookies->in,
        .cookie_length = cookies->in_length,
        .client = inv_rpc_client_number(client),
    };

    if (!options || !prepare(daemon, &step, error))
        return FALSE;
    give_cookie(cookies, step.cookie_out);
    *uri_out = give_string(step.uri_out);
    inv_vm_unref(step.vm);
    return TRUE;
}

static gboolean
prepare3_params(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_prepare3_params_args *wanted = args;
    remote_domain_migrate_prepare3_params_ret *reply = ret;
    g_autoptr(InvMigrationOptions) options =
        inv_migration_options_read(wanted->params.params_val, wanted->params.params_len, wanted->flags, error);

    return prepare_direct(user_data, client, options, COOKIES(wanted, reply), &reply->uri_out, error);
}

static gboolean
prepare3(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_prepare3_args *wanted = args;
    remote_domain_migrate_prepare3_ret *reply = ret;
    g_autoptr(InvMigrationOptions) options =
        inv_migration_options_read_old(wanted->flags, inv_dispatch_optional(wanted->dname), inv_dispatch_optional(wanted->uri_in),
                                       wanted->dom_xml, wanted->resource, error);

    return prepare_direct(user_data, client, options, COOKIES(wanted, reply), &reply->uri_out, error);
}

static void
tunnel_done(const GError *error, gpointer user_data)
{
    /* QEMU sees the end of its input, whole or not; Finish says what came of it. */
    if (error)
        g_message("the tunnel of a migration to this host broke: %s", error->message);
}

/* The client's packets become what QEMU reads. */
static gboolean
open_tunnel(InvDaemon *daemon, InvRpcClient *client, InvMigrationPrepare *step, GError **error)
{
    if (!(step->options->flags & VIR_MIGRATE_TUNNELLED))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the tunnel of a migration needs the flag VIR_MIGRATE_TUNNELLED");
    if (!prepare(daemon, step, error))
        return FALSE;
    if (inv_rpc_call_open_stream(client, step->tunnel_fd, TRUE, FALSE, tunnel_done, NULL, error))
        return TRUE;
    inv_fd_close(&step->tunnel_fd);
    inv_migration_in_client_gone(daemon, step->vm, step->client);
    g_clear_pointer(&step->cookie_out, g_bytes_unref);
    return FALSE;
}

static gboolean
prepare_tunnel(InvDaemon *daemon, InvRpcClient *client, const InvMigrationOptions *options, const Cookies *cookies, GError **error)
{
    InvMigrationPrepare step = {
        .options = options,
        .cookie = cookies->in,
        .cookie_length = cookies->in_length,
        .client = inv_rpc_client_number(client),
        .tunnel = TRUE,
    };
    gboolean ok = options && open_tunnel(daemon, client, &step, error);

    inv_vm_unref(step.vm);
    if (ok)
        give_cookie(cookies, step.cookie_out);
    return ok;
}

static gboolean
prepare_tunnel3_params(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_prepare_tunnel3_params_args *wanted = args;
    remote_domain_migrate_prepare_tunnel3_params_ret *reply = ret;
    g_autoptr(InvMigrationOptions) options =
        inv_migration_options_read(wanted->params.params_val, wanted->params.params_len, wanted->flags, error);

    return prepare_tunnel(user_data, client, options, COOKIES(wanted, reply), error);
}

static gboolean
prepare_tunnel3(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_prepare_tunnel3_args *wanted = args;
    remote_domain_migrate_prepare_tunnel3_ret *reply = ret;
    g_autoptr(InvMigrationOptions) options = inv_migration_options_read_old(wanted->flags, inv_dispatch_optional(wanted->dname), NULL,
                                                                            wanted->dom_xml, wanted->resource, error);

    return prepare_tunnel(user_data, client, options, COOKIES(wanted, reply), error);
}

/* All steps from here, or the one that sends the state. */
static gboolean
perform(InvDaemon *daemon, InvRpcClient *client, const remote_nonnull_domain *dom, const char *uri,
        const InvMigrationOptions *options, const remote_typed_param *params, guint n_params, const Cookies *cookies, GError **error)
{
    g_autoptr(InvVm) vm = options ? inv_dispatch_find(daemon, dom, error) : NULL;
    InvMigrationPerform step = {
        .options = options,
        .cookie = cookies->in,
        .cookie_length = cookies->in_length,
        .client = inv_rpc_client_number(client),
    };

    if (!vm)
        return FALSE;
    if (options->flags & VIR_MIGRATE_PEER2PEER) {
        if (!uri)
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "a migration from daemon to daemon (--p2p) needs the other one's URI");
        return inv_migration_peer_migrate(daemon, vm, uri, options, params, n_params, error);
    }
    if (uri)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the URI of a daemon ('%s') has no meaning without --p2p", uri);
    if (!inv_migration_out_perform(daemon, vm, &step, error))
        return FALSE;
    give_cookie(cookies, step.cookie_out);
    return TRUE;
}

static gboolean
perform3_params(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_perform3_params_args *wanted = args;
    remote_domain_migrate_perform3_params_ret *reply = ret;
    g_autoptr(InvMigrationOptions) options =
        inv_migration_options_read(wanted->params.params_val, wanted->params.params_len, wanted->flags, error);

    return perform(user_data, client, &wanted->dom, inv_dispatch_optional(wanted->dconnuri), options, wanted->params.params_val,
                   wanted->params.params_len, COOKIES(wanted, reply), error);
}

static gboolean
perform3(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_perform3_args *wanted = args;
    remote_domain_migrate_perform3_ret *reply = ret;
    g_autoptr(InvTypedParams) params = inv_typed_params_new();
    g_autoptr(InvMigrationOptions) options = inv_migration_options_read_old(
        wanted->flags, inv_dispatch_optional(wanted->dname), inv_dispatch_optional(wanted->uri), inv_dispatch_optional(wanted->xmlin),
        wanted->resource, error);

    inv_typed_params_add_string(params, VIR_MIGRATE_PARAM_DEST_NAME, inv_dispatch_optional(wanted->dname));
    inv_typed_params_add_string(params, VIR_MIGRATE_PARAM_URI, inv_dispatch_optional(wanted->uri));
    return perform(user_data, client, &wanted->dom, inv_dispatch_optional(wanted->dconnuri), options,
                   (const remote_typed_param *)params->data, params->len, COOKIES(wanted, reply), error);
}

static gboolean
finish(InvDaemon *daemon, const InvMigrationOptions *options, const Cookies *cookies, gboolean cancelled, remote_nonnull_domain *dom,
       GError **error)
{
    g_autoptr(InvVm) vm = NULL;
    GBytes *cookie = NULL;

    if (!options)
        return FALSE;
    if (!options->dname)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the end of a migration does not name the domain (%s)",
                             VIR_MIGRATE_PARAM_DEST_NAME);
    vm = inv_migration_in_finish(daemon, options, cookies->in, cookies->in_length, cancelled, &cookie, error);
    if (!vm)
        return FALSE;
    inv_dispatch_fill(dom, vm);
    give_cookie(cookies, cookie);
    return TRUE;
}

static gboolean
finish3_params(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_finish3_params_args *wanted = args;
    remote_domain_migrate_finish3_params_ret *reply = ret;
    g_autoptr(InvMigrationOptions) options =
        inv_migration_options_read(wanted->params.params_val, wanted->params.params_len, wanted->flags, error);

    return finish(user_data, options, COOKIES(wanted, reply), wanted->cancelled != 0, &reply->dom, error);
}

static gboolean
finish3(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_finish3_args *wanted = args;
    remote_domain_migrate_finish3_ret *reply = ret;
    g_autoptr(InvMigrationOptions) options = inv_migration_options_read_old(wanted->flags, wanted->dname, NULL, NULL, 0, error);

    return finish(user_data, options, COOKIES(wanted, reply), wanted->cancelled != 0, &reply->dom, error);
}

/* Nothing is ended here on the word of somebody who does not have the destination's. */
static gboolean
is_confirmed(InvVm *vm, unsigned int flags, gboolean cancelled, const char *cookie, gsize length, GError **error)
{
    return cancelled || (flags & VIR_MIGRATE_OFFLINE) || inv_migration_out_is_confirmed_by(vm, cookie, length, error);
}

static gboolean
confirm(InvDaemon *daemon, const remote_nonnull_domain *dom, const char *cookie, gsize length, unsigned int flags, gboolean cancelled,
        GError **error)
{
    g_autoptr(InvVm) vm = inv_dispatch_find(daemon, dom, error);

    if (!vm || !is_confirmed(vm, flags, cancelled, cookie, length, error))
        return FALSE;
    if (!cancelled)
        inv_migration_figures_confirm(vm, cookie, length);
    return inv_migration_out_confirm(daemon, vm, flags, cancelled, error);
}

static gboolean
confirm3_params(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_confirm3_params_args *wanted = args;

    return confirm(user_data, &wanted->dom, wanted->cookie_in.cookie_in_val, wanted->cookie_in.cookie_in_len, wanted->flags,
                   wanted->cancelled != 0, error);
}

static gboolean
confirm3(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_confirm3_args *wanted = args;

    return confirm(user_data, &wanted->dom, wanted->cookie_in.cookie_in_val, wanted->cookie_in.cookie_in_len, (unsigned int)wanted->flags,
                   wanted->cancelled != 0, error);
}

static gboolean
outcome(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_migration_outcome_args *wanted = args;
    InvDaemon *daemon = user_data;
    InvMigrationPhase phase = INV_PHASE_UNKNOWN;

    if (strcmp(wanted->hostuuid, inv_migrations_hostuuid(daemon->migrations)) != 0)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "this is host %s, not %s, whose answer is wanted",
                             inv_migrations_hostuuid(daemon->migrations), wanted->hostuuid);
    /* The question may make an entry of its own in the store. */
    if (!inv_migration_token_is_valid(wanted->token))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "a migration is asked for by a token that is none");
    if (!inv_migration_in_outcome(daemon, wanted->token, wanted->uuid, &phase, error))
        return FALSE;
    ((invar_migration_outcome_ret *)ret)->outcome = (int)phase;
    return TRUE;
}

/*
 * What follows Perform must not wait behind calls that wait for something else: a guest stands still
 * meanwhile. All of them may last, and their client follows by its events what becomes of the guest.
 */
static const InvRpcMethod methods[] = {
    { REMOTE_PROC_DOMAIN_MIGRATE_BEGIN3, begin3, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_MIGRATE_PREPARE3, prepare3, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_MIGRATE_PREPARE_TUNNEL3, prepare_tunnel3, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_MIGRATE_PREPARE_TUNNEL3_PARAMS, prepare_tunnel3_params, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_MIGRATE_PERFORM3, perform3, INV_RPC_EVENTS_AT_ONCE },
    { REMOTE_PROC_DOMAIN_MIGRATE_FINISH3, finish3, INV_RPC_PRIORITY | INV_RPC_EVENTS_AT_ONCE },
    { REMOTE_PROC_DOMAIN_MIGRATE_CONFIRM3, confirm3, INV_RPC_PRIORITY | INV_RPC_EVENTS_AT_ONCE },
    { REMOTE_PROC_DOMAIN_MIGRATE_BEGIN3_PARAMS, begin3_params, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_MIGRATE_PREPARE3_PARAMS, prepare3_params, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_MIGRATE_PERFORM3_PARAMS, perform3_params, INV_RPC_EVENTS_AT_ONCE },
    { REMOTE_PROC_DOMAIN_MIGRATE_FINISH3_PARAMS, finish3_params, INV_RPC_PRIORITY | INV_RPC_EVENTS_AT_ONCE },
    { REMOTE_PROC_DOMAIN_MIGRATE_CONFIRM3_PARAMS, confirm3_params, INV_RPC_PRIORITY | INV_RPC_EVENTS_AT_ONCE },
};

const InvDispatchFamily inv_dispatch_migrate = { methods, G_N_ELEMENTS(methods) };

static const InvRpcMethod invar_methods[] = {
    { INVAR_PROC_MIGRATION_OUTCOME, outcome, INV_RPC_PRIORITY },
};

const InvDispatchFamily inv_dispatch_outcome = { invar_methods, G_N_ELEMENTS(invar_methods) };
