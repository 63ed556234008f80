/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client of a migration, between two daemons that do as a row of a table says. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <glib/gstdio.h>
#include <libvirt/libvirt.h>
#include <unistd.h>

#include "cli/migrate.h"
#include "rpc/server.h"
#include "util/error.h"
#include "util/fd.h"

/* A step of either daemon. */
typedef enum { NOTHING = 0, BEGIN = 1, PREPARE = 2, PERFORM = 4, FINISH = 8, CONFIRM = 16, FEATURES = 32, NO_URI = 64 } Step;

static char *folder;
static InvIoThread *io;
static InvRpcServer *source, *dest;
static InvMigrate *running;
static GString *calls; /* of the steps, in their order, with what matters of each */
static GMutex lock;
static guint failing;  /* of Step */
static virDomainState state;
static gboolean stop_in_prepare;

/* Notes a step with its flags that matter, and the cookie that came. FALSE: it is to fail. */
static gboolean
step(Step which, const char *name, guint flags, const char *cookie, guint cookie_size, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&lock);

    g_string_append_printf(calls, "%s%s%s%s%s[%.*s]", calls->len ? " " : "", name, flags & VIR_MIGRATE_PAUSED ? "+paused" : "",
                           flags & VIR_MIGRATE_CHANGE_PROTECTION ? "+protected" : "",
                           flags & VIR_MIGRATE_AUTO_CONVERGE ? "+converge" : "", (int)cookie_size, cookie ? cookie : "");
    return !(failing & which) || inv_error_set(error, VIR_ERR_OPERATION_FAILED, "%s has failed", name);
}

static void
give_cookie(const char *text, char **value, u_int *length)
{
    *value = g_strdup(text);
    *length = (u_int)strlen(text);
}

static const char *
param(u_int length, const remote_typed_param *values, const char *name)
{
    const char *text = "";

    assert_true(inv_typed_params_get_string(values, length, name, &text, NULL));
    return text;
}

static gboolean
handle_auth(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    return TRUE;
}

static gboolean
handle_open(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    inv_rpc_client_set_open(client, TRUE);
    return TRUE;
}

static gboolean
handle_close(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    inv_rpc_client_close_after_replies(client);
    return TRUE;
}

static gboolean
handle_feature(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    /* The destination may be of another kind. */
    ((remote_connect_supports_feature_ret *)ret)->supported = !(failing & FEATURES) || user_data == &source;
    return TRUE;
}

static gboolean
handle_state(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    ((remote_domain_get_state_ret *)ret)->state = (int)state;
    return TRUE;
}

static gboolean
handle_begin(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_begin3_params_args *call = args;
    remote_domain_migrate_begin3_params_ret *reply = ret;

    if (!step(BEGIN, "begin", call->flags, NULL, 0, error))
        return FALSE;
    reply->xml = g_strdup("<begun/>");
    give_cookie("B", &reply->cookie_out.cookie_out_val, &reply->cookie_out.cookie_out_len);
    return TRUE;
}

static gboolean
handle_prepare(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_prepare3_params_args *call = args;
    remote_domain_migrate_prepare3_params_ret *reply = ret;

    assert_string_equal(param(call->params.params_len, call->params.params_val, VIR_MIGRATE_PARAM_DEST_XML), "<begun/>");
    if (!step(PREPARE, "prepare", call->flags, call->cookie_in.cookie_in_val, call->cookie_in.cookie_in_len, error))
        return FALSE;
    if (stop_in_prepare)
        g_atomic_int_set(&running->stop, 1);
    give_cookie("P", &reply->cookie_out.cookie_out_val, &reply->cookie_out.cookie_out_len);
    if (!(failing & NO_URI)) {
        reply->uri_out = g_new0(char *, 1);
        *reply->uri_out = g_strdup("tcp:there:49152");
    }
    return TRUE;
}

static gboolean
handle_perform(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_perform3_params_args *call = args;
    remote_domain_migrate_perform3_params_ret *reply = ret;
    g_autofree char *name = g_strdup_printf("perform(%s)", call->dconnuri ? *call->dconnuri
                                            : param(call->params.params_len, call->params.params_val, VIR_MIGRATE_PARAM_URI));

    if (!step(PERFORM, name, call->flags, call->cookie_in.cookie_in_val, call->cookie_in.cookie_in_len, error))
        return FALSE;
    give_cookie("S", &reply->cookie_out.cookie_out_val, &reply->cookie_out.cookie_out_len);
    return TRUE;
}

static gboolean
handle_finish(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_finish3_params_args *call = args;
    remote_domain_migrate_finish3_params_ret *reply = ret;
    g_autofree char *name = g_strdup_printf("finish(%s,%d)", param(call->params.params_len, call->params.params_val, VIR_MIGRATE_PARAM_DEST_NAME),
                                            call->cancelled);

    if (!step(FINISH, name, call->flags, call->cookie_in.cookie_in_val, call->cookie_in.cookie_in_len, error))
        return FALSE;
    /* A cancelled one is an error by libvirt's rules. */
    if (call->cancelled)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "cancelled as it should be");
    reply->dom.name = g_strdup("guest");
    give_cookie("F", &reply->cookie_out.cookie_out_val, &reply->cookie_out.cookie_out_len);
    return TRUE;
}

static gboolean
handle_confirm(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_confirm3_params_args *call = args;
    g_autofree char *name = g_strdup_printf("confirm(%d)", call->cancelled);

    return step(CONFIRM, name, call->flags, call->cookie_in.cookie_in_val, call->cookie_in.cookie_in_len, error);
}

static const InvRpcMethod methods[] = {
    { REMOTE_PROC_AUTH_LIST, handle_auth, INV_RPC_INLINE | INV_RPC_BEFORE_AUTH | INV_RPC_BEFORE_OPEN },
    { REMOTE_PROC_CONNECT_OPEN, handle_open, INV_RPC_INLINE | INV_RPC_BEFORE_OPEN },
    { REMOTE_PROC_CONNECT_CLOSE, handle_close, INV_RPC_INLINE },
    { REMOTE_PROC_CONNECT_SUPPORTS_FEATURE, handle_feature, INV_RPC_INLINE },
    { REMOTE_PROC_DOMAIN_GET_STATE, handle_state, INV_RPC_INLINE },
    { REMOTE_PROC_DOMAIN_MIGRATE_BEGIN3_PARAMS, handle_begin, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_MIGRATE_PREPARE3_PARAMS, handle_prepare, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_MIGRATE_PERFORM3_PARAMS, handle_perform, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_MIGRATE_FINISH3_PARAMS, handle_finish, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_MIGRATE_CONFIRM3_PARAMS, handle_confirm, INV_RPC_WORKER },
};

static InvRpcTarget *
serve(InvRpcServer **server, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    int fd = inv_unix_listen(path, 0700, NULL);

    assert_true(fd >= 0);
    *server = inv_rpc_server_new(io, NULL);
    inv_rpc_server_add_program(*server, &inv_rpc_remote_program, methods, G_N_ELEMENTS(methods), server);
    inv_rpc_server_listen(*server, fd, FALSE);
    return inv_rpc_target_parse(path, NULL);
}

static int
setup(void **unused)
{
    folder = g_dir_make_tmp("invar-test-XXXXXX", NULL);
    io = inv_io_thread_new();
    calls = g_string_new(NULL);
    return 0;
}

static int
teardown(void **unused)
{
    static const char *const sockets[] = { "source", "dest" };

    g_clear_pointer(&source, inv_rpc_server_free);
    g_clear_pointer(&dest, inv_rpc_server_free);
    g_clear_pointer(&io, inv_io_thread_free);
    for (gsize i = 0; i < G_N_ELEMENTS(sockets); i++) {
        g_autofree char *path = g_build_filename(folder, sockets[i], NULL);

        g_unlink(path);
    }
    g_rmdir(folder);
    g_clear_pointer(&folder, g_free);
    g_string_free(calls, TRUE);
    return 0;
}

static const struct {
    const char *name;
    guint failing;
    guint flags;
    virDomainState state;
    gboolean stop;       /* somebody says so while the destination prepares */
    const char *calls;
    const char *error;   /* part of it; NULL: it has moved */
    const char *warning; /* likewise */
} rows[] = {
    { "all goes well", NOTHING, VIR_MIGRATE_LIVE | VIR_MIGRATE_AUTO_CONVERGE, VIR_DOMAIN_RUNNING, FALSE,
      "begin+protected+converge[] prepare[B] perform(tcp:there:49152)+protected+converge[P] finish(guest,0)[S] "
      "confirm(0)+protected+converge[F]", NULL, NULL },
    { "a paused guest", NOTHING, 0, VIR_DOMAIN_PAUSED, FALSE,
      "begin+protected[] prepare+paused[B] perform(tcp:there:49152)+paused+protected[P] finish(guest,0)+paused[S] "
      "confirm(0)+paused+protected[F]", NULL, NULL },
    { "offline", NOTHING, VIR_MIGRATE_OFFLINE, VIR_DOMAIN_SHUTOFF, FALSE,
      "begin+protected[] prepare[B] finish(guest,0)[P] confirm(0)+protected[F]", NULL, NULL },
    { "the destination is of another kind", FEATURES, 0, VIR_DOMAIN_RUNNING, FALSE, "", "migration with parameters is not supported by the daemon at", NULL },
    { "begin fails", BEGIN, 0, VIR_DOMAIN_RUNNING, FALSE, "begin+protected[]", "begin has failed", NULL },
    { "prepare fails", PREPARE, 0, VIR_DOMAIN_RUNNING, FALSE, "begin+protected[] prepare[B] confirm(1)+protected[]", "prepare has failed", NULL },
    { "no address", NO_URI, 0, VIR_DOMAIN_RUNNING, FALSE,
      "begin+protected[] prepare[B] finish(guest,1)[] confirm(1)+protected[]", "did not say where it waits", NULL },
    { "interrupted", NOTHING, 0, VIR_DOMAIN_RUNNING, TRUE,
      "begin+protected[] prepare[B] finish(guest,1)[] confirm(1)+protected[]", "was interrupted before it began", NULL },
    { "perform fails", PERFORM, 0, VIR_DOMAIN_RUNNING, FALSE,
      "begin+protected[] prepare[B] perform(tcp:there:49152)+protected[P] finish(guest,1)[]",
      "perform(tcp:there:49152) has failed", NULL },
    { "perform and finish fail", PERFORM | FINISH, 0, VIR_DOMAIN_RUNNING, FALSE,
      "begin+protected[] prepare[B] perform(tcp:there:49152)+protected[P] finish(guest,1)[]",
      "perform(tcp:there:49152) has failed", NULL },
    { "finish fails", FINISH, 0, VIR_DOMAIN_RUNNING, FALSE,
      "begin+protected[] prepare[B] perform(tcp:there:49152)+protected[P] finish(guest,0)[S] confirm(1)+protected[]",
      "finish(guest,0) has failed", NULL },
    { "finish and confirm fail", FINISH | CONFIRM, 0, VIR_DOMAIN_RUNNING, FALSE,
      "begin+protected[] prepare[B] perform(tcp:there:49152)+protected[P] finish(guest,0)[S] confirm(1)+protected[]",
      "finish(guest,0) has failed", NULL },
    { "confirm fails", CONFIRM, 0, VIR_DOMAIN_RUNNING, FALSE,
      "begin+protected[] prepare[B] perform(tcp:there:49152)+protected[P] finish(guest,0)[S] confirm(0)+protected[F]", NULL,
      "confirm(0) has failed" },
    { "peer to peer", NOTHING, VIR_MIGRATE_PEER2PEER, VIR_DOMAIN_RUNNING, FALSE, "perform(qemu+tcp://there/system)[]", NULL, NULL },
    { "peer to peer fails", PERFORM, VIR_MIGRATE_PEER2PEER, VIR_DOMAIN_RUNNING, FALSE, "perform(qemu+tcp://there/system)[]",
      "perform(qemu+tcp://there/system) has failed", NULL },
};

static void
each_side_is_told_what_it_must_know(void **unused)
{
    g_autoptr(InvRpcTarget) source_target = serve(&source, "source");
    g_autoptr(InvRpcTarget) dest_target = serve(&dest, "dest");

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(InvTypedParams) params = inv_typed_params_new();
        g_autoptr(GError) error = NULL;
        InvMigrate migrate = {
            .source_target = source_target, .dest_target = dest_target, .dest_uri = "qemu+tcp://there/system",
            .domain = { .name = (char *)"guest", .id = 1 }, .params = params, .flags = rows[i].flags, .timeout_ms = 20000,
        };
        gboolean moved;

        g_string_truncate(calls, 0);
        failing = rows[i].failing;
        state = rows[i].state;
        stop_in_prepare = rows[i].stop;
        running = &migrate;
        moved = inv_migrate_run(&migrate, &error);
        if (moved != !rows[i].error || strcmp(calls->str, rows[i].calls) || (!moved && !strstr(error->message, rows[i].error)) ||
            !migrate.warning != !rows[i].warning || (rows[i].warning && !strstr(migrate.warning, rows[i].warning)))
            fail_msg("%s: %s, %s: %s, %s", rows[i].name, moved ? "moved" : "failed", error ? error->message : "", calls->str,
                     migrate.warning ? migrate.warning : "no warning");
        g_free(migrate.warning);
    }
}

static void
a_destination_that_is_not_there_is_an_error_before_anything_begins(void **unused)
{
    g_autoptr(InvRpcTarget) source_target = serve(&source, "source");
    g_autofree char *nowhere = g_build_filename(folder, "nowhere", NULL);
    g_autoptr(InvRpcTarget) dest_target = inv_rpc_target_parse(nowhere, NULL);
    g_autoptr(InvTypedParams) params = inv_typed_params_new();
    g_autoptr(GError) error = NULL;
    InvMigrate migrate = { .source_target = source_target, .dest_target = dest_target, .dest_uri = nowhere,
                           .domain = { .name = (char *)"guest", .id = 1 }, .params = params };

    failing = NOTHING;
    assert_false(inv_migrate_run(&migrate, &error));
    assert_non_null(strstr(error->message, nowhere));
    assert_string_equal(calls->str, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_side_is_told_what_it_must_know, setup, teardown),
        cmocka_unit_test_setup_teardown(a_destination_that_is_not_there_is_an_error_before_anything_begins, setup, teardown),
    };

    return cmocka_run_group_tests_name("migrate_client", tests, NULL, NULL);
}
