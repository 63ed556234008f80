/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Text on its way to a terminal. What comes from a daemon, and through it from whoever named a
 * domain, is untrusted: an escape sequence in a name must not reach the terminal as one.
 */
typedef enum {
    INV_TEXT_LINE,     /* one line: newlines and tabs are shown as escapes too */
    INV_TEXT_DOCUMENT, /* several lines: newlines and tabs are kept */
} InvTextKind;

/*
 * @text with control characters, bidirectional overrides and bytes that are not UTF-8 replaced by
 * visible escapes ("\x1b", "\u202e"). Owned by the caller. NULL gives "".
 */
char *inv_text_escape(const char *text, InvTextKind kind);

/* Columns that the valid UTF-8 @text takes on a terminal. */
guint inv_text_width(const char *text);

/*
 * @text broken between words into lines of at most @width columns; a longer word gets a line of its
 * own. Newlines in it stay. An empty text gives one empty line. NULL-terminated, owned by the caller.
 */
char **inv_text_wrap(const char *text, guint width);

/* The columns of the terminal on standard output, or 80 when it is none or does not say. */
guint inv_text_terminal_width(void);

G_END_DECLS
