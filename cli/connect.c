/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cli.h"
#include "cli/progress.h"
#include "util/error.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A daemon that is alive accepts at once; the rest is for a machine under load. */
#define CONNECT_DEADLINE_MS 10000

gboolean
inv_cli_connect(InvCli *cli, GError **error)
{
    guint deadline = cli->timeout_ms ? cli->timeout_ms : CONNECT_DEADLINE_MS;

    /* Of a daemon that has gone, or was started anew, since the last command. */
    if (cli->connection && !inv_rpc_connection_wait(cli->connection, 0, NULL))
        inv_cli_disconnect(cli);
    if (cli->connection)
        return TRUE;
    cli->connection = inv_rpc_connection_open_target(cli->target, cli->read_only, deadline, error);
    if (!cli->connection)
        inv_cli_fail(cli, "failed to connect to the hypervisor");
    return cli->connection != NULL;
}

void
inv_cli_disconnect(InvCli *cli)
{
    g_clear_pointer(&cli->connection, inv_rpc_connection_close);
}

static gboolean
call(InvCli *cli, const InvRpcProgram *program, guint32 procedure, gpointer args, gpointer ret, GError **error)
{
    g_autoptr(InvProgress) progress = NULL;

    if (!inv_cli_connect(cli, error))
        return FALSE;
    progress = inv_progress_new(cli->quiet ? NULL : "waiting for the daemon");
    return inv_rpc_connection_call(cli->connection, program, procedure, args, ret, cli->timeout_ms, error);
}

gboolean
inv_cli_call(InvCli *cli, guint32 procedure, gpointer args, gpointer ret, GError **error)
{
    return call(cli, &inv_rpc_remote_program, procedure, args, ret, error);
}

gboolean
inv_cli_call_invar(InvCli *cli, guint32 procedure, gpointer args, gpointer ret, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autofree char *where = NULL;

    if (call(cli, &inv_rpc_invar_program, procedure, args, ret, &cause))
        return TRUE;
    /* libvirt's daemon answers on its socket too, and knows nothing of this program. */
    if (g_error_matches(cause, INV_ERROR, VIR_ERR_RPC) && g_str_has_prefix(cause->message, "Cannot find program")) {
        where = inv_rpc_target_describe(cli->target);
        return inv_error_set(error, VIR_ERR_NO_SUPPORT, "this command is not supported by the daemon at '%s': it is not invard", where);
    }
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

/* Appends what @fd holds; TRUE unless it is more than @max, or @failed is set to an errno. */
static gboolean
read_whole(int fd, GString *text, gsize max, int *failed)
{
    struct stat info = { 0 };
    char buffer[65536];

    /* What a file's size rules out is not read first. */
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && (guint64)info.st_size > max)
        return FALSE;
    while (text->len <= max) {
        gssize got = read(fd, buffer, sizeof(buffer));

        if (got == 0)
            return TRUE;
        if (got > 0) {
            g_string_append_len(text, buffer, got);
        } else if (errno != EINTR) {
            *failed = errno;
            return FALSE;
        }
    }
    return FALSE;
}

char *
inv_cli_read_text(const char *path, gsize max, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    gboolean standard = !strcmp(path, "-");
    inv_autofd int opened = standard ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    gboolean whole = FALSE;
    int failed = 0;

    if (!standard && opened < 0)
        failed = errno;
    else
        whole = read_whole(standard ? STDIN_FILENO : opened, text, max, &failed);
    if (!standard && opened < 0)
        inv_error_set_errno(error, failed, "Failed to open file '%s'", path);
    else if (failed)
        inv_error_set_errno(error, failed, "Failed to read file '%s'", path);
    else if (!whole)
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the file '%s' is larger than %zu bytes, the most that a document may have", path, max);
    else if (strlen(text->str) != text->len)
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the file '%s' is not text: it has a NUL byte at %zu", path, strlen(text->str));
    else
        return g_string_free(g_steal_pointer(&text), FALSE);
    return NULL;
}

char *
inv_cli_read_file(const char *path, GError **error)
{
    return inv_cli_read_text(path, INV_CLI_FILE_MAX, error);
}
