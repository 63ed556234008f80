/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/cli.h"
#include "cpu_driver/invar-cpu.h"

#include <glib.h>

G_BEGIN_DECLS

/* Documents that describe CPUs, read by the public library alone: no daemon has a part in it. */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvarCpu, invar_cpu_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvarCpuBaseline, invar_cpu_baseline_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvarCpuComparison, invar_cpu_comparison_free)

/* The dictionary, read at the first call of a run. Borrowed. */
InvarCpuContext *inv_cpu_dictionary(InvCli *cli, GError **error);

/*
 * TRUE for INVAR_CPU_OK; else FALSE, and *@message, which is taken over, becomes @error, behind
 * "SOURCE: " where @source is not NULL. A pointer, so that the call that sets it may stand beside it.
 */
gboolean inv_cpu_check(InvarCpuStatus status, char **message, const char *source, GError **error);

/* "-" as people call it: "standard input". Borrowed. */
const char *inv_cpu_document_name(const char *path);

/* A file's text, "-" for standard input, not empty, of at most INV_CLI_CPUS_MAX bytes. NULL on error; owned by the caller. */
char *inv_cpu_document_read(const char *path, GError **error);

/* The one CPU that the file describes; @arch: where the document does not say, NULL for x86_64. */
InvarCpu *inv_cpu_document_cpu(InvCli *cli, const char *path, const char *arch, GError **error);

/* The CPU that is the model @name and nothing more. */
InvarCpu *inv_cpu_of_model(InvCli *cli, const char *name, const char *arch, GError **error);

/* This machine's. */
InvarCpu *inv_cpu_of_host(InvCli *cli, GError **error);

G_END_DECLS
