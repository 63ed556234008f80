/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/command.h"

/* The families of commands, each in the file cmd_FAMILY.c, each ended by a command without a name. */
extern const InvCommand inv_domain_commands[];
extern const InvCommand inv_definition_commands[];
extern const InvCommand inv_monitor_commands[];
extern const InvCommand inv_event_commands[];
extern const InvCommand inv_host_commands[];
extern const InvCommand inv_validate_commands[];
extern const InvCommand inv_cpu_commands[];
extern const InvCommand inv_emulator_commands[];
extern const InvCommand inv_promise_commands[];
extern const InvCommand inv_revision_commands[];
extern const InvCommand inv_self_commands[];
