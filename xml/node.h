/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/error.h"
#include "xml/cpu.h"

#include <glib.h>
#include <libxml/tree.h>

G_BEGIN_DECLS

/*
 * What every parser and formatter of this room is made of: typed getters that name element,
 * attribute, value and line in what they refuse, and setters that touch nothing but what they set.
 * For this room only.
 */

/* The words of an enumeration by its value. NULL: a value that has no word ("unset"). */
typedef struct {
    const char *const *words;
    guint count;
} InvWords;

#define INV_WORDS(name, last, ...)                                        \
    static const char *const name##_list[] = { __VA_ARGS__ };             \
    G_STATIC_ASSERT(G_N_ELEMENTS(name##_list) == (gsize)(last) + 1);      \
    static const InvWords name = { name##_list, G_N_ELEMENTS(name##_list) }

/* NULL for a value out of range. */
const char *inv_words_to_string(const InvWords *words, guint value);
gboolean inv_words_from_string(const InvWords *words, const char *text, guint *value);
/* "exact, minimum, strict". Owned by the caller. */
char *inv_words_known(const InvWords *words);

extern const InvWords inv_on_off; /* of InvTristate */
extern const InvWords inv_yes_no; /* of InvTristate */

#define INV_NODE_FOREACH(child, node) \
    for (xmlNodePtr child = xmlFirstElementChild(node); child; child = xmlNextElementSibling(child))

/* Sets "line 7: <element attribute='value'>: …". @attribute may be NULL or absent. Returns FALSE. */
gboolean inv_node_fail(xmlNodePtr node, const char *attribute, virErrorNumber code, GError **error, const char *format, ...)
    G_GNUC_PRINTF(5, 6);

/* An element of this name, of no namespace. */
gboolean inv_node_is(xmlNodePtr node, const char *name);
gboolean inv_name_in(const char *name, const char *const *list);
/* The first such child, or NULL. */
xmlNodePtr inv_node_child(xmlNodePtr node, const char *name);
/* The same, in *@child; a second one is an error. */
gboolean inv_node_only_child(xmlNodePtr node, const char *name, xmlNodePtr *child, GError **error);

/* The attribute, or NULL. Owned by the caller. */
char *inv_node_attr(xmlNodePtr node, const char *name);
gboolean inv_node_has(xmlNodePtr node, const char *name);
/* The same; an absent or empty attribute is an error. */
char *inv_node_required(xmlNodePtr node, const char *name, GError **error);
/* The element's text as it is; and without blanks around it, NULL when nothing is left. */
char *inv_node_text(xmlNodePtr node);
char *inv_node_token(xmlNodePtr node);
/* The token of the child @name, or NULL. */
char *inv_node_child_token(xmlNodePtr node, const char *name);

/* An absent attribute leaves *@value as it is. Numbers are decimal, or hexadecimal behind 0x. */
gboolean inv_node_words(xmlNodePtr node, const char *attribute, const InvWords *words, guint *value, GError **error);
gboolean inv_node_uint(xmlNodePtr node, const char *attribute, guint minimum, guint maximum, guint *value, GError **error);
gboolean inv_number_parse(const char *text, guint64 *value);

/* A size with its @unit (NULL: KiB) in KiB, rounded up; @attribute: where the number stands, NULL: the text. */
gboolean inv_node_memory(xmlNodePtr node, const char *attribute, guint64 *kib, GError **error);

/* Setters. A NULL value removes the attribute. */
void inv_node_set(xmlNodePtr node, const char *attribute, const char *value);
void inv_node_setf(xmlNodePtr node, const char *attribute, const char *format, ...) G_GNUC_PRINTF(3, 4);
void inv_node_set_text(xmlNodePtr node, const char *text);
/* The child @name, made when absent: before the first that @order (NULL: none) lists later. */
xmlNodePtr inv_node_ensure(xmlNodePtr parent, const char *name, const char *const *order);
/* Puts @child among the others by @order. */
void inv_node_insert(xmlNodePtr parent, xmlNodePtr child, const char *const *order);
void inv_node_remove(xmlNodePtr node);
void inv_node_remove_child(xmlNodePtr parent, const char *name);
/* The child with this text, or no child when @text is NULL. */
void inv_node_set_child_text(xmlNodePtr parent, const char *name, const char *text, const char *const *order);

typedef xmlDoc InvXmlDoc;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvXmlDoc, xmlFreeDoc)

/*
 * Reads an untrusted text: no network, no document type, no entity, at most INV_XML_MAX_BYTES,
 * INV_XML_MAX_DEPTH, and a bound on elements and attributes. The root must be <@root>. Blanks
 * between elements are dropped. Errors: VIR_ERR_XML_ERROR with the line of the first fault.
 */
xmlDocPtr inv_xml_parse(const char *xml, const char *root, GError **error);

/* Indented by two blanks per level, attributes in single quotes, with a final newline. */
char *inv_xml_format_doc(xmlDocPtr doc);
char *inv_xml_format_node(xmlNodePtr node);

G_END_DECLS
