/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/xml_out.h"

#include <string.h>

/* Documents here are some hundred kilobytes of short elements: libxml2's writer takes three times as long for them. */
#define USUAL_SIZE 32768

typedef enum {
    OUT_START,   /* nothing written behind the last tag */
    OUT_OPEN,    /* "<element", its '>' still to come */
    OUT_CONTENT, /* text was written: the end tag follows at once */
} OutState;

struct InvXmlOut {
    GString *text;
    GPtrArray *open; /* names of elements, owned */
    OutState state;
};

InvXmlOut *
inv_xml_out_new(void)
{
    InvXmlOut *out = g_new0(InvXmlOut, 1);

    out->text = g_string_sized_new(USUAL_SIZE);
    out->open = g_ptr_array_new_with_free_func(g_free);
    return out;
}

void
inv_xml_out_free(InvXmlOut *out)
{
    if (!out)
        return;
    g_string_free(out->text, TRUE);
    g_ptr_array_unref(out->open);
    g_free(out);
}

static const char *
entity(gunichar c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '\'':
        return "&apos;";
    case '\n':
        return "&#10;";
    case '\r':
        return "&#13;";
    case '\t':
        return "&#9;";
    default:
        return NULL;
    }
}

/* What an XML 1.0 document can hold (its production Char); the rest becomes U+FFFD. */
static void
append_escaped(GString *text, const char *value)
{
    g_autofree char *valid = NULL;

    /* Nearly every name and number: nothing to escape, and then it is copied at once. */
    if (!value[strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./ ")]) {
        g_string_append(text, value);
        return;
    }
    valid = g_utf8_make_valid(value, -1);
    for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        const char *escaped = entity(c);

        if (escaped)
            g_string_append(text, escaped);
        else
            g_string_append_unichar(text, c < 0x20 || c == 0xfffe || c == 0xffff ? 0xfffd : c);
    }
}

static void
indent(InvXmlOut *out)
{
    for (guint i = 0; i < out->open->len; i++)
        g_string_append(out->text, "  ");
}

/* Ends the start tag that is open, if any. */
static void
end_start_tag(InvXmlOut *out, const char *behind)
{
    if (out->state == OUT_OPEN)
        g_string_append(out->text, behind);
}

void
inv_xml_out_open(InvXmlOut *out, const char *element)
{
    end_start_tag(out, ">\n");
    indent(out);
    g_string_append_c(out->text, '<');
    g_string_append(out->text, element);
    g_ptr_array_add(out->open, g_strdup(element));
    out->state = OUT_OPEN;
}

void
inv_xml_out_attribute(InvXmlOut *out, const char *name, const char *value)
{
    g_return_if_fail(out->state == OUT_OPEN);

    if (!value)
        return;
    g_string_append_c(out->text, ' ');
    g_string_append(out->text, name);
    g_string_append(out->text, "='");
    append_escaped(out->text, value);
    g_string_append_c(out->text, '\'');
}

void
inv_xml_out_attribute_uint(InvXmlOut *out, const char *name, guint64 value)
{
    char text[sizeof("18446744073709551615")];

    g_snprintf(text, sizeof(text), "%" G_GUINT64_FORMAT, value);
    inv_xml_out_attribute(out, name, text);
}

void
inv_xml_out_text(InvXmlOut *out, const char *text)
{
    g_return_if_fail(out->open->len > 0);

    end_start_tag(out, ">");
    append_escaped(out->text, text);
    out->state = OUT_CONTENT;
}

void
inv_xml_out_close(InvXmlOut *out)
{
    g_autofree char *element = NULL;

    g_return_if_fail(out->open->len > 0);

    element = g_ptr_array_steal_index(out->open, out->open->len - 1);
    if (out->state == OUT_OPEN) {
        g_string_append(out->text, "/>\n");
    } else {
        if (out->state == OUT_START)
            indent(out);
        g_string_append_printf(out->text, "</%s>\n", element);
    }
    out->state = OUT_START;
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
    while (out->open->len)
        inv_xml_out_close(out);
    return g_strdup(out->text->str);
}
