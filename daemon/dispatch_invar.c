/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Invar's own program: verdicts, records, revisions, emulators. */
#include "daemon/decision.h"
#include "daemon/dispatch.h"
#include "daemon/domain_define.h"
#include "daemon/record_jobs.h"
#include "daemon/wire_invar.h"
#include "util/error.h"

static InvVm *
find(InvDaemon *daemon, const char *uuid, GError **error)
{
    return inv_registry_get_uuid(daemon->registry, (const unsigned char *)uuid, error);
}

/* A refusal to answer is an error; a verdict that says no is an answer. */
static gboolean
judge(InvDaemon *daemon, const InvDomain *domain, const InvCpuRecord *record, invar_verdict *wire, GError **error)
{
    g_autoptr(InvDecision) decision = inv_decision_new(daemon, domain, error);

    if (!decision || !inv_decision_ask_start(daemon, decision, domain, record, error))
        return FALSE;
    inv_wire_fill_verdict(wire, decision->verdict);
    return TRUE;
}

static gboolean
verdict_xml(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_verdict_xml_args *wanted = args;
    g_autoptr(InvDomain) domain = NULL;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "verdict", error))
        return FALSE;
    /* To prepare it asks the emulator. */
    domain = inv_domain_parse(wanted->xml, error);
    if (!domain || !inv_dispatch_check_emulator(client, user_data, domain->emulator, error))
        return FALSE;
    g_clear_pointer(&domain, inv_domain_free);
    domain = inv_domain_prepare(user_data, wanted->xml, 0, error);
    return domain && judge(user_data, domain, NULL, &((invar_verdict_xml_ret *)ret)->verdict, error);
}

static gboolean
verdict_domain(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_verdict_domain_args *wanted = args;
    g_autoptr(InvVm) vm = NULL;
    g_autoptr(InvDomain) domain = NULL;
    g_autoptr(InvCpuRecord) record = NULL;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "verdict", error))
        return FALSE;
    vm = find(user_data, wanted->uuid, error);
    domain = vm ? inv_vm_read_inactive(vm, error) : NULL;
    return domain && inv_vm_read_record(vm, &record, error) && judge(user_data, domain, record, &((invar_verdict_domain_ret *)ret)->verdict, error);
}

static gboolean
get_record(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_get_record_args *wanted = args;
    invar_get_record_ret *reply = ret;
    g_autoptr(InvVm) vm = NULL;
    g_autoptr(InvCpuRecord) record = NULL;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "record", error) || !(vm = find(user_data, wanted->uuid, error)) ||
        !inv_vm_read_record(vm, &record, error))
        return FALSE;
    reply->record = inv_wire_new_record(record);
    return TRUE;
}

static gboolean
reopen_record(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_reopen_record_args *wanted = args;
    invar_reopen_record_ret *reply = ret;
    g_autoptr(InvVm) vm = NULL;
    g_auto(GStrv) changes = NULL;
    gint64 revision = 0;

    if (!inv_dispatch_check_flags(wanted->flags, INVAR_REOPEN_DRY_RUN, "reopening of a record", error))
        return FALSE;
    vm = find(user_data, wanted->uuid, error);
    if (!vm || !inv_record_reopen(user_data, vm, wanted->reason ? *wanted->reason : NULL,
                                  (wanted->flags & INVAR_REOPEN_DRY_RUN) != 0, &revision, &changes, error))
        return FALSE;
    reply->revision = revision;
    reply->changes.changes_len = MIN(g_strv_length(changes), INVAR_LINES_MAX);
    reply->changes.changes_val = inv_wire_new_strings(changes, reply->changes.changes_len);
    return TRUE;
}

static gboolean
list_revisions(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_list_revisions_args *wanted = args;
    invar_list_revisions_ret *reply = ret;
    InvDaemon *daemon = user_data;
    g_autoptr(InvVm) vm = NULL;
    g_autoptr(GPtrArray) list = NULL;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "revisions", error) || !(vm = find(daemon, wanted->uuid, error)))
        return FALSE;
    list = inv_store_list_revisions(daemon->store, vm->uuid_text, error);
    if (!list)
        return FALSE;
    reply->revisions.revisions_len = MIN(list->len, INVAR_REVISIONS_MAX);
    reply->revisions.revisions_val = g_new0(invar_revision, MAX(list->len, 1));
    /* The newest ones, should there be more than the wire takes. */
    for (guint i = 0; i < reply->revisions.revisions_len; i++)
        inv_wire_fill_revision(&reply->revisions.revisions_val[i],
                               g_ptr_array_index(list, list->len - reply->revisions.revisions_len + i));
    return TRUE;
}

static gboolean
get_revision(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_get_revision_args *wanted = args;
    invar_get_revision_ret *reply = ret;
    InvDaemon *daemon = user_data;
    g_autoptr(InvVm) vm = NULL;
    g_autoptr(InvRevision) revision = NULL;
    g_autoptr(InvCpuRecord) record = NULL;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "revision", error) || !(vm = find(daemon, wanted->uuid, error)))
        return FALSE;
    revision = inv_store_get_revision(daemon->store, vm->uuid_text, wanted->number, error);
    if (!revision)
        return FALSE;
    if (revision->record && !(record = inv_record_parse(revision->record, error)))
        return FALSE;
    inv_wire_fill_revision(&reply->revision, revision);
    reply->xml = g_strdup(revision->xml);
    reply->record = inv_wire_new_record(record);
    return TRUE;
}

static gboolean
restore_revision(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_restore_revision_args *wanted = args;
    g_autoptr(InvVm) vm = NULL;
    gint64 revision = 0;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "restore of a revision", error))
        return FALSE;
    vm = find(user_data, wanted->uuid, error);
    if (!vm || !inv_record_restore_revision(user_data, vm, wanted->number, &revision, error))
        return FALSE;
    ((invar_restore_revision_ret *)ret)->revision = revision;
    return TRUE;
}

static gboolean
list_emulators(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_list_emulators_args *wanted = args;
    invar_list_emulators_ret *reply = ret;
    const char *path = wanted->path ? *wanted->path : NULL;

    if (!inv_dispatch_check_flags(wanted->flags, INVAR_EMULATORS_REFRESH | INVAR_EMULATORS_AT_ONCE, "list of emulators", error) ||
        !inv_dispatch_check_emulator(client, user_data, path, error))
        return FALSE;
    return inv_wire_list_emulators(user_data, path, wanted->flags, reply, error);
}

static gboolean
register_emulators(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_emulator_event_register_args *wanted = args;
    InvDaemon *daemon = user_data;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "registering for news of emulators", error))
        return FALSE;
    inv_events_register_emulators(daemon->events, client);
    return TRUE;
}

static gboolean
deregister_emulators(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_emulator_event_deregister_args *wanted = args;
    InvDaemon *daemon = user_data;

    return inv_dispatch_check_flags(wanted->flags, 0, "deregistering from news of emulators", error) &&
           inv_events_deregister_emulators(daemon->events, client, error);
}

static gboolean
list_models(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_list_models_args *wanted = args;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "list of CPU models", error) ||
        !inv_dispatch_check_emulator(client, user_data, inv_dispatch_optional(wanted->emulator), error))
        return FALSE;
    return inv_wire_list_models(user_data, wanted, ret, error);
}

static gboolean
explain(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_explain_args *wanted = args;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "explanation of a feature", error) ||
        !inv_dispatch_check_emulator(client, user_data, inv_dispatch_optional(wanted->emulator), error))
        return FALSE;
    return inv_wire_explain(user_data, wanted, ret, error);
}

static gboolean
host_cpu(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_host_cpu_args *wanted = args;

    return inv_dispatch_check_flags(wanted->flags, 0, "host's CPU", error) &&
           inv_dispatch_check_emulator(client, user_data, inv_dispatch_optional(wanted->emulator), error) &&
           inv_wire_host_cpu(user_data, wanted, ret, error);
}

static const InvRpcMethod methods[] = {
    { INVAR_PROC_VERDICT_XML, verdict_xml, INV_RPC_READ },
    { INVAR_PROC_VERDICT_DOMAIN, verdict_domain, INV_RPC_READ },
    { INVAR_PROC_EXPLAIN, explain, INV_RPC_READ },
    { INVAR_PROC_GET_RECORD, get_record, INV_RPC_READ | INV_RPC_PRIORITY },
    { INVAR_PROC_REOPEN_RECORD, reopen_record, INV_RPC_WORKER },
    { INVAR_PROC_LIST_REVISIONS, list_revisions, INV_RPC_READ },
    { INVAR_PROC_GET_REVISION, get_revision, INV_RPC_WORKER },
    { INVAR_PROC_RESTORE_REVISION, restore_revision, INV_RPC_WORKER },
    { INVAR_PROC_LIST_EMULATORS, list_emulators, INV_RPC_READ },
    { INVAR_PROC_LIST_MODELS, list_models, INV_RPC_READ },
    { INVAR_PROC_HOST_CPU, host_cpu, INV_RPC_READ },
    { INVAR_PROC_EMULATOR_EVENT_REGISTER, register_emulators, INV_RPC_READ | INV_RPC_INLINE },
    { INVAR_PROC_EMULATOR_EVENT_DEREGISTER, deregister_emulators, INV_RPC_READ | INV_RPC_INLINE },
};

const InvDispatchFamily inv_dispatch_invar = { methods, G_N_ELEMENTS(methods) };
