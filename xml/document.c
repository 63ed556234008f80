/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/domain.h"
#include "xml/node.h"

#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <string.h>

/* More than any real domain has; each costs some hundred bytes in the tree. */
#define MAX_ELEMENTS 50000
/* libxml2 before 2.12 compares each attribute of a tag with all others of it. */
#define MAX_ATTRIBUTES 256

/* What one run of the parser counts, behind the context's _private. */
typedef struct {
    guint depth;
    guint elements;
    GError *error; /* the first */
} ParseState;

static void
refuse(xmlParserCtxtPtr context, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void
refuse(xmlParserCtxtPtr context, const char *format, ...)
{
    ParseState *state = context->_private;
    g_autofree char *text = NULL;
    va_list args;

    if (!state->error) {
        va_start(args, format);
        text = g_strdup_vprintf(format, args);
        va_end(args);
        inv_error_set(&state->error, VIR_ERR_XML_ERROR, "line %d: %s", xmlSAX2GetLineNumber(context), text);
    }
    xmlStopParser(context);
}

static void
#if LIBXML_VERSION >= 21200
on_error(void *data, const xmlError *fault)
#else
on_error(void *data, xmlErrorPtr fault)
#endif
{
    xmlParserCtxtPtr context = data;
    ParseState *state = context->_private;
    g_autofree char *message = NULL;

    if (state->error || fault->level < XML_ERR_ERROR)
        return;
    message = g_utf8_make_valid(fault->message ? fault->message : "unreadable", -1);
    inv_error_set(&state->error, VIR_ERR_XML_ERROR, "line %d: malformed XML: %s", fault->line, g_strstrip(message));
}

static void
on_document_type(void *data, const xmlChar *name, const xmlChar *external_id, const xmlChar *system_id)
{
    refuse(data, "<!DOCTYPE %.64s>: a document type, and entities with it, is not accepted; remove it", (const char *)name);
}

static void
on_entity(void *data, const xmlChar *name, int type, const xmlChar *public_id, const xmlChar *system_id, xmlChar *content)
{
    refuse(data, "<!ENTITY %.64s>: entities are not accepted", (const char *)name);
}

static void
on_start_element(void *data, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int namespace_count,
                 const xmlChar **namespaces, int attribute_count, int defaulted_count, const xmlChar **attributes)
{
    xmlParserCtxtPtr context = data;
    ParseState *state = context->_private;

    if (++state->depth > INV_XML_MAX_DEPTH) {
        refuse(context, "<%.64s>: elements are nested more than %d deep", (const char *)name, INV_XML_MAX_DEPTH);
        return;
    }
    if (++state->elements > MAX_ELEMENTS) {
        refuse(context, "<%.64s>: the document has more than %d elements", (const char *)name, MAX_ELEMENTS);
        return;
    }
    xmlSAX2StartElementNs(context, name, prefix, uri, namespace_count, namespaces, attribute_count, defaulted_count,
                          attributes);
}

static void
on_end_element(void *data, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    xmlParserCtxtPtr context = data;
    ParseState *state = context->_private;

    state->depth--;
    xmlSAX2EndElementNs(context, name, prefix, uri);
}

/* The text behind @mark, or NULL when what began is not ended: then the parser will say so. */
static const char *
skip_behind(const char *text, const char *mark)
{
    const char *end = strstr(text, mark);

    return end ? end + strlen(mark) : NULL;
}

/* Bounds the attributes of each tag before the parser sees it. */
static gboolean
check_attribute_counts(const char *xml, GError **error)
{
    const char *text = xml;

    while (text && (text = strchr(text, '<'))) {
        guint count = 0;
        char quote = '\0';

        if (g_str_has_prefix(text, "<!--")) {
            text = skip_behind(text + 4, "-->");
            continue;
        }
        if (g_str_has_prefix(text, "<![CDATA[")) {
            text = skip_behind(text, "]]>");
            continue;
        }
        if (text[1] == '?') {
            text = skip_behind(text, "?>");
            continue;
        }
        for (text++; *text && (quote || *text != '>'); text++) {
            if (quote)
                quote = *text == quote ? '\0' : quote;
            else if (*text == '\'' || *text == '"')
                quote = *text;
            else if (*text == '=' && ++count > MAX_ATTRIBUTES)
                return inv_error_set(error, VIR_ERR_XML_ERROR, "an element has more than %d attributes", MAX_ATTRIBUTES);
        }
    }
    return TRUE;
}

/* Blanks that only indent: between elements, where no other text is. */
static void
drop_blanks(xmlNodePtr node)
{
    gboolean text = FALSE;
    gboolean other = FALSE;

    for (xmlNodePtr child = node->children; child; child = child->next) {
        if (child->type == XML_TEXT_NODE && xmlIsBlankNode(child))
            continue;
        if (child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE)
            text = TRUE;
        else
            other = TRUE;
    }
    if (xmlNodeGetSpacePreserve(node) == 1)
        return;
    for (xmlNodePtr child = node->children, next; child; child = next) {
        next = child->next;
        if (child->type == XML_ELEMENT_NODE)
            drop_blanks(child);
        else if (child->type == XML_TEXT_NODE && other && !text)
            inv_node_remove(child);
    }
}

static xmlDocPtr
run_parser(const char *xml, gsize length, ParseState *state)
{
    xmlParserCtxtPtr context = xmlNewParserCtxt();
    xmlDocPtr doc;

    if (!context) {
        inv_error_set(&state->error, VIR_ERR_NO_MEMORY, "no memory for the XML parser");
        return NULL;
    }
    context->_private = state;
    context->sax->initialized = XML_SAX2_MAGIC;
    context->sax->serror = on_error;
    context->sax->internalSubset = on_document_type;
    context->sax->externalSubset = on_document_type;
    context->sax->entityDecl = on_entity;
    context->sax->startElementNs = on_start_element;
    context->sax->endElementNs = on_end_element;
    doc = xmlCtxtReadMemory(context, xml, (int)length, NULL, NULL, XML_PARSE_NONET | XML_PARSE_BIG_LINES);
    if (!context->wellFormed && doc) {
        xmlFreeDoc(doc);
        doc = NULL;
    }
    if (!doc && context->myDoc) {
        xmlFreeDoc(context->myDoc);
        context->myDoc = NULL;
    }
    if (!doc && !state->error)
        inv_error_set(&state->error, VIR_ERR_XML_ERROR, "malformed XML: the document is empty");
    xmlFreeParserCtxt(context);
    return doc;
}

xmlDocPtr
inv_xml_parse(const char *xml, const char *root, GError **error)
{
    ParseState state = { 0 };
    g_autoptr(InvXmlDoc) doc = NULL;
    gsize length = strlen(xml);
    xmlNodePtr top;

    if (length > INV_XML_MAX_BYTES) {
        inv_error_set(error, VIR_ERR_XML_ERROR, "the document has %" G_GSIZE_FORMAT " bytes: at most %u are accepted", length,
                      INV_XML_MAX_BYTES);
        return NULL;
    }
    if (!check_attribute_counts(xml, error))
        return NULL;
    doc = run_parser(xml, length, &state);
    if (state.error) {
        g_propagate_error(error, state.error);
        return NULL;
    }
    top = xmlDocGetRootElement(doc);
    if (!inv_node_is(top, root)) {
        inv_node_fail(top, NULL, VIR_ERR_XML_ERROR, error, "the document's root must be <%s>%s", root,
                      top->ns ? ", of no namespace" : "");
        return NULL;
    }
    drop_blanks(top);
    return g_steal_pointer(&doc);
}
