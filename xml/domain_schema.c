/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/domain.h"
#include "xml/node.h"

#include <libxml/relaxng.h>

typedef xmlRelaxNG InvRelaxNG;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvRelaxNG, xmlRelaxNGFree)

/* The fault that says most: the first at the deepest element. */
typedef struct {
    guint depth;
    GError *error;
} SchemaFault;

static guint
depth_of(xmlNodePtr node)
{
    guint depth = 1;

    while ((node = node->parent))
        depth++;
    return depth;
}

static void
#if LIBXML_VERSION >= 21200
on_fault(void *data, const xmlError *fault)
#else
on_fault(void *data, xmlErrorPtr fault)
#endif
{
    SchemaFault *found = data;
    xmlNodePtr node = fault->node;
    guint depth = node && node->type == XML_ELEMENT_NODE ? depth_of(node) : 0;
    g_autofree char *message = g_utf8_make_valid(fault->message ? fault->message : "unreadable", -1);

    if (found->error && depth <= found->depth)
        return;
    g_clear_error(&found->error);
    found->depth = depth;
    g_strstrip(message);
    if (depth)
        inv_error_set(&found->error, VIR_ERR_XML_INVALID_SCHEMA, "line %ld: <%s>: %s", xmlGetLineNo(node),
                      (const char *)node->name, message);
    else
        inv_error_set(&found->error, VIR_ERR_XML_INVALID_SCHEMA, "line %d: %s", fault->line, message);
}

static xmlRelaxNGPtr
load_schema(const char *path, GError **error)
{
    SchemaFault found = { 0 };
    xmlRelaxNGParserCtxtPtr parser = xmlRelaxNGNewParserCtxt(path);
    xmlRelaxNGPtr schema;

    if (!parser) {
        inv_error_set(error, VIR_ERR_NO_MEMORY, "no memory to read schema %s", path);
        return NULL;
    }
    xmlRelaxNGSetParserStructuredErrors(parser, on_fault, &found);
    schema = xmlRelaxNGParse(parser);
    xmlRelaxNGFreeParserCtxt(parser);
    if (!schema)
        inv_error_set(error, VIR_ERR_XML_INVALID_SCHEMA, "schema %s cannot be used: %s", path,
                      found.error ? found.error->message : "unreadable");
    g_clear_error(&found.error);
    return schema;
}

static gboolean
validate(const char *xml, const char *root, const char *schema, GError **error)
{
    SchemaFault found = { 0 };
    g_autoptr(InvXmlDoc) doc = inv_xml_parse(xml, root, error);
    g_autoptr(InvRelaxNG) rules = doc ? load_schema(schema, error) : NULL;
    xmlRelaxNGValidCtxtPtr validator;
    int result;

    if (!rules)
        return FALSE;
    validator = xmlRelaxNGNewValidCtxt(rules);
    if (!validator)
        return inv_error_set(error, VIR_ERR_NO_MEMORY, "no memory to validate the document");
    xmlRelaxNGSetValidStructuredErrors(validator, on_fault, &found);
    result = xmlRelaxNGValidateDoc(validator, doc);
    xmlRelaxNGFreeValidCtxt(validator);
    if (result == 0) {
        g_clear_error(&found.error);
        return TRUE;
    }
    if (found.error) {
        g_propagate_error(error, found.error);
        return FALSE;
    }
    return inv_error_set(error, VIR_ERR_XML_INVALID_SCHEMA, "the document does not follow schema %s", schema);
}

gboolean
inv_domain_validate_schema(const char *xml, const char *schema, GError **error)
{
    return validate(xml, "domain", schema, error);
}

gboolean
inv_cpu_validate_schema(const char *xml, const char *schema, GError **error)
{
    return validate(xml, "cpu", schema, error);
}
