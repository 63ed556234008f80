/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/node.h"

#include <string.h>

/* A value in a message is the user's: long ones are cut. */
#define SHOWN_VALUE_CHARS 80

static const char *const on_off[INV_TRISTATE_OFF + 1] = { NULL, "on", "off" };
static const char *const yes_no[INV_TRISTATE_OFF + 1] = { NULL, "yes", "no" };
const InvWords inv_on_off = { on_off, G_N_ELEMENTS(on_off) };
const InvWords inv_yes_no = { yes_no, G_N_ELEMENTS(yes_no) };

const char *
inv_words_to_string(const InvWords *words, guint value)
{
    return value < words->count ? words->words[value] : NULL;
}

gboolean
inv_words_from_string(const InvWords *words, const char *text, guint *value)
{
    for (guint i = 0; i < words->count; i++) {
        if (words->words[i] && strcmp(words->words[i], text) == 0) {
            *value = i;
            return TRUE;
        }
    }
    return FALSE;
}

char *
inv_words_known(const InvWords *words)
{
    GString *known = g_string_new(NULL);

    for (guint i = 0; i < words->count; i++) {
        if (words->words[i])
            g_string_append_printf(known, "%s%s", known->len ? ", " : "", words->words[i]);
    }
    return g_string_free(known, FALSE);
}

static char *
shorten(const char *value)
{
    g_autofree char *valid = g_utf8_make_valid(value, -1);
    g_autofree char *start = NULL;

    if (g_utf8_strlen(valid, -1) <= SHOWN_VALUE_CHARS)
        return g_steal_pointer(&valid);
    start = g_utf8_substring(valid, 0, SHOWN_VALUE_CHARS);
    return g_strconcat(start, "…", NULL);
}

gboolean
inv_node_fail(xmlNodePtr node, const char *attribute, virErrorNumber code, GError **error, const char *format, ...)
{
    g_autofree char *name = shorten((const char *)node->name);
    g_autofree char *value = attribute ? inv_node_attr(node, attribute) : NULL;
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    if (value) {
        g_autofree char *shown = shorten(value);

        return inv_error_set(error, code, "line %ld: <%s %s='%s'>%s%s", xmlGetLineNo(node), name, attribute, shown,
                             *text == ' ' ? "" : ": ", text);
    }
    return inv_error_set(error, code, "line %ld: <%s>%s%s", xmlGetLineNo(node), name, *text == ' ' ? "" : ": ", text);
}

gboolean
inv_node_is(xmlNodePtr node, const char *name)
{
    return node && node->type == XML_ELEMENT_NODE && !node->ns && strcmp((const char *)node->name, name) == 0;
}

gboolean
inv_name_in(const char *name, const char *const *list)
{
    return list && g_strv_contains(list, name);
}

xmlNodePtr
inv_node_child(xmlNodePtr node, const char *name)
{
    INV_NODE_FOREACH(child, node)
    {
        if (inv_node_is(child, name))
            return child;
    }
    return NULL;
}

gboolean
inv_node_only_child(xmlNodePtr node, const char *name, xmlNodePtr *child, GError **error)
{
    *child = NULL;
    INV_NODE_FOREACH(each, node)
    {
        if (!inv_node_is(each, name))
            continue;
        if (*child)
            return inv_node_fail(each, NULL, VIR_ERR_XML_ERROR, error, " is given twice, first in line %ld",
                                 xmlGetLineNo(*child));
        *child = each;
    }
    return TRUE;
}

char *
inv_node_attr(xmlNodePtr node, const char *name)
{
    xmlChar *value = xmlGetNoNsProp(node, (const xmlChar *)name);
    char *copy = g_strdup((const char *)value);

    xmlFree(value);
    return copy;
}

gboolean
inv_node_has(xmlNodePtr node, const char *name)
{
    return xmlHasNsProp(node, (const xmlChar *)name, NULL) != NULL;
}

char *
inv_node_required(xmlNodePtr node, const char *name, GError **error)
{
    g_autofree char *value = inv_node_attr(node, name);

    if (!value)
        inv_node_fail(node, NULL, VIR_ERR_XML_ERROR, error, "attribute '%s' is missing", name);
    else if (!*value)
        inv_node_fail(node, name, VIR_ERR_XML_ERROR, error, "the value is empty");
    else
        return g_steal_pointer(&value);
    return NULL;
}

char *
inv_node_text(xmlNodePtr node)
{
    xmlChar *value = xmlNodeGetContent(node);
    char *copy = g_strdup(value ? (const char *)value : "");

    xmlFree(value);
    return copy;
}

char *
inv_node_token(xmlNodePtr node)
{
    g_autofree char *text = inv_node_text(node);

    g_strstrip(text);
    return *text ? g_steal_pointer(&text) : NULL;
}

char *
inv_node_child_token(xmlNodePtr node, const char *name)
{
    xmlNodePtr child = inv_node_child(node, name);

    return child ? inv_node_token(child) : NULL;
}

gboolean
inv_node_words(xmlNodePtr node, const char *attribute, const InvWords *words, guint *value, GError **error)
{
    g_autofree char *text = inv_node_attr(node, attribute);
    g_autofree char *known = NULL;

    if (!text || inv_words_from_string(words, text, value))
        return TRUE;
    known = inv_words_known(words);
    return inv_node_fail(node, attribute, VIR_ERR_XML_ERROR, error, "unknown value; known: %s", known);
}

gboolean
inv_number_parse(const char *text, guint64 *value)
{
    gboolean hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');

    return g_ascii_string_to_unsigned(hexadecimal ? text + 2 : text, hexadecimal ? 16 : 10, 0, G_MAXUINT64, value, NULL);
}

gboolean
inv_node_uint(xmlNodePtr node, const char *attribute, guint minimum, guint maximum, guint *value, GError **error)
{
    g_autofree char *text = inv_node_attr(node, attribute);
    guint64 number;

    if (!text)
        return TRUE;
    if (!inv_number_parse(text, &number))
        return inv_node_fail(node, attribute, VIR_ERR_XML_ERROR, error, "not a number");
    if (number < minimum || number > maximum)
        return inv_node_fail(node, attribute, VIR_ERR_XML_ERROR, error, "out of range: %u to %u", minimum, maximum);
    *value = (guint)number;
    return TRUE;
}

static gboolean
unit_bytes(const char *unit, guint64 *bytes)
{
    static const char letters[] = "KMGTPE";
    const char *letter;
    guint64 base;

    *bytes = 1;
    if (g_ascii_strcasecmp(unit, "b") == 0 || g_ascii_strcasecmp(unit, "bytes") == 0)
        return TRUE;
    letter = *unit ? strchr(letters, g_ascii_toupper(*unit)) : NULL;
    if (!letter)
        return FALSE;
    if (unit[1] == '\0' || g_ascii_strcasecmp(unit + 1, "ib") == 0)
        base = 1024;
    else if (g_ascii_strcasecmp(unit + 1, "b") == 0)
        base = 1000;
    else
        return FALSE;
    for (const char *each = letters; each <= letter; each++)
        *bytes *= base;
    return TRUE;
}

gboolean
inv_node_memory(xmlNodePtr node, const char *attribute, guint64 *kib, GError **error)
{
    g_autofree char *text = attribute ? inv_node_required(node, attribute, error) : inv_node_token(node);
    g_autofree char *unit = inv_node_attr(node, "unit");
    guint64 number;
    guint64 bytes;

    if (!text && attribute)
        return FALSE;
    if (!text)
        return inv_node_fail(node, NULL, VIR_ERR_XML_ERROR, error, "a size is missing");
    if (!inv_number_parse(text, &number)) {
        g_autofree char *shown = shorten(text);

        return inv_node_fail(node, NULL, VIR_ERR_XML_ERROR, error, "'%s' is not a size", shown);
    }
    if (!unit_bytes(unit ? unit : "KiB", &bytes))
        return inv_node_fail(node, "unit", VIR_ERR_XML_ERROR, error,
                             "unknown unit; known: bytes, KB, KiB, MB, MiB, GB, GiB, TB, TiB, PB, PiB, EB, EiB");
    if (number > G_MAXINT64 / bytes)
        return inv_node_fail(node, NULL, VIR_ERR_XML_ERROR, error, "%" G_GUINT64_FORMAT " %s is too large", number,
                             unit ? unit : "KiB");
    *kib = (number * bytes + 1023) / 1024;
    return TRUE;
}

void
inv_node_set(xmlNodePtr node, const char *attribute, const char *value)
{
    if (value)
        xmlSetProp(node, (const xmlChar *)attribute, (const xmlChar *)value);
    else
        xmlUnsetProp(node, (const xmlChar *)attribute);
}

void
inv_node_setf(xmlNodePtr node, const char *attribute, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    inv_node_set(node, attribute, text);
}

void
inv_node_set_text(xmlNodePtr node, const char *text)
{
    g_autofree char *old = inv_node_text(node);

    if (strcmp(old, text) == 0)
        return;
    xmlNodeSetContent(node, NULL);
    /* Adds the text as it is; xmlNodeSetContent() would read entities in it. */
    xmlNodeAddContent(node, (const xmlChar *)text);
}

static int
position(const char *const *order, const char *name)
{
    for (int i = 0; order && order[i]; i++) {
        if (strcmp(order[i], name) == 0)
            return i;
    }
    return -1;
}

void
inv_node_insert(xmlNodePtr parent, xmlNodePtr child, const char *const *order)
{
    int place = position(order, (const char *)child->name);

    /* Blanks that were the only content would keep the formatter from indenting. */
    if (!xmlFirstElementChild(parent) && parent->children && xmlIsBlankNode(parent->children) && !parent->children->next)
        inv_node_remove(parent->children);
    if (place >= 0) {
        INV_NODE_FOREACH(other, parent)
        {
            if (!other->ns && position(order, (const char *)other->name) > place) {
                xmlAddPrevSibling(other, child);
                return;
            }
        }
    }
    xmlAddChild(parent, child);
}

xmlNodePtr
inv_node_ensure(xmlNodePtr parent, const char *name, const char *const *order)
{
    xmlNodePtr child = inv_node_child(parent, name);

    if (!child) {
        child = xmlNewDocNode(parent->doc, NULL, (const xmlChar *)name, NULL);
        inv_node_insert(parent, child, order);
    }
    return child;
}

void
inv_node_remove(xmlNodePtr node)
{
    xmlUnlinkNode(node);
    xmlFreeNode(node);
}

void
inv_node_remove_child(xmlNodePtr parent, const char *name)
{
    xmlNodePtr child = inv_node_child(parent, name);

    if (child)
        inv_node_remove(child);
}

void
inv_node_set_child_text(xmlNodePtr parent, const char *name, const char *text, const char *const *order)
{
    if (text)
        inv_node_set_text(inv_node_ensure(parent, name, order), text);
    else
        inv_node_remove_child(parent, name);
}
