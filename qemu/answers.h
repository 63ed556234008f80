/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Answers that are dear to get, in memory: under a name, together with the key that they hold for.
 * Who asks while another thread is getting the same answer waits for that one, unless it is one of
 * idle priority (probe_budget.h) and the asker is not. What QEMU
 * refuses or gets wrong (VIR_ERR_CONFIG_UNSUPPORTED, _OPERATION_FAILED, _INVALID_ARG) is an answer
 * too and stays until the key changes; a deadline that was missed is tried again only by who offers
 * more time; any other error, as of a host out of memory, is forgotten at once.
 * Safe from any thread.
 */
typedef struct InvAnswers InvAnswers;

/* @copy: what the asker gets of a stored value (a reference, a copy); @value_free may be NULL. @limit: of answers kept, 0: none. */
typedef gpointer (*InvAnswerCopy)(gpointer value);
InvAnswers *inv_answers_new(InvAnswerCopy copy, GDestroyNotify value_free, guint limit);
void inv_answers_free(InvAnswers *answers);

/* Gets the value, without a lock held. NULL with @error set on failure. */
typedef gpointer (*InvAnswerGet)(gpointer user_data, gint64 end, GError **error);

/* A copy of the value, or NULL with @error. */
gpointer inv_answers_ask(InvAnswers *answers, const char *name, const char *key, guint deadline_ms, InvAnswerGet get,
                         gpointer user_data, GError **error);

/*
 * What there is without getting it. *@value: a copy, with INV_ANSWER_VALUE; @error is set with
 * INV_ANSWER_ERROR, whatever the deadline that it came of.
 */
typedef enum { INV_ANSWER_NONE, INV_ANSWER_BUSY, INV_ANSWER_VALUE, INV_ANSWER_ERROR } InvAnswerState;
InvAnswerState inv_answers_peek(InvAnswers *answers, const char *name, const char *key, gpointer *value, GError **error);

/* Forgets the answer under @name, or (NULL) all. One that is being got still goes to who waits for it. */
void inv_answers_forget(InvAnswers *answers, const char *name);

G_END_DECLS
