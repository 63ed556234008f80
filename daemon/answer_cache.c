/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/answer_cache.h"

#include <string.h>

/* What an answer takes beside its texts: the structures here and the watched paths. */
#define OVERHEAD 2048u

typedef struct {
    guint32 procedure;
    gsize length;
    const guint8 *args;
    /* From here on not part of the key. */
    guint8 *owned_args;
    GBytes *result;
    InvFreshness *freshness;
    guint generation;
    GList link; /* of the order of use */
} Answer;

struct InvAnswerCache {
    gsize max_bytes;
    GMutex lock;
    GHashTable *answers; /* Answer → itself, owned; guarded by lock, as all that follows */
    GQueue used;         /* Answer *, latest first */
    gsize bytes;
};

static guint
answer_hash(gconstpointer data)
{
    const Answer *answer = data;
    guint32 hash = 2166136261u ^ answer->procedure;

    for (gsize i = 0; i < answer->length; i++)
        hash = (hash ^ answer->args[i]) * 16777619u;
    return hash;
}

static gboolean
answer_equal(gconstpointer left, gconstpointer right)
{
    const Answer *a = left, *b = right;

    return a->procedure == b->procedure && a->length == b->length &&
        (!a->length || memcmp(a->args, b->args, a->length) == 0);
}

static void
answer_free(gpointer data)
{
    Answer *answer = data;

    g_bytes_unref(answer->result);
    inv_freshness_free(answer->freshness);
    g_free(answer->owned_args);
    g_free(answer);
}

static gsize
cost_of(gsize length, GBytes *result)
{
    return length + g_bytes_get_size(result) + OVERHEAD;
}

InvAnswerCache *
inv_answer_cache_new(gsize max_bytes)
{
    InvAnswerCache *cache = g_new0(InvAnswerCache, 1);

    cache->max_bytes = max_bytes;
    g_mutex_init(&cache->lock);
    cache->answers = g_hash_table_new_full(answer_hash, answer_equal, NULL, answer_free);
    return cache;
}

void
inv_answer_cache_free(InvAnswerCache *cache)
{
    if (!cache)
        return;
    g_hash_table_unref(cache->answers);
    g_mutex_clear(&cache->lock);
    g_free(cache);
}

static void
drop_locked(InvAnswerCache *cache, Answer *answer)
{
    g_queue_unlink(&cache->used, &answer->link);
    cache->bytes -= cost_of(answer->length, answer->result);
    g_hash_table_remove(cache->answers, answer);
}

GBytes *
inv_answer_cache_get(InvAnswerCache *cache, guint generation, guint32 procedure, const guint8 *args, gsize length)
{
    const Answer wanted = { .procedure = procedure, .length = length, .args = args };
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    Answer *answer = g_hash_table_lookup(cache->answers, &wanted);

    if (!answer)
        return NULL;
    if (answer->generation != generation || !inv_freshness_holds(answer->freshness)) {
        drop_locked(cache, answer);
        return NULL;
    }
    g_queue_unlink(&cache->used, &answer->link);
    g_queue_push_head_link(&cache->used, &answer->link);
    return g_bytes_ref(answer->result);
}

void
inv_answer_cache_put(InvAnswerCache *cache, guint generation, guint32 procedure, const guint8 *args, gsize length,
                     InvFreshness *freshness, GBytes *result)
{
    g_autoptr(GMutexLocker) locker = NULL;
    gsize cost = cost_of(length, result);
    Answer *answer, *old;

    if (cost > cache->max_bytes / 4) {
        inv_freshness_free(freshness);
        return;
    }
    answer = g_new0(Answer, 1);
    answer->procedure = procedure;
    answer->length = length;
    answer->owned_args = g_memdup2(args, length);
    answer->args = answer->owned_args;
    answer->result = g_bytes_ref(result);
    answer->freshness = freshness;
    answer->generation = generation;
    answer->link.data = answer;
    locker = g_mutex_locker_new(&cache->lock);
    old = g_hash_table_lookup(cache->answers, answer);
    if (old)
        drop_locked(cache, old);
    while (cache->bytes + cost > cache->max_bytes)
        drop_locked(cache, g_queue_peek_tail(&cache->used));
    g_hash_table_add(cache->answers, answer);
    g_queue_push_head_link(&cache->used, &answer->link);
    cache->bytes += cost;
}

guint
inv_answer_cache_size(InvAnswerCache *cache, gsize *bytes)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);

    if (bytes)
        *bytes = cache->bytes;
    return g_hash_table_size(cache->answers);
}
