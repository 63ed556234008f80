/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a CPU feature is: by the dictionary, by this machine, and by a daemon where there is one. */
#include "cli/commands.h"
#include "cli/cpu_document.h"
#include "cli/cpu_view.h"
#include "cli/explain_call.h"
#include "cli/reason_view.h"
#include "cli/table.h"
#include "cli/text.h"
#include "util/error.h"

#include <string.h>

/* Nobody who did not ask for the daemon waits long for it. */
#define DAEMON_DEADLINE_MS 5000u

/* What there is to tell. Numbers that answer: 1 yes, 0 no, -1 not known. */
typedef struct {
    const InvarCpuFeatureFacts *facts; /* NULL: only the daemon knows the feature */
    int host;                          /* has this machine's CPU got it? */
    const InvExplanation *daemon;      /* NULL: there is none */
} Answer;

static const char *
answer_word(int answer)
{
    return answer < 0 ? "not known" : answer ? "yes" : "no";
}

static InvJson *
answer_json(int answer)
{
    return answer < 0 ? inv_json_new_null() : inv_json_new_boolean(answer > 0);
}

static void
set_text(InvJson *json, const char *name, const char *text)
{
    inv_json_object_set(json, name, text ? inv_json_new_string(text) : inv_json_new_null());
}

/* The layers as the daemon sees them; without it, what this machine's own CPU says. */
static InvJson *
layers_json(const Answer *answer)
{
    InvJson *layers = inv_json_new_array();

    for (guint i = 0; answer->daemon && i < answer->daemon->layers->len; i++) {
        const InvExplainedLayer *layer = &g_array_index(answer->daemon->layers, InvExplainedLayer, i);
        InvJson *object = inv_json_new_object();

        inv_json_object_set_string(object, "layer", layer->layer);
        inv_json_object_set(object, "answer", answer_json(layer->answer));
        inv_json_object_set_string(object, "text", layer->text);
        inv_json_array_add(layers, object);
    }
    if (!answer->daemon && answer->host >= 0) {
        InvJson *object = inv_json_new_object();

        inv_json_object_set_string(object, "layer", "hardware");
        inv_json_object_set(object, "answer", answer_json(answer->host));
        inv_json_object_set_string(object, "text", answer->host ? "this machine's CPU has it" : "this machine's CPU lacks it");
        inv_json_array_add(layers, object);
    }
    return layers;
}

static void
add_facts_json(InvJson *json, const InvarCpuFeatureFacts *facts)
{
    g_autofree char *mask = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", (guint64)facts->mask);

    inv_json_object_set_strv(json, "aliases", facts->aliases);
    set_text(json, "source", facts->source);
    inv_json_object_set(json, "leaf", facts->source ? inv_json_new_uint(facts->leaf) : inv_json_new_null());
    inv_json_object_set(json, "subleaf", facts->reg ? inv_json_new_uint(facts->subleaf) : inv_json_new_null());
    set_text(json, "register", facts->reg);
    set_text(json, "mask", facts->source ? mask : NULL);
    inv_json_object_set_boolean(json, "passed", facts->passed != 0);
    set_text(json, "about", facts->about);
    set_text(json, "cost", facts->cost);
    inv_json_object_set_strv(json, "needs", facts->needs);
    inv_json_object_set_strv(json, "needed_by", facts->needed_by);
    inv_json_object_set_strv(json, "known", facts->layers);
}

static int
explain_json(const Answer *answer)
{
    const InvarCpuFeatureFacts *facts = answer->facts;
    const InvExplanation *daemon = answer->daemon;
    InvJson *json = inv_json_new_object();
    g_autofree char *bit = facts ? inv_cpu_view_bit(facts) : g_strdup(daemon->bit);

    inv_json_object_set_string(json, "feature", facts ? facts->name : daemon->feature);
    set_text(json, "qemu", facts ? facts->qemu : daemon->qemu);
    inv_json_object_set_string(json, "bit", bit);
    inv_json_object_set(json, "migratable", answer_json(facts ? facts->migratable != 0 : daemon->migratable));
    inv_json_object_set(json, "layers", layers_json(answer));
    inv_json_object_set_strv(json, "models", facts ? facts->models : (const char *const *)daemon->models);
    if (facts)
        add_facts_json(json, facts);
    inv_json_object_set(json, "host", answer_json(answer->host));
    inv_json_object_set_boolean(json, "daemon", daemon != NULL);
    if (daemon)
        inv_json_object_set_strv(json, "emulator_models", (const char *const *)daemon->models);
    return inv_cli_print_json(json);
}

static void
append_field(GString *out, const InvCli *cli, const char *label, const char *text, guint width)
{
    if (text && *text)
        inv_view_append_field(out, cli, INV_CPU_VIEW_LABEL, label, text, width);
}

static void
append_list(GString *out, const InvCli *cli, const char *label, const char *const *names, guint width)
{
    g_autofree char *text = names ? g_strjoinv(" ", (char **)names) : NULL;

    append_field(out, cli, label, text, width);
}

static void
append_facts(GString *out, const InvCli *cli, const InvarCpuFeatureFacts *facts, guint width)
{
    g_autofree char *bit = inv_cpu_view_bit(facts);

    append_field(out, cli, "Feature", facts->name, width);
    append_field(out, cli, "QEMU's name", facts->qemu, width);
    append_list(out, cli, "Also written", facts->aliases, width);
    append_field(out, cli, "What it is", facts->about, width);
    append_field(out, cli, "Bit", *bit ? bit : "none: it is a name of QEMU's", width);
    append_field(out, cli, "Can migrate", facts->migratable ? "yes" : "no: a guest that has it stays on its host", width);
    append_field(out, cli, "QEMU passes it", facts->passed ? "yes" : "no: it has no property for it", width);
    append_list(out, cli, "Needs", facts->needs, width);
    append_list(out, cli, "Needed by", facts->needed_by, width);
    append_field(out, cli, "When disabled", facts->cost, width);
    for (const char *const *layer = facts->layers; layer && *layer; layer++)
        append_field(out, cli, "Known", *layer, width);
}

static void
append_host(GString *out, const InvCli *cli, int host, guint width)
{
    g_autofree char *label = inv_cli_paint(cli, INV_COLOUR_HEAD, "This machine:");
    g_autofree char *word = inv_cli_paint(cli, host ? INV_COLOUR_GOOD : INV_COLOUR_BAD, host ? "its CPU has it" : "its CPU lacks it");

    if (host >= 0)
        g_string_append_printf(out, "%s%*s %s\n", label, INV_CPU_VIEW_LABEL - (int)strlen("This machine:"), "", word);
}

static void
append_layers(GString *out, const InvExplanation *daemon, guint width)
{
    g_autoptr(InvTable) table = inv_table_new("Layer", "Gives it", "Why", NULL);
    g_autofree char *text = NULL;

    for (guint i = 0; i < daemon->layers->len; i++) {
        const InvExplainedLayer *layer = &g_array_index(daemon->layers, InvExplainedLayer, i);

        inv_table_add(table, layer->layer, answer_word(layer->answer), layer->text, NULL);
    }
    text = inv_table_format(table, TRUE, width);
    g_string_append_printf(out, "\n%s", text);
}

static void
append_models(GString *out, const InvCli *cli, const char *title, const char *const *models, guint width)
{
    inv_view_append_names(out, cli, INV_COLOUR_HEAD, title, models, models ? g_strv_length((char **)models) : 0, width);
}

static int
explain_print(const InvCli *cli, const Answer *answer, guint width)
{
    const InvarCpuFeatureFacts *facts = answer->facts;
    const InvExplanation *daemon = answer->daemon;
    g_autoptr(GString) out = g_string_new(NULL);

    if (facts) {
        append_facts(out, cli, facts, width);
    } else {
        append_field(out, cli, "Feature", daemon->feature, width);
        append_field(out, cli, "QEMU's name", daemon->qemu, width);
        append_field(out, cli, "Bit", daemon->bit, width);
        append_field(out, cli, "Can migrate", answer_word(daemon->migratable), width);
    }
    append_host(out, cli, answer->host, width);
    if (daemon)
        append_layers(out, daemon, width);
    if (facts)
        append_models(out, cli, "Models that have it", facts->models, width);
    if (daemon)
        append_models(out, cli, "Models of the emulator that have it", (const char *const *)daemon->models, width);
    inv_cli_print("%s", out->str);
    return INV_EXIT_OK;
}

/* 1, 0, or -1 where the CPU of this machine is of another architecture or cannot be read. */
static int
host_has(InvCli *cli, const char *arch, const InvarCpuFeatureFacts *facts)
{
    g_autoptr(InvarCpu) host = inv_cpu_of_host(cli, NULL);

    if (!host || strcmp(invar_cpu_arch(host), arch ? arch : "x86_64"))
        return -1;
    if (invar_cpu_has(host, facts->name))
        return 1;
    /* That a bit of an MSR was not seen says little: few accounts may read one. */
    return facts->source && facts->reg ? 0 : -1;
}

/* @wanted: the caller asked for the daemon's answer, and not only for what can be had. */
static InvExplanation *
ask_daemon(InvCli *cli, const InvArgs *args, gboolean wanted, GError **error)
{
    guint timeout = cli->timeout_ms;
    InvExplanation *explanation;

    if (!wanted && !timeout)
        cli->timeout_ms = DAEMON_DEADLINE_MS;
    explanation = inv_explain_call(cli, args, error);
    cli->timeout_ms = timeout;
    /* Nobody asked for the daemon: that it is not there is no news. */
    if (!explanation && !wanted)
        g_clear_pointer(&cli->headline, g_free);
    return explanation;
}

const InvOption inv_cpu_explain_options[] = {
    INV_DATA("feature", INV_COMPLETE_NONE, "a CPU feature, in libvirt's or QEMU's spelling"),
    INV_VALUE("emulator", INV_COMPLETE_FILE, "ask a daemon for this emulator (default: the best one for the architecture)"),
    INV_VALUE("arch", INV_COMPLETE_ARCH, "architecture (default: x86_64; of a daemon's answer: its host's)"),
    INV_VALUE("machine", INV_COMPLETE_NONE, "ask a daemon for this machine type (default: the emulator's default)"),
    INV_VALUE("virttype", INV_COMPLETE_VIRTTYPE, "ask a daemon for kvm or qemu (default: kvm where it works)"),
    { NULL },
};

int
inv_run_cpu_explain(InvCli *cli, const InvArgs *args, GError **error)
{
    const char *feature = inv_args_string(args, "feature");
    const char *arch = inv_args_string(args, "arch");
    gboolean wanted = inv_args_flag(args, "emulator") || inv_args_flag(args, "machine") || inv_args_flag(args, "virttype");
    InvarCpuContext *dictionary = inv_cpu_dictionary(cli, error);
    g_autoptr(InvExplanation) daemon = NULL;
    g_autoptr(GError) cause = NULL;
    g_autoptr(GError) silence = NULL;
    Answer answer = { .host = -1 };
    char *message = NULL;

    if (!dictionary)
        return inv_cli_fail(cli, "Failed to explain feature '%s'", feature);
    if (inv_cpu_check(invar_cpu_explain(dictionary, arch, feature, &answer.facts, &message), &message, NULL, &cause))
        answer.host = host_has(cli, arch, answer.facts);
    else
        answer.facts = NULL;
    answer.daemon = daemon = ask_daemon(cli, args, wanted, &silence);
    if (!daemon && (wanted || !answer.facts)) {
        /* Of a feature that the dictionary does not know, its own error is the one that helps. */
        g_propagate_error(error, wanted ? g_steal_pointer(&silence) : g_steal_pointer(&cause));
        return inv_cli_fail(cli, "Failed to explain feature '%s'", feature);
    }
    return cli->json ? explain_json(&answer) : explain_print(cli, &answer, inv_text_terminal_width());
}
