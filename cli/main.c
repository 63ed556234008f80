/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cli.h"
#include "cli/shell.h"
#include "util/error.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "\n"
    "invar [options]... [<command_string>]\n"
    "invar [options]... <command> [args...]\n"
    "\n"
    "  options:\n"
    "    -c | --connect=URI      daemon to talk to (default: $INVAR_URI, else qemu:///system\n"
    "                            for root and qemu:///session for all others)\n"
    "    -h | --help             this help\n"
    "         --json             print data as one JSON document\n"
    "         --no-color         no colours, even on a terminal\n"
    "    -q | --quiet            quiet mode\n"
    "    -r | --readonly         connect readonly\n"
    "         --timeout=SECONDS  give up a call to the daemon after that time\n"
    "    -v | --version          version\n"
    "\n"
    "  exit status: 0 success, 1 error, 2 wrong usage; verdict also 3 and 4\n"
    "\n"
    "  commands (non interactive mode):\n\n";

static void
print_help(void)
{
    g_autofree char *overview = inv_command_overview();

    inv_cli_print("%s%s", usage, overview);
    inv_cli_print("  (specify help <group> for details about the commands in the group)\n\n"
                  "  (specify help <command> for details about the command)\n\n");
}

static int
fail_usage(InvCli *cli, const GError *error)
{
    inv_cli_report(cli, error);
    return INV_EXIT_USAGE;
}

static gboolean
parse_timeout(const char *text, guint *timeout_ms, GError **error)
{
    guint64 seconds;

    if (!g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT32 / 1000, &seconds, NULL))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "--timeout '%s' is not a number of seconds from 1 to %d", text,
                             G_MAXINT32 / 1000);
    *timeout_ms = (guint)seconds * 1000;
    return TRUE;
}

enum { OPTION_JSON = 256, OPTION_NO_COLOR, OPTION_TIMEOUT };

static const struct option long_options[] = {
    { "connect", required_argument, NULL, 'c' },  { "help", no_argument, NULL, 'h' },
    { "json", no_argument, NULL, OPTION_JSON },   { "no-color", no_argument, NULL, OPTION_NO_COLOR },
    { "quiet", no_argument, NULL, 'q' },          { "readonly", no_argument, NULL, 'r' },
    { "timeout", required_argument, NULL, OPTION_TIMEOUT }, { "version", no_argument, NULL, 'v' },
    { NULL, 0, NULL, 0 },
};

/* The global options, which stand before the command. Returns -1 to go on, else the exit status. */
static int
parse_options(InvCli *cli, int argc, char **argv, const char **uri)
{
    g_autoptr(GError) error = NULL;
    int option;

    /* "+": what follows the command is the command's. */
    while ((option = getopt_long(argc, argv, "+c:hqrv", long_options, NULL)) != -1) {
        switch (option) {
        case 'c':
            *uri = optarg;
            break;
        case 'h':
            print_help();
            return INV_EXIT_OK;
        case 'q':
            cli->quiet = TRUE;
            break;
        case 'r':
            cli->read_only = TRUE;
            break;
        case 'v':
            inv_cli_print("%s\n", PACKAGE_VERSION);
            return INV_EXIT_OK;
        case OPTION_JSON:
            cli->json = TRUE;
            break;
        case OPTION_NO_COLOR:
            cli->colour = FALSE;
            /* Errors go to another stream: they look at this alone. */
            g_setenv("NO_COLOR", "1", TRUE);
            break;
        case OPTION_TIMEOUT:
            if (!parse_timeout(optarg, &cli->timeout_ms, &error))
                return fail_usage(cli, error);
            break;
        default:
            return INV_EXIT_USAGE;
        }
    }
    return -1;
}

static int
run_words(InvCli *cli, char **words)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func((GDestroyNotify)inv_args_free);
    const InvCommand *command = inv_command_find(words[0]);
    InvArgs *args;

    if (!command) {
        inv_error_set(&error, VIR_ERR_INVALID_ARG, "unknown command: '%s'", words[0]);
        return fail_usage(cli, error);
    }
    args = inv_args_parse(command, (const char *const *)words + 1, NULL, &error);
    if (!args)
        return fail_usage(cli, error);
    g_ptr_array_add(calls, args);
    return inv_cli_run_calls(cli, calls);
}

static int
run(InvCli *cli, int argc, char **argv)
{
    const char *uri = g_getenv("INVAR_URI");
    g_autoptr(GError) error = NULL;
    int status = parse_options(cli, argc, argv, &uri);

    if (status >= 0)
        return status;
    cli->target = inv_rpc_target_parse(uri, &error);
    if (!cli->target)
        return fail_usage(cli, error);
    if (optind == argc)
        return inv_shell_run(cli);
    /* One argument is a line, as in `invar "list; uri"`; several are words that the shell has split already. */
    if (optind + 1 == argc)
        return inv_cli_run_line(cli, argv[optind]);
    return run_words(cli, argv + optind);
}

int
main(int argc, char **argv)
{
    const char *no_color = g_getenv("NO_COLOR");
    InvCli cli = { .colour = isatty(STDOUT_FILENO) && !(no_color && *no_color) };
    int status;

    setlocale(LC_ALL, "");
    /* A daemon that goes away is an error to report, not a signal to die of. */
    signal(SIGPIPE, SIG_IGN);
    status = run(&cli, argc, argv);
    inv_cli_clear(&cli);
    /* What could not be written was not said: a full disk is no success. */
    if (fflush(stdout) || ferror(stdout))
        status = status ? status : INV_EXIT_ERROR;
    return status;
}
