/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/cpu_documents.h"

#include <string.h>

/* Places; a document may be in any of the WAYS that its text leads to, the last used first. */
#define SETS 1024u
#define WAYS 4u

typedef struct {
    InvCpuDocument *ways[WAYS];
} Set;

struct InvCpuDocuments {
    GMutex lock;
    /* guarded by lock */
    Set sets[SETS];
    gsize bytes;
    guint hand; /* the set that gives way next when there are too many bytes */
};

InvCpuDocument *
inv_cpu_document_ref(InvCpuDocument *document)
{
    g_atomic_ref_count_inc(&document->references);
    return document;
}

void
inv_cpu_document_unref(InvCpuDocument *document)
{
    if (!document || !g_atomic_ref_count_dec(&document->references))
        return;
    inv_cpu_description_free(document->description);
    g_free(document->text);
    g_free(document);
}

InvCpuDocuments *
inv_cpu_documents_new(void)
{
    InvCpuDocuments *documents = g_new0(InvCpuDocuments, 1);

    g_mutex_init(&documents->lock);
    return documents;
}

static void
drop_locked(InvCpuDocuments *documents, Set *set, guint way)
{
    InvCpuDocument *document = set->ways[way];

    if (!document)
        return;
    documents->bytes -= document->length;
    for (; way + 1 < WAYS; way++)
        set->ways[way] = set->ways[way + 1];
    set->ways[WAYS - 1] = NULL;
    inv_cpu_document_unref(document);
}

void
inv_cpu_documents_free(InvCpuDocuments *documents)
{
    if (!documents)
        return;
    for (guint i = 0; i < SETS; i++) {
        while (documents->sets[i].ways[0])
            drop_locked(documents, &documents->sets[i], 0);
    }
    g_mutex_clear(&documents->lock);
    g_free(documents);
}

/* Eight bytes at a time: a byte at a time would cost as much as the comparison of CPUs. */
static guint64
hash_text(const char *text, gsize length)
{
    const guint64 odd = G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
    guint64 hash = length * odd;
    guint64 word = 0;

    for (; length >= sizeof(word); text += sizeof(word), length -= sizeof(word)) {
        memcpy(&word, text, sizeof(word));
        hash = (hash ^ word) * odd;
        hash ^= hash >> 32;
    }
    word = 0;
    memcpy(&word, text, length);
    hash = (hash ^ word) * odd;
    return hash ^ hash >> 29;
}

static gboolean
is_same(const InvCpuDocument *document, guint64 hash, const char *text, gsize length)
{
    return document->hash == hash && document->length == length && memcmp(document->text, text, length) == 0;
}

static void
put_first(Set *set, guint way)
{
    InvCpuDocument *document = set->ways[way];

    for (; way > 0; way--)
        set->ways[way] = set->ways[way - 1];
    set->ways[0] = document;
}

static InvCpuDocument *
find_locked(Set *set, guint64 hash, const char *text, gsize length)
{
    for (guint way = 0; way < WAYS && set->ways[way]; way++) {
        if (is_same(set->ways[way], hash, text, length)) {
            put_first(set, way);
            return inv_cpu_document_ref(set->ways[0]);
        }
    }
    return NULL;
}

InvCpuDocument *
inv_cpu_documents_find(InvCpuDocuments *documents, const char *text)
{
    gsize length = strlen(text);
    guint64 hash;
    InvCpuDocument *found;

    if (length > INV_DOCUMENT_MAX)
        return NULL;
    hash = hash_text(text, length);
    g_mutex_lock(&documents->lock);
    found = find_locked(&documents->sets[hash % SETS], hash, text, length);
    g_mutex_unlock(&documents->lock);
    return found;
}

static void
make_room_locked(InvCpuDocuments *documents, gsize length)
{
    for (guint i = 0; i < SETS && documents->bytes + length > INV_DOCUMENTS_BYTES; i++) {
        Set *set = &documents->sets[documents->hand++ % SETS];

        while (set->ways[0])
            drop_locked(documents, set, 0);
    }
}

InvCpuDocument *
inv_cpu_documents_add(InvCpuDocuments *documents, const char *text, InvCpuDescription *description)
{
    InvCpuDocument *document = g_new0(InvCpuDocument, 1);
    InvCpuDocument *other;
    Set *set;

    g_atomic_ref_count_init(&document->references);
    document->description = description;
    document->length = strlen(text);
    if (!documents || document->length > INV_DOCUMENT_MAX)
        return document;
    document->text = g_memdup2(text, document->length + 1);
    document->hash = hash_text(text, document->length);
    g_mutex_lock(&documents->lock);
    set = &documents->sets[document->hash % SETS];
    other = find_locked(set, document->hash, text, document->length);
    if (!other) {
        drop_locked(documents, set, WAYS - 1);
        make_room_locked(documents, document->length);
        documents->bytes += document->length;
        memmove(set->ways + 1, set->ways, (WAYS - 1) * sizeof(*set->ways));
        set->ways[0] = inv_cpu_document_ref(document);
    }
    g_mutex_unlock(&documents->lock);
    /* Somebody else read it at the same time. */
    if (other) {
        inv_cpu_document_unref(document);
        return other;
    }
    return document;
}

gsize
inv_cpu_documents_bytes(InvCpuDocuments *documents)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&documents->lock);

    return documents->bytes;
}
