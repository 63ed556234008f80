/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which features a guest of this host can have, and who keeps the others from it. */
#include "cli/commands.h"
#include "cli/reason_view.h"
#include "cli/text.h"
#include "cli/verdict_view.h"
#include "rpc/invar_protocol.h"
#include "util/error.h"

#include <string.h>

INV_RPC_AUTOCLEAN(invar_host_cpu_ret)

/* By InvLayer. */
static const char *const titles[] = { "Hardware", "Kernel", "QEMU", "Machine", "Allowed" };
#define LAYERS G_N_ELEMENTS(titles)
#define FEATURE_TITLE "Feature"
#define GAP 2u
#define LABEL 12u

static const InvOption host_cpu_options[] = {
    INV_FLAG("missing", "only features that a guest cannot have"),
    INV_VALUE("emulator", INV_COMPLETE_FILE, "emulator to ask (default: the best one for the architecture)"),
    INV_VALUE("arch", INV_COMPLETE_ARCH, "architecture (default: the host's)"),
    INV_VALUE("machine", INV_COMPLETE_NONE, "machine type (default: the emulator's default)"),
    INV_VALUE("virttype", INV_COMPLETE_VIRTTYPE, "kvm or qemu (default: kvm where it works)"),
    { NULL },
};

/* A daemon may know more layers than this program, or fewer. */
static int
answer_of(const invar_feature_layers *feature, guint layer)
{
    return layer < feature->answers.answers_len ? feature->answers.answers_val[layer] : -1;
}

static gboolean
is_shown(const invar_feature_layers *feature, gboolean missing)
{
    return !missing || feature->available == 0;
}

static void
set_number(InvJson *json, const char *name, gint64 number)
{
    inv_json_object_set(json, name, number < 0 ? inv_json_new_null() : inv_json_new_int(number));
}

/* NULL and "": not known. */
static void
set_text(InvJson *json, const char *name, const char *text)
{
    inv_json_object_set(json, name, text && *text ? inv_json_new_string(text) : inv_json_new_null());
}

static InvJson *
answer_json(int answer)
{
    return answer < 0 ? inv_json_new_null() : inv_json_new_boolean(answer > 0);
}

static InvJson *
feature_json(const invar_feature_layers *feature)
{
    InvJson *json = inv_json_new_object();
    InvJson *layers = inv_json_new_object();

    for (guint i = 0; i < feature->answers.answers_len; i++)
        inv_json_object_set(layers, inv_view_layer((int)i), answer_json(feature->answers.answers_val[i]));
    inv_json_object_set_string(json, "feature", feature->feature);
    inv_json_object_set(json, "available", answer_json(feature->available));
    inv_json_object_set_boolean(json, "migratable", feature->migratable != 0);
    inv_json_object_set(json, "layers", layers);
    set_text(json, "layer", feature->layer < 0 ? NULL : inv_view_layer(feature->layer));
    set_text(json, "reason", feature->reason);
    set_text(json, "remedy", feature->remedy);
    return json;
}

static int
host_cpu_json(const invar_host_cpu_ret *ret, gboolean missing)
{
    InvJson *json = inv_json_new_object();
    InvJson *features = inv_json_new_array();

    inv_json_object_set_string(json, "arch", ret->arch);
    set_text(json, "vendor", ret->vendor);
    set_text(json, "name", ret->name);
    set_number(json, "family", ret->family);
    set_number(json, "model", ret->model_number);
    set_number(json, "stepping", ret->stepping);
    set_number(json, "microcode", ret->microcode);
    inv_json_object_set_string(json, "kernel", ret->kernel);
    inv_json_object_set_string(json, "kvm", ret->kvm);
    set_text(json, "kvm_reason", ret->kvm_reason);
    inv_json_object_set_string(json, "emulator", ret->emulator);
    inv_json_object_set_string(json, "emulator_version", ret->emulator_version);
    inv_json_object_set_string(json, "machine", ret->machine);
    inv_json_object_set_string(json, "virttype", ret->virttype);
    for (guint i = 0; i < ret->features.features_len; i++) {
        if (is_shown(&ret->features.features_val[i], missing))
            inv_json_array_add(features, feature_json(&ret->features.features_val[i]));
    }
    inv_json_object_set(json, "features", features);
    return inv_cli_print_json(json);
}

static void
append_header(GString *out, const InvCli *cli, const invar_host_cpu_ret *ret, guint width)
{
    g_autoptr(GString) processor = g_string_new(*ret->name ? ret->name : ret->arch);
    g_autofree char *microcode = ret->microcode < 0 ? NULL : g_strdup_printf("0x%" G_GINT64_MODIFIER "x", (guint64)ret->microcode);
    g_autofree char *kvm = *ret->kvm_reason ? g_strdup_printf("%s: %s", ret->kvm, ret->kvm_reason) : g_strdup(ret->kvm);
    g_autofree char *emulator = g_strdup_printf("%s (%s)", ret->emulator, ret->emulator_version);
    g_autofree char *machine = g_strdup_printf("%s, type %s", ret->machine, ret->virttype);

    if (*ret->vendor)
        g_string_append_printf(processor, ", by %s", ret->vendor);
    if (ret->family >= 0)
        g_string_append_printf(processor, ", family %" G_GINT64_FORMAT ", model %" G_GINT64_FORMAT ", stepping %" G_GINT64_FORMAT,
                               (gint64)ret->family, (gint64)ret->model_number, (gint64)ret->stepping);
    inv_view_append_field(out, cli, LABEL, "Processor", processor->str, width);
    if (microcode)
        inv_view_append_field(out, cli, LABEL, "Microcode", microcode, width);
    inv_view_append_field(out, cli, LABEL, "Kernel", ret->kernel, width);
    inv_view_append_field(out, cli, LABEL, "KVM", kvm, width);
    inv_view_append_field(out, cli, LABEL, "Emulator", emulator, width);
    inv_view_append_field(out, cli, LABEL, "Machine", machine, width);
}

static void
append_padded(GString *out, const InvCli *cli, InvColour colour, const char *text, guint width)
{
    g_autofree char *painted = inv_cli_paint(cli, colour, text);
    guint own = inv_text_width(text);

    g_string_append_printf(out, "%s%*s", painted, (int)(width > own ? width - own : 0), "");
}

/* Short, for a table of hundreds: why, and what would help, is told below it, once for all of which it is the same. */
static const char *
summary_of(const invar_feature_layers *feature)
{
    if (feature->available < 0)
        return "not known";
    if (!feature->available)
        return inv_view_layer(feature->layer);
    return feature->migratable ? "can have it" : "can have it, and cannot migrate then";
}

static void
append_row(GString *out, const InvCli *cli, const invar_feature_layers *feature, guint name_width)
{
    g_autofree char *name = inv_text_escape(feature->feature, INV_TEXT_LINE);
    g_autofree char *summary = g_strdup_printf("%s%s", feature->available ? "" : "no: ", summary_of(feature));
    InvColour colour = feature->available < 0 ? INV_COLOUR_FAINT : feature->available ? INV_COLOUR_GOOD : INV_COLOUR_BAD;
    g_autofree char *painted = inv_cli_paint(cli, colour, summary);

    g_string_append_c(out, ' ');
    append_padded(out, cli, colour, name, name_width + GAP);
    for (guint i = 0; i < LAYERS; i++) {
        int answer = answer_of(feature, i);

        append_padded(out, cli, answer < 0 ? INV_COLOUR_FAINT : answer ? INV_COLOUR_NONE : INV_COLOUR_BAD, answer < 0 ? "-" : answer ? "yes" : "no",
                      (guint)strlen(titles[i]) + GAP);
    }
    g_string_append_printf(out, "%s\n", painted);
}

static void
append_reasons(GString *out, const InvCli *cli, const invar_host_cpu_ret *ret, guint width)
{
    g_autofree InvReason *reasons = g_new0(InvReason, ret->features.features_len + 1);
    guint n = 0;

    /* Layer by layer, in their order. */
    for (guint layer = 0; layer < LAYERS; layer++) {
        for (guint i = 0; i < ret->features.features_len; i++) {
            const invar_feature_layers *feature = &ret->features.features_val[i];

            if (feature->available == 0 && feature->layer == (int)layer)
                reasons[n++] = (InvReason){ .heading = inv_view_layer((int)layer), .feature = feature->feature, .reason = feature->reason,
                                            .remedy = feature->remedy, .colour = INV_COLOUR_HEAD };
        }
    }
    inv_reasons_append(out, cli, reasons, n, width);
}

static void
append_table(GString *out, const InvCli *cli, const invar_host_cpu_ret *ret, gboolean missing)
{
    guint name_width = (guint)strlen(FEATURE_TITLE);
    guint dashes = 0;

    for (guint i = 0; i < ret->features.features_len; i++) {
        const invar_feature_layers *feature = &ret->features.features_val[i];

        if (is_shown(feature, missing))
            name_width = MAX(name_width, inv_text_width(feature->feature));
    }
    g_string_append_printf(out, "\n %-*s", (int)(name_width + GAP), FEATURE_TITLE);
    for (guint i = 0; i < LAYERS; i++) {
        g_string_append_printf(out, "%s%*s", titles[i], (int)GAP, "");
        dashes += (guint)strlen(titles[i]) + GAP;
    }
    g_string_append(out, "A guest\n");
    dashes += 1 + name_width + GAP + (guint)strlen("can have it");
    for (guint i = 0; i < dashes; i++)
        g_string_append_c(out, '-');
    g_string_append_c(out, '\n');
    for (guint i = 0; i < ret->features.features_len; i++) {
        if (is_shown(&ret->features.features_val[i], missing))
            append_row(out, cli, &ret->features.features_val[i], name_width);
    }
}

static void
append_counts(GString *out, const invar_host_cpu_ret *ret)
{
    guint by_layer[LAYERS] = { 0 };
    guint available = 0;
    guint missing = 0;

    for (guint i = 0; i < ret->features.features_len; i++) {
        const invar_feature_layers *feature = &ret->features.features_val[i];

        available += feature->available > 0;
        missing += feature->available == 0;
        if (feature->available == 0 && feature->layer >= 0 && (guint)feature->layer < LAYERS)
            by_layer[feature->layer]++;
    }
    g_string_append_printf(out, "\n%u features: a guest can have %u, and not %u", ret->features.features_len, available, missing);
    for (guint i = 0, n = 0; i < LAYERS; i++) {
        if (by_layer[i])
            g_string_append_printf(out, "%s%s %u", n++ ? ", " : " because of ", inv_view_layer((int)i), by_layer[i]);
    }
    g_string_append_c(out, '\n');
}

static int
run_host_cpu(InvCli *cli, const InvArgs *args, GError **error)
{
    char *emulator = (char *)inv_args_string(args, "emulator");
    char *arch = (char *)inv_args_string(args, "arch");
    char *machine = (char *)inv_args_string(args, "machine");
    char *virttype = (char *)inv_args_string(args, "virttype");
    invar_host_cpu_args call = {
        .emulator = emulator ? &emulator : NULL,
        .arch = arch ? &arch : NULL,
        .machine = machine ? &machine : NULL,
        .virttype = virttype ? &virttype : NULL,
    };
    g_auto(invar_host_cpu_ret) ret = { 0 };
    gboolean missing = inv_args_flag(args, "missing");
    g_autoptr(GString) out = g_string_new(NULL);
    guint width = inv_text_terminal_width();

    if (!inv_cli_call_invar(cli, INVAR_PROC_HOST_CPU, &call, &ret, error))
        return inv_cli_fail(cli, "Failed to tell what guests can have of the host's CPU");
    if (cli->json)
        return host_cpu_json(&ret, missing);
    if (!cli->quiet)
        append_header(out, cli, &ret, width);
    append_table(out, cli, &ret, missing);
    if (!cli->quiet) {
        append_counts(out, &ret);
        append_reasons(out, cli, &ret, width);
    }
    inv_cli_print("%s", out->str);
    return INV_EXIT_OK;
}

const InvCommand inv_host_cpu_commands[] = {
    { "host-cpu", "which CPU features a guest can have here, and which layer keeps the others from it",
      "For every feature of the architecture: has the processor got it, does the kernel's\n"
      "KVM offer it, does QEMU know it, does this machine type give it, do the host's\n"
      "settings allow it (boot options, parameters of KVM's modules); and where a guest\n"
      "cannot have it, the first that says no and what would help.",
      host_cpu_options, run_host_cpu, FALSE },
    { NULL },
};
