/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/cli.h"
#include "cpu_driver/invar-cpu.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * CPUs, comparisons and features as the library tells them, for people and as JSON. Texts are owned
 * by the caller; @width: columns of the terminal.
 */

/* Columns of the fields' labels. */
#define INV_CPU_VIEW_LABEL 16

/*
 * {"arch", "model", "vendor", "signature": {"family", "model", "stepping"}, "features": [{"name",
 * "policy"}], "expanded": [NAME], …}: null for what is not known.
 */
InvJson *inv_cpu_view_json(const InvarCpu *cpu);
/* @common_to: of how many CPUs it is the baseline, for people; NULL: of none. */
char *inv_cpu_view(const InvCli *cli, const InvarCpu *cpu, const char *common_to, guint width);

/* Every feature that the CPU has, one a line. */
char *inv_cpu_view_names(const InvarCpu *cpu);
/* The same in a table: what comes with the model and what besides, the bit, whether a guest with it migrates. */
char *inv_cpu_view_features(const InvCli *cli, InvarCpuContext *dictionary, const InvarCpu *cpu);

/* @host and @cpu name the two for people. */
InvJson *inv_cpu_view_comparison_json(const InvarCpuComparison *comparison);
char *inv_cpu_view_comparison(const InvCli *cli, const InvarCpuComparison *comparison, const char *host, const char *cpu, guint width);
/* Why it is incompatible, in one sentence; NULL when it is not. */
char *inv_cpu_view_blockers(const InvarCpuComparison *comparison);

/* "CPUID leaf 0x7, subleaf 0x0, ebx bit 5", "MSR 0x10a bit 3"; "" for a name without a bit. */
char *inv_cpu_view_bit(const InvarCpuFeatureFacts *facts);

G_END_DECLS
