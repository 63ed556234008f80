/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <stdint.h>

#include "cpu_driver/invar-cpu.h"

#include <glib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static InvarCpuContext *context;

typedef struct {
    InvarCpuBaseline *baseline;
    guint cpus;
} Run;

/* What is written says the same when it is read again. */
static void
check_xml(const InvarCpu *cpu, int expand)
{
    char *xml = invar_cpu_to_xml(cpu, expand);
    InvarCpu *again = NULL;
    char *error = NULL;
    const char *const *list = invar_cpu_expanded(cpu);
    InvarCpuStatus status = invar_cpu_read(context, xml, strlen(xml), INVAR_CPU_FORMAT_CPU, invar_cpu_arch(cpu), &again, &error);

    g_assert_cmpstr(error, ==, NULL);
    g_assert(status == INVAR_CPU_OK);
    for (guint i = 0; list[i]; i++)
        g_assert(invar_cpu_has(again, list[i]));
    /* Where a source is silent about them, vmx brings its parts along. */
    if (!invar_cpu_has(cpu, "vmx"))
        g_assert(g_strv_equal(list, invar_cpu_expanded(again)));
    invar_cpu_unref(again);
    invar_cpu_free(xml);
}

/* A CPU is identical to itself, and what it has in common with itself is itself. */
static void
check_algebra(Run *run, const InvarCpu *cpu)
{
    InvarCpuComparison *comparison = NULL;
    InvarCpu *common = NULL;
    char *error = NULL;

    if (invar_cpu_compare(context, cpu, cpu, &comparison, NULL) == INVAR_CPU_OK) {
        g_assert(invar_cpu_comparison_relation(comparison) == INVAR_CPU_IDENTICAL);
        g_assert(!invar_cpu_comparison_reason(comparison, 0));
    }
    invar_cpu_comparison_free(comparison);
    if (!run->baseline && invar_cpu_baseline_new(context, invar_cpu_arch(cpu), &run->baseline, NULL) != INVAR_CPU_OK)
        return;
    if (invar_cpu_baseline_add(run->baseline, cpu, NULL, &error) == INVAR_CPU_OK &&
        invar_cpu_baseline_result(run->baseline, 0, &common, &error) == INVAR_CPU_OK) {
        g_assert(invar_cpu_compare(context, cpu, common, &comparison, NULL) == INVAR_CPU_OK);
        g_assert(invar_cpu_comparison_relation(comparison) != INVAR_CPU_INCOMPATIBLE);
        invar_cpu_comparison_free(comparison);
    }
    invar_cpu_unref(common);
    invar_cpu_free(error);
}

static InvarCpuStatus
visit(InvarCpu *cpu, void *user_data, char **error)
{
    Run *run = user_data;
    gboolean described = invar_cpu_model(cpu) && strcmp(invar_cpu_arch(cpu), "x86_64") == 0;
    const char *policy;

    for (size_t i = 0; invar_cpu_delta(cpu, i, &policy); i++)
        g_assert_nonnull(policy);
    g_assert_nonnull(invar_cpu_expanded(cpu));
    g_assert_nonnull(invar_cpu_notes(cpu));
    if (described) {
        check_xml(cpu, 0);
        check_xml(cpu, 1);
    }
    check_algebra(run, cpu);
    invar_cpu_unref(cpu);
    /* Enough is known after a few. */
    return ++run->cpus < 8 ? INVAR_CPU_OK : INVAR_CPU_ERROR_UNSUPPORTED;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Run run = { 0 };
    char *error = NULL;
    InvarCpuStatus status;
    InvarCpu *one = NULL;

    if (!context && invar_cpu_context_new(NULL, &context, &error) != INVAR_CPU_OK)
        g_error("%s", error);
    status = invar_cpu_read_all(context, (const char *)data, size, INVAR_CPU_FORMAT_AUTO, NULL, visit, &run, &error);
    /* The visitor's own status comes without a text. */
    g_assert((status == INVAR_CPU_OK) == !error || run.cpus == 8);
    invar_cpu_free(error);
    error = NULL;
    status = invar_cpu_read(context, (const char *)data, size, INVAR_CPU_FORMAT_AUTO, NULL, &one, &error);
    g_assert((status == INVAR_CPU_OK) == !error && (status == INVAR_CPU_OK) == (one != NULL));
    invar_cpu_free(error);
    invar_cpu_unref(one);
    invar_cpu_baseline_free(run.baseline);
    return 0;
}
