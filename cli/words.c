/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/words.h"
#include "util/error.h"

#include <string.h>

#define BLANKS " \t\r"
#define SPECIAL " \t\r\n;'\"\\#"

void
inv_word_free(InvWord *word)
{
    if (!word)
        return;
    g_free(word->text);
    g_free(word);
}

static void
add_word(GPtrArray *words, char *text, gboolean quoted, gsize start)
{
    InvWord *word = g_new0(InvWord, 1);

    word->text = text;
    word->quoted = quoted;
    word->start = start;
    g_ptr_array_add(words, word);
}

/* Copies the quoted part that begins at *@p, and leaves *@p behind its closing quote. */
static gboolean
take_quoted(const char **p, GString *text, gboolean partial, GError **error)
{
    char quote = *(*p)++;

    while (**p && **p != quote) {
        if (quote == '"' && **p == '\\' && (*p)[1])
            (*p)++;
        g_string_append_c(text, *(*p)++);
    }
    if (**p)
        (*p)++;
    else if (!partial)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "missing closing %c in the command line", quote);
    return TRUE;
}

static gboolean
take_word(const char *line, const char **p, GPtrArray *words, gboolean partial, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    gsize start = *p - line;
    gboolean quoted = FALSE;

    while (**p && !strchr(BLANKS "\n;", **p)) {
        if (**p == '\'' || **p == '"') {
            quoted = TRUE;
            if (!take_quoted(p, text, partial, error))
                return FALSE;
            continue;
        }
        if (**p == '\\') {
            if (!(*p)[1] && !partial)
                return inv_error_set(error, VIR_ERR_INVALID_ARG, "nothing follows the backslash at the end of the command line");
            quoted = TRUE;
            (*p)++;
        }
        if (**p)
            g_string_append_c(text, *(*p)++);
    }
    add_word(words, g_strdup(text->str), quoted, start);
    return TRUE;
}

GPtrArray *
inv_words_split(const char *line, gboolean partial, GError **error)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func((GDestroyNotify)inv_word_free);

    for (const char *p = line; *p;) {
        if (*p == ';' || *p == '\n') {
            add_word(words, NULL, FALSE, p - line);
            p++;
        } else if (strchr(BLANKS, *p)) {
            p++;
        } else if (*p == '#') {
            p += strcspn(p, "\n");
        } else if (!take_word(line, &p, words, partial, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&words);
}

char *
inv_word_quote(const char *text)
{
    GString *out;

    if (*text && !strpbrk(text, SPECIAL))
        return g_strdup(text);
    if (!strchr(text, '\''))
        return g_strdup_printf("'%s'", text);
    out = g_string_new("\"");
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            g_string_append_c(out, '\\');
        g_string_append_c(out, *p);
    }
    g_string_append_c(out, '"');
    return g_string_free(out, FALSE);
}
