/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/input.h"
#include "util/error.h"

#include <string.h>

/*
 * Finds where elements begin and end, and no more: each document is then read by a real parser, with
 * its limits. So a file of ten thousand CPUs is never a tree in memory.
 */

/* Lists of hosts are not deeper than this. */
#define MAX_CONTAINERS 16
#define MAX_NAME 64

static const struct {
    const char *name;
    InvarCpuFormat format;
} elements[] = {
    { "domain", INVAR_CPU_FORMAT_DOMAIN },
    { "cpu", INVAR_CPU_FORMAT_CPU },
    { "capabilities", INVAR_CPU_FORMAT_CAPABILITIES },
    { "domainCapabilities", INVAR_CPU_FORMAT_DOMCAPABILITIES },
    { "cpudata", INVAR_CPU_FORMAT_CPUDATA },
};

typedef enum {
    TAG_OPEN,
    TAG_CLOSE,
    TAG_EMPTY, /* <a/> */
    TAG_OTHER, /* a comment, an instruction, CDATA */
    TAG_END,   /* of the text */
} TagKind;

typedef struct {
    TagKind kind;
    const char *begin, *end; /* from its < to behind its > */
    char name[MAX_NAME];     /* cut off where it is longer: no known name is */
} Tag;

typedef struct {
    const char *at, *end;
    const char *counted; /* up to here the lines are counted */
    guint line;
    InvarCpuFormat format;
    char containers[MAX_CONTAINERS][MAX_NAME]; /* the elements around the documents that are open */
    guint depth;
    guint documents;
} Scan;

const char *
inv_input_element(InvarCpuFormat format)
{
    for (guint i = 0; i < G_N_ELEMENTS(elements); i++) {
        if (elements[i].format == format)
            return elements[i].name;
    }
    return NULL;
}

/* The line of a place that is not before any that was asked about. */
static guint
line_at(Scan *scan, const char *place)
{
    while (scan->counted < place) {
        const char *newline = memchr(scan->counted, '\n', (gsize)(place - scan->counted));

        if (!newline)
            break;
        scan->line++;
        scan->counted = newline + 1;
    }
    return scan->line;
}

static gboolean
fail_cut_off(Scan *scan, const char *begin, const char *what, GError **error)
{
    return inv_error_set(error, VIR_ERR_XML_ERROR, "line %u: %s that begins here has no end; is the text cut off?", line_at(scan, begin), what);
}

/* Behind the first @mark in the rest of the text, or NULL. */
static const char *
behind(const Scan *scan, const char *from, const char *mark)
{
    const char *found = g_strstr_len(from, scan->end - from, mark);

    return found ? found + strlen(mark) : NULL;
}

static gboolean
skip_markup(Scan *scan, Tag *tag, const char *mark, const char *what, GError **error)
{
    tag->kind = TAG_OTHER;
    tag->end = behind(scan, tag->begin, mark);
    return tag->end || fail_cut_off(scan, tag->begin, what, error);
}

static void
take_name(Tag *tag, const char *from, const char *end)
{
    gsize length = 0;

    while (from + length < end && !strchr(" \t\r\n/>=", from[length]))
        length++;
    length = MIN(length, sizeof(tag->name) - 1);
    memcpy(tag->name, from, length);
    tag->name[length] = '\0';
}

/* The > that ends a tag: one within quotes does not. */
static const char *
tag_end(const char *from, const char *end)
{
    char quote = '\0';

    for (; from < end; from++) {
        if (quote ? *from == quote : *from == '"' || *from == '\'')
            quote = quote ? '\0' : *from;
        else if (*from == '>' && !quote)
            return from + 1;
    }
    return NULL;
}

static gboolean
has_prefix(const Scan *scan, const char *at, const char *prefix)
{
    return (gsize)(scan->end - at) >= strlen(prefix) && memcmp(at, prefix, strlen(prefix)) == 0;
}

/* Goes to the next tag. */
static gboolean
next_tag(Scan *scan, Tag *tag, GError **error)
{
    const char *begin = scan->at < scan->end ? memchr(scan->at, '<', (gsize)(scan->end - scan->at)) : NULL;

    *tag = (Tag){ .kind = TAG_END, .begin = begin ? begin : scan->end, .end = scan->end };
    if (!begin)
        return TRUE;
    if (has_prefix(scan, begin, "<!--"))
        return skip_markup(scan, tag, "-->", "a comment", error);
    if (has_prefix(scan, begin, "<![CDATA["))
        return skip_markup(scan, tag, "]]>", "a CDATA section", error);
    if (has_prefix(scan, begin, "<?"))
        return skip_markup(scan, tag, "?>", "an instruction", error);
    if (has_prefix(scan, begin, "<!"))
        return inv_error_set(error, VIR_ERR_XML_ERROR, "line %u: a document type, and entities with it, is not accepted; remove it",
                             line_at(scan, begin));
    tag->end = tag_end(begin, scan->end);
    if (!tag->end)
        return fail_cut_off(scan, begin, "a tag", error);
    tag->kind = begin[1] == '/' ? TAG_CLOSE : tag->end[-2] == '/' ? TAG_EMPTY : TAG_OPEN;
    take_name(tag, begin + (tag->kind == TAG_CLOSE ? 2 : 1), tag->end);
    return TRUE;
}

/* From behind the tag that opens it: to behind the one that closes it. Names are the parser's to check. */
static gboolean
find_end(Scan *scan, const Tag *open, GError **error)
{
    guint depth = 1;
    Tag tag;

    while (depth) {
        if (!next_tag(scan, &tag, error))
            return FALSE;
        if (tag.kind == TAG_END)
            return inv_error_set(error, VIR_ERR_XML_ERROR, "line %u: <%s> that begins here has no end; is the text cut off?",
                                 line_at(scan, open->begin), open->name);
        depth += tag.kind == TAG_OPEN;
        depth -= tag.kind == TAG_CLOSE;
        scan->at = tag.end;
    }
    return TRUE;
}

static gboolean
is_document(const char *name, InvarCpuFormat *format)
{
    for (guint i = 0; i < G_N_ELEMENTS(elements); i++) {
        if (strcmp(elements[i].name, name) == 0) {
            *format = elements[i].format;
            return TRUE;
        }
    }
    return FALSE;
}

/* TRUE with *@stop set where the visitor wants no more. */
static gboolean
take_document(Scan *scan, const Tag *tag, InvarCpuFormat format, InvDocumentVisit visit, gpointer opaque, gboolean *stop, GError **error)
{
    InvDocument document = { .format = format, .text = tag->begin };
    GError *fault = NULL;

    scan->documents++;
    if (scan->format != INVAR_CPU_FORMAT_AUTO && scan->format != format)
        return inv_error_set(error, VIR_ERR_XML_ERROR, "line %u: this is <%s>, and %s was expected", line_at(scan, tag->begin), tag->name,
                             invar_cpu_format_name(scan->format));
    if (tag->kind == TAG_OPEN && !find_end(scan, tag, error))
        return FALSE;
    document.length = (gsize)(scan->at - tag->begin);
    document.line = line_at(scan, tag->begin);
    *stop = !visit(&document, opaque, &fault);
    if (!fault)
        return TRUE;
    g_propagate_error(error, fault);
    return FALSE;
}

static gboolean
enter(Scan *scan, const Tag *tag, GError **error)
{
    if (tag->kind == TAG_EMPTY)
        return TRUE;
    if (scan->depth >= MAX_CONTAINERS)
        return inv_error_set(error, VIR_ERR_XML_ERROR, "line %u: <%s>: no description of a CPU within %d elements", line_at(scan, tag->begin), tag->name,
                             MAX_CONTAINERS);
    memcpy(scan->containers[scan->depth++], tag->name, sizeof(tag->name));
    return TRUE;
}

static gboolean
leave(Scan *scan, const Tag *tag, GError **error)
{
    if (!scan->depth || strcmp(scan->containers[scan->depth - 1], tag->name) != 0)
        return inv_error_set(error, VIR_ERR_XML_ERROR, "line %u: </%s> ends no element; is the beginning of the text missing?",
                             line_at(scan, tag->begin), tag->name);
    scan->depth--;
    return TRUE;
}

/* Between documents that stand alone there is nothing. */
static gboolean
check_between(Scan *scan, const char *from, const char *to, GError **error)
{
    for (; from < to && !scan->depth; from++) {
        if (!g_ascii_isspace(*from))
            return inv_error_set(error, VIR_ERR_XML_ERROR, "line %u: text outside of any element", line_at(scan, from));
    }
    return TRUE;
}

static gboolean
check_end(Scan *scan, GError **error)
{
    if (scan->depth)
        return inv_error_set(error, VIR_ERR_XML_ERROR, "line %u: <%s> has no end; is the text cut off?", line_at(scan, scan->end),
                             scan->containers[scan->depth - 1]);
    if (!scan->documents)
        return inv_error_set(error, VIR_ERR_XML_ERROR, "the XML describes no CPU: none of its elements is %s",
                             "<domain>, <cpu>, <capabilities>, <domainCapabilities> or <cpudata>");
    return TRUE;
}

gboolean
inv_input_split_xml(const char *text, gsize length, InvarCpuFormat format, InvDocumentVisit visit, gpointer opaque, GError **error)
{
    Scan scan = { .at = text, .end = text + length, .counted = text, .line = 1, .format = format };

    while (TRUE) {
        InvarCpuFormat found;
        gboolean stop = FALSE;
        gboolean fine = TRUE;
        Tag tag;

        if (!next_tag(&scan, &tag, error) || !check_between(&scan, scan.at, tag.begin, error))
            return FALSE;
        scan.at = tag.end;
        switch (tag.kind) {
        case TAG_OPEN:
        case TAG_EMPTY:
            fine = is_document(tag.name, &found) ? take_document(&scan, &tag, found, visit, opaque, &stop, error) : enter(&scan, &tag, error);
            break;
        case TAG_CLOSE:
            fine = leave(&scan, &tag, error);
            break;
        case TAG_OTHER:
            break;
        case TAG_END:
            return check_end(&scan, error);
        }
        if (!fine || stop)
            return fine;
    }
}
