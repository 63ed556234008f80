/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/domain_start.h"

#include "daemon/adopt.h"
#include "daemon/domain_define.h"
#include "daemon/guest_start.h"
#include "util/error.h"
#include "util/fault.h"

#include <string.h>

/* The guest's first instruction. */
static gboolean
run_guest(InvStart *start, GError **error)
{
    inv_fault_point("start-before-cont");
    if (!start->paused && !inv_qmp_call(start->guest->qmp, "cont", NULL, inv_daemon_start_deadline(start->daemon), NULL, error))
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(start->daemon->registry);

        start->vm->quiet = FALSE;
        if (!start->paused) {
            start->vm->state = VIR_DOMAIN_RUNNING;
            start->vm->reason = VIR_DOMAIN_RUNNING_BOOTED;
        } else {
            start->vm->reason = VIR_DOMAIN_PAUSED_USER;
        }
    }
    return TRUE;
}

static void
tell_ignored(const InvStart *start)
{
    for (guint i = 0; i < start->live->unknown->len; i++)
        g_warning("domain '%s': this start does not act on <%s>", start->live->name,
                  (const char *)g_ptr_array_index(start->live->unknown, i));
}

/* From the spawned QEMU to the running guest. On failure the caller ends QEMU. */
static gboolean
bring_up(InvStart *start, GError **error)
{
    if (!inv_start_read_guest(start, error) || !inv_start_set_passwords(start, error) ||
        !inv_guest_process_read_devices(start->daemon, start->guest, start->live, error) ||
        !inv_start_store_record(start, error) || !inv_start_store_running(start, error))
        return FALSE;
    tell_ignored(start);
    if (!inv_start_enter_registry(start, error))
        return FALSE;
    if (!run_guest(start, error)) {
        inv_start_leave_registry(start);
        return FALSE;
    }
    return TRUE;
}

static void
send_started(const InvStart *start)
{
    if (!start->paused)
        inv_domain_event(start->daemon, start->vm, VIR_DOMAIN_EVENT_RESUMED, VIR_DOMAIN_EVENT_RESUMED_UNPAUSED);
    inv_domain_event(start->daemon, start->vm, VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_BOOTED);
    if (start->paused)
        inv_domain_event(start->daemon, start->vm, VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_PAUSED);
}

/* What lists show of a domain whose last start failed. Always FALSE. */
static gboolean
fail(InvStart *start)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(start->daemon->registry);

    start->vm->reason = VIR_DOMAIN_SHUTOFF_FAILED;
    return FALSE;
}

/* Under the job. @definition is taken over. */
static gboolean
start_under_job(InvDaemon *daemon, InvVm *vm, InvDomain *definition, gboolean persistent, unsigned int flags, GError **error)
{
    g_auto(InvStart) start = {
        .daemon = daemon,
        .vm = vm,
        .live = definition,
        .inactive = persistent ? inv_domain_copy(definition) : NULL,
        .messages = g_ptr_array_new_with_free_func(g_free),
        .paused = (flags & VIR_DOMAIN_START_PAUSED) != 0,
    };

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        if (inv_vm_is_active(vm))
            return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                                 "Requested operation is not valid: domain '%s' is already running", vm->name);
        start.id = inv_registry_next_id_locked(daemon->registry);
        start.persistent = inv_vm_is_persistent(vm);
    }
    if (!inv_vm_read_record(vm, &start.before, error) || !inv_start_decide(&start, error))
        return fail(&start);
    start.guest = inv_guest_process_spawn(daemon, vm, start.live, start.decision, start.cpu_argument, start.id, NULL, error);
    if (!start.guest)
        return fail(&start);
    if (!bring_up(&start, error)) {
        inv_guest_process_abandon(daemon, vm, start.guest);
        return fail(&start);
    }
    inv_adopt_mark_stopped(daemon, vm, FALSE);
    send_started(&start);
    inv_fault_point("start-before-reply");
    return TRUE;
}

static gboolean
check_flags(unsigned int flags, GError **error)
{
    const unsigned int known = VIR_DOMAIN_START_PAUSED | VIR_DOMAIN_START_BYPASS_CACHE | VIR_DOMAIN_START_FORCE_BOOT |
                               VIR_DOMAIN_START_VALIDATE;

    if (flags & VIR_DOMAIN_START_AUTODESTROY)
        return inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                             "starting a domain that is destroyed with its connection is not supported by Invar");
    if (flags & ~known)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "unsupported flags (0x%x) in the start of a domain", flags & ~known);
    return TRUE;
}

gboolean
inv_domain_start(InvDaemon *daemon, InvVm *vm, unsigned int flags, GError **error)
{
    g_autoptr(InvVmJob) job = NULL;
    InvDomain *definition;

    if (!check_flags(flags, error))
        return FALSE;
    job = inv_vm_begin_job(vm, "start", error);
    if (!job)
        return FALSE;
    definition = inv_vm_read_inactive(vm, error);
    if (!definition)
        return FALSE;
    return start_under_job(daemon, vm, definition, TRUE, flags, error);
}

/* The domain that the document means, or a new transient one in the tables. */
static InvVm *
find_or_add(InvDaemon *daemon, const InvDomain *domain, gboolean *added, GError **error)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);
    InvVm *vm = inv_registry_find_uuid_locked(daemon->registry, domain->uuid);
    g_autoptr(InvVm) fresh = NULL;

    *added = FALSE;
    if (vm && strcmp(vm->name, domain->name) == 0 && inv_vm_is_persistent(vm)) {
        if (!inv_vm_is_active(vm))
            return inv_vm_ref(vm);
        inv_error_set(error, VIR_ERR_OPERATION_INVALID, "domain '%s' is already active", vm->name);
        return NULL;
    }
    fresh = inv_vm_new(daemon->registry, domain->uuid, domain->name);
    inv_vm_set_summary_locked(fresh, domain);
    /* Held before anybody can see it: what a failing start takes out of the tables must be this start's alone. */
    fresh->job = "create";
    if (!inv_registry_add_locked(daemon->registry, fresh, error))
        return NULL;
    *added = TRUE;
    return g_steal_pointer(&fresh);
}

InvVm *
inv_domain_create_xml(InvDaemon *daemon, const char *xml, unsigned int flags, GError **error)
{
    g_autoptr(InvDomain) domain = NULL;
    g_autoptr(InvVm) vm = NULL;
    g_autoptr(InvVmJob) job = NULL;
    gboolean added = FALSE;

    if (!check_flags(flags, error))
        return NULL;
    domain = inv_domain_prepare(daemon, xml, flags & VIR_DOMAIN_START_VALIDATE ? VIR_DOMAIN_DEFINE_VALIDATE : 0, error);
    if (!domain)
        return NULL;
    vm = find_or_add(daemon, domain, &added, error);
    if (!vm)
        return NULL;
    job = added ? inv_vm_ref(vm) : inv_vm_begin_job(vm, "create", error);
    if (job && start_under_job(daemon, vm, g_steal_pointer(&domain), FALSE, flags, error))
        return g_steal_pointer(&vm);
    if (added) {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        inv_registry_remove_locked(daemon->registry, vm);
    }
    return NULL;
}
