/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/description.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * <cpu> documents that were met before, and what they describe: a cloud asks about the same CPUs
 * again and again, and reading XML costs many times what comparing costs. Bounded: INV_DOCUMENTS_BYTES
 * of text, and a document of more than INV_DOCUMENT_MAX bytes is not kept. Which documents share a
 * place in it depends on their text, so that a client that fills it makes others slow at most.
 * Safe from any thread; nothing here waits but for a lock that is held for moments.
 */
typedef struct InvCpuDocuments InvCpuDocuments;

#define INV_DOCUMENT_MAX 32768u
#define INV_DOCUMENTS_BYTES (2u * 1024u * 1024u)

/* Immutable. */
typedef struct {
    gatomicrefcount references;
    guint64 hash;
    gsize length;
    char *text;
    InvCpuDescription *description;
} InvCpuDocument;

InvCpuDocument *inv_cpu_document_ref(InvCpuDocument *document);
void inv_cpu_document_unref(InvCpuDocument *document);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuDocument, inv_cpu_document_unref)

InvCpuDocuments *inv_cpu_documents_new(void);
void inv_cpu_documents_free(InvCpuDocuments *documents);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuDocuments, inv_cpu_documents_free)

/* A reference, or NULL: not met, or forgotten since. */
InvCpuDocument *inv_cpu_documents_find(InvCpuDocuments *documents, const char *text);

/*
 * Takes @description over; a reference to the document that stands for @text from now on. @documents
 * NULL: it is not kept.
 */
InvCpuDocument *inv_cpu_documents_add(InvCpuDocuments *documents, const char *text, InvCpuDescription *description);

/* Bytes of the texts that are kept. */
gsize inv_cpu_documents_bytes(InvCpuDocuments *documents);

G_END_DECLS
