/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The history of a domain's definition. */
#include "cli/commands.h"
#include "cli/domain_ref.h"
#include "cli/line_diff.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/verdict_view.h"
#include "util/error.h"

#include <string.h>

#define CONTEXT_LINES 3

INV_RPC_AUTOCLEAN(invar_list_revisions_ret)
INV_RPC_AUTOCLEAN(invar_get_revision_ret)

static const InvOption revisions_options[] = { INV_DOMAIN(INV_COMPLETE_DOMAIN), { NULL } };

static gboolean
list_revisions(InvCli *cli, const remote_nonnull_domain *domain, invar_list_revisions_ret *ret, GError **error)
{
    invar_list_revisions_args call = { 0 };

    memcpy(call.uuid, domain->uuid, sizeof(call.uuid));
    if (inv_cli_call_invar(cli, INVAR_PROC_LIST_REVISIONS, &call, ret, error))
        return TRUE;
    inv_cli_fail(cli, "Failed to list the revisions of domain '%s'", domain->name);
    return FALSE;
}

static gboolean
get_revision(InvCli *cli, const remote_nonnull_domain *domain, gint64 number, invar_get_revision_ret *ret, GError **error)
{
    invar_get_revision_args call = { .number = number };

    memcpy(call.uuid, domain->uuid, sizeof(call.uuid));
    if (inv_cli_call_invar(cli, INVAR_PROC_GET_REVISION, &call, ret, error))
        return TRUE;
    inv_cli_fail(cli, "Failed to get revision %" G_GINT64_FORMAT " of domain '%s'", number, domain->name);
    return FALSE;
}

/* For people in their own time zone; @iso for programs. A time that is none is shown as the number that it is. */
static char *
time_text(gint64 seconds, gboolean iso)
{
    g_autoptr(GDateTime) time = iso ? g_date_time_new_from_unix_utc(seconds) : g_date_time_new_from_unix_local(seconds);

    if (!time)
        return g_strdup_printf("%" G_GINT64_FORMAT, seconds);
    return iso ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ") : g_date_time_format(time, "%Y-%m-%d %H:%M:%S");
}

static InvJson *
revision_json(const invar_revision *revision)
{
    InvJson *json = inv_json_new_object();
    g_autofree char *time = time_text(revision->time, TRUE);

    inv_json_object_set_int(json, "number", revision->number);
    inv_json_object_set_string(json, "time", time);
    inv_json_object_set_string(json, "reason", revision->reason);
    inv_json_object_set_boolean(json, "has_record", revision->has_record != 0);
    return json;
}

static int
run_revisions(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    g_auto(invar_list_revisions_ret) ret = { 0 };
    g_autoptr(InvTable) table = inv_table_new("Revision", "Time", "CPU record", "Reason", NULL);
    InvJson *array = NULL;
    g_autofree char *text = NULL;

    if (!inv_domain_of(cli, args, &domain, error) || !list_revisions(cli, &domain, &ret, error))
        return INV_EXIT_ERROR;
    if (cli->json)
        array = inv_json_new_array();
    for (guint i = 0; i < ret.revisions.revisions_len; i++) {
        const invar_revision *revision = &ret.revisions.revisions_val[i];
        g_autofree char *number = g_strdup_printf("%" G_GINT64_FORMAT, (gint64)revision->number);
        g_autofree char *time = time_text(revision->time, FALSE);

        if (array)
            inv_json_array_add(array, revision_json(revision));
        else
            inv_table_add(table, number, time, revision->has_record ? "yes" : "no", revision->reason, NULL);
    }
    if (array)
        return inv_cli_print_json(array);
    text = inv_table_format(table, !cli->quiet, inv_text_terminal_width());
    inv_cli_print("%s", text);
    return INV_EXIT_OK;
}

#define INV_REVISION(name_, required_, help_) \
    { .name = (name_), .type = INV_OPTION_UINT, .positional = TRUE, .required = (required_), .help = (help_) }

static const InvOption show_options[] = {
    INV_DOMAIN(INV_COMPLETE_DOMAIN),
    INV_REVISION("revision", TRUE, "number of the revision"),
    { NULL },
};

static int
run_revision_show(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    g_auto(invar_get_revision_ret) ret = { 0 };

    if (!inv_domain_of(cli, args, &domain, error) ||
        !get_revision(cli, &domain, inv_args_uint(args, "revision", 0), &ret, error))
        return INV_EXIT_ERROR;
    if (cli->json) {
        InvJson *json = revision_json(&ret.revision);

        inv_json_object_set_string(json, "xml", ret.xml);
        inv_json_object_set(json, "record", ret.record ? inv_view_record_json(ret.record) : inv_json_new_null());
        return inv_cli_print_json(json);
    }
    inv_cli_print_document(ret.xml);
    return INV_EXIT_OK;
}

static const InvOption diff_options[] = {
    INV_DOMAIN(INV_COMPLETE_DOMAIN),
    INV_REVISION("from", FALSE, "the older revision (default: the one before the newer)"),
    INV_REVISION("to", FALSE, "the newer revision (default: the last)"),
    { NULL },
};

/* The highest number below @below. */
static gboolean
newest_below(const invar_list_revisions_ret *list, gint64 below, gint64 *number)
{
    gboolean found = FALSE;

    for (guint i = 0; i < list->revisions.revisions_len; i++) {
        gint64 candidate = list->revisions.revisions_val[i].number;

        if (candidate < below && (!found || candidate > *number)) {
            *number = candidate;
            found = TRUE;
        }
    }
    return found;
}

static gboolean
choose_revisions(InvCli *cli, const remote_nonnull_domain *domain, const InvArgs *args, gint64 *from, gint64 *to, GError **error)
{
    g_auto(invar_list_revisions_ret) list = { 0 };
    gboolean has_from = inv_args_string(args, "from") != NULL;
    gboolean has_to = inv_args_string(args, "to") != NULL;

    *from = inv_args_uint(args, "from", 0);
    *to = inv_args_uint(args, "to", 0);
    if (has_from && has_to)
        return TRUE;
    if (!list_revisions(cli, domain, &list, error))
        return FALSE;
    if (!has_to && !newest_below(&list, G_MAXINT64, to))
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "domain '%s' has no revisions", domain->name);
    if (!has_from && !newest_below(&list, *to, from))
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "domain '%s' has no revision before %" G_GINT64_FORMAT, domain->name, *to);
    return TRUE;
}

static void
print_diff(const InvCli *cli, const char *diff)
{
    g_auto(GStrv) lines = g_strsplit(diff, "\n", -1);

    for (char **line = lines; *line; line++) {
        InvColour colour = INV_COLOUR_NONE;
        g_autofree char *painted = NULL;
        g_autofree char *escaped = cli->colour ? inv_text_escape(*line, INV_TEXT_DOCUMENT) : g_strdup(*line);

        if (!line[1] && !**line)
            break;
        if (line - lines < 2)
            colour = INV_COLOUR_HEAD;
        else if (**line == '@')
            colour = INV_COLOUR_FAINT;
        else if (**line == '+' || **line == '-')
            colour = **line == '+' ? INV_COLOUR_GOOD : INV_COLOUR_BAD;
        painted = inv_cli_paint(cli, colour, escaped);
        inv_cli_print("%s\n", painted);
    }
}

static int
run_revision_diff(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    g_auto(invar_get_revision_ret) old = { 0 };
    g_auto(invar_get_revision_ret) new = { 0 };
    g_autofree char *old_name = NULL;
    g_autofree char *new_name = NULL;
    g_autofree char *diff = NULL;
    gint64 from, to;

    if (!inv_domain_of(cli, args, &domain, error) || !choose_revisions(cli, &domain, args, &from, &to, error) ||
        !get_revision(cli, &domain, from, &old, error) || !get_revision(cli, &domain, to, &new, error))
        return INV_EXIT_ERROR;
    old_name = g_strdup_printf("revision %" G_GINT64_FORMAT, from);
    new_name = g_strdup_printf("revision %" G_GINT64_FORMAT, to);
    diff = inv_line_diff(old.xml, new.xml, old_name, new_name, CONTEXT_LINES);
    if (cli->json) {
        InvJson *json = inv_json_new_object();

        inv_json_object_set_int(json, "from", from);
        inv_json_object_set_int(json, "to", to);
        inv_json_object_set_string(json, "diff", diff);
        return inv_cli_print_json(json);
    }
    if (!*diff)
        return inv_cli_done(cli, domain.name, NULL, "Revisions %" G_GINT64_FORMAT " and %" G_GINT64_FORMAT " have the same XML", from, to);
    print_diff(cli, diff);
    return INV_EXIT_OK;
}

static int
run_revision_restore(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    guint number = inv_args_uint(args, "revision", 0);
    invar_restore_revision_args call = { .number = number };
    invar_restore_revision_ret ret = { 0 };
    char uuid[INV_UUID_TEXT_SIZE];

    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    memcpy(call.uuid, domain.uuid, sizeof(call.uuid));
    if (!inv_cli_call_invar(cli, INVAR_PROC_RESTORE_REVISION, &call, &ret, error))
        return inv_cli_fail(cli, "Failed to restore revision %u of domain '%s'", number, domain.name);
    inv_domain_uuid_format(domain.uuid, uuid);
    return inv_cli_done(cli, domain.name, uuid, "Domain '%s' is back at revision %u, as revision %" G_GINT64_FORMAT, domain.name, number,
                        (gint64)ret.revision);
}

const InvCommand inv_revision_commands[] = {
    { "revision-diff", "what changed between two revisions of a domain",
      "Show the differences between the XML of two revisions, in unified format.", diff_options, run_revision_diff, FALSE },
    { "revision-restore", "go back to a revision of a domain",
      "Define the domain as it was in that revision, with the CPU record that it had.\n"
      "That is a new revision: nothing of the history is lost.",
      show_options, run_revision_restore, FALSE },
    { "revision-show", "the XML of a revision of a domain", NULL, show_options, run_revision_show, FALSE },
    { "revisions", "list the revisions of a domain",
      "List each deliberate change of the domain's definition, when it was made and why.", revisions_options, run_revisions, FALSE },
    { NULL },
};
