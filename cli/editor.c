/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/editor.h"
#include "cli/cli.h"
#include "util/error.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct InvEditor {
    char *path;
    gboolean keep;
};

static gboolean
write_all(int fd, const char *text, gsize length)
{
    while (length) {
        gssize wrote = write(fd, text, length);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return FALSE;
        text += wrote;
        length -= wrote;
    }
    return TRUE;
}

InvEditor *
inv_editor_new(const char *prefix, const char *suffix, const char *text, GError **error)
{
    g_autoptr(InvEditor) editor = g_new0(InvEditor, 1);
    inv_autofd int fd = -1;

    editor->path = g_strdup_printf("%s/%sXXXXXX%s", g_get_tmp_dir(), prefix, suffix);
    /* The document may hold passwords: for its owner's eyes alone. */
    fd = g_mkstemp_full(editor->path, O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        inv_error_set_errno(error, errno, "cannot make a temporary file in '%s'", g_get_tmp_dir());
        editor->keep = TRUE;
        return NULL;
    }
    if (!write_all(fd, text, strlen(text))) {
        inv_error_set_errno(error, errno, "cannot write '%s'", editor->path);
        return NULL;
    }
    return g_steal_pointer(&editor);
}

void
inv_editor_free(InvEditor *editor)
{
    if (!editor)
        return;
    if (!editor->keep)
        unlink(editor->path);
    g_free(editor->path);
    g_free(editor);
}

static const char *
editor_command(void)
{
    static const char *const names[] = { "VISUAL", "EDITOR" };

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        const char *value = g_getenv(names[i]);

        if (value && *value)
            return value;
    }
    return "vi";
}

gboolean
inv_editor_run(InvEditor *editor, GError **error)
{
    g_autofree char *quoted = g_shell_quote(editor->path);
    g_autofree char *command = g_strdup_printf("%s %s", editor_command(), quoted);
    /* A shell, as for every program that starts $EDITOR: its value may be any command. */
    const char *argv[] = { "/bin/sh", "-c", command, NULL };
    g_autoptr(GError) cause = NULL;
    int status;

    if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL, NULL, NULL, &status, &cause) ||
        !g_spawn_check_wait_status(status, &cause))
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the editor '%s' failed: %s", editor_command(), cause->message);
    return TRUE;
}

char *
inv_editor_text(InvEditor *editor, GError **error)
{
    return inv_cli_read_file(editor->path, error);
}

void
inv_editor_keep(InvEditor *editor)
{
    editor->keep = TRUE;
}

const char *
inv_editor_path(const InvEditor *editor)
{
    return editor->path;
}
