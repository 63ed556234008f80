/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a domain can move: asked of daemons, and of what they exported. */
#include "cli/commands.h"

#include "cli/domain_ref.h"
#include "cli/fleet.h"
#include "cli/text.h"
#include "rpc/invar_protocol.h"
#include "util/error.h"

#include <string.h>

INV_RPC_AUTOCLEAN(invar_host_export_ret)
INV_RPC_AUTOCLEAN(invar_domain_export_ret)

/* The whole of @text: to standard output, or as a file that is there whole or not at all. */
static gboolean
put(InvCli *cli, const InvArgs *args, const char *what, const char *text, GError **error)
{
    const char *path = inv_args_string(args, "output");
    g_autoptr(GError) cause = NULL;

    if (!path || !strcmp(path, "-")) {
        inv_cli_print("%s", text);
        return TRUE;
    }
    if (!g_file_set_contents(path, text, -1, &cause))
        return inv_error_set(error, VIR_ERR_SYSTEM_ERROR, "Failed to write file '%s': %s", path, cause->message);
    inv_cli_done(cli, NULL, NULL, "%s written to '%s'", what, path);
    return TRUE;
}

static const InvOption host_export_options[] = {
    INV_VALUE("emulator", INV_COMPLETE_FILE, "only this emulator (default: those of the host's architecture and of the domains)"),
    INV_VALUE("machine", INV_COMPLETE_NONE, "also these machine types, with commas between them"),
    INV_FLAG("all-machines", "every machine type (slow where they were not asked for before)"),
    INV_VALUE("output", INV_COMPLETE_FILE, "write it to this file"),
    { NULL },
};

static int
run_host_export(InvCli *cli, const InvArgs *args, GError **error)
{
    char *emulator = (char *)inv_args_string(args, "emulator");
    const char *names = inv_args_string(args, "machine");
    g_auto(GStrv) machines = g_strsplit(names ? names : "", ",", -1);
    invar_host_export_args call = {
        .emulator = emulator ? &emulator : NULL,
        .machines = { g_strv_length(machines), machines },
        .flags = inv_args_flag(args, "all-machines") ? INVAR_EXPORT_ALL_MACHINES : 0,
    };
    g_auto(invar_host_export_ret) ret = { 0 };

    for (char **name = machines; *name; name++) {
        if (!**name) {
            inv_error_set(error, VIR_ERR_INVALID_ARG, "--machine '%s' has an empty name in it", names);
            return INV_EXIT_USAGE;
        }
    }
    if (g_strv_length(machines) > INVAR_MACHINES_MAX) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "--machine names more than %d machine types", INVAR_MACHINES_MAX);
        return INV_EXIT_USAGE;
    }
    if (!inv_cli_call_invar(cli, INVAR_PROC_HOST_EXPORT, &call, &ret, error) ||
        !put(cli, args, "Description of the host", ret.description, error))
        return inv_cli_fail(cli, "Failed to export the host");
    return INV_EXIT_OK;
}

static const InvOption domain_export_options[] = {
    INV_DOMAIN(INV_COMPLETE_DOMAIN),
    INV_VALUE("output", INV_COMPLETE_FILE, "write it to this file"),
    { NULL },
};

static int
run_domain_export(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    invar_domain_export_args call = { 0 };
    g_auto(invar_domain_export_ret) ret = { 0 };
    g_autofree char *line = NULL;

    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    memcpy(call.uuid, domain.uuid, sizeof(call.uuid));
    if (!inv_cli_call_invar(cli, INVAR_PROC_DOMAIN_EXPORT, &call, &ret, error))
        return inv_cli_fail(cli, "Failed to export domain '%s'", domain.name);
    line = g_strconcat(ret.domain, "\n", NULL);
    if (!put(cli, args, "Domain", line, error))
        return inv_cli_fail(cli, "Failed to export domain '%s'", domain.name);
    return INV_EXIT_OK;
}

static const InvOption migrate_check_options[] = {
    { .name = "domain", .type = INV_OPTION_STRING, .positional = TRUE, .complete = INV_COMPLETE_DOMAIN,
      .help = "domain name, id or uuid, or a file made by domain-export or with a domain's XML" },
    INV_FLAG("all", "all domains of the daemon; the first word is a destination then"),
    INV_VALUE("html", INV_COMPLETE_FILE, "write the answers to this file, as a page for a browser"),
    { .name = "destination", .type = INV_OPTION_REST, .positional = TRUE, .complete = INV_COMPLETE_FILE,
      .help = "URI of an invard, file made by host-export, or folder of such files" },
    { NULL },
};

/* The destinations, and in *@domain which domain; NULL: all. Of char *, NULL-terminated, borrowed. */
static GPtrArray *
read_words(const InvArgs *args, const char **domain, GError **error)
{
    g_autoptr(GPtrArray) destinations = g_ptr_array_new();
    gboolean all = inv_args_flag(args, "all");

    *domain = inv_args_string(args, "domain");
    if (all && *domain)
        g_ptr_array_add(destinations, (gpointer)*domain);
    if (all)
        *domain = NULL;
    for (guint i = 0; i < args->rest->len; i++)
        g_ptr_array_add(destinations, g_ptr_array_index(args->rest, i));
    if (!all && !*domain) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "command 'migrate-check' requires <domain> option, or --all");
        return NULL;
    }
    if (!destinations->len) {
        inv_error_set(error, VIR_ERR_INVALID_ARG,
                      "command 'migrate-check' requires a destination: a URI, a file made by host-export, or a folder of them");
        return NULL;
    }
    g_ptr_array_add(destinations, NULL);
    return g_steal_pointer(&destinations);
}

static int
run_migrate_check(InvCli *cli, const InvArgs *args, GError **error)
{
    const char *word = NULL;
    g_autoptr(GPtrArray) destinations = read_words(args, &word, error);
    const char *page_path = inv_args_string(args, "html");
    GPtrArray *domains;
    g_autoptr(InvFleet) fleet = NULL;
    g_autofree char *text = NULL;

    if (!destinations)
        return INV_EXIT_USAGE;
    domains = inv_fleet_read_domains(cli, word, error);
    if (!domains)
        return word ? inv_cli_fail(cli, "Failed to check domain '%s'", word) : inv_cli_fail(cli, "Failed to check the domains");
    fleet = inv_fleet_check(cli, domains, (const char *const *)destinations->pdata);
    if (page_path) {
        g_autofree char *page = inv_fleet_page(fleet, g_get_real_time() / G_USEC_PER_SEC);
        g_autoptr(GError) cause = NULL;

        if (!g_file_set_contents(page_path, page, -1, &cause)) {
            inv_error_set(error, VIR_ERR_SYSTEM_ERROR, "Failed to write file '%s': %s", page_path, cause->message);
            return inv_cli_fail(cli, "Failed to write the page");
        }
    }
    if (cli->json) {
        inv_cli_print_json(inv_fleet_json(fleet));
    } else {
        text = inv_fleet_text(cli, fleet, inv_text_terminal_width());
        inv_cli_print("%s", text);
    }
    /* Every error stands in the output, beside its host. */
    if (inv_fleet_exit(fleet) == INV_EXIT_ERROR) {
        inv_error_set(error, VIR_ERR_OPERATION_FAILED, "not every destination could be asked");
        return inv_cli_fail(cli, "The check is not complete");
    }
    return inv_fleet_exit(fleet);
}

const InvCommand inv_fleet_commands[] = {
    { "migrate-check", "whether and where a domain can move, without touching it",
      "Each destination is asked whether it gives the guest exactly its CPU, and has its\n"
      "machine type, emulator, accelerator, devices, memory and disks: it can, it can with\n"
      "the arguments named, or it cannot, for each reason with the layer that says no and\n"
      "what would help. What was exported is asked without any daemon there.\n"
      "Exit status: 0 when it can move everywhere, 4 when some refuse, 1 when some could\n"
      "not be asked.",
      migrate_check_options, run_migrate_check, FALSE },
    { "host-export", "describe this host in a file, for migrate-check elsewhere",
      "Emulators, machine types, what their CPUs are there, devices, memory. Without\n"
      "--machine and --all-machines: the machine types that domains use, the emulators'\n"
      "default ones, and those with a short name (q35, pc).",
      host_export_options, run_host_export, FALSE },
    { "domain-export", "describe a domain and its CPU in a file, for migrate-check elsewhere",
      "One line; the lines of several domains may be put together into one file.",
      domain_export_options, run_domain_export, FALSE },
    { NULL },
};
