/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/cpuid_data.h"
#include "util/error.h"
#include "xml/node.h"

#include <string.h>

/* A dump of every leaf of one CPU is below 10 KB; hosts with hundreds of CPUs are dumped whole. */
#define MAX_DUMP_BYTES (16u * 1024 * 1024)
/* What a round of the witness begins with. */
#define WITNESS "INVAR-WITNESS"

static gboolean
xml_number(xmlNodePtr node, const char *attribute, gboolean required, guint32 *value, GError **error)
{
    g_autofree char *text = inv_node_attr(node, attribute);
    guint64 number;

    *value = 0;
    if (!text && !required)
        return TRUE;
    if (!text)
        return inv_node_fail(node, attribute, VIR_ERR_XML_ERROR, error, "the attribute is missing");
    if (!inv_number_parse(text, &number) || number > G_MAXUINT32)
        return inv_node_fail(node, attribute, VIR_ERR_XML_ERROR, error, "it must be a number of 32 bits");
    *value = (guint32)number;
    return TRUE;
}

static gboolean
xml_leaf(InvCpuidData *data, xmlNodePtr node, GError **error)
{
    InvCpuidLeaf leaf;

    return xml_number(node, "eax_in", TRUE, &leaf.leaf, error) && xml_number(node, "ecx_in", FALSE, &leaf.subleaf, error) &&
           xml_number(node, "eax", TRUE, &leaf.regs[INV_CPU_REGISTER_EAX], error) &&
           xml_number(node, "ebx", TRUE, &leaf.regs[INV_CPU_REGISTER_EBX], error) &&
           xml_number(node, "ecx", TRUE, &leaf.regs[INV_CPU_REGISTER_ECX], error) &&
           xml_number(node, "edx", TRUE, &leaf.regs[INV_CPU_REGISTER_EDX], error) && inv_cpuid_data_add(data, &leaf, error);
}

static gboolean
xml_msr(InvCpuidData *data, xmlNodePtr node, GError **error)
{
    guint32 index, low, high;

    return xml_number(node, "index", TRUE, &index, error) && xml_number(node, "eax", TRUE, &low, error) &&
           xml_number(node, "edx", TRUE, &high, error) && inv_cpuid_data_add_msr(data, index, (guint64)high << 32 | low, error);
}

static InvCpuidData *
parse_xml(const char *text, GError **error)
{
    g_autoptr(InvXmlDoc) doc = inv_xml_parse(text, "cpudata", error);
    g_autoptr(InvCpuidData) data = inv_cpuid_data_new();
    xmlNodePtr root;
    g_autofree char *arch = NULL;

    if (!doc)
        return NULL;
    root = xmlDocGetRootElement(doc);
    arch = inv_node_attr(root, "arch");
    if (g_strcmp0(arch, "x86") != 0) {
        inv_node_fail(root, "arch", VIR_ERR_XML_ERROR, error, "only CPU data of x86 can be decoded");
        return NULL;
    }
    INV_NODE_FOREACH(child, root)
    {
        gboolean is_leaf = inv_node_is(child, "cpuid");

        if (!is_leaf && !inv_node_is(child, "msr")) {
            inv_node_fail(child, NULL, VIR_ERR_XML_ERROR, error, "<cpudata> holds <cpuid> and <msr>");
            return NULL;
        }
        if (!(is_leaf ? xml_leaf(data, child, error) : xml_msr(data, child, error))) {
            if (error && *error && !strstr((*error)->message, "line "))
                g_prefix_error(error, "line %ld: ", xmlGetLineNo(child));
            return NULL;
        }
    }
    return g_steal_pointer(&data);
}

/* Takes "0x1234" off the front of *@text; @end must follow it. */
static gboolean
take_number(const char **text, char end, guint64 limit, guint64 *value)
{
    const char *at = *text;
    guint digits = 0;

    while (*at == ' ' || *at == '\t')
        at++;
    if (at[0] != '0' || (at[1] | 0x20) != 'x')
        return FALSE;
    *value = 0;
    for (at += 2; g_ascii_isxdigit(*at); at++) {
        *value = *value << 4 | (guint64)g_ascii_xdigit_value(*at);
        if (++digits > 16)
            return FALSE;
    }
    if (!digits || *value > limit || *at != end)
        return FALSE;
    *text = end ? at + 1 : at;
    return TRUE;
}

/* "0x00000007 0x00: eax=0x… ebx=0x… ecx=0x… edx=0x…" */
static gboolean
parse_leaf_line(const char *line, InvCpuidLeaf *leaf)
{
    static const char *const names[] = { "eax=", "ebx=", "ecx=", "edx=" };
    guint64 number, sub, value;

    if (!take_number(&line, ' ', G_MAXUINT32, &number) || !take_number(&line, ':', G_MAXUINT32, &sub))
        return FALSE;
    leaf->leaf = (guint32)number;
    leaf->subleaf = (guint32)sub;
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        line += strspn(line, " \t");
        if (!g_str_has_prefix(line, names[i]))
            return FALSE;
        line += strlen(names[i]);
        if (!take_number(&line, i + 1 < G_N_ELEMENTS(names) ? ' ' : '\0', G_MAXUINT32, &value))
            return FALSE;
        leaf->regs[i] = (guint32)value;
    }
    return TRUE;
}

/* "00000007 00000000 00000000 d19f07ab 00000000 9c000400": what the witness prints. */
static gboolean
parse_witness_line(const char *line, InvCpuidLeaf *leaf)
{
    guint32 words[6] = { 0 };

    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        for (guint digit = 0; digit < 8; digit++, line++) {
            if (!g_ascii_isxdigit(*line))
                return FALSE;
            words[i] = words[i] << 4 | (guint32)g_ascii_xdigit_value(*line);
        }
        if (*line++ != (i + 1 < G_N_ELEMENTS(words) ? ' ' : '\0'))
            return FALSE;
    }
    leaf->leaf = words[0];
    leaf->subleaf = words[1];
    memcpy(leaf->regs, words + 2, sizeof(leaf->regs));
    return TRUE;
}

typedef enum {
    SECTION_CPU,
    SECTION_MSR,
    SECTION_BETWEEN, /* around the witness's rounds: whatever else its serial line holds */
} Section;

typedef struct {
    InvCpuidData *first;
    InvCpuidData *other; /* the CPU that is read, when it is not the first; NULL else */
    Section section;
    guint cpus;       /* headings seen so far */
    guint leaves;     /* of the CPU that is read */
    gboolean witness; /* it must come to an END */
} Dump;

static gboolean
end_cpu(Dump *dump, GError **error)
{
    gboolean merged = !dump->other || inv_cpuid_data_merge(dump->first, dump->other, dump->cpus, error);

    g_clear_pointer(&dump->other, inv_cpuid_data_free);
    return merged;
}

static gboolean
begin_cpu(Dump *dump, GError **error)
{
    if (!end_cpu(dump, error))
        return FALSE;
    /* Lines before any heading are of the first CPU. */
    dump->cpus = MAX(dump->cpus, dump->leaves ? 1u : 0u) + 1;
    if (dump->cpus > 1)
        dump->other = inv_cpuid_data_new();
    dump->leaves = 0;
    dump->section = SECTION_CPU;
    return TRUE;
}

/* The line is foreign: neither control characters nor half a character of it go into a message. */
static char *
shown(const char *line)
{
    char *text = g_utf8_substring(line, 0, MIN(g_utf8_strlen(line, -1), 80));

    for (char *at = text; *at; at++) {
        if (g_ascii_iscntrl(*at))
            *at = '?';
    }
    return text;
}

static gboolean
refuse_line(const char *line, const char *form, GError **error)
{
    g_autofree char *text = shown(line);

    return inv_error_set(error, VIR_ERR_INVALID_ARG, "'%s' is not of the form %s; is it cut off?", text, form);
}

static gboolean
parse_content(Dump *dump, const char *line, GError **error)
{
    InvCpuidLeaf leaf;
    guint64 index, value;
    const char *at = line;

    switch (dump->section) {
    case SECTION_CPU:
        if (!parse_leaf_line(line, &leaf) && !parse_witness_line(line, &leaf))
            return refuse_line(line, "'0x00000007 0x00: eax=0x… ebx=0x… ecx=0x… edx=0x…' (cpuid -r)", error);
        dump->leaves++;
        return inv_cpuid_data_add(dump->other ? dump->other : dump->first, &leaf, error);
    case SECTION_MSR:
        if (!take_number(&at, ':', G_MAXUINT32, &index) || !take_number(&at, '\0', G_MAXUINT64, &value))
            return refuse_line(line, "'0x10a: 0x…' (an MSR)", error);
        return inv_cpuid_data_add_msr(dump->first, (guint32)index, value, error);
    case SECTION_BETWEEN:
        return TRUE;
    }
    g_assert_not_reached();
}

static gboolean
parse_line(Dump *dump, const char *line, GError **error)
{
    if (g_str_has_prefix(line, "CPU"))
        return begin_cpu(dump, error);
    if (g_str_has_prefix(line, WITNESS)) {
        if (dump->witness)
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "the witness begins anew before its END; the round before is cut off");
        dump->witness = TRUE;
        return begin_cpu(dump, error);
    }
    if (dump->witness && strcmp(line, "END") == 0) {
        dump->witness = FALSE;
        dump->section = SECTION_BETWEEN;
        return end_cpu(dump, error);
    }
    if (g_str_has_prefix(line, "MSR")) {
        dump->section = SECTION_MSR;
        return TRUE;
    }
    return parse_content(dump, line, error);
}

static gboolean
parse_lines(Dump *dump, char *text, GError **error)
{
    guint number = 1;

    for (char *line = text, *next; line; line = next, number++) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        g_strstrip(line);
        if (!*line || *line == '#')
            continue;
        if (!parse_line(dump, line, error)) {
            g_prefix_error(error, "line %u: ", number);
            return FALSE;
        }
    }
    if (dump->witness)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the witness's END is missing: the dump is cut off");
    return end_cpu(dump, error);
}

static InvCpuidData *
parse_dump(char *text, GError **error)
{
    g_autoptr(InvCpuidData) data = inv_cpuid_data_new();
    Dump dump = { .first = data, .section = strstr(text, WITNESS) ? SECTION_BETWEEN : SECTION_CPU };
    gboolean parsed = parse_lines(&dump, text, error);

    inv_cpuid_data_free(dump.other);
    return parsed ? g_steal_pointer(&data) : NULL;
}

InvCpuidData *
inv_cpuid_data_parse(const char *text, gsize length, GError **error)
{
    g_autofree char *copy = NULL;

    if (length > MAX_DUMP_BYTES) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the CPUID dump has %" G_GSIZE_FORMAT " bytes; at most %u are read", length, MAX_DUMP_BYTES);
        return NULL;
    }
    if (!g_utf8_validate_len(text, length, NULL)) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the CPUID dump is not text");
        return NULL;
    }
    copy = g_strndup(text, length);
    return copy[strspn(copy, " \t\r\n")] == '<' ? parse_xml(copy, error) : parse_dump(copy, error);
}
