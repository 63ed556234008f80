/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/domain_stop.h"

#include "daemon/adopt.h"
#include "daemon/domain_define.h"
#include "daemon/domain_job.h"
#include "daemon/guest_process.h"
#include "daemon/migration_in.h"
#include "daemon/migration_out.h"
#include "util/error.h"

#include <sys/wait.h>

/* Time for QEMU to flush its images after SIGTERM, as libvirt gives it. */
#define DESTROY_GRACE_MS 15000u

static void
clear_run_locked(InvVm *vm, int state_reason)
{
    g_clear_pointer(&vm->process, inv_process_unref);
    g_clear_pointer(&vm->qmp, inv_qmp_unref);
    g_clear_pointer(&vm->live, inv_domain_free);
    g_clear_pointer(&vm->live_record, inv_cpu_record_free);
    vm->id = -1;
    vm->state = VIR_DOMAIN_SHUTOFF;
    vm->reason = state_reason;
    vm->fake_reboot = FALSE;
    vm->quiet = FALSE;
    vm->stop_detail = -1;
    vm->migration_state = INV_MIGRATION_NONE;
    inv_vm_forget_run_tunables_locked(vm);
    /* Who holds a long job looks whether the guest is still there. */
    inv_registry_wake_locked(vm->registry);
}

void
inv_domain_forget_run(InvDaemon *daemon, InvVm *vm, int state_reason, int detail)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvQmp) qmp = NULL;
    g_autoptr(InvProcess) process = NULL;
    g_autoptr(InvDomain) inactive = NULL;
    g_autofree char *folder = inv_guest_process_folder(daemon, vm);

    if (!inv_store_clear_running(daemon->store, vm->uuid_text, &error))
        g_warning("%s: %s", vm->uuid_text, error->message);
    inactive = inv_vm_read_inactive(vm, NULL);
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        /* The holder of a long job and who holds the short one may both come to the end of the same run. */
        if (!inv_vm_is_active(vm) && !vm->process && !vm->qmp && !vm->live)
            return;
        qmp = vm->qmp ? inv_qmp_ref(vm->qmp) : NULL;
        process = vm->process ? inv_process_ref(vm->process) : NULL;
        clear_run_locked(vm, state_reason);
        if (inactive)
            inv_vm_set_summary_locked(vm, inactive);
    }
    if (qmp)
        inv_qmp_close(qmp);
    /* Nobody knows this process any more: its exit shall not reach a daemon that has ended meanwhile. */
    if (process)
        inv_process_forget_callback(process);
    inv_guest_process_remove_folder(folder);
    /* One that runs elsewhere now must not be started here as well. */
    if (state_reason == VIR_DOMAIN_SHUTOFF_DESTROYED || state_reason == VIR_DOMAIN_SHUTOFF_SHUTDOWN ||
        state_reason == VIR_DOMAIN_SHUTOFF_MIGRATED)
        inv_adopt_mark_stopped(daemon, vm, TRUE);
    inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_STOPPED, detail);
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        if (!inv_vm_is_persistent(vm))
            inv_registry_remove_locked(daemon->registry, vm);
    }
    inv_migration_in_run_ended(daemon, vm);
    inv_migration_out_run_ended(daemon, vm);
}

static InvProcess *
get_process(InvVm *vm, GError **error)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    if (vm->process)
        return inv_process_ref(vm->process);
    inv_error_set(error, VIR_ERR_OPERATION_INVALID, "Requested operation is not valid: domain '%s' is not running", vm->name);
    return NULL;
}

static void
set_stop_detail(InvVm *vm, int detail)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    vm->stop_detail = detail;
}

static char *
log_of(InvDaemon *daemon, InvVm *vm)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    return inv_guest_process_log(daemon, vm->live->name);
}

/* Ends the QEMU of a start that is under way, which holds the job and may wait for that QEMU for long. */
static gboolean
end_start(InvVm *vm)
{
    g_autoptr(InvProcess) starting = NULL;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        starting = vm->starting ? inv_process_ref(vm->starting) : NULL;
    }
    return starting && inv_process_kill(starting, 0, NULL);
}

gboolean
inv_domain_destroy(InvDaemon *daemon, InvVm *vm, unsigned int flags, GError **error)
{
    const unsigned int known = VIR_DOMAIN_DESTROY_GRACEFUL | VIR_DOMAIN_DESTROY_REMOVE_LOGS;
    g_autoptr(InvVmJob) job = NULL;
    g_autoptr(InvProcess) process = NULL;
    gboolean ended_start;

    if (flags & ~known)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "unsupported flags (0x%x) in destroy", flags & ~known);
    ended_start = end_start(vm);
    job = inv_vm_begin_job(vm, "destroy", ended_start ? NULL : error);
    process = job ? get_process(vm, ended_start ? NULL : error) : NULL;
    if (!process)
        return ended_start;
    set_stop_detail(vm, VIR_DOMAIN_EVENT_STOPPED_DESTROYED);
    if (!(flags & VIR_DOMAIN_DESTROY_GRACEFUL ? inv_process_terminate(process, DESTROY_GRACE_MS, error)
                                              : inv_process_kill(process, DESTROY_GRACE_MS, error))) {
        set_stop_detail(vm, -1);
        return FALSE;
    }
    if (flags & VIR_DOMAIN_DESTROY_REMOVE_LOGS) {
        g_autofree char *log = log_of(daemon, vm);

        (void)remove(log);
    }
    inv_domain_forget_run(daemon, vm, VIR_DOMAIN_SHUTOFF_DESTROYED, VIR_DOMAIN_EVENT_STOPPED_DESTROYED);
    return TRUE;
}

/*
 * While a guest is handed over, each side's QEMU holds a copy that must not run: QEMU itself would
 * obey a "cont" on either of them.
 */
static gboolean
check_not_moving(InvVm *vm, const char *what, GError **error)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);
    virDomainJobOperation operation = inv_vm_job_operation_locked(vm);
    gboolean paused = vm->state == VIR_DOMAIN_PAUSED;

    if (operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "domain '%s' is being migrated to this host and cannot be %s before it has arrived", vm->name, what);
    if (operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT && paused && vm->reason == VIR_DOMAIN_PAUSED_MIGRATION)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "domain '%s' is being handed over to another host and cannot be %s here until that has ended",
                             vm->name, what);
    if (paused && (vm->reason == VIR_DOMAIN_PAUSED_POSTCOPY || vm->reason == VIR_DOMAIN_PAUSED_POSTCOPY_FAILED))
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "domain '%s' runs on another host in post-copy mode and cannot be %s here: recover the migration "
                             "(migrate --postcopy-resume)", vm->name, what);
    return TRUE;
}

gboolean
inv_domain_shutdown(InvDaemon *daemon, InvVm *vm, gboolean reboot, unsigned int flags, GError **error)
{
    /* Both enumerations give these modes the same bits. */
    const unsigned int acpi = VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN;
    g_autoptr(InvQmp) qmp = NULL;

    if (!check_not_moving(vm, reboot ? "rebooted" : "shut down", error))
        return FALSE;
    if (flags & ~acpi)
        return inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                             "%s mode 0x%x is not supported by Invar: only the ACPI power button is (mode acpi)",
                             reboot ? "reboot" : "shutdown", flags & ~acpi);
    qmp = inv_vm_get_qmp(vm, error);
    if (!qmp)
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (vm->live && vm->live->acpi == INV_TRISTATE_OFF)
            return inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                                 "domain '%s' has no ACPI (<acpi/> is not among its <features>): it cannot be asked to power off",
                                 vm->name);
        vm->fake_reboot = reboot;
    }
    return inv_qmp_call(qmp, "system_powerdown", NULL, INV_QMP_DEADLINE_MS, NULL, error);
}

gboolean
inv_domain_reset(InvDaemon *daemon, InvVm *vm, GError **error)
{
    g_autoptr(InvVmJob) job = inv_vm_begin_job(vm, "reset", error);
    g_autoptr(InvQmp) qmp = job && check_not_moving(vm, "reset", error) ? inv_vm_get_qmp(vm, error) : NULL;

    return qmp && inv_qmp_call(qmp, "system_reset", NULL, INV_QMP_DEADLINE_MS, NULL, error);
}

static void
set_quiet(InvVm *vm, gboolean quiet)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    vm->quiet = quiet;
}

static gboolean
check_state(InvVm *vm, gboolean suspend, gboolean *nothing, GError **error)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    *nothing = vm->state == (suspend ? VIR_DOMAIN_PAUSED : VIR_DOMAIN_RUNNING);
    /* Only the destination knows whose it is: to run it twice would be its end. */
    if (!suspend && inv_migration_holds_guest_locked(vm))
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "domain '%s' stands still for its migration: it goes on here, or at the other host, when that is "
                             "decided (domjobabort calls it off where that is possible)",
                             vm->name);
    if (!suspend && vm->state == VIR_DOMAIN_RUNNING)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "domain '%s' is already running", vm->name);
    return TRUE;
}

/* stop or cont, the new state, and its event. */
static gboolean
change_run_state(InvDaemon *daemon, InvVm *vm, gboolean suspend, GError **error)
{
    g_autoptr(InvVmJob) job = inv_vm_begin_job(vm, suspend ? "suspend" : "resume", error);
    g_autoptr(InvQmp) qmp =
        job && check_not_moving(vm, suspend ? "suspended" : "resumed", error) ? inv_vm_get_qmp(vm, error) : NULL;
    gboolean nothing = FALSE, ok;

    if (!qmp || !check_state(vm, suspend, &nothing, error))
        return FALSE;
    if (nothing)
        return TRUE;
    set_quiet(vm, TRUE);
    ok = inv_qmp_call(qmp, suspend ? "stop" : "cont", NULL, INV_QMP_DEADLINE_MS, NULL, error);
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        vm->quiet = FALSE;
        if (!ok)
            return FALSE;
        vm->state = suspend ? VIR_DOMAIN_PAUSED : VIR_DOMAIN_RUNNING;
        vm->reason = suspend ? (int)VIR_DOMAIN_PAUSED_USER : (int)VIR_DOMAIN_RUNNING_UNPAUSED;
    }
    inv_domain_event(daemon, vm, suspend ? VIR_DOMAIN_EVENT_SUSPENDED : VIR_DOMAIN_EVENT_RESUMED,
                     suspend ? (int)VIR_DOMAIN_EVENT_SUSPENDED_PAUSED : (int)VIR_DOMAIN_EVENT_RESUMED_UNPAUSED);
    return TRUE;
}

gboolean
inv_domain_suspend(InvDaemon *daemon, InvVm *vm, GError **error)
{
    return change_run_state(daemon, vm, TRUE, error);
}

gboolean
inv_domain_resume(InvDaemon *daemon, InvVm *vm, GError **error)
{
    return change_run_state(daemon, vm, FALSE, error);
}

/* A process of ours is gone: what the I/O thread hands to a task. */
typedef struct {
    InvDaemon *daemon;
    InvProcess *process;
    int status;
} Exit;

/* An exit comes once: whoever holds the domain is waited for, however long it takes. NULL: the domain is gone. */
static InvVmJob *
begin_exit_job(InvVm *vm)
{
    for (;;) {
        g_autoptr(GError) error = NULL;
        InvVmJob *job = inv_vm_begin_job(vm, "exit", &error);

        if (job || inv_error_code(error) != VIR_ERR_OPERATION_TIMEOUT)
            return job;
    }
}

/* virDomainShutoffReason of virDomainEventStoppedDetailType; -1: the guest has powered itself off. */
static int
shutoff_reason(int detail)
{
    switch (detail) {
    case VIR_DOMAIN_EVENT_STOPPED_DESTROYED:
        return VIR_DOMAIN_SHUTOFF_DESTROYED;
    case VIR_DOMAIN_EVENT_STOPPED_MIGRATED:
        return VIR_DOMAIN_SHUTOFF_MIGRATED;
    case VIR_DOMAIN_EVENT_STOPPED_FAILED:
        return VIR_DOMAIN_SHUTOFF_FAILED;
    default:
        return VIR_DOMAIN_SHUTOFF_SHUTDOWN;
    }
}

static void
handle_exit(gpointer data)
{
    Exit *ended = data;
    g_autoptr(InvVm) vm = inv_registry_get_process(ended->daemon->registry, ended->process);
    g_autoptr(InvVmJob) job = NULL;
    gboolean still = FALSE, crashed = FALSE;
    int detail = -1;

    if (vm) {
        /* Who holds the domain meanwhile need not wait for its own deadline. */
        inv_vm_job_news(vm);
        job = begin_exit_job(vm);
    }
    if (job) {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        /* A destroy that held the job may have forgotten this run, and a start begun another. */
        still = vm->process == ended->process;
        detail = vm->stop_detail;
        crashed = detail < 0 && (ended->status < 0 ? TRUE : !WIFEXITED(ended->status) || WEXITSTATUS(ended->status) != 0);
    }
    if (still && crashed)
        inv_domain_forget_run(ended->daemon, vm, VIR_DOMAIN_SHUTOFF_CRASHED, VIR_DOMAIN_EVENT_STOPPED_FAILED);
    else if (still)
        inv_domain_forget_run(ended->daemon, vm,
                              shutoff_reason(detail),
                              detail < 0 ? (int)VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN : detail);
    inv_process_unref(ended->process);
    g_free(ended);
}

void
inv_domain_process_exited(InvDaemon *daemon, InvProcess *process, int status)
{
    Exit *ended = g_new0(Exit, 1);

    ended->daemon = daemon;
    ended->process = inv_process_ref(process);
    ended->status = status;
    inv_daemon_post(daemon, handle_exit, ended);
}

/* Ends the QEMU of a guest that has ended itself. */
static void
end_guest(InvDaemon *daemon, InvVm *vm, int state_reason, int detail)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvProcess) process = get_process(vm, NULL);

    if (!process)
        return;
    set_stop_detail(vm, detail);
    if (!inv_process_kill(process, DESTROY_GRACE_MS, &error)) {
        g_warning("%s: %s", vm->uuid_text, error->message);
        return;
    }
    inv_domain_forget_run(daemon, vm, state_reason, detail);
}

void
inv_domain_end(InvDaemon *daemon, InvVm *vm, int state_reason, int detail)
{
    g_autoptr(InvVmJob) job = inv_vm_begin_inner_job(vm, "end", NULL);

    if (job)
        end_guest(daemon, vm, state_reason, detail);
}

/* Starts the same QEMU's guest again from its firmware: no new CPU, no new process. */
static void
restart_guest(InvDaemon *daemon, InvVm *vm)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvQmp) qmp = inv_vm_get_qmp(vm, NULL);

    if (!qmp)
        return;
    set_quiet(vm, TRUE);
    if (!inv_qmp_call(qmp, "system_reset", NULL, INV_QMP_DEADLINE_MS, NULL, &error) ||
        !inv_qmp_call(qmp, "cont", NULL, INV_QMP_DEADLINE_MS, NULL, &error)) {
        g_warning("%s: the guest could not be restarted: %s", vm->uuid_text, error->message);
        set_quiet(vm, FALSE);
        end_guest(daemon, vm, VIR_DOMAIN_SHUTOFF_FAILED, VIR_DOMAIN_EVENT_STOPPED_FAILED);
        return;
    }
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        vm->quiet = FALSE;
        vm->state = VIR_DOMAIN_RUNNING;
        vm->reason = VIR_DOMAIN_RUNNING_BOOTED;
    }
}

void
inv_domain_guest_shutdown(InvDaemon *daemon, InvVm *vm)
{
    g_autoptr(InvVmJob) job = inv_vm_begin_job(vm, "shutdown", NULL);
    InvLifecycleAction action = INV_ACTION_UNSET;
    gboolean reboot = FALSE;

    if (!job)
        return;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (!vm->live)
            return;
        reboot = vm->fake_reboot;
        vm->fake_reboot = FALSE;
        action = reboot ? vm->live->on_reboot : vm->live->on_poweroff;
        if (action == INV_ACTION_UNSET)
            action = reboot ? INV_ACTION_RESTART : INV_ACTION_DESTROY;
        if (action == INV_ACTION_PRESERVE) {
            vm->state = VIR_DOMAIN_SHUTDOWN;
            vm->reason = VIR_DOMAIN_SHUTDOWN_USER;
            return;
        }
    }
    if (action == INV_ACTION_RESTART || action == INV_ACTION_RENAME_RESTART)
        restart_guest(daemon, vm);
    else
        end_guest(daemon, vm, VIR_DOMAIN_SHUTOFF_SHUTDOWN, VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN);
}

void
inv_domain_guest_crashed(InvDaemon *daemon, InvVm *vm)
{
    g_autoptr(InvVmJob) job = inv_vm_begin_job(vm, "crash", NULL);
    InvLifecycleAction action = INV_ACTION_UNSET;

    if (!job)
        return;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (!vm->live)
            return;
        action = vm->live->on_crash == INV_ACTION_UNSET ? INV_ACTION_DESTROY : vm->live->on_crash;
        vm->state = VIR_DOMAIN_CRASHED;
        vm->reason = VIR_DOMAIN_CRASHED_PANICKED;
    }
    inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_CRASHED, VIR_DOMAIN_EVENT_CRASHED_PANICKED);
    if (action == INV_ACTION_RESTART || action == INV_ACTION_COREDUMP_RESTART)
        restart_guest(daemon, vm);
    else if (action != INV_ACTION_PRESERVE)
        end_guest(daemon, vm, VIR_DOMAIN_SHUTOFF_CRASHED, VIR_DOMAIN_EVENT_STOPPED_CRASHED);
}
