/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CPUs by themselves: decoded, expanded, compared, and what many have in common. No daemon has a part in it. */
#include "cli/commands.h"
#include "cli/cpu_document.h"
#include "cli/cpu_probe.h"
#include "cli/cpu_view.h"
#include "cli/reason_view.h"
#include "cli/text.h"
#include "util/error.h"

#include <string.h>
#include <unistd.h>

/* A QEMU starts and answers in a tenth of a second; the rest is for a machine under load. */
#define PROBE_DEADLINE_MS 30000u

/* How many of the options in @names (ended by NULL) were given. */
static guint
count_given(const InvArgs *args, const char *const *names)
{
    guint count = 0;

    for (; *names; names++)
        count += inv_args_flag(args, *names);
    return count;
}

/* The CPU is from exactly one place. */
static gboolean
check_source(const InvArgs *args, const char *const *sources, GError **error)
{
    g_autoptr(GString) list = g_string_new("a FILE");

    if (count_given(args, sources) == 1)
        return TRUE;
    for (guint i = 1; sources[i]; i++)
        g_string_append_printf(list, "%s--%s", sources[i + 1] ? ", " : " or ", sources[i]);
    return inv_error_set(error, VIR_ERR_INVALID_ARG, "command '%s' wants exactly one of %s", args->command->name, list->str);
}

static gboolean
check_only_with(const InvArgs *args, const char *option, const char *with, GError **error)
{
    if (inv_args_flag(args, option) && !inv_args_flag(args, with))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "--%s means something with --%s only", option, with);
    return TRUE;
}

static gboolean
check_without(const InvArgs *args, const char *option, const char *const *others, GError **error)
{
    for (; *others; others++) {
        if (!inv_args_exclusive(args, option, *others, error))
            return FALSE;
    }
    return TRUE;
}

static int
print_text(char *text)
{
    inv_cli_print("%s", text);
    g_free(text);
    return INV_EXIT_OK;
}

static int
print_xml(const InvarCpu *cpu, gboolean expand)
{
    char *xml = invar_cpu_to_xml(cpu, expand);

    inv_cli_print_document(xml);
    invar_cpu_free(xml);
    return INV_EXIT_OK;
}

static InvarCpu *
probed_cpu(InvCli *cli, const InvArgs *args, InvCpuProbe **probe, GError **error)
{
    InvarCpuContext *dictionary = inv_cpu_dictionary(cli, error);
    guint deadline = cli->timeout_ms ? cli->timeout_ms : PROBE_DEADLINE_MS;
    InvarCpu *cpu = NULL;
    char *message = NULL;

    if (!dictionary)
        return NULL;
    *probe = inv_cpu_probe_run(inv_args_string(args, "emulator"), inv_args_string(args, "accel"), deadline, error);
    if (!*probe)
        return NULL;
    if (!inv_cpu_check(invar_cpu_read(dictionary, (*probe)->reply, strlen((*probe)->reply), INVAR_CPU_FORMAT_QMP, (*probe)->arch, &cpu,
                                      &message), &message, (*probe)->path, error))
        return NULL;
    return cpu;
}

static const char *const decode_sources[] = { "file", "host", "emulator", NULL };

static gboolean
check_decode(const InvArgs *args, GError **error)
{
    static const char *const without_arch[] = { "host", "emulator", NULL };

    return check_source(args, decode_sources, error) && check_only_with(args, "accel", "emulator", error) &&
           check_without(args, "arch", without_arch, error);
}

static void
print_probe(const InvCli *cli, const InvCpuProbe *probe)
{
    g_autoptr(GString) out = g_string_new(NULL);
    guint width = inv_text_terminal_width();

    inv_view_append_field(out, cli, INV_CPU_VIEW_LABEL, "Emulator", probe->path, width);
    inv_view_append_field(out, cli, INV_CPU_VIEW_LABEL, "Accelerator", probe->accel, width);
    if (probe->note)
        inv_view_append_field(out, cli, INV_CPU_VIEW_LABEL, "Note", probe->note, width);
    inv_cli_print("%s", out->str);
}

static const InvOption decode_options[] = {
    { .name = "file", .type = INV_OPTION_STRING, .positional = TRUE, .complete = INV_COMPLETE_FILE,
      .help = "file that describes a CPU, - for standard input" },
    INV_FLAG("host", "this machine's CPU"),
    INV_VALUE("emulator", INV_COMPLETE_FILE, "path to a QEMU: the CPU that it can give, by its own answer"),
    INV_VALUE("accel", INV_COMPLETE_VIRTTYPE, "with --emulator: kvm or tcg (default: kvm where it works)"),
    INV_VALUE("arch", INV_COMPLETE_ARCH, "architecture of a file that does not say (default: x86_64)"),
    INV_FLAG("xml", "print a domain's <cpu>"),
    { NULL },
};

static int
run_cpu_decode(InvCli *cli, const InvArgs *args, GError **error)
{
    g_autoptr(InvCpuProbe) probe = NULL;
    g_autoptr(InvarCpu) cpu = NULL;
    const char *file = inv_args_string(args, "file");
    InvJson *json;

    if (!check_decode(args, error))
        return INV_EXIT_USAGE;
    if (file)
        cpu = inv_cpu_document_cpu(cli, file, inv_args_string(args, "arch"), error);
    else
        cpu = inv_args_flag(args, "host") ? inv_cpu_of_host(cli, error) : probed_cpu(cli, args, &probe, error);
    if (!cpu)
        return inv_cli_fail(cli, "Failed to decode the CPU");
    if (!cli->json && inv_args_flag(args, "xml"))
        return print_xml(cpu, FALSE);
    if (cli->json) {
        json = inv_cpu_view_json(cpu);
        if (probe) {
            inv_json_object_set_string(json, "emulator", probe->path);
            inv_json_object_set_string(json, "accelerator", probe->accel);
            inv_json_object_set_string(json, "accelerator_note", probe->note);
        }
        return inv_cli_print_json(json);
    }
    if (probe)
        print_probe(cli, probe);
    return print_text(inv_cpu_view(cli, cpu, NULL, inv_text_terminal_width()));
}

static const InvOption expand_options[] = {
    { .name = "file", .type = INV_OPTION_STRING, .positional = TRUE, .complete = INV_COMPLETE_FILE,
      .help = "file that describes a CPU, - for standard input" },
    INV_VALUE("model", INV_COMPLETE_NONE, "a CPU model by its name"),
    INV_FLAG("host", "this machine's CPU"),
    INV_VALUE("arch", INV_COMPLETE_ARCH, "architecture of the model, or of a file that does not say (default: x86_64)"),
    INV_FLAG("table", "a table, as on a terminal: where each feature is from, its bit, whether it migrates"),
    INV_FLAG("list", "only names, one a line, as into a file or a pipe"),
    INV_FLAG("xml", "print a domain's <cpu> that names every feature"),
    { NULL },
};

static int
run_cpu_expand(InvCli *cli, const InvArgs *args, GError **error)
{
    static const char *const sources[] = { "file", "model", "host", NULL };
    static const char *const forms[] = { "table", "list", NULL };
    const char *file = inv_args_string(args, "file");
    const char *model = inv_args_string(args, "model");
    const char *arch = inv_args_string(args, "arch");
    g_autoptr(InvarCpu) cpu = NULL;

    if (!check_source(args, sources, error) || !inv_args_exclusive(args, "arch", "host", error) ||
        !check_without(args, "xml", forms, error) || !inv_args_exclusive(args, "table", "list", error))
        return INV_EXIT_USAGE;
    if (file)
        cpu = inv_cpu_document_cpu(cli, file, arch, error);
    else
        cpu = model ? inv_cpu_of_model(cli, model, arch, error) : inv_cpu_of_host(cli, error);
    if (!cpu)
        return inv_cli_fail(cli, "Failed to expand the CPU");
    if (cli->json)
        return inv_cli_print_json(inv_cpu_view_json(cpu));
    if (inv_args_flag(args, "xml"))
        return print_xml(cpu, TRUE);
    if (inv_args_flag(args, "list") || (!inv_args_flag(args, "table") && !isatty(STDOUT_FILENO)))
        return print_text(inv_cpu_view_names(cpu));
    return print_text(inv_cpu_view_features(cli, cli->dictionary, cpu));
}

/* What only QEMU can answer, the daemon's QEMU can. */
static void
suggest(GError **error, const char *command)
{
    g_autofree char *text = NULL;

    if (!error || !g_error_matches(*error, INV_ERROR, VIR_ERR_NO_SUPPORT))
        return;
    text = g_strdup_printf("%s; ask a daemon with %s", (*error)->message, command);
    g_clear_error(error);
    inv_error_set(error, VIR_ERR_NO_SUPPORT, "%s", text);
}

int
inv_run_cpu_compare_files(InvCli *cli, const InvArgs *args, const char *host_file, const char *cpu_file, GError **error)
{
    const char *host_name = inv_cpu_document_name(host_file);
    const char *cpu_name = inv_cpu_document_name(cpu_file);
    const char *arch = inv_args_string(args, "arch");
    g_autoptr(InvarCpu) host = NULL;
    g_autoptr(InvarCpu) cpu = NULL;
    g_autoptr(InvarCpuComparison) comparison = NULL;
    gboolean incompatible;
    char *message = NULL;

    if (inv_args_flag(args, "validate")) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "--validate is not supported with two files: documents that are no XML are compared, too");
        return INV_EXIT_USAGE;
    }
    host = inv_cpu_document_cpu(cli, host_file, arch, error);
    /* A document that does not say is of the host's architecture; of x86's, when its content says no other. */
    if (host && !arch && strcmp(invar_cpu_arch(host), "x86_64"))
        arch = invar_cpu_arch(host);
    cpu = host ? inv_cpu_document_cpu(cli, cpu_file, arch, error) : NULL;
    if (!cpu || !inv_cpu_check(invar_cpu_compare(cli->dictionary, host, cpu, &comparison, &message), &message, NULL, error)) {
        suggest(error, "hypervisor-cpu-compare");
        return inv_cli_fail(cli, "Failed to compare the host CPU of %s with %s", host_name, cpu_name);
    }
    incompatible = invar_cpu_comparison_relation(comparison) == INVAR_CPU_INCOMPATIBLE;
    if (incompatible && inv_args_flag(args, "error")) {
        g_autofree char *why = inv_cpu_view_blockers(comparison);

        inv_error_set(error, VIR_ERR_CPU_INCOMPATIBLE, "the CPU is incompatible with host CPU: %s", why);
        return inv_cli_fail(cli, "Failed to compare the host CPU of %s with %s", host_name, cpu_name);
    }
    if (cli->json)
        inv_cli_print_json(inv_cpu_view_comparison_json(comparison));
    else
        print_text(inv_cpu_view_comparison(cli, comparison, host_name, cpu_name, inv_text_terminal_width()));
    return incompatible ? INV_EXIT_ERROR : INV_EXIT_OK;
}

/* One file's CPUs on their way into a baseline. */
typedef struct {
    InvarCpuContext *dictionary;
    InvarCpuBaseline *baseline; /* NULL: no CPU has said yet of which architecture it is */
    const char *file;
    guint in_file;
    guint64 count;
} Feed;

/* @given is ours: what is not kept goes here, so that memory does not grow with their number. */
static InvarCpuStatus
feed_cpu(InvarCpu *given, void *data, char **message)
{
    g_autoptr(InvarCpu) cpu = given;
    Feed *feed = data;
    InvarCpuStatus status = INVAR_CPU_OK;
    g_autofree char *label = NULL;

    feed->in_file++;
    label = feed->in_file == 1 ? g_strdup(feed->file) : g_strdup_printf("%s, CPU %u", feed->file, feed->in_file);
    if (!feed->baseline)
        status = invar_cpu_baseline_new(feed->dictionary, invar_cpu_arch(cpu), &feed->baseline, message);
    if (status == INVAR_CPU_OK)
        status = invar_cpu_baseline_add(feed->baseline, cpu, label, message);
    feed->count += status == INVAR_CPU_OK;
    return status;
}

static gboolean
feed_file(Feed *feed, const char *path, const char *arch, GError **error)
{
    g_autofree char *text = inv_cpu_document_read(path, error);
    InvarCpuStatus status;
    char *message = NULL;
    gboolean named;

    if (!text)
        return FALSE;
    feed->file = inv_cpu_document_name(path);
    feed->in_file = 0;
    status = invar_cpu_read_all(feed->dictionary, text, strlen(text), INVAR_CPU_FORMAT_AUTO, arch, feed_cpu, feed, &message);
    /* What a baseline refuses, it names by its label. */
    named = message && strstr(message, feed->file);
    return inv_cpu_check(status, &message, named ? NULL : feed->file, error);
}

static InvarCpu *
baseline_of(Feed *feed, const InvArgs *args, GError **error)
{
    const char *arch = inv_args_string(args, "arch");
    InvarCpu *cpu = NULL;
    char *message = NULL;

    if (!feed_file(feed, inv_args_string(args, "file"), arch, error))
        return NULL;
    for (guint i = 0; i < args->rest->len; i++) {
        if (!feed_file(feed, g_ptr_array_index(args->rest, i), arch, error))
            return NULL;
    }
    if (!inv_cpu_check(invar_cpu_baseline_result(feed->baseline, inv_args_flag(args, "migratable"), &cpu, &message), &message, NULL, error))
        return NULL;
    return cpu;
}

static int
show_baseline(InvCli *cli, const InvArgs *args, const InvarCpu *cpu, guint64 count)
{
    gboolean expand = inv_args_flag(args, "features");
    InvJson *json;
    char *xml;

    if (!cli->json && inv_args_flag(args, "table")) {
        g_autofree char *many = g_strdup_printf("%" G_GUINT64_FORMAT " CPU%s", count, count == 1 ? "" : "s");

        return print_text(inv_cpu_view(cli, cpu, many, inv_text_terminal_width()));
    }
    if (!cli->json)
        return print_xml(cpu, expand);
    json = inv_cpu_view_json(cpu);
    xml = invar_cpu_to_xml(cpu, expand);
    inv_json_object_set_uint(json, "cpus", count);
    inv_json_object_set_string(json, "xml", xml);
    invar_cpu_free(xml);
    return inv_cli_print_json(json);
}

static const InvOption baseline_options[] = {
    INV_DATA("file", INV_COMPLETE_FILE, "file containing CPU descriptions, - for standard input"),
    INV_FLAG("features", "Show features that are part of the CPU model type"),
    INV_FLAG("migratable", "Do not include features that block migration"),
    INV_FLAG("table", "a table for people instead of XML"),
    INV_VALUE("arch", INV_COMPLETE_ARCH, "architecture of files that do not say (default: x86_64)"),
    { .name = "files", .type = INV_OPTION_REST, .complete = INV_COMPLETE_FILE, .help = "more files" },
    { NULL },
};

static int
run_cpu_baseline(InvCli *cli, const InvArgs *args, GError **error)
{
    Feed feed = { .dictionary = inv_cpu_dictionary(cli, error) };
    g_autoptr(InvarCpu) cpu = NULL;

    if (!inv_args_exclusive(args, "table", "features", error))
        return INV_EXIT_USAGE;
    if (feed.dictionary)
        cpu = baseline_of(&feed, args, error);
    g_clear_pointer(&feed.baseline, invar_cpu_baseline_free);
    if (!cpu) {
        suggest(error, "hypervisor-cpu-baseline");
        return inv_cli_fail(cli, "Failed to compute the baseline CPU");
    }
    return show_baseline(cli, args, cpu, feed.count);
}

const InvCommand inv_algebra_commands[] = {
    { "cpu-baseline", "compute baseline CPU", "Compute baseline CPU for a set of given CPUs: the largest that all of them have.\n"
      "Each file may hold any number of them, as domain XML, <cpu>, capabilities, domain\n"
      "capabilities, <cpudata>, the text of `cpuid -r` or QEMU's query-cpu-model-expansion.\nNo daemon is asked.",
      baseline_options, run_cpu_baseline, FALSE },
    { "cpu-decode", "tell which CPU a document, this machine or an emulator has",
      "Describe a CPU as a model and the features that differ from it. The file may be\n"
      "domain XML, <cpu>, capabilities, domain capabilities, <cpudata>, the text of\n"
      "`cpuid -r` or QEMU's query-cpu-model-expansion. No daemon is asked.",
      decode_options, run_cpu_decode, FALSE },
    { "cpu-expand", "list every feature that a CPU has",
      "List every feature of a CPU, sorted, in libvirt's spelling: those of its model and\n"
      "those that a document adds, without those that it takes away. No daemon is asked.",
      expand_options, run_cpu_expand, FALSE },
    { "cpu-explain", "which bit a CPU feature is, what has it, and what disabling it costs",
      "Tell what a CPU feature is: its bit of CPUID or MSR, the models that have it, what\n"
      "it needs and what needs it, whether this machine has it. A daemon that is there\n"
      "adds which of hardware, kernel, QEMU and machine type give it to guests.",
      inv_cpu_explain_options, inv_run_cpu_explain, FALSE },
    { NULL },
};
