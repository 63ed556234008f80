/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A text in a private temporary file, in the user's editor. The file goes with it unless it is kept. */
typedef struct InvEditor InvEditor;

/* NULL: @error says why the file cannot be. */
InvEditor *inv_editor_new(const char *prefix, const char *suffix, const char *text, GError **error);
void inv_editor_free(InvEditor *editor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvEditor, inv_editor_free)

/* Runs $VISUAL, $EDITOR or vi, which may have arguments, and waits for its end. */
gboolean inv_editor_run(InvEditor *editor, GError **error);
/* What the file holds now; owned by the caller. */
char *inv_editor_text(InvEditor *editor, GError **error);
void inv_editor_keep(InvEditor *editor);
const char *inv_editor_path(const InvEditor *editor);

G_END_DECLS
