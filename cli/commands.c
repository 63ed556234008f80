/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/commands.h"

const InvCommandGroup inv_command_groups[] = {
    { "Domain Management", "domain", inv_domain_commands },
    { "Domain Definitions", "definition", inv_definition_commands },
    { "Domain Monitoring", "monitor", inv_monitor_commands },
    { "Domain Jobs", "job", inv_job_commands },
    { "Migration", "migration", inv_migrate_commands },
    { "Domain Events", "events", inv_event_commands },
    { "Host and Hypervisor", "host", inv_host_commands },
    { "Fitness of this Host", "validate", inv_validate_commands },
    { "CPU of this Host", "host-cpu", inv_host_cpu_commands },
    { "CPU Models", "cpu", inv_cpu_commands },
    { "CPU Algebra", "algebra", inv_algebra_commands },
    { "Emulators", "emulator", inv_emulator_commands },
    { "CPU Promises", "promise", inv_promise_commands },
    { "Revisions", "revision", inv_revision_commands },
    { "Fleet", "fleet", inv_fleet_commands },
    { "Invar itself", "invar", inv_self_commands },
    { NULL, NULL, NULL },
};
