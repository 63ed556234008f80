/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libxml/relaxng.h>
#include <libxml/tree.h>

/* libvirt's own schemas, where Debian and Fedora put them. */
#define LIBVIRT_SCHEMAS "/usr/share/libvirt/schemas/"

static void G_GNUC_PRINTF(2, 3)
schema_complaint(void *user_data, const char *format, ...)
{
    GString *complaints = user_data;
    va_list args;

    va_start(args, format);
    g_string_append_vprintf(complaints, format, args);
    va_end(args);
}

/* NULL when the document is valid; else what the schema says, owned by the caller. */
static inline char *
schema_check(xmlDocPtr document, const char *schema_path)
{
    GString *complaints = g_string_new(NULL);
    xmlRelaxNGParserCtxtPtr parser = xmlRelaxNGNewParserCtxt(schema_path);
    xmlRelaxNGPtr schema = parser ? xmlRelaxNGParse(parser) : NULL;
    xmlRelaxNGValidCtxtPtr valid = schema ? xmlRelaxNGNewValidCtxt(schema) : NULL;
    int result = -1;

    if (valid) {
        xmlRelaxNGSetValidErrors(valid, schema_complaint, schema_complaint, complaints);
        result = xmlRelaxNGValidateDoc(valid, document);
    }
    if (result != 0 && !complaints->len)
        g_string_append_printf(complaints, "'%s' cannot be used", schema_path);
    xmlRelaxNGFreeValidCtxt(valid);
    xmlRelaxNGFree(schema);
    xmlRelaxNGFreeParserCtxt(parser);
    return g_string_free(complaints, result == 0);
}

/*
 * libvirt's schema of a host's <cpu> allows no dot in a feature's name, and libvirt itself writes
 * sse4.1 and sse4.2 there: its own documents fail it. Those two do not count.
 */
static inline void
schema_drop_dotted_features(xmlNodePtr node)
{
    for (xmlNodePtr child = node->children, next; child; child = next) {
        xmlChar *name = xmlGetProp(child, BAD_CAST "name");

        next = child->next;
        schema_drop_dotted_features(child);
        if (name && xmlStrEqual(child->name, BAD_CAST "feature") && xmlStrchr(name, '.')) {
            xmlUnlinkNode(child);
            xmlFreeNode(child);
        }
        xmlFree(name);
    }
}
