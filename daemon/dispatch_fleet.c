/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Invar's own program: where a guest can go. */
#include "daemon/dispatch.h"
#include "daemon/host_export.h"
#include "daemon/migration_check.h"
#include "rpc/invar_protocol.h"
#include "util/error.h"

#include <string.h>

static gboolean
host_export(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_host_export_args *wanted = args;
    invar_host_export_ret *reply = ret;
    g_autoptr(GPtrArray) machines = g_ptr_array_new();
    char *text;

    if (!inv_dispatch_check_flags(wanted->flags, INVAR_EXPORT_ALL_MACHINES, "description of the host", error) ||
        !inv_dispatch_check_emulator(client, user_data, wanted->emulator ? *wanted->emulator : NULL, error))
        return FALSE;
    for (guint i = 0; i < wanted->machines.machines_len; i++)
        g_ptr_array_add(machines, wanted->machines.machines_val[i]);
    g_ptr_array_add(machines, NULL);
    text = inv_host_export(user_data, wanted->emulator ? *wanted->emulator : NULL, (const char *const *)machines->pdata,
                           (wanted->flags & INVAR_EXPORT_ALL_MACHINES) != 0, error);
    if (!text)
        return FALSE;
    if (strlen(text) > INVAR_EXPORT_MAX) {
        g_free(text);
        return inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                             "the description would be larger than %d MiB: ask for one emulator, or for fewer machine types",
                             INVAR_EXPORT_MAX / (1024 * 1024));
    }
    reply->description = text;
    return TRUE;
}

static gboolean
domain_export(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_domain_export_args *wanted = args;
    InvDaemon *daemon = user_data;
    g_autoptr(InvVm) vm = NULL;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "export of a domain", error))
        return FALSE;
    vm = inv_registry_get_uuid(daemon->registry, (const unsigned char *)wanted->uuid, error);
    if (!vm)
        return FALSE;
    ((invar_domain_export_ret *)ret)->domain = inv_migration_export(daemon, vm, error);
    return ((invar_domain_export_ret *)ret)->domain != NULL;
}

static gboolean
migrate_check(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_migrate_check_args *wanted = args;
    g_autoptr(InvJson) json = NULL;
    g_autoptr(InvMigrationSubject) subject = NULL;
    g_autoptr(InvMigrationVerdict) verdict = NULL;
    g_autoptr(InvJson) answer = NULL;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "check of a migration", error))
        return FALSE;
    json = inv_json_parse(wanted->domain, strlen(wanted->domain), error);
    subject = json ? inv_migration_subject_from_json(json, error) : NULL;
    if (!subject || !inv_dispatch_check_emulator(client, user_data, subject->domain->emulator, error))
        return FALSE;
    verdict = inv_migration_check_here(user_data, subject);
    answer = inv_migration_verdict_to_json(verdict);
    ((invar_migrate_check_ret *)ret)->verdict = inv_json_format(answer, FALSE);
    return TRUE;
}

static const InvRpcMethod methods[] = {
    { INVAR_PROC_HOST_EXPORT, host_export, INV_RPC_READ },
    { INVAR_PROC_DOMAIN_EXPORT, domain_export, INV_RPC_READ },
    /* Looks, with the daemon's eyes, at files that the asker names. */
    { INVAR_PROC_MIGRATE_CHECK, migrate_check, INV_RPC_WORKER },
};

const InvDispatchFamily inv_dispatch_fleet = { methods, G_N_ELEMENTS(methods) };
