/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Writes one XML document that the daemon makes from facts: elements nest, and every text and value
 * is escaped here and nowhere else. Bytes that XML cannot hold (control characters, broken UTF-8, as
 * firmware likes to give) are replaced.
 */
typedef struct InvXmlOut InvXmlOut;

InvXmlOut *inv_xml_out_new(void);
void inv_xml_out_free(InvXmlOut *out);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvXmlOut, inv_xml_out_free)

void inv_xml_out_open(InvXmlOut *out, const char *element);
/* After inv_xml_out_open() and before any content. A NULL @value writes nothing. */
void inv_xml_out_attribute(InvXmlOut *out, const char *name, const char *value);
void inv_xml_out_attribute_uint(InvXmlOut *out, const char *name, guint64 value);
void inv_xml_out_text(InvXmlOut *out, const char *text);
void inv_xml_out_close(InvXmlOut *out);

/* <element>text</element>; a NULL @text gives <element/>. */
void inv_xml_out_element(InvXmlOut *out, const char *element, const char *text);
/* <element attribute='value'/> */
void inv_xml_out_element_with(InvXmlOut *out, const char *element, const char *attribute, const char *value);

/* Closes what is open and gives the document, with a final newline and without an XML declaration; owned by the caller. */
char *inv_xml_out_finish(InvXmlOut *out);

G_END_DECLS
