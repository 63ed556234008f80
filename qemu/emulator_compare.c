/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/emulator_compare.h"

#include "qemu/emulator_private.h"
#include "qemu/probe_process.h"
#include "util/error.h"

#include <string.h>

static const char *const relations[] = {
    [INV_MODELS_IDENTICAL] = "identical",
    [INV_MODELS_SUPERSET] = "superset",
    [INV_MODELS_SUBSET] = "subset",
    [INV_MODELS_INCOMPATIBLE] = "incompatible",
};

typedef struct {
    InvEmulator *emulator;
    InvVirtType accelerator;
    const char *machine;
    const InvJson *const *models;
    guint n;
    gboolean baseline;
} Question;

void
inv_model_comparison_free(InvModelComparison *comparison)
{
    if (!comparison)
        return;
    g_strfreev(comparison->responsible);
    g_free(comparison);
}

/* A question of any length under a name of one length. */
static char *
subject_of(const Question *question)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);

    for (guint i = 0; i < question->n; i++) {
        g_autofree char *text = inv_json_format(question->models[i], FALSE);

        /* With the NUL: else two models could be read as others. */
        g_checksum_update(sum, (const guchar *)text, (gssize)strlen(text) + 1);
    }
    return g_strdup_printf("%s %s %s %s", inv_accelerator_name(question->accelerator), question->machine,
                           question->baseline ? "baseline" : "comparison", g_checksum_get_string(sum));
}

/* QEMU's refusal for people; what is no refusal is passed on. */
static gboolean
explain(const Question *question, GError *refused, const char *what, GError **error)
{
    if (refused->code == VIR_ERR_OPERATION_UNSUPPORTED)
        inv_error_set(error, VIR_ERR_NO_SUPPORT, "%s is not supported by the %s CPU driver: %s answers no such question", what,
                      question->emulator->arch, question->emulator->display);
    else
        inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s: %s", question->emulator->display, refused->message);
    g_error_free(refused);
    return FALSE;
}

static InvJson *
ask(const Question *question, InvQmp *qmp, const char *command, const char *what, const InvJson *arguments, gint64 end, GError **error)
{
    const InvQmpCommand asked = { command, arguments };
    InvJson *reply = NULL;
    GError *refused = NULL;

    if (!inv_qmp_call_many(qmp, &asked, 1, inv_deadline_left(end), &reply, &refused, error)) {
        g_clear_error(&refused);
        return NULL;
    }
    if (!reply)
        explain(question, refused, what, error);
    return reply;
}

static InvJson *
ask_pair(const Question *question, InvQmp *qmp, const InvJson *first, const InvJson *second, gint64 end, GError **error)
{
    g_autoptr(InvJson) arguments = inv_json_new_object();

    inv_json_object_set(arguments, "modela", inv_json_copy(first));
    inv_json_object_set(arguments, "modelb", inv_json_copy(second));
    return question->baseline ? ask(question, qmp, "query-cpu-model-baseline", "the baseline of CPUs", arguments, end, error)
                              : ask(question, qmp, "query-cpu-model-comparison", "comparing CPUs", arguments, end, error);
}

/* Pair by pair; a model that was met before changes nothing. */
static InvJson *
fold(const Question *question, InvQmp *qmp, gint64 end, GError **error)
{
    g_autoptr(GHashTable) met = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(InvJson) common = inv_json_copy(question->models[0]);

    for (guint i = 0; i < question->n; i++) {
        g_autoptr(InvJson) reply = NULL;
        const InvJson *model;

        if (!g_hash_table_add(met, inv_json_format(question->models[i], FALSE)))
            continue;
        reply = ask_pair(question, qmp, common, question->models[i], end, error);
        if (!reply)
            return NULL;
        model = inv_json_get(reply, "model");
        if (!inv_json_get_string(model, "name")) {
            inv_error_set(error, VIR_ERR_OPERATION_FAILED, "%s answered a baseline without a model", question->emulator->display);
            return NULL;
        }
        inv_json_free(common);
        common = inv_json_copy(model);
    }
    return g_steal_pointer(&common);
}

/* {"model": …, "full": …}: so one process answers what may be asked next. */
static InvJson *
ask_baseline(const Question *question, InvQmp *qmp, gint64 end, GError **error)
{
    g_autoptr(InvJson) common = fold(question, qmp, end, error);
    g_autoptr(InvJson) arguments = inv_json_new_object();
    g_autoptr(InvJson) expansion = NULL;
    InvJson *json;

    if (!common)
        return NULL;
    inv_json_object_set_string(arguments, "type", "full");
    inv_json_object_set(arguments, "model", inv_json_copy(common));
    expansion = ask(question, qmp, "query-cpu-model-expansion", "the baseline of CPUs", arguments, end, error);
    if (!expansion)
        return NULL;
    json = inv_json_new_object();
    inv_json_object_set(json, "model", g_steal_pointer(&common));
    if (inv_json_get(expansion, "model"))
        inv_json_object_set(json, "full", inv_json_copy(inv_json_get(expansion, "model")));
    return json;
}

static gpointer
get_answer(gpointer user_data, gint64 end, GError **error)
{
    const Question *question = user_data;
    const char *const arguments[] = { "-machine", question->machine, "-accel", inv_accelerator_name(question->accelerator), NULL };
    InvEmulator *emulator = question->emulator;
    g_autoptr(InvProbeProcess) process = inv_probe_process_start(emulator->emulators->io, emulator->path, arguments, end, error);
    InvQmp *qmp;
    InvJson *json;

    if (!process)
        return NULL;
    qmp = inv_probe_process_qmp(process);
    json = question->baseline ? ask_baseline(question, qmp, end, error)
                              : ask_pair(question, qmp, question->models[0], question->models[1], end, error);
    if (!json && error && *error && (*error)->code == VIR_ERR_OPERATION_FAILED)
        inv_probe_process_explain(process, error);
    return json;
}

static InvJson *
answer(Question *question, guint deadline_ms, GError **error)
{
    g_autofree char *key = NULL;
    g_autofree char *subject = NULL;

    if (!inv_emulator_check_accelerator(question->emulator, question->accelerator, error))
        return NULL;
    key = inv_emulator_key(question->emulator, question->accelerator);
    subject = subject_of(question);
    return inv_answers_ask(question->emulator->comparisons, subject, key, deadline_ms, get_answer, question, error);
}

static int
compare_texts(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

InvModelComparison *
inv_emulator_compare_models(InvEmulator *emulator, InvVirtType accelerator, const char *machine, const InvJson *first,
                            const InvJson *second, guint deadline_ms, GError **error)
{
    const InvJson *const models[] = { first, second };
    Question question = { emulator, accelerator, machine, models, G_N_ELEMENTS(models), FALSE };
    g_autoptr(InvJson) json = answer(&question, deadline_ms, error);
    const char *word = inv_json_get_string(json, "result");
    InvModelComparison *comparison;

    if (!json)
        return NULL;
    for (guint i = 0; i < G_N_ELEMENTS(relations); i++) {
        if (g_strcmp0(relations[i], word) != 0)
            continue;
        comparison = g_new0(InvModelComparison, 1);
        comparison->relation = (InvModelsRelation)i;
        comparison->responsible = inv_json_get_strv(json, "responsible-properties");
        if (!comparison->responsible)
            comparison->responsible = g_new0(char *, 1);
        qsort(comparison->responsible, g_strv_length(comparison->responsible), sizeof(char *), compare_texts);
        return comparison;
    }
    inv_error_set(error, VIR_ERR_OPERATION_FAILED, "%s compared two CPU models with the result '%.32s', which is none that Invar knows",
                  emulator->display, word ? word : "");
    return NULL;
}

InvJson *
inv_emulator_common_model(InvEmulator *emulator, InvVirtType accelerator, const char *machine, const InvJson *const *models, guint n,
                          guint deadline_ms, InvJson **full, GError **error)
{
    Question question = { emulator, accelerator, machine, models, n, TRUE };
    g_autoptr(InvJson) json = NULL;

    g_return_val_if_fail(n > 0, NULL);
    json = answer(&question, deadline_ms, error);
    if (!json)
        return NULL;
    if (full)
        *full = inv_json_copy(inv_json_get(json, "full"));
    return inv_json_copy(inv_json_get(json, "model"));
}
