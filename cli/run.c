/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cli.h"
#include "cpu_driver/invar-cpu.h"
#include "util/error.h"

#include <stdio.h>

/* Commands whose output other programs read as it is. */
static gboolean
wants_blank_line(const InvCli *cli, const InvArgs *args)
{
    return !cli->quiet && !cli->json && !args->command->hidden && !cli->leave;
}

static int
run_call(InvCli *cli, const InvArgs *args)
{
    g_autoptr(GError) error = NULL;
    gboolean json = cli->json;
    int status;

    g_clear_pointer(&cli->headline, g_free);
    cli->json = json || args->json;
    status = args->command->run(cli, args, &error);
    if (error || cli->headline)
        inv_cli_report(cli, error);
    /* As virsh: a blank line behind each command's output, unless --quiet. */
    if (wants_blank_line(cli, args))
        inv_cli_print("\n");
    cli->json = json;
    fflush(stdout);
    return status;
}

int
inv_cli_run_calls(InvCli *cli, GPtrArray *calls)
{
    int status = INV_EXIT_OK;

    for (guint i = 0; i < calls->len && !cli->leave; i++) {
        int one = run_call(cli, g_ptr_array_index(calls, i));

        status = one ? one : status;
    }
    return status;
}

int
inv_cli_run_line(InvCli *cli, const char *line)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) calls = inv_command_parse_line(line, &error);

    if (!calls) {
        g_clear_pointer(&cli->headline, g_free);
        inv_cli_report(cli, error);
        return INV_EXIT_USAGE;
    }
    return inv_cli_run_calls(cli, calls);
}

void
inv_cli_clear(InvCli *cli)
{
    inv_cli_disconnect(cli);
    g_clear_pointer(&cli->target, inv_rpc_target_free);
    g_clear_pointer(&cli->dictionary, invar_cpu_context_free);
    g_clear_pointer(&cli->headline, g_free);
}
