/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/monitor_events.h"

#include "daemon/daemon.h"
#include "daemon/domain_define.h"
#include "daemon/domain_job.h"
#include "daemon/domain_stop.h"

#include <string.h>

/* QEMU closes its monitor before it has flushed its images: time for that. */
#define LOST_GRACE_MS 15000u

/* An event on its way from the I/O thread to a task. */
typedef struct {
    InvDaemon *daemon;
    InvVm *vm;
    void (*handle)(InvDaemon *daemon, InvVm *vm);
} Task;

static void
run_task(gpointer data)
{
    Task *task = data;

    task->handle(task->daemon, task->vm);
    inv_vm_unref(task->vm);
    g_free(task);
}

static void
post(InvDaemon *daemon, InvVm *vm, void (*handle)(InvDaemon *daemon, InvVm *vm))
{
    Task *task = g_new0(Task, 1);

    task->daemon = daemon;
    task->vm = inv_vm_ref(vm);
    task->handle = handle;
    inv_daemon_post(daemon, run_task, task);
}

/* The guest's processors stand still, and not because a call of ours asked for it. */
static void
stopped(InvDaemon *daemon, InvVm *vm, const InvJson *data)
{
    virDomainPausedReason reason = VIR_DOMAIN_PAUSED_UNKNOWN;
    virDomainEventSuspendedDetailType detail = VIR_DOMAIN_EVENT_SUSPENDED_PAUSED;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        if (vm->quiet || vm->state != VIR_DOMAIN_RUNNING)
            return;
        if (inv_vm_job_operation_locked(vm) == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT) {
            gboolean postcopy = vm->migration_state == INV_MIGRATION_POSTCOPY;

            reason = postcopy ? VIR_DOMAIN_PAUSED_POSTCOPY : VIR_DOMAIN_PAUSED_MIGRATION;
            detail = postcopy ? VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY : VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED;
        }
        vm->state = VIR_DOMAIN_PAUSED;
        vm->reason = (int)reason;
    }
    inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_SUSPENDED, (int)detail);
}

static void
resumed(InvDaemon *daemon, InvVm *vm, const InvJson *data)
{
    virDomainEventResumedDetailType detail = VIR_DOMAIN_EVENT_RESUMED_UNPAUSED;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);
        virDomainJobOperation operation = inv_vm_job_operation_locked(vm);

        /* A guest that arrives runs when the migration's own end says so. */
        if (vm->quiet || vm->state == VIR_DOMAIN_RUNNING || operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN)
            return;
        /* QEMU gives the guest back that it could not hand over. */
        if (operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT && vm->state == VIR_DOMAIN_PAUSED &&
            vm->reason == VIR_DOMAIN_PAUSED_MIGRATION)
            detail = VIR_DOMAIN_EVENT_RESUMED_MIGRATED;
        vm->state = VIR_DOMAIN_RUNNING;
        vm->reason = detail == VIR_DOMAIN_EVENT_RESUMED_MIGRATED ? (int)VIR_DOMAIN_RUNNING_MIGRATION_CANCELED
                                                                 : (int)VIR_DOMAIN_RUNNING_UNPAUSED;
    }
    inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_RESUMED, (int)detail);
}

static void
migration(InvDaemon *daemon, InvVm *vm, const InvJson *data)
{
    const char *status = inv_json_get_string(data, "status");
    InvMigrationState state;

    if (status && inv_migration_state_from_string(status, &state))
        inv_vm_migration_event(vm, state);
    else
        g_warning("%s: the migration is in a state that Invar does not know: '%s'", vm->uuid_text, status ? status : "");
}

static void
migration_pass(InvDaemon *daemon, InvVm *vm, const InvJson *data)
{
    inv_vm_migration_pass(vm, (guint64)MAX(inv_json_get_int(data, "pass", 0), 0));
}

static void
block_job(InvDaemon *daemon, InvVm *vm, const InvJson *data)
{
    inv_vm_job_news(vm);
}

static void
shut_down(InvDaemon *daemon, InvVm *vm, const InvJson *data)
{
    gboolean by_guest = inv_json_get_boolean(data, "guest", TRUE);

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        /* QEMU says SHUTDOWN, too, when it is ended from outside: then its end is handled already. */
        if (vm->stop_detail >= 0)
            return;
        vm->quiet = TRUE;
        vm->state = VIR_DOMAIN_SHUTDOWN;
        vm->reason = VIR_DOMAIN_SHUTDOWN_USER;
    }
    inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_SHUTDOWN,
                     by_guest ? VIR_DOMAIN_EVENT_SHUTDOWN_GUEST : VIR_DOMAIN_EVENT_SHUTDOWN_HOST);
    post(daemon, vm, inv_domain_guest_shutdown);
}

static void
io_error(InvDaemon *daemon, InvVm *vm, const InvJson *data)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

    inv_vm_add_message_locked(vm, "a disk gave an I/O error: see the log of this domain");
}

static void
reset(InvDaemon *daemon, InvVm *vm, const InvJson *data)
{
    g_autofree char *name = NULL;
    int id;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        name = g_strdup(vm->name);
        id = vm->id;
    }
    inv_events_reboot(daemon->events, &(InvEventDomain){ .name = name, .uuid = vm->uuid, .id = id });
}

static void
panicked(InvDaemon *daemon, InvVm *vm, const InvJson *data)
{
    post(daemon, vm, inv_domain_guest_crashed);
}

static const struct {
    const char *event;
    void (*handle)(InvDaemon *daemon, InvVm *vm, const InvJson *data);
} handlers[] = {
    { "STOP", stopped },
    { "RESUME", resumed },
    { "SHUTDOWN", shut_down },
    { "RESET", reset },
    { "GUEST_PANICKED", panicked },
    { "BLOCK_IO_ERROR", io_error },
    { "MIGRATION", migration },
    { "MIGRATION_PASS", migration_pass },
    { "BLOCK_JOB_READY", block_job },
    { "BLOCK_JOB_COMPLETED", block_job },
    { "BLOCK_JOB_CANCELLED", block_job },
    { "BLOCK_JOB_ERROR", block_job },
};

void
inv_monitor_event(InvQmp *qmp, const char *event, const InvJson *data, gint64 seconds, gint64 microseconds, gpointer user_data)
{
    InvDaemon *daemon = user_data;

    for (gsize i = 0; i < G_N_ELEMENTS(handlers); i++) {
        if (strcmp(handlers[i].event, event) == 0) {
            g_autoptr(InvVm) vm = inv_registry_get_qmp(daemon->registry, qmp);

            if (vm)
                handlers[i].handle(daemon, vm, data);
            return;
        }
    }
    g_debug("monitor event %s is not acted on", event);
}

/* A monitor that broke while its QEMU lives cannot be managed any more: QEMU is ended, as libvirt does. */
static void
lost_monitor(InvDaemon *daemon, InvVm *vm)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvProcess) process = NULL;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        process = vm->process ? inv_process_ref(vm->process) : NULL;
    }
    /* Its exit, which comes with the end of every QEMU, is handled where exits are. */
    if (process && inv_process_is_alive(process) && !inv_process_kill(process, LOST_GRACE_MS, &error))
        g_warning("%s: %s", vm->uuid_text, error->message);
}

void
inv_monitor_closed(InvQmp *qmp, const GError *error, gpointer user_data)
{
    InvDaemon *daemon = user_data;
    g_autoptr(InvVm) vm = inv_registry_get_qmp(daemon->registry, qmp);

    if (vm) {
        inv_vm_job_news(vm);
        g_info("%s: the monitor is closed: %s", vm->uuid_text, error ? error->message : "");
        post(daemon, vm, lost_monitor);
    }
}
