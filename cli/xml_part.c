/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/xml_part.h"
#include "util/error.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xmlerror.h>
#include <libxml/xmlsave.h>
#include <string.h>

/* Deeper documents are no CPU descriptions; the recursion below must end. */
#define DEEPEST 16

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlParserCtxt, xmlFreeParserCtxt)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlBuffer, xmlBufferFree)

static xmlDoc *
parse(const char *text, const char *source, GError **error)
{
    g_autoptr(xmlParserCtxt) context = xmlNewParserCtxt();
    xmlDoc *doc = NULL;
    gsize length = strlen(text);

    if (length <= G_MAXINT)
        doc = xmlCtxtReadMemory(context, text, (int)length, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (!doc) {
        const xmlError *last = xmlCtxtGetLastError(context);
        g_autofree char *message = g_strdup(last && last->message ? last->message : "not a document");

        inv_error_set(error, VIR_ERR_XML_ERROR, "%s: line %d: %s", source, last ? last->line : 1, g_strchomp(message));
    }
    return doc;
}

static gboolean
is_element(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && !strcmp((const char *)node->name, name);
}

char *
inv_xml_part_title(const char *domain_xml)
{
    g_autoptr(xmlDoc) doc = parse(domain_xml, "the domain's XML", NULL);
    xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;

    for (xmlNode *node = root ? root->children : NULL; node; node = node->next) {
        if (is_element(node, "title")) {
            xmlChar *content = xmlNodeGetContent(node);
            char *title = g_strdup((const char *)content);

            xmlFree(content);
            return title;
        }
    }
    return g_strdup("");
}

static void
add_cpu(GPtrArray *found, xmlDoc *doc, xmlNode *node, const char *name)
{
    g_autoptr(xmlBuffer) buffer = xmlBufferCreate();

    xmlNodeSetName(node, (const xmlChar *)name);
    xmlNodeDump(buffer, doc, node, 0, 0);
    g_ptr_array_add(found, g_strdup((const char *)xmlBufferContent(buffer)));
}

/* Domain capabilities describe the host's CPU as <cpu><mode name='host-model'>: what is in it is a CPU. */
static gboolean
add_host_model(GPtrArray *found, xmlDoc *doc, xmlNode *cpu)
{
    for (xmlNode *mode = cpu->children; mode; mode = mode->next) {
        xmlChar *name = is_element(mode, "mode") ? xmlGetProp(mode, (const xmlChar *)"name") : NULL;
        gboolean host_model = name && !strcmp((const char *)name, "host-model");

        xmlFree(name);
        if (host_model) {
            xmlUnsetProp(mode, (const xmlChar *)"name");
            xmlUnsetProp(mode, (const xmlChar *)"supported");
            xmlNewProp(mode, (const xmlChar *)"mode", (const xmlChar *)"custom");
            add_cpu(found, doc, mode, "cpu");
            return TRUE;
        }
    }
    return FALSE;
}

static void
collect(GPtrArray *found, xmlDoc *doc, xmlNode *node, guint depth)
{
    /* A copy of the sibling: a node that was dumped may have been renamed, never unlinked. */
    for (; node && depth < DEEPEST; node = node->next) {
        if (node->type != XML_ELEMENT_NODE)
            continue;
        if (!is_element(node, "cpu"))
            collect(found, doc, node->children, depth + 1);
        else if (!is_element(node->parent, "domainCapabilities"))
            add_cpu(found, doc, node, "cpu");
        else
            add_host_model(found, doc, node);
    }
}

/* Several documents in a row are one when a root is put around them; their declarations must go. */
static char *
wrap_in_root(const char *text)
{
    GString *whole = g_string_new("<cpus>");
    g_autoptr(GRegex) declaration = g_regex_new("<\\?xml[^>]*\\?>", 0, 0, NULL);
    g_autofree char *plain = g_regex_replace_literal(declaration, text, -1, 0, "", 0, NULL);

    g_string_append(whole, plain ? plain : text);
    g_string_append(whole, "</cpus>");
    return g_string_free(whole, FALSE);
}

char **
inv_xml_part_cpus(const char *text, const char *source, GError **error)
{
    g_autofree char *whole = wrap_in_root(text);
    g_autoptr(xmlDoc) doc = parse(whole, source, error);
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);

    if (!doc)
        return NULL;
    collect(found, doc, xmlDocGetRootElement(doc)->children, 0);
    if (!found->len) {
        inv_error_set(error, VIR_ERR_XML_ERROR, "%s: no <cpu> element, alone or in a domain or capabilities, is in it", source);
        return NULL;
    }
    g_ptr_array_add(found, NULL);
    return (char **)g_ptr_array_steal(found, NULL);
}

static void
collect_models(GPtrArray *found, const xmlNode *node, gboolean all, guint depth)
{
    for (; node && depth < DEEPEST; node = node->next) {
        xmlChar *usable = is_element(node, "model") ? xmlGetProp(node, (const xmlChar *)"usable") : NULL;

        if (usable && (all || !strcmp((const char *)usable, "yes"))) {
            xmlChar *name = xmlNodeGetContent(node);

            g_ptr_array_add(found, g_strdup((const char *)name));
            xmlFree(name);
        } else if (node->type == XML_ELEMENT_NODE && !usable) {
            collect_models(found, node->children, all, depth + 1);
        }
        xmlFree(usable);
    }
}

char **
inv_xml_part_models(const char *domain_capabilities, gboolean all, GError **error)
{
    g_autoptr(xmlDoc) doc = parse(domain_capabilities, "the domain capabilities", error);
    GPtrArray *found;

    if (!doc)
        return NULL;
    found = g_ptr_array_new();
    collect_models(found, xmlDocGetRootElement(doc), all, 0);
    g_ptr_array_add(found, NULL);
    return (char **)g_ptr_array_free(found, FALSE);
}
