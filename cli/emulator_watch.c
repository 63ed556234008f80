/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What becomes of the host's emulators, as it happens. */
#include "cli/text.h"
#include "cli/watch.h"
#include "qemu/emulator_state.h"
#include "rpc/autoclean.h"
#include "rpc/invar_protocol.h"
#include "util/error.h"

#include <stdio.h>
#include <string.h>

INV_RPC_AUTOCLEAN(invar_emulator_event_msg)
INV_RPC_AUTOCLEAN(invar_list_emulators_ret)

typedef struct {
    InvCli *cli;
    const char *path; /* NULL: all */
} Watch;

static void
print_json(const invar_emulator_event_msg *news)
{
    g_autofree char *time = inv_watch_now();
    InvJson *json = inv_json_new_object();
    g_autofree char *text = NULL;

    inv_json_object_set_string(json, "time", time);
    inv_json_object_set_string(json, "path", *news->path ? news->path : NULL);
    inv_json_object_set_string(json, "subject", *news->subject ? news->subject : NULL);
    inv_json_object_set_string(json, "state", inv_emulator_state_to_string((InvEmulatorState)news->state));
    inv_json_object_set_uint(json, "ms", news->ms);
    inv_json_object_set_string(json, "reason", *news->reason ? news->reason : NULL);
    text = inv_json_format(json, FALSE);
    inv_json_free(json);
    inv_cli_print("%s\n", text);
}

/* The state in words, with the time that it took where one is told. */
static char *
describe(const invar_emulator_event_msg *news)
{
    switch ((InvEmulatorState)news->state) {
    case INV_EMULATOR_UNKNOWN:
        return g_strdup("not asked");
    case INV_EMULATOR_PROBING:
        return g_strdup("probing");
    case INV_EMULATOR_KNOWN:
        return news->ms ? g_strdup_printf("known in %u ms", news->ms) : g_strdup("known");
    case INV_EMULATOR_FAILED:
        return news->ms ? g_strdup_printf("failed after %u ms", news->ms) : g_strdup("failed");
    case INV_EMULATOR_CHANGED:
        return g_strdup("changed");
    case INV_EMULATOR_GONE:
        return g_strdup("gone");
    }
    return g_strdup_printf("state %d", news->state);
}

static InvColour
colour_of(int state)
{
    return state == INV_EMULATOR_FAILED || state == INV_EMULATOR_GONE ? INV_COLOUR_BAD
        : state == INV_EMULATOR_CHANGED                               ? INV_COLOUR_WARN
        : state == INV_EMULATOR_KNOWN                                 ? INV_COLOUR_GOOD
                                                                      : INV_COLOUR_NONE;
}

static void
print_news(const Watch *watch, const invar_emulator_event_msg *news)
{
    g_autofree char *state = describe(news);
    g_autofree char *painted = inv_cli_paint(watch->cli, colour_of(news->state), state);
    g_autofree char *path = inv_text_escape(*news->path ? news->path : "this host", INV_TEXT_LINE);
    g_autofree char *subject = inv_text_escape(news->subject, INV_TEXT_LINE);
    g_autofree char *reason = inv_text_escape(news->reason, INV_TEXT_LINE);

    if (watch->cli->json)
        print_json(news);
    else
        inv_cli_print("%s: %s%s%s%s%s\n", path, subject, *subject ? ": " : "", painted, *reason ? ": " : "", reason);
    /* Somebody may be reading a pipe: each line when it comes. */
    fflush(stdout);
}

static void
on_event(guint32 program, guint32 procedure, const guint8 *payload, gsize length, gpointer user_data)
{
    const Watch *watch = user_data;
    g_auto(invar_emulator_event_msg) news = { 0 };
    XDR xdr;

    if (program != inv_rpc_invar_program.number || procedure != INVAR_PROC_EMULATOR_EVENT || length > G_MAXUINT)
        return;
    xdrmem_create(&xdr, (char *)payload, (u_int)length, XDR_DECODE);
    if (xdr_invar_emulator_event_msg(&xdr, &news) && (!watch->path || !*news.path || strcmp(watch->path, news.path) == 0))
        print_news(watch, &news);
    xdr_destroy(&xdr);
}

/* How it stands before anything happens; the daemon has those asked that it does not know. */
static gboolean
print_states(const Watch *watch, GError **error)
{
    char *path = (char *)watch->path;
    invar_list_emulators_args call = { .path = path ? &path : NULL, .flags = INVAR_EMULATORS_AT_ONCE };
    g_auto(invar_list_emulators_ret) ret = { 0 };

    if (!inv_cli_call_invar(watch->cli, INVAR_PROC_LIST_EMULATORS, &call, &ret, error))
        return FALSE;
    for (guint i = 0; i < ret.emulators.emulators_len; i++) {
        const invar_emulator *emulator = &ret.emulators.emulators_val[i];
        const invar_emulator_event_msg state = {
            .path = emulator->path,
            .subject = (char *)"",
            .state = emulator->state,
            .reason = emulator->error ? *emulator->error : (char *)"",
        };

        print_news(watch, &state);
    }
    return TRUE;
}

int
inv_run_emulator_watch(InvCli *cli, char *path, guint timeout_s, GError **error)
{
    const gboolean never = FALSE;
    invar_emulator_event_register_args call = { 0 };
    invar_emulator_event_deregister_args leave = { 0 };
    Watch watch = { .cli = cli, .path = path };
    gboolean ok;

    if (!inv_cli_connect(cli, error))
        return INV_EXIT_ERROR;
    inv_rpc_connection_set_event_handler(cli->connection, on_event, &watch);
    inv_watch_begin();
    ok = inv_cli_call_invar(cli, INVAR_PROC_EMULATOR_EVENT_REGISTER, &call, NULL, error) && print_states(&watch, error) &&
         inv_watch_wait(cli, timeout_s, &never, error) != INV_WATCH_LOST;
    inv_watch_end();
    if (!cli->connection)
        return INV_EXIT_ERROR;
    inv_rpc_connection_set_event_handler(cli->connection, NULL, NULL);
    inv_cli_call_invar(cli, INVAR_PROC_EMULATOR_EVENT_DEREGISTER, &leave, NULL, NULL);
    return ok ? INV_EXIT_OK : INV_EXIT_ERROR;
}
