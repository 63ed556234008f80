/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/config.h"
#include "store/cache.h"
#include "util/freshness.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * Answers about emulators as documents in the capability cache, so that the next daemon gives its
 * first one without reading a table of CPU models. A document comes back only where everything is as
 * it was when it was made: the program of the daemon, its map of CPU features, where emulators are
 * looked for, the processor and its microcode, KVM where it counts, and each file that the answer was
 * made from. Without one nothing is lost but the time to make it again. Safe from any thread.
 */
typedef struct InvKeptAnswers InvKeptAnswers;

/* @cache is borrowed. */
InvKeptAnswers *inv_kept_answers_new(InvCache *cache, const InvConfig *config);
void inv_kept_answers_free(InvKeptAnswers *kept);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvKeptAnswers, inv_kept_answers_free)

/*
 * @question: the call and its arguments, in one line. @kvm: whether KVM's state counts. NULL: there
 * is none, or something changed. *@freshness: what the answer was made from. Both owned by the caller.
 */
char *inv_kept_answers_get(InvKeptAnswers *kept, const char *question, gboolean kvm, InvFreshness **freshness);

/* @freshness and @state, of inv_kept_answers_state(), are of before the answer was made. */
void inv_kept_answers_put(InvKeptAnswers *kept, const char *question, const char *state, const InvFreshness *freshness, const char *answer);
char *inv_kept_answers_state(InvKeptAnswers *kept, gboolean kvm);

/* Somebody wants emulators to be asked anew. */
void inv_kept_answers_forget(InvKeptAnswers *kept);

G_END_DECLS
