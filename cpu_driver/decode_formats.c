/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/cpuid_data.h"
#include "util/error.h"
#include "xml/node.h"

#include <string.h>

/* A dump of every leaf of one CPU is below 10 KB; hosts with hundreds of CPUs are dumped whole. */
#define MAX_DUMP_BYTES (16u * 1024 * 1024)

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

typedef enum {
    SECTION_FIRST_CPU,
    SECTION_OTHER_CPU,
    SECTION_MSR,
} Section;

typedef struct {
    InvCpuidData *data;
    Section section;
    guint cpus; /* headings seen so far */
} Dump;

static gboolean
parse_line(Dump *dump, const char *line, GError **error)
{
    InvCpuidLeaf leaf;
    guint64 index, value;

    if (g_str_has_prefix(line, "CPU")) {
        /* The other CPUs differ in their APIC ids only. */
        dump->section = dump->cpus++ ? SECTION_OTHER_CPU : SECTION_FIRST_CPU;
        return TRUE;
    }
    if (g_str_has_prefix(line, "MSR")) {
        dump->section = SECTION_MSR;
        return TRUE;
    }
    switch (dump->section) {
    case SECTION_FIRST_CPU:
    case SECTION_OTHER_CPU:
        if (!parse_leaf_line(line, &leaf))
            return inv_error_set(error, VIR_ERR_INVALID_ARG,
                                 "'%.80s' is not of the form '0x00000007 0x00: eax=0x… ebx=0x… ecx=0x… edx=0x…' (cpuid -r); is it cut off?", line);
        return dump->section == SECTION_OTHER_CPU || inv_cpuid_data_add(dump->data, &leaf, error);
    case SECTION_MSR:
        if (!take_number(&line, ':', G_MAXUINT32, &index) || !take_number(&line, '\0', G_MAXUINT64, &value))
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "'%.80s' is not of the form '0x10a: 0x…' (an MSR)", line);
        return inv_cpuid_data_add_msr(dump->data, (guint32)index, value, error);
    }
    g_assert_not_reached();
}

static InvCpuidData *
parse_dump(char *text, GError **error)
{
    g_autoptr(InvCpuidData) data = inv_cpuid_data_new();
    Dump dump = { .data = data };
    guint number = 1;

    for (char *line = text, *next; line; line = next, number++) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        g_strstrip(line);
        if (!*line || *line == '#')
            continue;
        if (!parse_line(&dump, line, error)) {
            g_prefix_error(error, "line %u: ", number);
            return NULL;
        }
    }
    return g_steal_pointer(&data);
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
