/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/xml_out.h"

#include <libxml/xmlwriter.h>

struct InvXmlOut {
    xmlBufferPtr buffer;
    xmlTextWriterPtr writer;
};

/* libxml2 fails here only for want of memory, where GLib would abort: so does this. */
static void
check(gboolean good)
{
    if (!good)
        g_error("libxml2 could not write a document: out of memory");
}

InvXmlOut *
inv_xml_out_new(void)
{
    InvXmlOut *out = g_new0(InvXmlOut, 1);

    out->buffer = xmlBufferCreate();
    check(out->buffer != NULL);
    out->writer = xmlNewTextWriterMemory(out->buffer, 0);
    check(out->writer != NULL);
    xmlTextWriterSetIndent(out->writer, 1);
    xmlTextWriterSetIndentString(out->writer, BAD_CAST "  ");
    xmlTextWriterSetQuoteChar(out->writer, '\'');
    return out;
}

void
inv_xml_out_free(InvXmlOut *out)
{
    if (!out)
        return;
    if (out->writer)
        xmlFreeTextWriter(out->writer);
    xmlBufferFree(out->buffer);
    g_free(out);
}

/* What an XML 1.0 document can hold (its production Char). */
static char *
sanitized(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    GString *clean = g_string_new(NULL);

    for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        gboolean allowed = c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c != 0xfffe && c != 0xffff);

        g_string_append_unichar(clean, allowed ? c : 0xfffd);
    }
    return g_string_free(clean, FALSE);
}

void
inv_xml_out_open(InvXmlOut *out, const char *element)
{
    check(xmlTextWriterStartElement(out->writer, BAD_CAST element) >= 0);
}

void
inv_xml_out_attribute(InvXmlOut *out, const char *name, const char *value)
{
    g_autofree char *clean = value ? sanitized(value) : NULL;

    if (clean)
        check(xmlTextWriterWriteAttribute(out->writer, BAD_CAST name, BAD_CAST clean) >= 0);
}

void
inv_xml_out_attribute_uint(InvXmlOut *out, const char *name, guint64 value)
{
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, value);

    inv_xml_out_attribute(out, name, text);
}

void
inv_xml_out_text(InvXmlOut *out, const char *text)
{
    g_autofree char *clean = sanitized(text);

    check(xmlTextWriterWriteString(out->writer, BAD_CAST clean) >= 0);
}

void
inv_xml_out_close(InvXmlOut *out)
{
    check(xmlTextWriterEndElement(out->writer) >= 0);
}

void
inv_xml_out_element(InvXmlOut *out, const char *element, const char *text)
{
    inv_xml_out_open(out, element);
    if (text)
        inv_xml_out_text(out, text);
    inv_xml_out_close(out);
}

void
inv_xml_out_element_with(InvXmlOut *out, const char *element, const char *attribute, const char *value)
{
    inv_xml_out_open(out, element);
    inv_xml_out_attribute(out, attribute, value);
    inv_xml_out_close(out);
}

char *
inv_xml_out_finish(InvXmlOut *out)
{
    check(xmlTextWriterEndDocument(out->writer) >= 0);
    check(xmlTextWriterFlush(out->writer) >= 0);
    return g_strdup((const char *)xmlBufferContent(out->buffer));
}
