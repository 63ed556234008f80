/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/node.h"

#include <string.h>

/*
 * libxml2's own output differs between its versions and quotes otherwise than libvirt does; scripts
 * compare texts. A tree here is at most INV_XML_MAX_DEPTH deep, so recursion is bounded.
 */
static void
append_escaped(GString *out, const char *text, gboolean attribute)
{
    for (; *text; text++) {
        if (*text == '&')
            g_string_append(out, "&amp;");
        else if (*text == '<')
            g_string_append(out, "&lt;");
        else if (*text == '>')
            g_string_append(out, "&gt;");
        else if (*text == '\r')
            g_string_append(out, "&#13;");
        else if (attribute && *text == '\'')
            g_string_append(out, "&apos;");
        else if (attribute && *text == '\n')
            g_string_append(out, "&#10;");
        else if (attribute && *text == '\t')
            g_string_append(out, "&#9;");
        else
            g_string_append_c(out, *text);
    }
}

static void
append_name(GString *out, const xmlNs *ns, const xmlChar *name)
{
    if (ns && ns->prefix)
        g_string_append_printf(out, "%s:", (const char *)ns->prefix);
    g_string_append(out, (const char *)name);
}

static void
append_start(GString *out, xmlNodePtr node)
{
    g_string_append_c(out, '<');
    append_name(out, node->ns, node->name);
    for (xmlAttrPtr attribute = node->properties; attribute; attribute = attribute->next) {
        xmlChar *value = xmlNodeGetContent((xmlNodePtr)attribute);

        g_string_append_c(out, ' ');
        append_name(out, attribute->ns, attribute->name);
        g_string_append(out, "='");
        append_escaped(out, value ? (const char *)value : "", TRUE);
        g_string_append_c(out, '\'');
        xmlFree(value);
    }
    for (const xmlNs *ns = node->nsDef; ns; ns = ns->next) {
        g_string_append(out, " xmlns");
        if (ns->prefix)
            g_string_append_printf(out, ":%s", (const char *)ns->prefix);
        g_string_append(out, "='");
        append_escaped(out, ns->href ? (const char *)ns->href : "", TRUE);
        g_string_append_c(out, '\'');
    }
}

static gboolean
may_indent(xmlNodePtr node)
{
    for (xmlNodePtr child = node->children; child; child = child->next) {
        if (child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE || child->type == XML_ENTITY_REF_NODE)
            return FALSE;
    }
    return xmlNodeGetSpacePreserve(node) != 1;
}

static void
append_node(GString *out, xmlNodePtr node, guint depth, gboolean indent)
{
    if (indent)
        g_string_append_printf(out, "%*s", (int)(depth * 2), "");
    if (node->type == XML_ELEMENT_NODE) {
        append_start(out, node);
        if (!node->children) {
            g_string_append(out, "/>");
        } else {
            gboolean indent_children = indent && may_indent(node);

            g_string_append(out, indent_children ? ">\n" : ">");
            for (xmlNodePtr child = node->children; child; child = child->next)
                append_node(out, child, depth + 1, indent_children);
            if (indent_children)
                g_string_append_printf(out, "%*s", (int)(depth * 2), "");
            g_string_append(out, "</");
            append_name(out, node->ns, node->name);
            g_string_append_c(out, '>');
        }
    } else if (node->type == XML_TEXT_NODE) {
        append_escaped(out, node->content ? (const char *)node->content : "", FALSE);
    } else if (node->type == XML_CDATA_SECTION_NODE) {
        g_string_append_printf(out, "<![CDATA[%s]]>", node->content ? (const char *)node->content : "");
    } else if (node->type == XML_COMMENT_NODE) {
        g_string_append_printf(out, "<!--%s-->", node->content ? (const char *)node->content : "");
    } else if (node->type == XML_PI_NODE) {
        g_string_append_printf(out, "<?%s%s%s?>", (const char *)node->name, node->content ? " " : "",
                               node->content ? (const char *)node->content : "");
    }
    if (indent)
        g_string_append_c(out, '\n');
}

char *
inv_xml_format_node(xmlNodePtr node)
{
    GString *out = g_string_new(NULL);

    append_node(out, node, 0, TRUE);
    return g_string_free(out, FALSE);
}

char *
inv_xml_format_doc(xmlDocPtr doc)
{
    GString *out = g_string_new(NULL);

    for (xmlNodePtr node = doc->children; node; node = node->next)
        append_node(out, node, 0, TRUE);
    return g_string_free(out, FALSE);
}
