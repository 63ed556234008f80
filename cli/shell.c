/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/shell.h"
#include "cli/complete.h"
#include "cli/words.h"

#include <editline/readline.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define HISTORY_LINES 1000
/* The daemon asks an idle client every few seconds whether it still lives. */
#define IDLE_MS 1000

/* libedit's callbacks carry no data; there is one shell in a process. */
static InvCli *shell_cli;

/*
 * Ctrl-C gives a line up, and not the shell: while a line is typed it is a key and no signal. What
 * libedit set for typing it takes back before a command runs, and this with it.
 */
static void
take_interrupt_key(void)
{
    struct termios settings;

    if (tcgetattr(STDIN_FILENO, &settings) < 0 || settings.c_cc[VINTR] == _POSIX_VDISABLE)
        return;
    settings.c_cc[VINTR] = _POSIX_VDISABLE;
    tcsetattr(STDIN_FILENO, TCSANOW, &settings);
}

/* Waits for a key, and answers the daemon meanwhile. */
static int
on_idle(void)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

    take_interrupt_key();
    while (poll(&input, 1, IDLE_MS) == 0) {
        /* A connection that is gone is opened anew by the next command. */
        if (shell_cli->connection && !inv_rpc_connection_wait(shell_cli->connection, 0, NULL))
            inv_cli_disconnect(shell_cli);
    }
    return 0;
}

/* The words of the command that is being typed, of a line that may hold several. */
static GPtrArray *
words_before(const char *line, int end)
{
    g_autofree char *part = g_strndup(line, end);
    g_autoptr(GPtrArray) split = inv_words_split(part, TRUE, NULL);
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; split && i < split->len; i++) {
        const InvWord *word = g_ptr_array_index(split, i);

        if (word->text)
            g_ptr_array_add(words, g_strdup(word->text));
        else
            g_ptr_array_set_size(words, 0);
    }
    return words;
}

static char **candidates; /* of the completion that is under way */

static char *
next_candidate(const char *text, int state)
{
    static guint index;

    if (!state)
        index = 0;
    /* libedit frees it with free(). */
    return candidates && candidates[index] ? strdup(candidates[index++]) : NULL;
}

static char **
on_complete(const char *text, int start, int end)
{
    g_autoptr(GPtrArray) words = words_before(rl_line_buffer, start);
    gboolean files = FALSE;
    char **matches;

    g_ptr_array_add(words, g_strdup(text));
    g_ptr_array_add(words, NULL);
    candidates = inv_complete(shell_cli, (const char *const *)words->pdata, &files);
    matches = candidates[0] ? rl_completion_matches(text, next_candidate) : NULL;
    g_clear_pointer(&candidates, g_strfreev);
    /* Set: libedit does not try file names itself. */
    rl_attempted_completion_over = !files;
    return matches;
}

static char *
history_path(void)
{
    const char *state = g_getenv("XDG_STATE_HOME");
    g_autofree char *folder = state && *state == '/' ? g_build_filename(state, "invar", NULL)
                                                     : g_build_filename(g_get_home_dir(), ".local", "state", "invar", NULL);

    /* Without a history the shell works as well. */
    if (g_mkdir_with_parents(folder, 0700) < 0)
        return NULL;
    return g_build_filename(folder, "history", NULL);
}

static void
save_history(const char *path)
{
    mode_t before;

    if (!path)
        return;
    /* What was typed is nobody else's business. */
    before = umask(077);
    stifle_history(HISTORY_LINES);
    write_history(path);
    umask(before);
}

static int
run_terminal(InvCli *cli)
{
    g_autofree char *history = history_path();

    shell_cli = cli;
    signal(SIGINT, SIG_IGN);
    rl_readline_name = (char *)"invar";
    rl_attempted_completion_function = on_complete;
    rl_event_hook = on_idle;
    rl_initialize();
    rl_parse_and_bind((char *)"bind ^C ed-start-over");
    using_history();
    if (history)
        read_history(history);
    if (!cli->quiet)
        inv_cli_print("Welcome to invar, the virtualization interactive terminal.\n\n"
                      "Type:  'help' for help with commands\n       'quit' to quit\n\n");
    while (!cli->leave) {
        /* As virsh: "#" may be answered with changes, ">" reads only. */
        char *line = readline(cli->read_only ? "invar > " : "invar # ");

        if (!line) {
            inv_cli_print("\n");
            break;
        }
        if (*line) {
            add_history(line);
            /* Now: what the line does may be interrupted, and the shell with it. */
            save_history(history);
            /* A command that takes too long may be ended, and the shell with it. */
            signal(SIGINT, SIG_DFL);
            inv_cli_run_line(cli, line);
            signal(SIGINT, SIG_IGN);
        }
        free(line);
    }
    return INV_EXIT_OK;
}

static int
run_stream(InvCli *cli)
{
    int status = INV_EXIT_OK;
    char *line = NULL;
    size_t size = 0;

    while (!cli->leave && getline(&line, &size, stdin) >= 0) {
        int one = inv_cli_run_line(cli, line);

        status = one ? one : status;
    }
    free(line);
    return status;
}

int
inv_shell_run(InvCli *cli)
{
    if (!isatty(STDIN_FILENO))
        return run_stream(cli);
    cli->interactive = TRUE;
    return run_terminal(cli);
}
