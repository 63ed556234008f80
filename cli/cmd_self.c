/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands about the program itself. */
#include "cli/commands.h"
#include "cli/cli.h"
#include "cli/complete.h"
#include "cli/words.h"
#include "rpc/transport.h"
#include "util/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const InvOption help_options[] = {
    { .name = "command", .type = INV_OPTION_STRING, .positional = TRUE, .complete = INV_COMPLETE_COMMAND,
      .help = "Prints global help, command specific help, or help for a group of related commands" },
    { NULL },
};

static InvJson *
command_json(const InvCommandGroup *group, const InvCommand *command)
{
    InvJson *json = inv_json_new_object();
    InvJson *options = inv_json_new_array();

    inv_json_object_set_string(json, "name", command->name);
    inv_json_object_set_string(json, "group", group->keyword);
    inv_json_object_set_string(json, "summary", command->summary);
    for (const InvOption *option = command->options; option && option->name; option++) {
        InvJson *object = inv_json_new_object();

        inv_json_object_set_string(object, "name", option->name);
        inv_json_object_set_boolean(object, "flag", option->type == INV_OPTION_FLAG);
        inv_json_object_set_boolean(object, "required", option->required);
        inv_json_object_set_string(object, "help", option->help);
        inv_json_array_add(options, object);
    }
    inv_json_object_set(json, "options", options);
    return json;
}

/* Nothing for all. */
static int
help_json(const char *name)
{
    InvJson *array = inv_json_new_array();

    for (const InvCommandGroup *group = inv_command_groups; group->title; group++) {
        for (const InvCommand *command = group->commands; command->name; command++) {
            gboolean meant = !name || !strcmp(name, group->keyword) || !strcmp(name, command->name);

            if (meant && !command->hidden)
                inv_json_array_add(array, command_json(group, command));
        }
    }
    return inv_cli_print_json(array);
}

static int
run_help(InvCli *cli, const InvArgs *args, GError **error)
{
    const char *name = inv_args_string(args, "command");
    const InvCommand *command = name ? inv_command_find(name) : NULL;
    const InvCommandGroup *group = name && !command ? inv_command_group_find(name) : NULL;
    g_autofree char *text = NULL;

    if (name && !command && !group) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "command or command group '%s' doesn't exist", name);
        return INV_EXIT_ERROR;
    }
    if (cli->json)
        return help_json(name);
    text = command ? inv_command_help(command) : group ? inv_command_group_help(group) : inv_command_overview();
    inv_cli_print("%s", text);
    return INV_EXIT_OK;
}

static int
run_quit(InvCli *cli, const InvArgs *args, GError **error)
{
    cli->leave = TRUE;
    return INV_EXIT_OK;
}

static const InvOption echo_options[] = {
    INV_FLAG("shell", "escape for shell use"),
    INV_FLAG("xml", "escape for XML use"),
    INV_FLAG("err", "output to stderr"),
    { .name = "string", .type = INV_OPTION_REST, .help = "arguments to echo" },
    { NULL },
};

static int
run_echo(InvCli *cli, const InvArgs *args, GError **error)
{
    g_autoptr(GString) line = g_string_new(NULL);

    for (guint i = 0; i < args->rest->len; i++) {
        g_autofree char *word = g_strdup(g_ptr_array_index(args->rest, i));

        if (inv_args_flag(args, "xml")) {
            char *escaped = g_markup_escape_text(word, -1);

            g_free(word);
            word = escaped;
        }
        if (inv_args_flag(args, "shell")) {
            char *quoted = g_shell_quote(word);

            g_free(word);
            word = quoted;
        }
        g_string_append_printf(line, "%s%s", i ? " " : "", word);
    }
    if (inv_args_flag(args, "err"))
        fprintf(stderr, "%s\n", line->str);
    else
        inv_cli_print("%s\n", line->str);
    return INV_EXIT_OK;
}

static const InvOption cd_options[] = {
    { .name = "dir", .type = INV_OPTION_STRING, .positional = TRUE, .complete = INV_COMPLETE_FILE,
      .help = "directory to switch to (default: home or else root)" },
    { NULL },
};

static int
run_cd(InvCli *cli, const InvArgs *args, GError **error)
{
    const char *dir = inv_args_string(args, "dir");

    if (!dir)
        dir = g_get_home_dir();
    if (chdir(dir) < 0) {
        inv_error_set_errno(error, errno, "cd: %s", dir);
        return INV_EXIT_ERROR;
    }
    return INV_EXIT_OK;
}

static int
run_pwd(InvCli *cli, const InvArgs *args, GError **error)
{
    g_autofree char *dir = g_get_current_dir();

    inv_cli_print("%s\n", dir);
    return INV_EXIT_OK;
}

static const InvOption connect_options[] = {
    { .name = "name", .type = INV_OPTION_STRING, .positional = TRUE, .help = "hypervisor connection URI" },
    INV_FLAG("readonly", "read-only connection"),
    { NULL },
};

static int
run_connect(InvCli *cli, const InvArgs *args, GError **error)
{
    const char *name = inv_args_string(args, "name");
    InvRpcTarget *target = name ? inv_rpc_target_parse(name, error) : NULL;

    if (name && !target)
        return INV_EXIT_USAGE;
    inv_cli_disconnect(cli);
    if (target) {
        inv_rpc_target_free(cli->target);
        cli->target = target;
    }
    cli->read_only = inv_args_flag(args, "readonly");
    return inv_cli_connect(cli, error) ? INV_EXIT_OK : INV_EXIT_ERROR;
}

static const InvOption complete_options[] = {
    { .name = "words", .type = INV_OPTION_REST, .help = "the words of the line, the last one being typed" },
    { NULL },
};

/* For the shell's completion script: a candidate a line; a line "/" when file names are welcome. */
static int
run_complete(InvCli *cli, const InvArgs *args, GError **error)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    g_auto(GStrv) found = NULL;
    gboolean files;

    for (guint i = 0; i < args->rest->len; i++)
        g_ptr_array_add(words, g_ptr_array_index(args->rest, i));
    if (!words->len)
        g_ptr_array_add(words, (gpointer)"");
    g_ptr_array_add(words, NULL);
    found = inv_complete(cli, (const char *const *)words->pdata, &files);
    if (files)
        inv_cli_print("/\n");
    for (char **word = found; *word; word++)
        inv_cli_print("%s\n", *word);
    return INV_EXIT_OK;
}

/* What a client on another host starts over ssh. Standard output is the daemon's: nothing else may be printed. */
static int
run_relay(InvCli *cli, const InvArgs *args, GError **error)
{
    if (cli->target->transport != INV_TRANSPORT_UNIX) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "relay is for a daemon of this host: give --connect with a socket of it");
        return INV_EXIT_USAGE;
    }
    return inv_rpc_relay(cli->target->socket, STDIN_FILENO, STDOUT_FILENO, error) ? INV_EXIT_OK : INV_EXIT_ERROR;
}

const InvCommand inv_self_commands[] = {
    { "cd", "change the current directory", "Change the current directory.", cd_options, run_cd, FALSE },
    { "complete", "completion for the shell", "Used by the shell's completion script.", complete_options, run_complete, TRUE },
    { "connect", "(re)connect to hypervisor", "Connect to a daemon. Commands connect by themselves when there is need.", connect_options,
      run_connect, FALSE },
    { "echo", "echo arguments. Used for internal testing.", "Echo back arguments, possibly with quoting. Used for internal testing.",
      echo_options, run_echo, FALSE },
    { "exit", "quit this interactive terminal", NULL, NULL, run_quit, FALSE },
    { "help", "print help", "Prints global help, command specific help, or help for a\ngroup of related commands", help_options, run_help,
      FALSE },
    { "pwd", "print the current directory", "Print the current directory.", NULL, run_pwd, FALSE },
    { "quit", "quit this interactive terminal", NULL, NULL, run_quit, FALSE },
    { "relay", "carry the daemon's messages", "Carries messages between standard input and output and the daemon's socket. Used over ssh.",
      NULL, run_relay, TRUE },
    { NULL },
};
