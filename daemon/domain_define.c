/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/domain_define.h"

#include "daemon/adopt.h"
#include "daemon/decision.h"
#include "util/error.h"
#include "util/fault.h"

#include <string.h>

void
inv_domain_event(InvDaemon *daemon, InvVm *vm, int event, int detail)
{
    g_autofree char *name = NULL;
    int id;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        name = g_strdup(vm->name);
        id = vm->id;
    }
    inv_events_lifecycle(daemon->events, &(InvEventDomain){ .name = name, .uuid = vm->uuid, .id = id }, event, detail);
}

static gboolean
check_schema(const char *xml, GError **error)
{
    const char *folder = g_getenv("INVAR_PKGDATADIR");
    g_autofree char *schema = g_build_filename(folder ? folder : INV_PKGDATADIR, "schemas", "invar-domain.rng", NULL);

    return inv_domain_validate_schema(xml, schema, error);
}

InvDomain *
inv_domain_prepare(InvDaemon *daemon, const char *xml, unsigned int flags, GError **error)
{
    g_autoptr(InvDomain) domain = NULL;
    g_autoptr(InvDecision) decision = NULL;

    if ((flags & VIR_DOMAIN_DEFINE_VALIDATE) && !check_schema(xml, error))
        return NULL;
    domain = inv_domain_parse(xml, error);
    if (!domain)
        return NULL;
    if (!domain->os.arch)
        domain->os.arch = g_strdup(daemon->host_arch);
    decision = inv_decision_new(daemon, domain, error);
    if (!decision)
        return NULL;
    /* Written down, as libvirt does: clients read there which binary it is. */
    if (!domain->emulator)
        domain->emulator = g_strdup(inv_emulator_path(decision->emulator));
    if (!domain->os.machine)
        domain->os.machine = g_strdup(decision->machine->name);
    if (!inv_domain_complete(domain, daemon->host_arch, decision->machine->name, error) ||
        !inv_domain_validate(domain, error))
        return NULL;
    return g_steal_pointer(&domain);
}

/*
 * A domain whose first start was recorded, and whose definition is given again as it was before
 * that start (Ansible, Terraform and scripts do so at every run): the guest is held to its record,
 * so the settled CPU and machine stay in force.
 */
static gboolean
hold_to_record(InvVm *vm, InvDomain *domain, GError **error)
{
    g_autofree char *asked = domain->cpu ? inv_cpu_format(domain->cpu) : g_strdup("");
    g_autoptr(InvCpuRecord) record = NULL;
    g_autoptr(InvDomain) current = NULL;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (!inv_vm_is_persistent(vm))
            return TRUE;
    }
    if (!inv_vm_read_record(vm, &record, error))
        return FALSE;
    if (!record)
        return TRUE;
    if (record->asked_machine && g_strcmp0(domain->os.machine, record->asked_machine) == 0) {
        g_free(domain->os.machine);
        domain->os.machine = g_strdup(record->machine);
    }
    if (g_strcmp0(asked, record->asked) != 0)
        return TRUE;
    current = inv_vm_read_inactive(vm, error);
    if (!current)
        return FALSE;
    inv_cpu_free(domain->cpu);
    domain->cpu = g_steal_pointer(&current->cpu);
    return TRUE;
}

static InvVm *
define_new(InvDaemon *daemon, InvDomain *domain, const char *xml, GError **error)
{
    g_autoptr(InvVm) vm = inv_vm_new(daemon->registry, domain->uuid, domain->name);
    gint64 revision = 0;

    vm->persistent = TRUE;
    vm->job = "define";
    inv_vm_set_summary_locked(vm, domain);
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        /* Reserves name and uuid against other clients while the store is written. */
        if (!inv_registry_add_locked(daemon->registry, vm, error))
            return NULL;
    }
    if (!inv_store_define(daemon->store, vm->uuid_text, domain->name, xml, "defined", &revision, error)) {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        inv_registry_remove_locked(daemon->registry, vm);
        return NULL;
    }
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        vm->revision = revision;
    }
    inv_vm_end_job(inv_vm_ref(vm));
    inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_DEFINED, VIR_DOMAIN_EVENT_DEFINED_ADDED);
    return g_steal_pointer(&vm);
}

static gboolean
redefine(InvDaemon *daemon, InvVm *vm, InvDomain *domain, GError **error)
{
    g_autoptr(InvVmJob) job = inv_vm_begin_job(vm, "define", error);
    g_autofree char *xml = NULL;
    gint64 revision = 0;

    if (!job)
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        if (strcmp(vm->name, domain->name) != 0)
            return inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                                 "domain '%s' was renamed to '%s' while its definition was being changed: define it again",
                                 domain->name, vm->name);
    }
    if (!hold_to_record(vm, domain, error))
        return FALSE;
    xml = inv_domain_format(domain, INV_FORMAT_INACTIVE | INV_FORMAT_SECURE);
    if (!inv_store_define(daemon->store, vm->uuid_text, domain->name, xml, "redefined", &revision, error))
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        vm->persistent = TRUE;
        vm->revision = revision;
        if (!inv_vm_is_active(vm))
            inv_vm_set_summary_locked(vm, domain);
    }
    inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_DEFINED, VIR_DOMAIN_EVENT_DEFINED_UPDATED);
    return TRUE;
}

/*
 * The domain that a document means, or NULL when it is a new one. FALSE: name and uuid belong to two
 * domains.
 */
static gboolean
find_existing(InvDaemon *daemon, const InvDomain *domain, InvVm **found, GError **error)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);
    InvVm *by_uuid = inv_registry_find_uuid_locked(daemon->registry, domain->uuid);
    InvVm *by_name = inv_registry_find_name_locked(daemon->registry, domain->name);

    if (by_uuid && by_uuid != by_name)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                             "domain '%s' is already defined with uuid %s, and '%s' cannot have the same: rename the "
                             "domain with domrename, or give another uuid",
                             by_uuid->name, by_uuid->uuid_text, domain->name);
    if (by_name && by_name != by_uuid)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "domain '%s' already exists with uuid %s", by_name->name,
                             by_name->uuid_text);
    *found = by_uuid ? inv_vm_ref(by_uuid) : NULL;
    return TRUE;
}

InvVm *
inv_domain_define(InvDaemon *daemon, const char *xml, unsigned int flags, GError **error)
{
    g_autoptr(InvDomain) domain = NULL;
    g_autoptr(InvVm) vm = NULL;
    g_autofree char *text = NULL;

    if (flags & ~(unsigned int)VIR_DOMAIN_DEFINE_VALIDATE) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "unsupported flags (0x%x) in the definition of a domain",
                      flags & ~(unsigned int)VIR_DOMAIN_DEFINE_VALIDATE);
        return NULL;
    }
    domain = inv_domain_prepare(daemon, xml, flags, error);
    if (!domain || !find_existing(daemon, domain, &vm, error))
        return NULL;
    inv_fault_point("define-before-store");
    if (vm) {
        if (!redefine(daemon, vm, domain, error))
            return NULL;
    } else {
        text = inv_domain_format(domain, INV_FORMAT_INACTIVE | INV_FORMAT_SECURE);
        vm = define_new(daemon, domain, text, error);
        if (!vm)
            return NULL;
    }
    inv_fault_point("define-before-reply");
    return g_steal_pointer(&vm);
}

gboolean
inv_domain_undefine(InvDaemon *daemon, InvVm *vm, unsigned int flags, GError **error)
{
    const unsigned int known = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                               VIR_DOMAIN_UNDEFINE_NVRAM | VIR_DOMAIN_UNDEFINE_KEEP_NVRAM |
                               VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_TPM |
                               VIR_DOMAIN_UNDEFINE_KEEP_TPM;
    g_autoptr(InvVmJob) job = NULL;

    if (flags & ~known)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "unsupported flags (0x%x) in undefine", flags & ~known);
    job = inv_vm_begin_job(vm, "undefine", error);
    if (!job)
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        if (!inv_vm_is_persistent(vm))
            return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "cannot undefine transient domain '%s'", vm->name);
    }
    if (!inv_store_undefine(daemon->store, vm->uuid_text, error))
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        vm->persistent = FALSE;
        vm->autostart = FALSE;
        vm->revision = 0;
        if (!inv_vm_is_active(vm))
            inv_registry_remove_locked(daemon->registry, vm);
    }
    inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_UNDEFINED, VIR_DOMAIN_EVENT_UNDEFINED_REMOVED);
    return TRUE;
}

gboolean
inv_domain_rename(InvDaemon *daemon, InvVm *vm, const char *name, GError **error)
{
    g_autoptr(InvVmJob) job = inv_vm_begin_job(vm, "rename", error);
    g_autoptr(InvDomain) domain = NULL;
    g_autoptr(InvDomain) checked = NULL;
    g_autofree char *xml = NULL;

    if (!job)
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        if (inv_vm_is_active(vm))
            return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "cannot rename the active domain '%s': shut it off first",
                                 vm->name);
        if (strcmp(vm->name, name) == 0)
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "Can't rename domain '%s' to itself", name);
    }
    domain = inv_vm_read_inactive(vm, error);
    if (!domain)
        return FALSE;
    g_free(domain->name);
    domain->name = g_strdup(name);
    xml = inv_domain_format(domain, INV_FORMAT_INACTIVE | INV_FORMAT_SECURE);
    /* The new name obeys the rules of the document's own. */
    checked = inv_domain_parse(xml, error);
    if (!checked)
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        /* A transient domain's name is not in the store: the tables decide, and hold the name until the store has it. */
        if (!inv_registry_reserve_name_locked(daemon->registry, vm, name, error))
            return FALSE;
    }
    if (!inv_store_rename(daemon->store, vm->uuid_text, name, xml, error)) {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        inv_registry_release_name_locked(daemon->registry, name);
        return FALSE;
    }
    inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_UNDEFINED, VIR_DOMAIN_EVENT_UNDEFINED_RENAMED);
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        inv_registry_rename_locked(daemon->registry, vm, name);
        vm->revision++;
    }
    inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_DEFINED, VIR_DOMAIN_EVENT_DEFINED_RENAMED);
    return TRUE;
}

gboolean
inv_domain_set_autostart(InvDaemon *daemon, InvVm *vm, gboolean autostart, GError **error)
{
    g_autoptr(InvVmJob) job = inv_vm_begin_job(vm, "autostart", error);

    if (!job)
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        if (!inv_vm_is_persistent(vm))
            return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "cannot set autostart for transient domain '%s'", vm->name);
        if (vm->autostart == autostart)
            return TRUE;
    }
    if (!inv_store_set_autostart(daemon->store, vm->uuid_text, autostart, error))
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        vm->autostart = autostart;
    }
    if (autostart)
        inv_adopt_mark_stopped(daemon, vm, FALSE);
    return TRUE;
}
