/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/record_jobs.h"

#include "daemon/decision.h"
#include "daemon/domain_define.h"
#include "util/error.h"

#include <string.h>

/* The record in force. *@record stays NULL, and @damage tells why, where there is one that cannot be read. */
static gboolean
get_record(InvDaemon *daemon, InvVm *vm, InvCpuRecord **record, GError **damage, GError **error)
{
    g_autoptr(InvStoredDomain) stored = NULL;
    gboolean persistent;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        persistent = inv_vm_is_persistent(vm);
    }
    if (persistent && !(stored = inv_store_get_domain(daemon->store, vm->uuid_text, error)))
        return FALSE;
    if (!stored || !stored->record) {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "domain '%s' has no CPU record to reopen: it was never started, or its record is open already",
                             vm->name);
    }
    *record = inv_record_parse(stored->record, damage);
    return TRUE;
}

/* The definition with the CPU and machine as they were asked for before they were settled. */
static InvDomain *
unsettle(InvVm *vm, const InvCpuRecord *record, GError **error)
{
    g_autoptr(InvDomain) domain = inv_vm_read_inactive(vm, error);

    if (!domain)
        return NULL;
    g_clear_pointer(&domain->cpu, inv_cpu_free);
    if (record->asked && *record->asked) {
        domain->cpu = inv_cpu_parse(record->asked, error);
        if (!domain->cpu)
            return NULL;
    }
    if (record->asked_machine) {
        g_free(domain->os.machine);
        domain->os.machine = g_strdup(record->asked_machine);
    }
    return g_steal_pointer(&domain);
}

/* What the next start would make of @domain, beside what the record says. */
static char **
foresee(InvDaemon *daemon, const InvDomain *domain, const InvCpuRecord *record, GError **error)
{
    g_autoptr(InvDecision) decision = inv_decision_new(daemon, domain, error);
    g_autoptr(InvCpuRecord) next = NULL;

    if (!decision || !inv_decision_ask(daemon, decision, domain, error))
        return NULL;
    if (decision->verdict->outcome == INV_OUTCOME_REFUSED) {
        g_autofree char *text = inv_verdict_to_text(decision->verdict);
        char *lines[] = { text, NULL };

        return g_strdupv(lines);
    }
    next = inv_decision_predict(daemon, decision, error);
    return next ? inv_cpu_record_compare(record, next) : NULL;
}

static char **
describe_damage(const GError *damage)
{
    g_autofree char *line = g_strdup_printf("the record cannot be read, and the next start makes a new one: %s", damage->message);
    char *lines[] = { line, NULL };

    return g_strdupv(lines);
}

gboolean
inv_record_reopen(InvDaemon *daemon, InvVm *vm, const char *reason, gboolean dry_run, gint64 *revision, char ***changes,
                  GError **error)
{
    g_autoptr(InvVmJob) job = inv_vm_begin_job(vm, "cpu-reopen", error);
    g_autoptr(InvCpuRecord) record = NULL;
    g_autoptr(InvDomain) domain = NULL;
    g_autoptr(GError) damage = NULL;
    g_autofree char *why = reason ? g_strdup_printf("CPU record reopened: %s", reason) : g_strdup("CPU record reopened");
    g_autofree char *xml = NULL;
    g_auto(GStrv) lines = NULL;

    *revision = 0;
    if (!job || !get_record(daemon, vm, &record, &damage, error))
        return FALSE;
    if (record && !(domain = unsettle(vm, record, error)))
        return FALSE;
    /* What was asked for is not known any more: the definition stays as it was settled. */
    lines = record ? foresee(daemon, domain, record, error) : describe_damage(damage);
    if (!lines)
        return FALSE;
    if (!dry_run) {
        xml = domain ? inv_domain_format(domain, INV_FORMAT_INACTIVE | INV_FORMAT_SECURE) : NULL;
        if (!inv_store_reopen(daemon->store, vm->uuid_text, xml, why, revision, error))
            return FALSE;
        {
            g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

            vm->revision = *revision;
        }
        inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_DEFINED, VIR_DOMAIN_EVENT_DEFINED_UPDATED);
    }
    *changes = g_steal_pointer(&lines);
    return TRUE;
}

gboolean
inv_record_restore_revision(InvDaemon *daemon, InvVm *vm, gint64 number, gint64 *revision, GError **error)
{
    g_autoptr(InvVmJob) job = inv_vm_begin_job(vm, "revision-restore", error);
    g_autoptr(InvRevision) wanted = NULL;
    g_autoptr(InvDomain) domain = NULL;
    g_autoptr(InvCpuRecord) record = NULL;

    if (!job)
        return FALSE;
    wanted = inv_store_get_revision(daemon->store, vm->uuid_text, number, error);
    if (!wanted)
        return FALSE;
    domain = inv_domain_parse(wanted->xml, error);
    if (!domain || (wanted->record && !(record = inv_record_parse(wanted->record, error))))
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        /* A rename since then stands: names are not part of what is restored. */
        if (strcmp(vm->name, domain->name) != 0)
            return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                                 "revision %" G_GINT64_FORMAT " is of the time when domain '%s' was called '%s': "
                                 "rename it back first (domrename)",
                                 number, vm->name, domain->name);
    }
    if (!inv_store_restore_revision(daemon->store, vm->uuid_text, number, revision, error))
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        vm->revision = *revision;
        if (!inv_vm_is_active(vm))
            inv_vm_set_summary_locked(vm, domain);
    }
    inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_DEFINED, VIR_DOMAIN_EVENT_DEFINED_UPDATED);
    return TRUE;
}
