/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happens to domains, as it happens. */
#include "cli/commands.h"
#include "cli/domain_ref.h"
#include "cli/events.h"
#include "cli/text.h"
#include "cli/watch.h"
#include "util/error.h"

#include <stdio.h>
#include <string.h>

static const InvOption event_options[] = {
    INV_VALUE("domain", INV_COMPLETE_DOMAIN, "filter by domain name, id or uuid"),
    INV_VALUE("event", INV_COMPLETE_EVENT, "which event type to wait for"),
    INV_FLAG("all", "wait for all events instead of just one type"),
    INV_FLAG("loop", "loop until timeout or interrupt, rather than one-shot"),
    { .name = "timeout", .type = INV_OPTION_UINT, .help = "timeout seconds" },
    INV_FLAG("list", "list valid event types"),
    INV_FLAG("timestamp", "show timestamp for each printed event"),
    { NULL },
};

typedef struct {
    InvCli *cli;
    gboolean timestamp;
    guint received;
    gboolean once;
    gboolean done; /* one was enough */
} Wait;

static void
print_event(const Wait *wait, const InvEvent *event)
{
    g_autofree char *time = inv_watch_now();
    g_autofree char *name = inv_text_escape(event->domain, INV_TEXT_LINE);

    if (wait->cli->json) {
        InvJson *json = inv_json_new_object();
        g_autofree char *text = NULL;

        inv_json_object_set_string(json, "time", time);
        inv_json_object_set_string(json, "event", event->name);
        inv_json_object_set_string(json, "domain", event->domain);
        inv_json_object_set_string(json, "uuid", event->uuid);
        inv_json_object_set_string(json, "type", event->type);
        inv_json_object_set_string(json, "detail", event->detail);
        if (event->iteration)
            inv_json_object_set_int(json, "iteration", event->iteration);
        if (event->figures)
            inv_json_object_set_strv(json, "figures", (const char *const *)event->figures);
        text = inv_json_format(json, FALSE);
        inv_json_free(json);
        inv_cli_print("%s\n", text);
    } else {
        if (wait->timestamp)
            inv_cli_print("%s: ", time);
        inv_cli_print("event '%s' for domain '%s'", event->name, name);
        if (event->type)
            inv_cli_print(": %s %s", event->type, event->detail);
        if (event->iteration)
            inv_cli_print(": iteration: '%d'", event->iteration);
        inv_cli_print(event->figures ? ":\n" : "\n");
        for (guint i = 0; event->figures && event->figures[i]; i++) {
            g_autofree char *line = inv_text_escape(event->figures[i], INV_TEXT_LINE);

            inv_cli_print("\t%s\n", line);
        }
    }
    /* Somebody may be reading a pipe: each event when it comes. */
    fflush(stdout);
}

static void
on_event(guint32 program, guint32 procedure, const guint8 *payload, gsize length, gpointer user_data)
{
    Wait *wait = user_data;
    g_auto(InvEvent) event = { 0 };

    if (program != inv_rpc_remote_program.number || wait->done ||
        !inv_event_decode(procedure, payload, length, &event))
        return;
    wait->received++;
    wait->done = wait->once;
    print_event(wait, &event);
}

/* FALSE: the daemon refused this one. */
static gboolean
register_event(InvCli *cli, int id, const remote_nonnull_domain *domain, GArray *callbacks, GError **error)
{
    remote_nonnull_domain copy = domain ? *domain : (remote_nonnull_domain){ 0 };
    remote_connect_domain_event_callback_register_any_args call = { .eventID = id, .dom = domain ? &copy : NULL };
    remote_connect_domain_event_callback_register_any_ret ret = { 0 };

    if (!inv_cli_call(cli, REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, &call, &ret, error))
        return FALSE;
    g_array_append_val(callbacks, ret.callbackID);
    return TRUE;
}

static gboolean
register_events(InvCli *cli, const InvArgs *args, const remote_nonnull_domain *domain, GArray *callbacks, GError **error)
{
    int id;

    if (!inv_args_flag(args, "all")) {
        id = inv_event_id(inv_args_string(args, "event"));
        return register_event(cli, id, domain, callbacks, error);
    }
    for (id = 0; inv_event_name(id); id++) {
        /* A daemon need not know each kind; without the first it knows none. */
        if (!register_event(cli, id, domain, callbacks, id ? NULL : error) && id == 0)
            return FALSE;
    }
    return TRUE;
}

static gboolean
wait_for_events(InvCli *cli, Wait *wait, guint timeout_s, GError **error)
{
    InvWatchEnd end = inv_watch_wait(cli, timeout_s, &wait->done, error);

    if (!cli->json && end == INV_WATCH_INTERRUPTED)
        inv_cli_print("event loop interrupted\n");
    else if (!cli->json && end == INV_WATCH_TIMED_OUT)
        inv_cli_print("event loop timed out\n");
    if (!cli->json)
        inv_cli_print("events received: %u\n", wait->received);
    return end != INV_WATCH_LOST;
}

static gboolean
check_options(const InvArgs *args, GError **error)
{
    const char *event = inv_args_string(args, "event");

    if (!inv_args_exclusive(args, "all", "event", error) || !inv_args_exclusive(args, "list", "all", error) ||
        !inv_args_exclusive(args, "list", "event", error))
        return FALSE;
    if (!event && !inv_args_flag(args, "all") && !inv_args_flag(args, "list"))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "one of --list, --all, or --event <type> is required");
    if (event && inv_event_id(event) < 0)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "unknown event type %s", event);
    return TRUE;
}

static int
list_events(const InvCli *cli)
{
    InvJson *array = cli->json ? inv_json_new_array() : NULL;

    for (int id = 0; inv_event_name(id); id++) {
        if (array)
            inv_json_array_add_string(array, inv_event_name(id));
        else
            inv_cli_print("%s\n", inv_event_name(id));
    }
    return array ? inv_cli_print_json(array) : INV_EXIT_OK;
}

static int
run_event(InvCli *cli, const InvArgs *args, GError **error)
{
    const char *name = inv_args_string(args, "domain");
    g_auto(remote_nonnull_domain) domain = { 0 };
    g_autoptr(GArray) callbacks = g_array_new(FALSE, FALSE, sizeof(int));
    Wait wait = { .cli = cli, .timestamp = inv_args_flag(args, "timestamp"), .once = !inv_args_flag(args, "loop") };
    gboolean ok;

    if (!check_options(args, error))
        return INV_EXIT_USAGE;
    if (inv_args_flag(args, "list"))
        return list_events(cli);
    if (!inv_cli_connect(cli, error) || (name && !inv_domain_find(cli, name, INV_BY_ANY, &domain, error)))
        return INV_EXIT_ERROR;
    inv_rpc_connection_set_event_handler(cli->connection, on_event, &wait);
    inv_watch_begin();
    ok = register_events(cli, args, name ? &domain : NULL, callbacks, error) &&
         wait_for_events(cli, &wait, inv_args_uint(args, "timeout", 0), error);
    inv_watch_end();
    if (!cli->connection)
        return INV_EXIT_ERROR;
    inv_rpc_connection_set_event_handler(cli->connection, NULL, NULL);
    for (guint i = 0; i < callbacks->len; i++) {
        remote_connect_domain_event_callback_deregister_any_args call = { .callbackID = g_array_index(callbacks, int, i) };

        inv_cli_call(cli, REMOTE_PROC_CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY, &call, NULL, NULL);
    }
    /* As virsh: a wait in which nothing happened has failed. */
    return ok && wait.received ? INV_EXIT_OK : INV_EXIT_ERROR;
}

const InvCommand inv_event_commands[] = {
    { "event", "Domain Events",
      "List event types, or wait for domain events to occur. With --json each event is\na line of its own with one JSON object.",
      event_options, run_event, FALSE },
    { NULL },
};
