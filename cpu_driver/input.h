/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/invar-cpu.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * A text in which CPUs are described, in whatever form, one or many of them: what it is, and where
 * one document ends and the next begins. Nothing of it is trusted.
 */

/* More is no list of hosts: ten thousand with every feature named have about 50 MB. */
#define INV_INPUT_MAX_BYTES (1024u * 1024 * 1024)

typedef struct {
    InvarCpuFormat format; /* never AUTO */
    const char *text;      /* borrowed, without an end of its own */
    gsize length;
    guint line;            /* in the whole text, from 1 */
} InvDocument;

/* FALSE with an error ends the reading; FALSE without one does so as well, and the reading has succeeded. */
typedef gboolean (*InvDocumentVisit)(const InvDocument *document, gpointer opaque, GError **error);

/*
 * Calls @visit for each document of @text, in order: XML documents one after another or within
 * elements of any other name; JSON documents; dumps of CPUID, of which each begins with its "CPU 0:". @format:
 * what it must be, or AUTO. Errors: VIR_ERR_INVALID_ARG or VIR_ERR_XML_ERROR, with the line.
 */
gboolean inv_input_split(const char *text, gsize length, InvarCpuFormat format, InvDocumentVisit visit, gpointer opaque, GError **error);

/* For input.c: the documents of one kind of text. */
gboolean inv_input_split_xml(const char *text, gsize length, InvarCpuFormat format, InvDocumentVisit visit, gpointer opaque, GError **error);

/* The name of the element that stands for @format, or NULL. */
const char *inv_input_element(InvarCpuFormat format);

G_END_DECLS
