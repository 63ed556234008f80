/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Apart from what shows it: the names of the wire's types and of the CPU library's functions overlap. */
#include "cli/explain_call.h"
#include "cli/verdict_view.h"

INV_RPC_AUTOCLEAN(invar_explain_ret)

void
inv_explanation_free(InvExplanation *explanation)
{
    if (!explanation)
        return;
    g_free(explanation->feature);
    g_free(explanation->qemu);
    g_free(explanation->bit);
    g_array_unref(explanation->layers);
    g_strfreev(explanation->models);
    g_free(explanation);
}

static void
clear_layer(void *layer)
{
    g_free(((InvExplainedLayer *)layer)->text);
}

static InvExplanation *
copy_answer(const invar_explain_ret *ret)
{
    InvExplanation *explanation = g_new0(InvExplanation, 1);

    explanation->feature = g_strdup(ret->feature);
    explanation->qemu = g_strdup(ret->qemu);
    explanation->bit = g_strdup(ret->bit);
    explanation->migratable = ret->migratable;
    explanation->layers = g_array_new(FALSE, TRUE, sizeof(InvExplainedLayer));
    g_array_set_clear_func(explanation->layers, clear_layer);
    for (guint i = 0; i < ret->layers.layers_len; i++) {
        const invar_layer_answer *layer = &ret->layers.layers_val[i];
        InvExplainedLayer copy = { .layer = inv_view_layer(layer->layer), .answer = layer->answer, .text = g_strdup(layer->text) };

        g_array_append_val(explanation->layers, copy);
    }
    explanation->models = g_new0(char *, ret->models.models_len + 1);
    for (guint i = 0; i < ret->models.models_len; i++)
        explanation->models[i] = g_strdup(ret->models.models_val[i]);
    return explanation;
}

InvExplanation *
inv_explain_call(InvCli *cli, const InvArgs *args, GError **error)
{
    char *emulator = (char *)inv_args_string(args, "emulator");
    char *arch = (char *)inv_args_string(args, "arch");
    char *machine = (char *)inv_args_string(args, "machine");
    char *virttype = (char *)inv_args_string(args, "virttype");
    invar_explain_args call = {
        .feature = (char *)inv_args_string(args, "feature"),
        .emulator = emulator ? &emulator : NULL,
        .arch = arch ? &arch : NULL,
        .machine = machine ? &machine : NULL,
        .virttype = virttype ? &virttype : NULL,
    };
    g_auto(invar_explain_ret) ret = { 0 };

    return inv_cli_call_invar(cli, INVAR_PROC_EXPLAIN, &call, &ret, error) ? copy_answer(&ret) : NULL;
}
