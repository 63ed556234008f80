/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/freshness.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * Replies that were given, ready to be sent again: the encoded result of a call under the call's own
 * encoded arguments. An answer is given while what it was made from is unchanged, and forgotten at
 * the first look that finds a change. Bounded in bytes: what was not asked for longest goes first.
 * Safe from any thread; a look never waits for a worker, and starts nothing.
 */
typedef struct InvAnswerCache InvAnswerCache;

/* @max_bytes: of arguments and results together. What alone would take more than a quarter of it is not kept. */
InvAnswerCache *inv_answer_cache_new(gsize max_bytes);
void inv_answer_cache_free(InvAnswerCache *cache);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvAnswerCache, inv_answer_cache_free)

/*
 * A reference to the encoded result, or NULL: it is not known, or no longer true. @generation: a
 * count that the owner of the facts raises when it forgets some on purpose.
 */
GBytes *inv_answer_cache_get(InvAnswerCache *cache, guint generation, guint32 procedure, const guint8 *args, gsize length);

/* Keeps @result. @freshness, which is taken over, and @generation are of before the answer was made. */
void inv_answer_cache_put(InvAnswerCache *cache, guint generation, guint32 procedure, const guint8 *args, gsize length,
                          InvFreshness *freshness, GBytes *result);

/* For tests and the log: answers that are kept, and what they take. */
guint inv_answer_cache_size(InvAnswerCache *cache, gsize *bytes);

G_END_DECLS
