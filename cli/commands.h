/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/command.h"

/* The families of commands, each in the file cmd_FAMILY.c, each ended by a command without a name. */
extern const InvCommand inv_domain_commands[];
extern const InvCommand inv_definition_commands[];
extern const InvCommand inv_monitor_commands[];
extern const InvCommand inv_event_commands[];
extern const InvCommand inv_job_commands[];
extern const InvCommand inv_migrate_commands[];
extern const InvCommand inv_host_commands[];
extern const InvCommand inv_host_cpu_commands[];
extern const InvCommand inv_validate_commands[];
extern const InvCommand inv_cpu_commands[];
extern const InvCommand inv_algebra_commands[];
extern const InvCommand inv_emulator_commands[];
extern const InvCommand inv_promise_commands[];
extern const InvCommand inv_revision_commands[];
extern const InvCommand inv_fleet_commands[];
extern const InvCommand inv_self_commands[];

/* Commands, or parts of them, that stand in another family's file. */
extern const InvOption inv_cpu_explain_options[];
int inv_run_cpu_explain(InvCli *cli, const InvArgs *args, GError **error);
/* cpu-compare with two operands: how the CPU in @cpu_file stands to the host in @host_file; no daemon is asked. */
int inv_run_cpu_compare_files(InvCli *cli, const InvArgs *args, const char *host_file, const char *cpu_file, GError **error);
/* domcapabilities as the options @emulator_option, "arch", "machine" and "virttype" ask for them. Owned by the caller. */
char *inv_domain_capabilities(InvCli *cli, const InvArgs *args, const char *emulator_option, GError **error);
