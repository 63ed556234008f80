/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whatever is doubtful ends the reading: entities, CDATA, instructions, names with a prefix, text
 * beyond ASCII, elements and attributes that are not known here, words that no enumeration has,
 * anything twice. So this file needs no errors, and cannot be more lenient than the parser.
 */
#include "xml/cpu_scan.h"

#include "xml/cpu_words.h"

#include <string.h>

#define MAX_FEATURES 480u
#define MAX_CHILDREN 2048u
#define MAX_ATTRIBUTES 8u
#define MAX_TOPOLOGY 4096u
#define MAX_BITS 64u
/* A power of two, beyond twice the features. */
#define NAME_SLOTS 1024u

typedef struct {
    const char *text;
    gsize length;
} Span;

typedef struct {
    Span name, value;
} Attribute;

/* An opening tag. */
typedef struct {
    Span name;
    Attribute attributes[MAX_ATTRIBUTES];
    guint count;
    gboolean empty; /* <name/> */
} Tag;

typedef struct {
    const char *at;
    InvCpu *cpu;
    guint16 slots[NAME_SLOTS]; /* index of a feature + 1, by the hash of its name */
    gboolean topology;
} Scan;

static gboolean
is_blank(char byte)
{
    return byte == ' ' || byte == '\n';
}

/* What names, words and numbers are made of here. */
static gboolean
is_plain(char byte)
{
    return g_ascii_isalnum(byte) || byte == '_' || byte == '.' || byte == '-' || byte == '+';
}

static void
skip_blanks(Scan *scan)
{
    while (is_blank(*scan->at))
        scan->at++;
}

static gboolean
take(Scan *scan, const char *text)
{
    gsize length = strlen(text);

    if (strncmp(scan->at, text, length) != 0)
        return FALSE;
    scan->at += length;
    return TRUE;
}

/* Not empty. */
static gboolean
take_plain(Scan *scan, Span *span)
{
    span->text = scan->at;
    while (is_plain(*scan->at))
        scan->at++;
    span->length = (gsize)(scan->at - span->text);
    return span->length > 0;
}

/* Not empty; no number or sign first, and no sign that no name of XML has. */
static gboolean
take_name(Scan *scan, Span *span)
{
    return g_ascii_isalpha(*scan->at) && take_plain(scan, span) && !memchr(span->text, '+', span->length);
}

static gboolean
is(const Span *span, const char *text)
{
    return strlen(text) == span->length && memcmp(span->text, text, span->length) == 0;
}

static gboolean
take_attribute(Scan *scan, Tag *tag)
{
    Attribute *attribute = &tag->attributes[tag->count];
    char quote;

    if (tag->count == MAX_ATTRIBUTES || !take_name(scan, &attribute->name) || *scan->at++ != '=')
        return FALSE;
    quote = *scan->at;
    if (quote != '\'' && quote != '"')
        return FALSE;
    scan->at++;
    if (!take_plain(scan, &attribute->value) || *scan->at != quote)
        return FALSE;
    scan->at++;
    for (guint i = 0; i < tag->count; i++) {
        const Span *other = &tag->attributes[i].name;

        if (other->length == attribute->name.length && memcmp(other->text, attribute->name.text, other->length) == 0)
            return FALSE;
    }
    tag->count++;
    return TRUE;
}

/* Behind its '<'. */
static gboolean
take_tag(Scan *scan, Tag *tag)
{
    tag->count = 0;
    if (!take_name(scan, &tag->name))
        return FALSE;
    while (is_blank(*scan->at)) {
        skip_blanks(scan);
        if (*scan->at == '/' || *scan->at == '>')
            break;
        if (!take_attribute(scan, tag))
            return FALSE;
    }
    tag->empty = *scan->at == '/';
    if (tag->empty)
        scan->at++;
    return *scan->at++ == '>';
}

static gboolean
take_end(Scan *scan, const Span *name)
{
    if (!take(scan, "</") || strncmp(scan->at, name->text, name->length) != 0)
        return FALSE;
    scan->at += name->length;
    return *scan->at++ == '>';
}

/* <name/> or <name></name>. */
static gboolean
end_empty(Scan *scan, const Tag *tag)
{
    return tag->empty || take_end(scan, &tag->name);
}

static gboolean
end_text(Scan *scan, const Tag *tag, char **text)
{
    Span span;

    if (*text || tag->empty || !take_plain(scan, &span) || !take_end(scan, &tag->name))
        return FALSE;
    *text = g_strndup(span.text, span.length);
    return TRUE;
}

static gboolean
read_word(const Span *value, const InvWords *words, guint *member)
{
    for (guint i = 0; i < words->count; i++) {
        if (words->words[i] && is(value, words->words[i])) {
            *member = i;
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean
read_number(const Span *value, guint max, guint *number)
{
    guint result = 0;

    if (value->length > 4 || value->text[0] == '0')
        return FALSE;
    for (gsize i = 0; i < value->length; i++) {
        if (!g_ascii_isdigit(value->text[i]))
            return FALSE;
        result = result * 10 + (guint)(value->text[i] - '0');
    }
    *number = result;
    return result <= max;
}

static gboolean
read_root(Scan *scan, const Tag *tag)
{
    InvCpu *cpu = scan->cpu;

    for (guint i = 0; i < tag->count; i++) {
        const Attribute *attribute = &tag->attributes[i];

        if (!(is(&attribute->name, "mode") && read_word(&attribute->value, &inv_cpu_modes, (guint *)&cpu->mode)) &&
            !(is(&attribute->name, "match") && read_word(&attribute->value, &inv_cpu_matches, (guint *)&cpu->match)) &&
            !(is(&attribute->name, "check") && read_word(&attribute->value, &inv_cpu_checks, (guint *)&cpu->check)))
            return FALSE;
    }
    return TRUE;
}

static gboolean
read_model(Scan *scan, const Tag *tag)
{
    InvCpu *cpu = scan->cpu;

    for (guint i = 0; i < tag->count; i++) {
        const Attribute *attribute = &tag->attributes[i];

        if (!(is(&attribute->name, "fallback") && read_word(&attribute->value, &inv_cpu_fallbacks, (guint *)&cpu->fallback)) &&
            !(is(&attribute->name, "check") && read_word(&attribute->value, &inv_cpu_model_checks, (guint *)&cpu->model_check)))
            return FALSE;
    }
    return end_text(scan, tag, &cpu->model);
}

/* FALSE: it is there already. */
static gboolean
note_name(Scan *scan, const Span *name)
{
    guint32 hash = 5381;
    guint slot;

    for (gsize i = 0; i < name->length; i++)
        hash = hash * 33 ^ (guint8)name->text[i];
    for (slot = hash % NAME_SLOTS; scan->slots[slot]; slot = (slot + 1) % NAME_SLOTS) {
        const InvCpuFeature *other = g_ptr_array_index(scan->cpu->features, scan->slots[slot] - 1u);

        if (is(name, other->name))
            return FALSE;
    }
    scan->slots[slot] = (guint16)(scan->cpu->features->len + 1);
    return TRUE;
}

static gboolean
read_feature(Scan *scan, const Tag *tag)
{
    const Span *name = NULL;
    guint policy = INV_CPU_POLICY_UNSET;
    InvCpuFeature *feature;

    for (guint i = 0; i < tag->count; i++) {
        const Attribute *attribute = &tag->attributes[i];

        if (is(&attribute->name, "name"))
            name = &attribute->value;
        else if (!is(&attribute->name, "policy") || !read_word(&attribute->value, &inv_cpu_policies, &policy))
            return FALSE;
    }
    if (!name || scan->cpu->features->len >= MAX_FEATURES || !note_name(scan, name))
        return FALSE;
    feature = g_new0(InvCpuFeature, 1);
    feature->name = g_strndup(name->text, name->length);
    feature->policy = (InvCpuPolicy)policy;
    g_ptr_array_add(scan->cpu->features, feature);
    return end_empty(scan, tag);
}

static gboolean
read_topology(Scan *scan, const Tag *tag)
{
    InvCpu *cpu = scan->cpu;
    const struct {
        const char *name;
        guint *number;
    } levels[] = {
        { "sockets", &cpu->sockets }, { "dies", &cpu->dies },       { "clusters", &cpu->clusters },
        { "cores", &cpu->cores },     { "threads", &cpu->threads },
    };

    if (scan->topology)
        return FALSE;
    scan->topology = TRUE;
    cpu->dies = cpu->clusters = 1;
    for (guint i = 0; i < tag->count; i++) {
        guint level = 0;

        while (level < G_N_ELEMENTS(levels) && !is(&tag->attributes[i].name, levels[level].name))
            level++;
        if (level == G_N_ELEMENTS(levels) || !read_number(&tag->attributes[i].value, MAX_TOPOLOGY, levels[level].number))
            return FALSE;
    }
    return cpu->sockets && cpu->cores && cpu->threads && end_empty(scan, tag);
}

static gboolean
read_maxphysaddr(Scan *scan, const Tag *tag)
{
    InvCpu *cpu = scan->cpu;
    guint mode = INV_CPU_MAXPHYSADDR_NONE;

    if (cpu->maxphysaddr != INV_CPU_MAXPHYSADDR_NONE)
        return FALSE;
    for (guint i = 0; i < tag->count; i++) {
        const Attribute *attribute = &tag->attributes[i];

        if (!(is(&attribute->name, "mode") && read_word(&attribute->value, &inv_cpu_maxphysaddrs, &mode)) &&
            !(is(&attribute->name, "bits") && read_number(&attribute->value, MAX_BITS, &cpu->maxphysaddr_bits)))
            return FALSE;
    }
    cpu->maxphysaddr = (InvCpuMaxphysaddr)mode;
    return mode == INV_CPU_MAXPHYSADDR_EMULATE && cpu->maxphysaddr_bits && end_empty(scan, tag);
}

/* What a host's description says beside, and nothing here reads. */
static gboolean
is_ignored(const Tag *tag)
{
    return is(&tag->name, "microcode") || is(&tag->name, "signature") || is(&tag->name, "counter") || is(&tag->name, "pages");
}

static gboolean
read_child(Scan *scan)
{
    Tag tag;

    if (!take_tag(scan, &tag))
        return FALSE;
    if (is(&tag.name, "feature"))
        return read_feature(scan, &tag);
    if (is(&tag.name, "model"))
        return read_model(scan, &tag);
    if (is(&tag.name, "vendor"))
        return tag.count == 0 && end_text(scan, &tag, &scan->cpu->vendor);
    if (is(&tag.name, "arch"))
        return tag.count == 0 && end_text(scan, &tag, &scan->cpu->arch);
    if (is(&tag.name, "topology"))
        return read_topology(scan, &tag);
    if (is(&tag.name, "maxphysaddr"))
        return read_maxphysaddr(scan, &tag);
    return is_ignored(&tag) && end_empty(scan, &tag);
}

/* Behind "<!--". Two hyphens end a comment, and are an error within it. */
static gboolean
skip_comment(Scan *scan)
{
    for (; *scan->at; scan->at++) {
        if (scan->at[0] == '-' && scan->at[1] == '-')
            return take(scan, "-->");
        if (!g_ascii_isprint(*scan->at) && *scan->at != '\n')
            return FALSE;
    }
    return FALSE;
}

/* Up to and with </cpu>. */
static gboolean
read_children(Scan *scan)
{
    for (guint i = 0; i < MAX_CHILDREN; i++) {
        skip_blanks(scan);
        if (take(scan, "</cpu>"))
            return TRUE;
        if (*scan->at++ != '<')
            return FALSE;
        if (take(scan, "!--") ? !skip_comment(scan) : !read_child(scan))
            return FALSE;
    }
    return FALSE;
}

/* What the parser asks of the whole. */
static gboolean
is_complete(const InvCpu *cpu)
{
    gboolean custom = cpu->mode == INV_CPU_MODE_UNSET || cpu->mode == INV_CPU_MODE_CUSTOM;

    return cpu->model || (!cpu->vendor && !(custom && cpu->features->len));
}

InvCpu *
inv_cpu_scan(const char *xml)
{
    g_autoptr(InvCpu) cpu = inv_cpu_new();
    Scan scan = { .at = xml, .cpu = cpu };
    Tag root;

    skip_blanks(&scan);
    if (*scan.at++ != '<' || !take_tag(&scan, &root) || !is(&root.name, "cpu") || !read_root(&scan, &root) ||
        (!root.empty && !read_children(&scan)))
        return NULL;
    skip_blanks(&scan);
    return *scan.at == '\0' && is_complete(cpu) ? g_steal_pointer(&cpu) : NULL;
}
