/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CPU models as a daemon answers for its host and its emulators, in virsh's words. */
#include "cli/commands.h"
#include "cli/domain_ref.h"
#include "cli/text.h"
#include "cli/xml_part.h"
#include "rpc/invar_protocol.h"
#include "util/error.h"

#include <string.h>

/* CPUs of one message: as many as libvirt's wire takes too, and no more text than this. */
#define BATCH_BYTES (8u * 1024 * 1024)

INV_RPC_AUTOCLEAN(remote_connect_get_cpu_model_names_ret)
INV_RPC_AUTOCLEAN(remote_connect_baseline_hypervisor_cpu_ret)
INV_RPC_AUTOCLEAN(invar_baseline_result_ret)

static const InvOption models_options[] = { INV_DATA("arch", INV_COMPLETE_ARCH, "architecture"), { NULL } };

static int
show_names(InvCli *cli, char *const *names, guint count)
{
    if (cli->json) {
        InvJson *array = inv_json_new_array();

        for (guint i = 0; i < count; i++)
            inv_json_array_add_string(array, names[i]);
        return inv_cli_print_json(array);
    }
    for (guint i = 0; i < count; i++) {
        g_autofree char *name = inv_text_escape(names[i], INV_TEXT_LINE);

        inv_cli_print("%s\n", name);
    }
    return INV_EXIT_OK;
}

static int
run_cpu_models(InvCli *cli, const InvArgs *args, GError **error)
{
    remote_connect_get_cpu_model_names_args call = { .arch = (char *)inv_args_string(args, "arch"), .need_results = 1 };
    g_auto(remote_connect_get_cpu_model_names_ret) ret = { 0 };

    if (!inv_cli_call(cli, REMOTE_PROC_CONNECT_GET_CPU_MODEL_NAMES, &call, &ret, error))
        return inv_cli_fail(cli, "failed to get CPU model names");
    if (!cli->json && !ret.models.models_len)
        inv_cli_print("all CPU models are accepted\n");
    return show_names(cli, ret.models.models_val, ret.models.models_len);
}

/* The CPU descriptions of the file that --file names. */
static char **
cpus_of(const InvArgs *args, GError **error)
{
    const char *file = inv_args_string(args, "file");
    g_autofree char *text = inv_cli_read_text(file, INV_CLI_CPUS_MAX, error);

    return text ? inv_xml_part_cpus(text, file, error) : NULL;
}

static const char *
comparison_word(int result)
{
    switch (result) {
    case VIR_CPU_COMPARE_INCOMPATIBLE:
        return "incompatible";
    case VIR_CPU_COMPARE_IDENTICAL:
        return "identical";
    case VIR_CPU_COMPARE_SUPERSET:
        return "superset";
    default:
        return NULL;
    }
}

/* @host stands inside a sentence, @superset_host begins one. */
static int
show_comparison(InvCli *cli, int result, const char *file, const char *host, const char *superset_host, GError **error)
{
    g_autofree char *shown = inv_text_escape(file, INV_TEXT_LINE);
    int status = result == VIR_CPU_COMPARE_INCOMPATIBLE ? INV_EXIT_ERROR : INV_EXIT_OK;
    const char *word = comparison_word(result);

    if (!word) {
        inv_error_set(error, VIR_ERR_RPC, "the daemon's answer %d is not a result of a comparison", result);
        return INV_EXIT_ERROR;
    }
    if (cli->json)
        inv_cli_print_json_string("result", word);
    else if (result == VIR_CPU_COMPARE_SUPERSET)
        inv_cli_print("%s is a superset of CPU described in %s\n", superset_host, shown);
    else
        inv_cli_print("CPU described in %s is %s %s\n", shown,
                      result == VIR_CPU_COMPARE_IDENTICAL ? "identical to" : "incompatible with", host);
    return status;
}

static const InvOption compare_options[] = {
    INV_DATA("file", INV_COMPLETE_FILE, "file containing an XML CPU description; with two files: the host's"),
    { .name = "cpu", .type = INV_OPTION_STRING, .positional = TRUE, .complete = INV_COMPLETE_FILE,
      .help = "second file: how does its CPU stand to the first file's host? No daemon is asked" },
    INV_FLAG("error", "report error if CPUs are incompatible"),
    INV_FLAG("validate", "validate the XML document against schema"),
    INV_VALUE("arch", INV_COMPLETE_ARCH, "with two files: architecture of those that do not say (default: x86_64)"),
    { NULL },
};

static const InvFlagBit compare_bits[] = {
    { "error", VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE },
    { "validate", VIR_CONNECT_COMPARE_CPU_VALIDATE_XML },
    { NULL, 0 },
};

static int
run_cpu_compare(InvCli *cli, const InvArgs *args, GError **error)
{
    const char *file = inv_args_string(args, "file");
    const char *other = inv_args_string(args, "cpu");
    g_auto(GStrv) cpus = NULL;
    remote_connect_compare_cpu_ret ret = { 0 };

    if (other)
        return inv_run_cpu_compare_files(cli, args, file, other, error);
    if (inv_args_flag(args, "arch")) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "--arch means something with two files only");
        return INV_EXIT_USAGE;
    }
    cpus = cpus_of(args, error);
    if (!cpus)
        return INV_EXIT_ERROR;
    remote_connect_compare_cpu_args call = { .xml = cpus[0], .flags = inv_args_bits(args, compare_bits) };
    if (!inv_cli_call(cli, REMOTE_PROC_CONNECT_COMPARE_CPU, &call, &ret, error))
        return inv_cli_fail(cli, "Failed to compare host CPU with %s", file);
    return show_comparison(cli, ret.result, file, "host CPU", "Host CPU", error);
}

#define HYPERVISOR_OPTIONS \
    INV_VALUE("virttype", INV_COMPLETE_VIRTTYPE, "virtualization type (/domain/@type)"), \
    INV_VALUE("emulator", INV_COMPLETE_FILE, "path to emulator binary (/domain/devices/emulator)"), \
    INV_VALUE("arch", INV_COMPLETE_ARCH, "CPU architecture (/domain/os/type/@arch)"), \
    INV_VALUE("machine", INV_COMPLETE_NONE, "machine type (/domain/os/type/@machine)")

static const InvOption hypervisor_compare_options[] = {
    INV_DATA("file", INV_COMPLETE_FILE, "file containing an XML CPU description"),
    HYPERVISOR_OPTIONS,
    INV_FLAG("error", "report error if CPUs are incompatible"),
    INV_FLAG("validate", "validate the XML document against schema"),
    { NULL },
};

static int
run_hypervisor_cpu_compare(InvCli *cli, const InvArgs *args, GError **error)
{
    const char *file = inv_args_string(args, "file");
    char *emulator = (char *)inv_args_string(args, "emulator");
    char *arch = (char *)inv_args_string(args, "arch");
    char *machine = (char *)inv_args_string(args, "machine");
    char *virttype = (char *)inv_args_string(args, "virttype");
    g_auto(GStrv) cpus = cpus_of(args, error);
    remote_connect_compare_hypervisor_cpu_ret ret = { 0 };

    if (!cpus)
        return INV_EXIT_ERROR;
    remote_connect_compare_hypervisor_cpu_args call = {
        .emulator = emulator ? &emulator : NULL,
        .arch = arch ? &arch : NULL,
        .machine = machine ? &machine : NULL,
        .virttype = virttype ? &virttype : NULL,
        .xmlCPU = cpus[0],
        .flags = inv_args_bits(args, compare_bits),
    };
    if (!inv_cli_call(cli, REMOTE_PROC_CONNECT_COMPARE_HYPERVISOR_CPU, &call, &ret, error))
        return inv_cli_fail(cli, "Failed to compare hypervisor CPU with %s", file);
    return show_comparison(cli, ret.result, file, "the CPU provided by hypervisor on the host",
                           "The CPU provided by hypervisor on the host", error);
}

static const InvFlagBit baseline_bits[] = {
    { "features", VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES },
    { "migratable", VIR_CONNECT_BASELINE_CPU_MIGRATABLE },
    { NULL, 0 },
};

static const InvOption hypervisor_baseline_options[] = {
    { .name = "file", .type = INV_OPTION_STRING, .positional = TRUE, .complete = INV_COMPLETE_FILE,
      .help = "file containing XML CPU descriptions" },
    HYPERVISOR_OPTIONS,
    INV_FLAG("features", "Show features that are part of the CPU model type"),
    INV_FLAG("migratable", "Do not include features that block migration"),
    INV_VALUE("model", INV_COMPLETE_NONE, "Shortcut for calling the command with a single CPU model and no additional features"),
    { NULL },
};

/* The CPUs that one message takes, of those from @cpus on. */
static guint
batch_length(char **cpus)
{
    gsize bytes = 0;
    guint count = 0;

    while (cpus[count] && count < INVAR_BASELINE_CPUS_MAX) {
        bytes += strlen(cpus[count]);
        if (count && bytes > BATCH_BYTES)
            break;
        count++;
    }
    return count;
}

static gboolean
add_all(InvCli *cli, gint64 baseline, char **cpus, const char *file, GError **error)
{
    guint done = 0;

    while (cpus[done]) {
        invar_baseline_add_args call = { .baseline = baseline };
        invar_baseline_add_ret ret = { 0 };

        call.cpus.cpus_val = cpus + done;
        call.cpus.cpus_len = batch_length(cpus + done);
        if (!inv_cli_call_invar(cli, INVAR_PROC_BASELINE_ADD, &call, &ret, error)) {
            g_prefix_error(error, "%s: ", file);
            return FALSE;
        }
        done += call.cpus.cpus_len;
    }
    return TRUE;
}

static int
show_cpu(InvCli *cli, const char *xml)
{
    if (cli->json)
        return inv_cli_print_json_string("xml", xml);
    inv_cli_print_document(xml);
    return INV_EXIT_OK;
}

/* More CPUs than one message of libvirt's protocol may hold: they go in parts, which only invard takes. */
static int
baseline_in_parts(InvCli *cli, const remote_connect_baseline_hypervisor_cpu_args *whole, const char *file, GError **error)
{
    invar_baseline_open_args start = { .emulator = whole->emulator, .arch = whole->arch, .machine = whole->machine,
                                       .virttype = whole->virttype };
    invar_baseline_open_ret opened = { 0 };
    invar_baseline_result_args ask = { .flags = whole->flags };
    g_auto(invar_baseline_result_ret) ret = { 0 };
    invar_baseline_close_args end = { 0 };
    gboolean done;

    if (!inv_cli_call_invar(cli, INVAR_PROC_BASELINE_OPEN, &start, &opened, error))
        return INV_EXIT_ERROR;
    ask.baseline = end.baseline = opened.baseline;
    done = add_all(cli, opened.baseline, whole->xmlCPUs.xmlCPUs_val, file, error) &&
           inv_cli_call_invar(cli, INVAR_PROC_BASELINE_RESULT, &ask, &ret, error);
    /* The daemon closes it with the connection at the latest: a failure here takes nothing from the answer. */
    inv_cli_call_invar(cli, INVAR_PROC_BASELINE_CLOSE, &end, NULL, NULL);
    return done ? show_cpu(cli, ret.cpu) : INV_EXIT_ERROR;
}

static int
run_hypervisor_cpu_baseline(InvCli *cli, const InvArgs *args, GError **error)
{
    char *emulator = (char *)inv_args_string(args, "emulator");
    char *arch = (char *)inv_args_string(args, "arch");
    char *machine = (char *)inv_args_string(args, "machine");
    char *virttype = (char *)inv_args_string(args, "virttype");
    const char *model = inv_args_string(args, "model");
    g_auto(remote_connect_baseline_hypervisor_cpu_ret) ret = { 0 };
    g_auto(GStrv) cpus = NULL;

    if (!inv_args_exclusive(args, "file", "model", error))
        return INV_EXIT_USAGE;
    if (!model && !inv_args_string(args, "file")) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "one of --file or --model is required");
        return INV_EXIT_USAGE;
    }
    if (model) {
        cpus = g_new0(char *, 2);
        cpus[0] = g_markup_printf_escaped("<cpu><model>%s</model></cpu>", model);
    } else {
        cpus = cpus_of(args, error);
    }
    if (!cpus)
        return INV_EXIT_ERROR;
    remote_connect_baseline_hypervisor_cpu_args call = {
        .emulator = emulator ? &emulator : NULL,
        .arch = arch ? &arch : NULL,
        .machine = machine ? &machine : NULL,
        .virttype = virttype ? &virttype : NULL,
        .flags = inv_args_bits(args, baseline_bits),
    };
    call.xmlCPUs.xmlCPUs_len = g_strv_length(cpus);
    call.xmlCPUs.xmlCPUs_val = cpus;
    if (call.xmlCPUs.xmlCPUs_len > REMOTE_CPU_BASELINE_MAX)
        return baseline_in_parts(cli, &call, inv_args_string(args, "file"), error);
    if (!inv_cli_call(cli, REMOTE_PROC_CONNECT_BASELINE_HYPERVISOR_CPU, &call, &ret, error))
        return INV_EXIT_ERROR;
    return show_cpu(cli, ret.cpu);
}

static const InvOption hypervisor_models_options[] = {
    HYPERVISOR_OPTIONS,
    INV_FLAG("all", "include all CPU models known to the hypervisor for the architecture"),
    { NULL },
};

static int
run_hypervisor_cpu_models(InvCli *cli, const InvArgs *args, GError **error)
{
    g_autofree char *xml = inv_domain_capabilities(cli, args, "emulator", error);
    g_auto(GStrv) names = xml ? inv_xml_part_models(xml, inv_args_flag(args, "all"), error) : NULL;

    if (!names)
        return inv_cli_fail(cli, "failed to get hypervisor CPU model names");
    return show_names(cli, names, g_strv_length(names));
}

const InvCommand inv_cpu_commands[] = {
    { "cpu-compare", "compare host CPU with a CPU described by an XML file",
      "Compare CPU with host CPU. With two files the first stands for the host, no daemon\n"
      "is asked, and every reason is told; each may be domain XML, <cpu>, capabilities,\n"
      "domain capabilities, <cpudata>, the text of `cpuid -r` or QEMU's\n"
      "query-cpu-model-expansion. Exit status: 0 identical or superset, 1 incompatible.",
      compare_options, run_cpu_compare, FALSE },
    { "cpu-models", "CPU models", "Get the CPU models for an arch.", models_options, run_cpu_models, FALSE },
    { "hypervisor-cpu-baseline", "compute baseline CPU usable by a specific hypervisor",
      "Compute baseline CPU for a set of given CPUs. The result will be tailored to\nthe specified hypervisor.",
      hypervisor_baseline_options, run_hypervisor_cpu_baseline, FALSE },
    { "hypervisor-cpu-compare", "compare a CPU with the CPU created by a hypervisor on the host",
      "compare CPU with hypervisor CPU", hypervisor_compare_options, run_hypervisor_cpu_compare, FALSE },
    { "hypervisor-cpu-models", "Hypervisor reported CPU models", "Get the CPU models supported by the hypervisor.",
      hypervisor_models_options, run_hypervisor_cpu_models, FALSE },
    { NULL },
};
