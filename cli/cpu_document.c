/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cpu_document.h"
#include "util/error.h"

#include <string.h>

#define KINDS \
    "a domain's XML, a <cpu>, capabilities, domain capabilities, <cpudata>, the text of `cpuid -r` or QEMU's answer to " \
    "query-cpu-model-expansion"

static virErrorNumber
code_of(InvarCpuStatus status)
{
    switch (status) {
    case INVAR_CPU_OK:
        return VIR_ERR_OK;
    case INVAR_CPU_ERROR_INPUT:
        return VIR_ERR_XML_ERROR;
    case INVAR_CPU_ERROR_UNKNOWN:
        return VIR_ERR_INVALID_ARG;
    case INVAR_CPU_ERROR_UNSUPPORTED:
        return VIR_ERR_NO_SUPPORT;
    case INVAR_CPU_ERROR_NO_ANSWER:
        return VIR_ERR_OPERATION_FAILED;
    case INVAR_CPU_ERROR_DATA:
        return VIR_ERR_CONFIG_UNSUPPORTED;
    }
    return VIR_ERR_OPERATION_FAILED;
}

gboolean
inv_cpu_check(InvarCpuStatus status, char **message, const char *source, GError **error)
{
    if (status != INVAR_CPU_OK)
        inv_error_set(error, code_of(status), "%s%s%s", source ? source : "", source ? ": " : "",
                      *message ? *message : "the CPU library gives no reason");
    g_clear_pointer(message, invar_cpu_free);
    return status == INVAR_CPU_OK;
}

InvarCpuContext *
inv_cpu_dictionary(InvCli *cli, GError **error)
{
    char *message = NULL;

    if (!cli->dictionary && !inv_cpu_check(invar_cpu_context_new(NULL, &cli->dictionary, &message), &message, NULL, error))
        return NULL;
    return cli->dictionary;
}

const char *
inv_cpu_document_name(const char *path)
{
    return strcmp(path, "-") ? path : "standard input";
}

char *
inv_cpu_document_read(const char *path, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autofree char *text = inv_cli_read_text(path, INV_CLI_CPUS_MAX, &cause);

    if (text && *text)
        return g_steal_pointer(&text);
    if (text)
        inv_error_set(error, VIR_ERR_INVALID_ARG, "%s is empty; give " KINDS, inv_cpu_document_name(path));
    else
        inv_error_set(error, inv_error_code(cause), "%s; give %s", cause->message,
                      g_error_matches(cause, INV_ERROR, VIR_ERR_SYSTEM_ERROR) ? "a file that can be read, or - for standard input" : KINDS);
    return NULL;
}

InvarCpu *
inv_cpu_document_cpu(InvCli *cli, const char *path, const char *arch, GError **error)
{
    InvarCpuContext *dictionary = inv_cpu_dictionary(cli, error);
    g_autofree char *text = dictionary ? inv_cpu_document_read(path, error) : NULL;
    InvarCpu *cpu = NULL;
    char *message = NULL;

    if (!text)
        return NULL;
    if (!inv_cpu_check(invar_cpu_read(dictionary, text, strlen(text), INVAR_CPU_FORMAT_AUTO, arch, &cpu, &message), &message,
                       inv_cpu_document_name(path), error))
        return NULL;
    return cpu;
}

InvarCpu *
inv_cpu_of_model(InvCli *cli, const char *name, const char *arch, GError **error)
{
    InvarCpuContext *dictionary = inv_cpu_dictionary(cli, error);
    g_autofree char *text = g_markup_printf_escaped("<cpu mode='custom' match='exact'><model fallback='forbid'>%s</model></cpu>", name);
    InvarCpu *cpu = NULL;
    char *message = NULL;

    if (!dictionary || !inv_cpu_check(invar_cpu_read(dictionary, text, strlen(text), INVAR_CPU_FORMAT_CPU, arch, &cpu, &message), &message,
                                      NULL, error))
        return NULL;
    return cpu;
}

InvarCpu *
inv_cpu_of_host(InvCli *cli, GError **error)
{
    InvarCpuContext *dictionary = inv_cpu_dictionary(cli, error);
    InvarCpu *cpu = NULL;
    char *message = NULL;

    if (!dictionary || !inv_cpu_check(invar_cpu_read_host(dictionary, &cpu, &message), &message, "this machine", error))
        return NULL;
    return cpu;
}
