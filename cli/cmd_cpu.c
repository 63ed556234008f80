/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CPU models by themselves, in virsh's words. */
#include "cli/commands.h"
#include "cli/domain_ref.h"
#include "cli/text.h"
#include "cli/xml_part.h"
#include "util/error.h"

INV_RPC_AUTOCLEAN(remote_connect_get_cpu_model_names_ret)
INV_RPC_AUTOCLEAN(remote_connect_baseline_cpu_ret)
INV_RPC_AUTOCLEAN(remote_connect_baseline_hypervisor_cpu_ret)

static const InvOption models_options[] = { INV_DATA("arch", INV_COMPLETE_NONE, "architecture"), { NULL } };

static int
run_cpu_models(InvCli *cli, const InvArgs *args, GError **error)
{
    remote_connect_get_cpu_model_names_args call = { .arch = (char *)inv_args_string(args, "arch"), .need_results = 1 };
    g_auto(remote_connect_get_cpu_model_names_ret) ret = { 0 };

    if (!inv_cli_call(cli, REMOTE_PROC_CONNECT_GET_CPU_MODEL_NAMES, &call, &ret, error))
        return inv_cli_fail(cli, "failed to get CPU model names");
    if (cli->json) {
        InvJson *array = inv_json_new_array();

        for (guint i = 0; i < ret.models.models_len; i++)
            inv_json_array_add_string(array, ret.models.models_val[i]);
        return inv_cli_print_json(array);
    }
    if (!ret.models.models_len)
        inv_cli_print("all CPU models are accepted\n");
    for (guint i = 0; i < ret.models.models_len; i++) {
        g_autofree char *name = inv_text_escape(ret.models.models_val[i], INV_TEXT_LINE);

        inv_cli_print("%s\n", name);
    }
    return INV_EXIT_OK;
}

/* The CPU descriptions of the file that --file names. */
static char **
cpus_of(const InvArgs *args, GError **error)
{
    const char *file = inv_args_string(args, "file");
    g_autofree char *text = inv_cli_read_file(file, error);

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
    INV_DATA("file", INV_COMPLETE_FILE, "file containing an XML CPU description"),
    INV_FLAG("error", "report error if CPUs are incompatible"),
    INV_FLAG("validate", "validate the XML document against schema"),
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
    g_auto(GStrv) cpus = cpus_of(args, error);
    remote_connect_compare_cpu_ret ret = { 0 };

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
    INV_VALUE("arch", INV_COMPLETE_NONE, "CPU architecture (/domain/os/type/@arch)"), \
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

static int
show_cpu(InvCli *cli, const char *xml)
{
    if (cli->json)
        return inv_cli_print_json_string("xml", xml);
    inv_cli_print_document(xml);
    return INV_EXIT_OK;
}

static const InvOption baseline_options[] = {
    INV_DATA("file", INV_COMPLETE_FILE, "file containing XML CPU descriptions"),
    INV_FLAG("features", "Show features that are part of the CPU model type"),
    INV_FLAG("migratable", "Do not include features that block migration"),
    { NULL },
};

static int
run_cpu_baseline(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(GStrv) cpus = cpus_of(args, error);
    g_auto(remote_connect_baseline_cpu_ret) ret = { 0 };

    if (!cpus)
        return INV_EXIT_ERROR;
    remote_connect_baseline_cpu_args call = { .flags = inv_args_bits(args, baseline_bits) };
    call.xmlCPUs.xmlCPUs_len = g_strv_length(cpus);
    call.xmlCPUs.xmlCPUs_val = cpus;
    if (!inv_cli_call(cli, REMOTE_PROC_CONNECT_BASELINE_CPU, &call, &ret, error))
        return INV_EXIT_ERROR;
    return show_cpu(cli, ret.cpu);
}

static const InvOption hypervisor_baseline_options[] = {
    { .name = "file", .type = INV_OPTION_STRING, .positional = TRUE, .complete = INV_COMPLETE_FILE,
      .help = "file containing XML CPU descriptions" },
    HYPERVISOR_OPTIONS,
    INV_FLAG("features", "Show features that are part of the CPU model type"),
    INV_FLAG("migratable", "Do not include features that block migration"),
    INV_VALUE("model", INV_COMPLETE_NONE, "Shortcut for calling the command with a single CPU model and no additional features"),
    { NULL },
};

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
    if (!inv_cli_call(cli, REMOTE_PROC_CONNECT_BASELINE_HYPERVISOR_CPU, &call, &ret, error))
        return INV_EXIT_ERROR;
    return show_cpu(cli, ret.cpu);
}

const InvCommand inv_cpu_commands[] = {
    { "cpu-baseline", "compute baseline CPU", "Compute baseline CPU for a set of given CPUs.", baseline_options, run_cpu_baseline,
      FALSE },
    { "cpu-compare", "compare host CPU with a CPU described by an XML file", "compare CPU with host CPU", compare_options,
      run_cpu_compare, FALSE },
    { "cpu-models", "CPU models", "Get the CPU models for an arch.", models_options, run_cpu_models, FALSE },
    { "hypervisor-cpu-baseline", "compute baseline CPU usable by a specific hypervisor",
      "Compute baseline CPU for a set of given CPUs. The result will be tailored to\nthe specified hypervisor.",
      hypervisor_baseline_options, run_hypervisor_cpu_baseline, FALSE },
    { "hypervisor-cpu-compare", "compare a CPU with the CPU created by a hypervisor on the host",
      "compare CPU with hypervisor CPU", hypervisor_compare_options, run_hypervisor_cpu_compare, FALSE },
    { NULL },
};
