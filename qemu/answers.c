/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/answers.h"

#include "qemu/probe_budget.h"
#include "qemu/probe_process.h"
#include "util/error.h"
#include "util/long_wait.h"

typedef struct {
    gint refs;     /* all of this is guarded by the table's lock */
    char *key;
    gboolean busy; /* somebody is getting it */
    gboolean idle; /* while busy: at idle priority */
    gpointer value;
    GError *error;
    guint tried_ms; /* the time that a missed deadline allowed */
} Answer;

struct InvAnswers {
    InvAnswerCopy copy;
    GDestroyNotify value_free;
    guint limit;
    GMutex lock;
    GCond changed;
    GHashTable *table; /* name → Answer, one reference each; guarded by lock */
};

static void
answer_unref(InvAnswers *answers, Answer *answer)
{
    if (--answer->refs)
        return;
    if (answer->value && answers->value_free)
        answers->value_free(answer->value);
    g_clear_error(&answer->error);
    g_free(answer->key);
    g_free(answer);
}

InvAnswers *
inv_answers_new(InvAnswerCopy copy, GDestroyNotify value_free, guint limit)
{
    InvAnswers *answers = g_new0(InvAnswers, 1);

    answers->copy = copy;
    answers->value_free = value_free;
    answers->limit = limit;
    answers->table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_mutex_init(&answers->lock);
    g_cond_init(&answers->changed);
    return answers;
}

static void
forget_locked(InvAnswers *answers, const char *name)
{
    GHashTableIter iter;
    gpointer key, value;

    g_hash_table_iter_init(&iter, answers->table);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        if (name && g_strcmp0(name, key) != 0)
            continue;
        g_hash_table_iter_remove(&iter);
        answer_unref(answers, value);
    }
}

void
inv_answers_free(InvAnswers *answers)
{
    if (!answers)
        return;
    forget_locked(answers, NULL);
    g_hash_table_unref(answers->table);
    g_mutex_clear(&answers->lock);
    g_cond_clear(&answers->changed);
    g_free(answers);
}

void
inv_answers_forget(InvAnswers *answers, const char *name)
{
    g_mutex_lock(&answers->lock);
    forget_locked(answers, name);
    g_mutex_unlock(&answers->lock);
}

/* Is what @answer holds good for an asker who brings @deadline_ms? */
static gboolean
is_settled(const Answer *answer, guint deadline_ms)
{
    virErrorNumber code;

    if (answer->value)
        return TRUE;
    if (!answer->error)
        return FALSE;
    code = inv_error_code(answer->error);
    if (code == VIR_ERR_OPERATION_TIMEOUT)
        return deadline_ms <= answer->tried_ms;
    return code == VIR_ERR_CONFIG_UNSUPPORTED || code == VIR_ERR_OPERATION_FAILED || code == VIR_ERR_INVALID_ARG;
}

/* The answer for this name and key, new when there is none; with a reference for the caller. */
static Answer *
find_locked(InvAnswers *answers, const char *name, const char *key)
{
    Answer *answer = g_hash_table_lookup(answers->table, name);

    /*
     * Who has a client does not wait for what the background gets whenever it may: it asks beside it,
     * and what the background finds goes to nobody.
     */
    if (answer && (g_strcmp0(answer->key, key) != 0 || (answer->busy && answer->idle && !inv_probe_budget_is_idle()))) {
        g_hash_table_remove(answers->table, name);
        answer_unref(answers, answer);
        answer = NULL;
    }
    if (!answer) {
        if (answers->limit && g_hash_table_size(answers->table) >= answers->limit)
            forget_locked(answers, NULL);
        answer = g_new0(Answer, 1);
        answer->key = g_strdup(key);
        answer->refs = 1;
        g_hash_table_insert(answers->table, g_strdup(name), answer);
    }
    answer->refs++;
    return answer;
}

static gpointer
ask(InvAnswers *answers, const char *name, const char *key, guint deadline_ms, InvAnswerGet get, gpointer user_data,
    GError **error)
{
    gint64 end = inv_deadline_end(deadline_ms);
    gpointer result = NULL;
    gboolean in_time = TRUE;
    Answer *answer;

    g_mutex_lock(&answers->lock);
    answer = find_locked(answers, name, key);
    while (answer->busy && in_time)
        in_time = g_cond_wait_until(&answers->changed, &answers->lock, end);
    if (answer->busy) {
        inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT, "the probe of '%s' that is under way did not end within %u ms", name,
                      deadline_ms);
    } else {
        if (!is_settled(answer, deadline_ms)) {
            GError *failure = NULL;
            gpointer value;

            answer->busy = TRUE;
            answer->idle = inv_probe_budget_is_idle();
            g_mutex_unlock(&answers->lock);
            value = get(user_data, end, &failure);
            g_mutex_lock(&answers->lock);
            answer->busy = FALSE;
            answer->value = value;
            g_clear_error(&answer->error);
            answer->error = failure;
            /* On a busy host the background misses a deadline that a client's own question keeps. */
            answer->tried_ms = answer->idle ? 0 : deadline_ms;
            g_cond_broadcast(&answers->changed);
        }
        if (answer->value)
            result = answers->copy(answer->value);
        else
            g_propagate_error(error, g_error_copy(answer->error));
    }
    answer_unref(answers, answer);
    g_mutex_unlock(&answers->lock);
    return result;
}

gpointer
inv_answers_ask(InvAnswers *answers, const char *name, const char *key, guint deadline_ms, InvAnswerGet get, gpointer user_data,
                GError **error)
{
    gboolean replaced = inv_long_wait_begin();
    gpointer result;

    /* With that many waiting, what answers does so in a short time, and what hangs must not keep the last workers too. */
    result = ask(answers, name, key, replaced ? deadline_ms : MIN(deadline_ms, INV_PROBE_SLOW_MS), get, user_data, error);
    inv_long_wait_end();
    return result;
}

InvAnswerState
inv_answers_peek(InvAnswers *answers, const char *name, const char *key, gpointer *value, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&answers->lock);
    const Answer *answer = g_hash_table_lookup(answers->table, name);

    if (!answer || g_strcmp0(answer->key, key) != 0)
        return INV_ANSWER_NONE;
    if (answer->busy)
        return INV_ANSWER_BUSY;
    if (answer->value) {
        *value = answers->copy(answer->value);
        return INV_ANSWER_VALUE;
    }
    /* What would be asked again for anybody is as good as never asked. */
    if (!is_settled(answer, 0))
        return INV_ANSWER_NONE;
    g_propagate_error(error, g_error_copy(answer->error));
    return INV_ANSWER_ERROR;
}
