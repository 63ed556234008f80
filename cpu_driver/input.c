/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/input.h"

#include "util/error.h"

#include <string.h>

/* What a witness prints around one round. */
#define WITNESS_START "INVAR-WITNESS"
#define WITNESS_END "END"
/* A serial line may hold what firmware said before. */
#define WITNESS_WITHIN (64u * 1024)
/* The largest replies, to query-qmp-schema, have a tenth of it. */
#define MAX_JSON_BYTES (4u * 1024 * 1024)

const char *
invar_cpu_format_name(InvarCpuFormat format)
{
    switch (format) {
    case INVAR_CPU_FORMAT_AUTO:
        return "any document that describes a CPU";
    case INVAR_CPU_FORMAT_DOMAIN:
        return "domain XML";
    case INVAR_CPU_FORMAT_CPU:
        return "<cpu>";
    case INVAR_CPU_FORMAT_CAPABILITIES:
        return "capabilities";
    case INVAR_CPU_FORMAT_DOMCAPABILITIES:
        return "domain capabilities";
    case INVAR_CPU_FORMAT_CPUDATA:
        return "<cpudata>";
    case INVAR_CPU_FORMAT_CPUID:
        return "a CPUID dump";
    case INVAR_CPU_FORMAT_QMP:
        return "a QMP expansion";
    case INVAR_CPU_FORMAT_HOST:
        return "this machine";
    }
    /* A caller of another language may hand in anything. */
    return "an unknown format";
}

/* The next line of the rest, without its end; *@at goes behind it. */
static gboolean
next_line(const char **at, const char *end, const char **line, gsize *length)
{
    const char *newline;

    if (*at >= end)
        return FALSE;
    *line = *at;
    newline = memchr(*at, '\n', (gsize)(end - *at));
    *length = (gsize)((newline ? newline : end) - *at);
    *at = newline ? newline + 1 : end;
    return TRUE;
}

/* @line without blanks around it begins with @prefix. */
static gboolean
line_begins(const char *line, gsize length, const char *prefix)
{
    while (length && g_ascii_isspace(*line))
        line++, length--;
    return length >= strlen(prefix) && memcmp(line, prefix, strlen(prefix)) == 0;
}

/* Blank, or a comment. */
static gboolean
is_remark(const char *line, gsize length)
{
    while (length && g_ascii_isspace(*line))
        line++, length--;
    return !length || *line == '#';
}

static gboolean
has_witness(const char *text, gsize length)
{
    return g_strstr_len(text, (gssize)MIN(length, WITNESS_WITHIN), WITNESS_START) != NULL;
}

/* A dump of one machine has its first CPU once; other CPUs than the first begin no dump. */
static gboolean
begins_dump(const char *line, gsize length)
{
    return line_begins(line, length, "CPU:") || line_begins(line, length, "CPU 0:") || line_begins(line, length, WITNESS_START);
}

typedef struct {
    const char *begin, *end;
    guint line;
    gboolean says;  /* there is more in it than comments */
    gboolean ended; /* by the witness itself */
} Piece;

/*
 * FALSE: no more is wanted, or an error. The witness prints round after round: of the same content
 * each is the same CPU, and the last may not be complete yet.
 */
static gboolean
visit_piece(const Piece *piece, Piece *previous, InvDocumentVisit visit, gpointer opaque, GError **error)
{
    InvDocument document = { INVAR_CPU_FORMAT_CPUID, piece->begin, (gsize)(piece->end - piece->begin), piece->line };
    gboolean witness = previous->begin && line_begins(piece->begin, document.length, WITNESS_START);
    gboolean again = witness && (!piece->ended || ((gsize)(previous->end - previous->begin) == document.length &&
                                                   memcmp(previous->begin, piece->begin, document.length) == 0));

    if (!piece->says || again)
        return TRUE;
    *previous = *piece;
    return visit(&document, opaque, error);
}

static gboolean
split_cpuid(const char *text, gsize length, InvDocumentVisit visit, gpointer opaque, GError **error)
{
    const char *at = text, *end = text + length, *line;
    gboolean rounds = has_witness(text, length);
    Piece piece = { .begin = text, .line = 1 }, previous = { 0 };
    gsize size;
    guint number = 0;

    while (next_line(&at, end, &line, &size)) {
        number++;
        if (begins_dump(line, size)) {
            piece.end = line;
            if (!visit_piece(&piece, &previous, visit, opaque, error))
                return FALSE;
            piece = (Piece){ .begin = line, .line = number };
        }
        piece.says = piece.says || (!is_remark(line, size) && (!rounds || line_begins(line, size, WITNESS_START)));
        piece.ended = piece.ended || line_begins(line, size, WITNESS_END);
    }
    piece.end = end;
    if (!piece.says && !previous.begin)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the CPUID dump is empty");
    return visit_piece(&piece, &previous, visit, opaque, error);
}

/* How many bytes of foreign text a message shows: whole characters of one line. */
static int
shown_bytes(const char *text, const char *end)
{
    const char *at = text;

    while (at < end && at < text + 40 && !g_ascii_iscntrl(*at))
        at = g_utf8_next_char(at);
    return (int)(at - text);
}

/* Where the JSON document that begins at @at ends; NULL: it does not. The parser checks what is between. */
static const char *
json_end(const char *at, const char *end)
{
    gboolean quoted = FALSE;
    guint depth = 0;

    for (; at < end; at++) {
        if (quoted && *at == '\\')
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (!quoted && (*at == '{' || *at == '['))
            depth++;
        else if (!quoted && (*at == '}' || *at == ']') && --depth == 0)
            return at + 1;
    }
    return NULL;
}

/* A list of replies is as good as replies one after another: its brackets and commas only separate. */
static gboolean
take_separator(char byte, guint line, guint *lists, GError **error)
{
    if (byte == ']' && !*lists)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "line %u: ']' ends no list; is the beginning of the text missing?", line);
    *lists += byte == '[';
    *lists -= byte == ']';
    return TRUE;
}

static gboolean
split_json(const char *text, gsize length, InvDocumentVisit visit, gpointer opaque, GError **error)
{
    const char *end = text + length;
    guint line = 1, lists = 0;

    for (const char *at = text, *next; at < end; at = next) {
        InvDocument document = { INVAR_CPU_FORMAT_QMP, at, 0, line };

        next = at + 1;
        line += *at == '\n';
        if (g_ascii_isspace(*at))
            continue;
        if (*at == '[' || *at == ']' || *at == ',') {
            if (!take_separator(*at, line, &lists, error))
                return FALSE;
            continue;
        }
        if (*at != '{')
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "line %u: '%.*s' begins no JSON document of QEMU's", line, shown_bytes(at, end), at);
        next = json_end(at, end);
        if (!next)
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "line %u: the JSON document that begins here has no end; is it cut off?", line);
        document.length = (gsize)(next - at);
        if (document.length > MAX_JSON_BYTES)
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "line %u: the JSON document has %" G_GSIZE_FORMAT " bytes; no reply of QEMU has more than %u",
                                 line, document.length, MAX_JSON_BYTES);
        if (!visit(&document, opaque, error))
            return FALSE;
        for (const char *byte = at; byte < next; byte++)
            line += *byte == '\n';
    }
    return !lists || inv_error_set(error, VIR_ERR_INVALID_ARG, "line %u: the JSON list has no end; is it cut off?", line);
}

static gboolean
is_dump_line(const char *line, gsize length)
{
    guint digits = 0;

    if (line_begins(line, length, "CPU") || line_begins(line, length, "0x") || line_begins(line, length, WITNESS_START))
        return TRUE;
    while (digits < length && g_ascii_isxdigit(line[digits]))
        digits++;
    return digits == 8 && digits < length && line[digits] == ' ';
}

/* By the first thing in it that is no blank and, in a dump, no comment. AUTO: nothing known. */
static InvarCpuFormat
look_at(const char *text, gsize length)
{
    const char *at = text, *end = text + length, *line;
    gsize size;

    while (next_line(&at, end, &line, &size)) {
        while (size && g_ascii_isspace(*line))
            line++, size--;
        if (!size || *line == '#')
            continue;
        if (*line == '<')
            return INVAR_CPU_FORMAT_CPU;
        if (*line == '{' || *line == '[')
            return INVAR_CPU_FORMAT_QMP;
        if (is_dump_line(line, size))
            return INVAR_CPU_FORMAT_CPUID;
        break;
    }
    return has_witness(text, length) ? INVAR_CPU_FORMAT_CPUID : INVAR_CPU_FORMAT_AUTO;
}

static gboolean
fail_unknown(const char *text, gsize length, GError **error)
{
    gsize begin = 0;

    while (begin < length && g_ascii_isspace(text[begin]))
        begin++;
    if (begin == length)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the text is empty: it describes no CPU");
    return inv_error_set(error, VIR_ERR_INVALID_ARG,
                         "the text begins with '%.*s' and is none of what can be read: domain XML, <cpu>, capabilities, domain capabilities, "
                         "<cpudata>, the output of 'cpuid -r', QEMU's reply to query-cpu-model-expansion",
                         shown_bytes(text + begin, text + length), text + begin);
}

static gboolean
check_text(const char *text, gsize length, GError **error)
{
    const char *end;

    if (length > INV_INPUT_MAX_BYTES)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the text has %" G_GSIZE_FORMAT " bytes; at most %u are read", length, INV_INPUT_MAX_BYTES);
    if (g_utf8_validate_len(text, length, &end))
        return TRUE;
    return inv_error_set(error, VIR_ERR_INVALID_ARG, "it is not text: byte %" G_GSIZE_FORMAT " is 0x%02x, which is not UTF-8 text", (gsize)(end - text),
                         (guchar)*end);
}

gboolean
inv_input_split(const char *text, gsize length, InvarCpuFormat format, InvDocumentVisit visit, gpointer opaque, GError **error)
{
    static const char mark[] = "\xef\xbb\xbf"; /* UTF-8's byte order mark, which some editors write */
    InvarCpuFormat seen;

    /* As good as any for a text of no bytes. */
    text = text ? text : "";
    if (!check_text(text, length, error))
        return FALSE;
    if (length >= strlen(mark) && memcmp(text, mark, strlen(mark)) == 0) {
        text += strlen(mark);
        length -= strlen(mark);
    }
    seen = format == INVAR_CPU_FORMAT_AUTO ? look_at(text, length) : format;
    if (look_at(text, length) == INVAR_CPU_FORMAT_AUTO)
        return fail_unknown(text, length, error);
    switch (seen) {
    case INVAR_CPU_FORMAT_DOMAIN:
    case INVAR_CPU_FORMAT_CPU:
    case INVAR_CPU_FORMAT_CAPABILITIES:
    case INVAR_CPU_FORMAT_DOMCAPABILITIES:
    case INVAR_CPU_FORMAT_CPUDATA:
        return inv_input_split_xml(text, length, format, visit, opaque, error);
    case INVAR_CPU_FORMAT_CPUID:
        return split_cpuid(text, length, visit, opaque, error);
    case INVAR_CPU_FORMAT_QMP:
        return split_json(text, length, visit, opaque, error);
    case INVAR_CPU_FORMAT_AUTO:
    case INVAR_CPU_FORMAT_HOST:
        break;
    }
    return inv_error_set(error, VIR_ERR_INVALID_ARG, "'%s' is not a document", invar_cpu_format_name(format));
}
