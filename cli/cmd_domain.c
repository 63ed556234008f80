/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What makes a domain run, pause and stop. */
#include "cli/commands.h"
#include "cli/domain_ref.h"
#include "util/error.h"

#include <string.h>

INV_RPC_AUTOCLEAN(remote_domain_create_with_flags_ret)

static int
done(InvCli *cli, const remote_nonnull_domain *domain, const char *format)
{
    char uuid[INV_UUID_TEXT_SIZE];
    g_auto(GStrv) parts = g_strsplit(format, "%s", 2);

    inv_domain_uuid_format(domain->uuid, uuid);
    return inv_cli_done(cli, domain->name, uuid, "%s%s%s", parts[0], domain->name, parts[1]);
}

static const InvOption start_options[] = {
    { .name = "domain", .type = INV_OPTION_STRING, .positional = TRUE, .required = TRUE, .complete = INV_COMPLETE_INACTIVE,
      .help = "name of the inactive domain" },
    INV_FLAG("paused", "leave the guest paused after creation"),
    INV_FLAG("autodestroy", "automatically destroy the guest when invar disconnects"),
    INV_FLAG("bypass-cache", "avoid file system cache when loading"),
    INV_FLAG("force-boot", "force fresh boot by discarding any managed save"),
    INV_FLAG("reset-nvram", "re-initialize NVRAM from its pristine template"),
    { NULL },
};

static int
run_start(InvCli *cli, const InvArgs *args, GError **error)
{
    static const InvFlagBit bits[] = {
        { "paused", VIR_DOMAIN_START_PAUSED },           { "autodestroy", VIR_DOMAIN_START_AUTODESTROY },
        { "bypass-cache", VIR_DOMAIN_START_BYPASS_CACHE }, { "force-boot", VIR_DOMAIN_START_FORCE_BOOT },
        { "reset-nvram", VIR_DOMAIN_START_RESET_NVRAM }, { NULL, 0 },
    };
    g_auto(remote_nonnull_domain) domain = { 0 };
    guint flags = inv_args_bits(args, bits);
    gboolean started;

    if (!inv_domain_find(cli, inv_args_string(args, "domain"), INV_BY_NAME | INV_BY_UUID, &domain, error))
        return INV_EXIT_ERROR;
    if (domain.id >= 0) {
        inv_error_set(error, VIR_ERR_OPERATION_FAILED, "Domain is already active");
        return INV_EXIT_ERROR;
    }
    if (flags) {
        remote_domain_create_with_flags_args call = { .dom = domain, .flags = flags };
        g_auto(remote_domain_create_with_flags_ret) ret = { 0 };

        started = inv_cli_call(cli, REMOTE_PROC_DOMAIN_CREATE_WITH_FLAGS, &call, &ret, error);
    } else {
        remote_domain_create_args call = { .dom = domain };

        started = inv_cli_call(cli, REMOTE_PROC_DOMAIN_CREATE, &call, NULL, error);
    }
    return started ? done(cli, &domain, "Domain '%s' started") : inv_cli_fail(cli, "Failed to start domain '%s'", domain.name);
}

static const InvOption domain_options[] = { INV_DOMAIN(INV_COMPLETE_ACTIVE), { NULL } };

static int
run_suspend(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };

    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    remote_domain_suspend_args call = { .dom = domain };
    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_SUSPEND, &call, NULL, error))
        return inv_cli_fail(cli, "Failed to suspend domain '%s'", domain.name);
    return done(cli, &domain, "Domain '%s' suspended");
}

static int
run_resume(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };

    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    remote_domain_resume_args call = { .dom = domain };
    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_RESUME, &call, NULL, error))
        return inv_cli_fail(cli, "Failed to resume domain '%s'", domain.name);
    return done(cli, &domain, "Domain '%s' resumed");
}

static int
run_reset(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };

    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    remote_domain_reset_args call = { .dom = domain };
    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_RESET, &call, NULL, error))
        return inv_cli_fail(cli, "Failed to reset domain '%s'", domain.name);
    return done(cli, &domain, "Domain '%s' was reset");
}

static const InvOption destroy_options[] = {
    INV_DOMAIN(INV_COMPLETE_ACTIVE),
    INV_FLAG("graceful", "terminate gracefully"),
    INV_FLAG("remove-logs", "remove domain logs"),
    { NULL },
};

static int
run_destroy(InvCli *cli, const InvArgs *args, GError **error)
{
    static const InvFlagBit bits[] = {
        { "graceful", VIR_DOMAIN_DESTROY_GRACEFUL },
        { "remove-logs", VIR_DOMAIN_DESTROY_REMOVE_LOGS },
        { NULL, 0 },
    };
    g_auto(remote_nonnull_domain) domain = { 0 };
    guint flags = inv_args_bits(args, bits);
    gboolean destroyed;

    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    if (flags) {
        remote_domain_destroy_flags_args call = { .dom = domain, .flags = flags };

        destroyed = inv_cli_call(cli, REMOTE_PROC_DOMAIN_DESTROY_FLAGS, &call, NULL, error);
    } else {
        remote_domain_destroy_args call = { .dom = domain };

        destroyed = inv_cli_call(cli, REMOTE_PROC_DOMAIN_DESTROY, &call, NULL, error);
    }
    return destroyed ? done(cli, &domain, "Domain '%s' destroyed")
                     : inv_cli_fail(cli, "Failed to destroy domain '%s'", domain.name);
}

static const InvOption shutdown_options[] = {
    INV_DOMAIN(INV_COMPLETE_ACTIVE),
    INV_VALUE("mode", INV_COMPLETE_SHUTDOWN_MODE, "shutdown mode: acpi|agent|initctl|signal|paravirt"),
    { NULL },
};

/* The modes have the same bits for shutdown and for reboot. */
G_STATIC_ASSERT((int)VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN == (int)VIR_DOMAIN_REBOOT_ACPI_POWER_BTN);
G_STATIC_ASSERT((int)VIR_DOMAIN_SHUTDOWN_GUEST_AGENT == (int)VIR_DOMAIN_REBOOT_GUEST_AGENT);
G_STATIC_ASSERT((int)VIR_DOMAIN_SHUTDOWN_INITCTL == (int)VIR_DOMAIN_REBOOT_INITCTL);
G_STATIC_ASSERT((int)VIR_DOMAIN_SHUTDOWN_SIGNAL == (int)VIR_DOMAIN_REBOOT_SIGNAL);
G_STATIC_ASSERT((int)VIR_DOMAIN_SHUTDOWN_PARAVIRT == (int)VIR_DOMAIN_REBOOT_PARAVIRT);

/* "acpi,agent" to bits: the daemon tries them in the order it likes. */
static gboolean
parse_modes(const char *text, guint *flags, GError **error)
{
    static const InvFlagBit modes[] = {
        { "acpi", VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN }, { "agent", VIR_DOMAIN_SHUTDOWN_GUEST_AGENT },
        { "initctl", VIR_DOMAIN_SHUTDOWN_INITCTL },     { "signal", VIR_DOMAIN_SHUTDOWN_SIGNAL },
        { "paravirt", VIR_DOMAIN_SHUTDOWN_PARAVIRT },   { NULL, 0 },
    };
    g_auto(GStrv) words = text ? g_strsplit(text, ",", -1) : NULL;

    *flags = 0;
    for (char **word = words; word && *word; word++) {
        const InvFlagBit *mode = modes;

        while (mode->name && strcmp(mode->name, *word))
            mode++;
        if (!mode->name)
            return inv_error_set(error, VIR_ERR_INVALID_ARG,
                                 "Unknown mode %s value, expecting 'acpi', 'agent', 'initctl', 'signal', or 'paravirt'", *word);
        *flags |= mode->bit;
    }
    return TRUE;
}

static int
run_shutdown(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    gboolean sent;
    guint flags;

    if (!parse_modes(inv_args_string(args, "mode"), &flags, error))
        return INV_EXIT_USAGE;
    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    if (flags) {
        remote_domain_shutdown_flags_args call = { .dom = domain, .flags = flags };

        sent = inv_cli_call(cli, REMOTE_PROC_DOMAIN_SHUTDOWN_FLAGS, &call, NULL, error);
    } else {
        remote_domain_shutdown_args call = { .dom = domain };

        sent = inv_cli_call(cli, REMOTE_PROC_DOMAIN_SHUTDOWN, &call, NULL, error);
    }
    return sent ? done(cli, &domain, "Domain '%s' is being shutdown")
                : inv_cli_fail(cli, "Failed to shutdown domain '%s'", domain.name);
}

static int
run_reboot(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    guint flags;

    if (!parse_modes(inv_args_string(args, "mode"), &flags, error))
        return INV_EXIT_USAGE;
    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    remote_domain_reboot_args call = { .dom = domain, .flags = flags };
    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_REBOOT, &call, NULL, error))
        return inv_cli_fail(cli, "Failed to reboot domain '%s'", domain.name);
    return done(cli, &domain, "Domain '%s' is being rebooted");
}

const InvCommand inv_domain_commands[] = {
    { "destroy", "destroy (stop) a domain", "Forcefully stop a given domain, but leave its resources intact.", destroy_options,
      run_destroy, FALSE },
    { "reboot", "reboot a domain", "Run a reboot command in the target domain.", shutdown_options, run_reboot, FALSE },
    { "reset", "reset a domain", "Reset the target domain as if by power button", domain_options, run_reset, FALSE },
    { "resume", "resume a domain", "Resume a previously suspended domain.", domain_options, run_resume, FALSE },
    { "shutdown", "gracefully shutdown a domain", "Run shutdown in the target domain.", shutdown_options, run_shutdown, FALSE },
    { "start", "start a (previously defined) inactive domain",
      "Start a domain with exactly the CPU of its record, or record the CPU that\nit gets when it starts for the first time.",
      start_options, run_start, FALSE },
    { "suspend", "suspend a domain", "Suspend a running domain.", domain_options, run_suspend, FALSE },
    { NULL },
};
