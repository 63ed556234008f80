/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* One word of a command line. */
typedef struct {
    char *text;      /* without its quotes; NULL for the end of a command (";" or a newline) */
    gboolean quoted; /* part of it was quoted: it is never an option's name */
    gsize start;     /* where it begins in the line, in bytes */
} InvWord;

void inv_word_free(InvWord *word);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvWord, inv_word_free)

/*
 * Splits @line as virsh does: words are separated by spaces and tabs; '…' keeps all, in "…" a
 * backslash escapes the next character, as it does outside quotes; ";" and newlines end a command;
 * "#" begins a comment that lasts to the end of the line. The result is an array of InvWord, owned.
 * An open quote or a trailing backslash is VIR_ERR_INVALID_ARG, unless @partial: a line that is
 * still being typed.
 */
GPtrArray *inv_words_split(const char *line, gboolean partial, GError **error);

/* @text so that inv_words_split() gives it back as one word. Owned by the caller. */
char *inv_word_quote(const char *text);

G_END_DECLS
