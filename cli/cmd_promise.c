/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's CPU will be, why, and what it was promised. */
#include "cli/commands.h"
#include "cli/domain_ref.h"
#include "cli/text.h"
#include "cli/verdict_view.h"
#include "util/error.h"

#include <stdio.h>
#include <string.h>

INV_RPC_AUTOCLEAN(invar_verdict_xml_ret)
INV_RPC_AUTOCLEAN(invar_verdict_domain_ret)
INV_RPC_AUTOCLEAN(invar_get_record_ret)
INV_RPC_AUTOCLEAN(invar_reopen_record_ret)

static int
show_verdict(InvCli *cli, const invar_verdict *verdict)
{
    g_autofree char *text = NULL;

    if (cli->json) {
        inv_cli_print_json(inv_view_verdict_json(verdict));
        return inv_view_exit(verdict->outcome);
    }
    text = inv_view_verdict(cli, verdict, inv_text_terminal_width());
    inv_cli_print("%s", text);
    return inv_view_exit(verdict->outcome);
}

static int
verdict_of_file(InvCli *cli, const char *path, GError **error)
{
    g_autofree char *xml = inv_cli_read_file(path, error);
    invar_verdict_xml_args call = { .xml = xml };
    g_auto(invar_verdict_xml_ret) ret = { 0 };

    if (!xml)
        return INV_EXIT_ERROR;
    if (!inv_cli_call_invar(cli, INVAR_PROC_VERDICT_XML, &call, &ret, error))
        return inv_cli_fail(cli, "Failed to judge the domain in %s", path);
    return show_verdict(cli, &ret.verdict);
}

static int
verdict_of_domain(InvCli *cli, const remote_nonnull_domain *domain, GError **error)
{
    invar_verdict_domain_args call = { 0 };
    g_auto(invar_verdict_domain_ret) ret = { 0 };

    memcpy(call.uuid, domain->uuid, sizeof(call.uuid));
    if (!inv_cli_call_invar(cli, INVAR_PROC_VERDICT_DOMAIN, &call, &ret, error))
        return inv_cli_fail(cli, "Failed to judge domain '%s'", domain->name);
    return show_verdict(cli, &ret.verdict);
}

static const InvOption verdict_options[] = {
    { .name = "xml-or-domain", .type = INV_OPTION_STRING, .positional = TRUE, .required = TRUE, .complete = INV_COMPLETE_DOMAIN,
      .help = "file with a domain's XML (- for standard input), or domain name, id or uuid" },
    { NULL },
};

static int
run_verdict(InvCli *cli, const InvArgs *args, GError **error)
{
    const char *what = inv_args_string(args, "xml-or-domain");
    g_auto(remote_nonnull_domain) domain = { 0 };
    g_autoptr(GError) cause = NULL;

    /* What looks like a path is one; else a domain comes before a file that happens to be called the same. */
    if (!strcmp(what, "-") || strchr(what, '/') || g_str_has_suffix(what, ".xml"))
        return verdict_of_file(cli, what, error);
    if (inv_domain_find(cli, what, INV_BY_ANY, &domain, &cause))
        return verdict_of_domain(cli, &domain, error);
    if (g_error_matches(cause, INV_ERROR, VIR_ERR_NO_DOMAIN) && g_file_test(what, G_FILE_TEST_EXISTS)) {
        g_clear_pointer(&cli->headline, g_free);
        return verdict_of_file(cli, what, error);
    }
    g_propagate_error(error, g_steal_pointer(&cause));
    return INV_EXIT_ERROR;
}

static const InvOption record_options[] = { INV_DOMAIN(INV_COMPLETE_DOMAIN), { NULL } };

static int
run_cpu_record(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    invar_get_record_args call = { 0 };
    g_auto(invar_get_record_ret) ret = { 0 };
    g_autofree char *text = NULL;

    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    memcpy(call.uuid, domain.uuid, sizeof(call.uuid));
    if (!inv_cli_call_invar(cli, INVAR_PROC_GET_RECORD, &call, &ret, error))
        return inv_cli_fail(cli, "Failed to get the CPU record of domain '%s'", domain.name);
    if (cli->json)
        return inv_cli_print_json(ret.record ? inv_view_record_json(ret.record) : inv_json_new_null());
    if (!ret.record)
        return inv_cli_done(cli, domain.name, NULL, "Domain '%s' has no CPU record: its next start makes one", domain.name);
    text = inv_view_record(cli, ret.record, inv_text_terminal_width());
    inv_cli_print("%s", text);
    return INV_EXIT_OK;
}

static const InvOption reopen_options[] = {
    INV_DOMAIN(INV_COMPLETE_DOMAIN),
    INV_VALUE("reason", INV_COMPLETE_NONE, "why, for the history"),
    INV_FLAG("dry-run", "only say what the next start would change"),
    INV_FLAG("yes", "do not ask"),
    { NULL },
};

static gboolean
reopen(InvCli *cli, const remote_nonnull_domain *domain, const char *reason, guint flags, invar_reopen_record_ret *ret,
       GError **error)
{
    char *text = (char *)reason;
    invar_reopen_record_args call = { .reason = text ? &text : NULL, .flags = flags };

    memcpy(call.uuid, domain->uuid, sizeof(call.uuid));
    if (inv_cli_call_invar(cli, INVAR_PROC_REOPEN_RECORD, &call, ret, error))
        return TRUE;
    inv_cli_fail(cli, "Failed to reopen the CPU record of domain '%s'", domain->name);
    return FALSE;
}

static int
reopen_json(const invar_reopen_record_ret *ret, gboolean dry_run)
{
    InvJson *json = inv_json_new_object();
    InvJson *changes = inv_json_new_array();

    for (guint i = 0; i < ret->changes.changes_len; i++)
        inv_json_array_add_string(changes, ret->changes.changes_val[i]);
    inv_json_object_set_boolean(json, "dry_run", dry_run);
    inv_json_object_set(json, "revision", dry_run ? inv_json_new_null() : inv_json_new_int(ret->revision));
    inv_json_object_set(json, "changes", changes);
    return inv_cli_print_json(json);
}

static void
print_changes(const InvCli *cli, const invar_reopen_record_ret *ret)
{
    if (!ret->changes.changes_len)
        inv_cli_print("The next start would change nothing.\n");
    else
        inv_cli_print("The next start would change:\n");
    for (guint i = 0; i < ret->changes.changes_len; i++) {
        const char *line = ret->changes.changes_val[i];
        g_autofree char *escaped = inv_text_escape(line, INV_TEXT_LINE);
        g_autofree char *painted =
            inv_cli_paint(cli, *line == '+' ? INV_COLOUR_GOOD : *line == '-' ? INV_COLOUR_BAD : INV_COLOUR_NONE, escaped);

        inv_cli_print("    %s\n", painted);
    }
}

/* A record is a promise: giving it up is shown first, and asked for. */
static gboolean
confirm_reopen(InvCli *cli, const remote_nonnull_domain *domain, const char *reason, GError **error)
{
    g_auto(invar_reopen_record_ret) preview = { 0 };
    char answer;

    if (!reopen(cli, domain, reason, INVAR_REOPEN_DRY_RUN, &preview, error))
        return FALSE;
    print_changes(cli, &preview);
    fflush(stdout);
    answer = inv_cli_ask("Let the next start change the guest's CPU like this?", "yn");
    if (!answer)
        return inv_error_set(error, VIR_ERR_OPERATION_ABORTED,
                             "nobody is here to confirm that the guest's CPU may change: say --yes, or --dry-run to see what would");
    if (answer != 'y')
        return inv_error_set(error, VIR_ERR_OPERATION_ABORTED, "nothing was changed");
    return TRUE;
}

static int
run_cpu_reopen(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    g_auto(invar_reopen_record_ret) ret = { 0 };
    gboolean dry_run = inv_args_flag(args, "dry-run");
    const char *reason = inv_args_string(args, "reason");
    char uuid[INV_UUID_TEXT_SIZE];

    if (cli->json && !dry_run && !inv_args_flag(args, "yes")) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "with --json nothing is asked: say --yes or --dry-run");
        return INV_EXIT_USAGE;
    }
    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    if (!dry_run && !inv_args_flag(args, "yes") && !confirm_reopen(cli, &domain, reason, error))
        return INV_EXIT_ERROR;
    if (!reopen(cli, &domain, reason, dry_run ? INVAR_REOPEN_DRY_RUN : 0, &ret, error))
        return INV_EXIT_ERROR;
    if (cli->json)
        return reopen_json(&ret, dry_run);
    if (dry_run) {
        print_changes(cli, &ret);
        return INV_EXIT_OK;
    }
    inv_domain_uuid_format(domain.uuid, uuid);
    return inv_cli_done(cli, domain.name, uuid, "The CPU record of domain '%s' is reopened as revision %" G_GINT64_FORMAT, domain.name,
                        (gint64)ret.revision);
}

const InvCommand inv_promise_commands[] = {
    { "cpu-record", "the CPU that a domain's guest was promised",
      "Show the record that every start of the domain is held to: machine, model, and\nevery feature on or off.", record_options,
      run_cpu_record, FALSE },
    { "cpu-reopen", "let a domain's next start change its CPU",
      "Give up the CPU record of a domain: the next start resolves its CPU anew and\n"
      "records that. What would change is shown, and has to be confirmed.",
      reopen_options, run_cpu_reopen, FALSE },
    { "verdict", "would a domain start here with the CPU it asks for, and if not, why",
      "Judge a domain's XML, or a defined domain, without starting it. Each feature\n"
      "that cannot be had is named with the layer that denies it and what would help.\n"
      "Exit status: 0 exact, 3 it would start without some features, 4 refused.",
      verdict_options, run_verdict, FALSE },
    { NULL },
};
