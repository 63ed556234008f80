/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/domain_job.h"

#include "util/error.h"

#include <string.h>

struct InvLongJob {
    const char *what;
    virDomainJobOperation operation;
    gint64 started_us;
    unsigned int flags;       /* virDomainMigrateFlags */
    gboolean abort_requested;
    gboolean abort_closed;    /* it would come too late */
    guint aborts_running;     /* calls of `abort` on other threads */
    InvJobAbort abort;
    gpointer abort_data;
    gboolean news;            /* something that no wait has returned for */
    guint64 iterations_told;
    gboolean times_told;      /* by the destination: they stay */
    InvJobFigures figures;
};

/* What only long jobs need, so that a hundred thousand idle domains do without. */
struct InvVmJobs {
    InvJobFigures last; /* type NONE: there is none */
    InvMigrationTunables tunables;
};

void
inv_job_figures_clear(InvJobFigures *figures)
{
    g_clear_pointer(&figures->progress.error, g_free);
    memset(figures, 0, sizeof(*figures));
}

void
inv_job_figures_copy(InvJobFigures *to, const InvJobFigures *from)
{
    g_autofree char *old = to->progress.error;
    char *message = g_strdup(from->progress.error);

    *to = *from;
    to->progress.error = message;
}

void
inv_vm_jobs_free(InvVmJobs *jobs)
{
    if (!jobs)
        return;
    inv_job_figures_clear(&jobs->last);
    g_free(jobs);
}

static InvVmJobs *
jobs_locked(InvVm *vm)
{
    if (!vm->jobs)
        vm->jobs = g_new0(InvVmJobs, 1);
    return vm->jobs;
}

void
inv_long_job_free(InvLongJob *job)
{
    if (!job)
        return;
    inv_job_figures_clear(&job->figures);
    g_free(job);
}

const char *
inv_long_job_what(const InvLongJob *job)
{
    return job->what;
}

gboolean
inv_long_job_lets_in(const InvLongJob *job, const char *what)
{
    /* What ends the guest or follows what it has done cannot wait for minutes; what stops it belongs to the user at any time. */
    static const char *const let_in[] = { "destroy", "exit", "shutdown", "crash", "suspend", "resume", "reset", NULL };

    return g_strv_contains(let_in, what);
}

virDomainJobOperation
inv_vm_job_operation_locked(const InvVm *vm)
{
    return vm->long_job ? vm->long_job->operation : VIR_DOMAIN_JOB_OPERATION_UNKNOWN;
}

InvLongJob *
inv_vm_begin_long_job(InvVm *vm, virDomainJobOperation operation, const char *what, GError **error)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);
    InvLongJob *job;

    if (!inv_vm_wait_free_locked(vm, what, INV_JOB_LONG, error))
        return NULL;
    job = g_new0(InvLongJob, 1);
    job->what = what;
    job->operation = operation;
    job->started_us = g_get_monotonic_time();
    job->figures.operation = operation;
    job->figures.type = VIR_DOMAIN_JOB_UNBOUNDED;
    /* A broken postcopy goes on in a job of its own. */
    if (vm->migration_state != INV_MIGRATION_POSTCOPY_PAUSED)
        vm->migration_state = INV_MIGRATION_NONE;
    /* Both are released by inv_vm_end_long_job(). */
    inv_vm_ref(vm);
    vm->long_job = job;
    return job;
}

static guint64
elapsed_ms(const InvLongJob *job)
{
    return (guint64)MAX(g_get_monotonic_time() - job->started_us, 0) / 1000;
}

void
inv_vm_end_long_job(InvVm *vm, gboolean succeeded)
{
    g_auto(InvJobFigures) figures = { 0 };

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);
        InvLongJob *job;

        while (vm->long_job && vm->long_job->aborts_running)
            inv_registry_wait_locked(vm->registry, G_MAXINT64);
        job = g_steal_pointer(&vm->long_job);
        if (!job)
            return;
        if (!job->times_told)
            job->figures.elapsed_ms = elapsed_ms(job);
        job->figures.type = succeeded              ? VIR_DOMAIN_JOB_COMPLETED
                            : job->abort_requested ? VIR_DOMAIN_JOB_CANCELLED
                                                   : VIR_DOMAIN_JOB_FAILED;
        /* A destination may have noted already what the source told it. */
        if (job->figures.has_progress)
            inv_job_figures_copy(&jobs_locked(vm)->last, &job->figures);
        inv_job_figures_copy(&figures, &job->figures);
        inv_long_job_free(job);
        inv_registry_wake_locked(vm->registry);
    }
    if (succeeded && figures.has_progress)
        inv_registry_tell_completed(vm, &figures);
    inv_vm_unref(vm);
}

InvVmJob *
inv_vm_begin_inner_job(InvVm *vm, const char *what, GError **error)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    if (!inv_vm_wait_free_locked(vm, what, INV_JOB_INNER, error))
        return NULL;
    vm->job = what;
    return inv_vm_ref(vm);
}

/* TRUE, once for each: the caller tells clients. */
static gboolean
is_new_iteration_locked(InvVm *vm, guint64 iteration)
{
    if (!vm->long_job || iteration <= vm->long_job->iterations_told || iteration > G_MAXINT)
        return FALSE;
    vm->long_job->iterations_told = iteration;
    return TRUE;
}

void
inv_vm_report_job(InvVm *vm, const InvMigrationProgress *progress, guint64 disk_total, guint64 disk_done)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);
    InvJobFigures *figures = vm->long_job ? &vm->long_job->figures : NULL;

    if (!figures)
        return;
    g_free(figures->progress.error);
    figures->progress = *progress;
    figures->progress.error = g_strdup(progress->error);
    figures->has_progress = TRUE;
    figures->disk_total = disk_total;
    figures->disk_done = disk_done;
}

void
inv_vm_tell_job_times(InvVm *vm, const InvJobFigures *figures)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);
    InvLongJob *job = vm->long_job;

    if (!job || job->operation != VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT)
        return;
    job->times_told = TRUE;
    job->figures.elapsed_ms = figures->elapsed_ms;
    job->figures.has_net = figures->has_net;
    job->figures.elapsed_net_ms = figures->elapsed_net_ms;
    job->figures.downtime_net_ms = figures->downtime_net_ms;
    if (!figures->progress.has_downtime)
        return;
    job->figures.progress.has_downtime = TRUE;
    job->figures.progress.downtime_ms = figures->progress.downtime_ms;
}

void
inv_vm_migration_pass(InvVm *vm, guint64 pass)
{
    gboolean tell;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        tell = inv_vm_job_operation_locked(vm) == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT && is_new_iteration_locked(vm, pass);
    }
    inv_vm_job_news(vm);
    if (tell)
        inv_registry_tell_iteration(vm, (int)pass);
}

void
inv_vm_migration_event(InvVm *vm, InvMigrationState state)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    vm->migration_state = state;
    inv_registry_wake_locked(vm->registry);
}

void
inv_vm_job_news(InvVm *vm)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    if (!vm->long_job)
        return;
    vm->long_job->news = TRUE;
    inv_registry_wake_locked(vm->registry);
}

void
inv_vm_set_job_flags(InvVm *vm, unsigned int flags)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    if (vm->long_job)
        vm->long_job->flags = flags;
}

unsigned int
inv_vm_job_flags(InvVm *vm)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    return vm->long_job ? vm->long_job->flags : 0;
}

void
inv_vm_set_job_abort(InvVm *vm, InvJobAbort abort, gpointer data)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    /* Who runs the old one still has its data. */
    while (vm->long_job && vm->long_job->aborts_running)
        inv_registry_wait_locked(vm->registry, G_MAXINT64);
    if (!vm->long_job)
        return;
    vm->long_job->abort = abort;
    vm->long_job->abort_data = data;
    /* Who knows what to do has time to do it. */
    if (abort)
        vm->long_job->abort_closed = FALSE;
}

gboolean
inv_vm_job_abort_requested(InvVm *vm)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    return vm->long_job && vm->long_job->abort_requested;
}

gboolean
inv_vm_close_job_abort(InvVm *vm)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    while (vm->long_job && vm->long_job->aborts_running)
        inv_registry_wait_locked(vm->registry, G_MAXINT64);
    if (!vm->long_job)
        return TRUE;
    vm->long_job->abort = NULL;
    vm->long_job->abort_closed = TRUE;
    return !vm->long_job->abort_requested;
}

static gboolean
is_postcopy(InvMigrationState state)
{
    return state == INV_MIGRATION_POSTCOPY || state == INV_MIGRATION_POSTCOPY_PAUSED || state == INV_MIGRATION_POSTCOPY_RECOVER;
}

static gboolean
check_abort_locked(const InvVm *vm, unsigned int flags, GError **error)
{
    const gboolean wants_postcopy = (flags & VIR_DOMAIN_ABORT_JOB_POSTCOPY) != 0;
    virDomainJobOperation operation = inv_vm_job_operation_locked(vm);
    gboolean out = operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT;

    if (!vm->long_job && !inv_vm_is_active(vm))
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "Requested operation is not valid: domain '%s' is not running",
                             vm->name);
    if (!vm->long_job)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "no job is active on the domain '%s'", vm->name);
    if (operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "cannot abort the incoming migration of domain '%s': abort it on its source, or destroy the domain here",
                             vm->name);
    if (wants_postcopy && !(out && is_postcopy(vm->migration_state)))
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "the current job of domain '%s' is not an outgoing migration in post-copy mode", vm->name);
    if (!wants_postcopy && out && is_postcopy(vm->migration_state))
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "cannot abort the migration of domain '%s': in post-copy mode neither side has the whole guest; "
                             "domjobabort --postcopy interrupts it, so that it can be recovered", vm->name);
    if (!wants_postcopy && vm->long_job->abort_closed)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "cannot abort the migration of domain '%s': all of the guest was sent, and the destination decides "
                             "whether it runs there", vm->name);
    return TRUE;
}

gboolean
inv_vm_abort_job(InvVm *vm, unsigned int flags, GError **error)
{
    InvJobAbort abort;
    gpointer data;
    gboolean ok;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (!check_abort_locked(vm, flags, error))
            return FALSE;
        /* An interrupted postcopy is not an aborted migration: it waits for its recovery. */
        if (!(flags & VIR_DOMAIN_ABORT_JOB_POSTCOPY))
            vm->long_job->abort_requested = TRUE;
        vm->long_job->news = TRUE;
        inv_registry_wake_locked(vm->registry);
        abort = vm->long_job->abort;
        data = vm->long_job->abort_data;
        if (!abort)
            return TRUE;
        /* Until it has returned the job does not end, nor does its data. */
        vm->long_job->aborts_running++;
    }
    ok = abort(vm, flags, data, error);
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        vm->long_job->aborts_running--;
        inv_registry_wake_locked(vm->registry);
    }
    return ok;
}

static gboolean
is_alive_locked(const InvVm *vm)
{
    InvProcess *process = vm->process ? vm->process : vm->starting;

    return process && inv_process_is_alive(process);
}

gboolean
inv_vm_is_alive(InvVm *vm)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    return is_alive_locked(vm);
}

InvMigrationState
inv_vm_wait_migration(InvVm *vm, InvMigrationState known, guint timeout_ms)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    while (vm->migration_state == known && is_alive_locked(vm) && !(vm->long_job && vm->long_job->news)) {
        if (!inv_registry_wait_locked(vm->registry, deadline))
            break;
    }
    if (vm->long_job)
        vm->long_job->news = FALSE;
    return vm->migration_state;
}

gboolean
inv_vm_get_job(InvVm *vm, InvJobFigures *figures)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    if (!vm->long_job)
        return FALSE;
    inv_job_figures_copy(figures, &vm->long_job->figures);
    figures->elapsed_ms = elapsed_ms(vm->long_job);
    return TRUE;
}

gboolean
inv_vm_get_last_job(InvVm *vm, gboolean keep, InvJobFigures *figures)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    if (vm->long_job || !vm->jobs || vm->jobs->last.type == VIR_DOMAIN_JOB_NONE)
        return FALSE;
    inv_job_figures_copy(figures, &vm->jobs->last);
    if (!keep)
        inv_job_figures_clear(&vm->jobs->last);
    return TRUE;
}

void
inv_vm_set_last_job(InvVm *vm, const InvJobFigures *figures)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    inv_job_figures_copy(&jobs_locked(vm)->last, figures);
}

void
inv_vm_get_tunables(InvVm *vm, InvMigrationTunables *tunables)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    *tunables = vm->jobs ? vm->jobs->tunables : (InvMigrationTunables){ 0 };
}

void
inv_vm_set_tunable(InvVm *vm, gsize field, guint64 value)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    G_STRUCT_MEMBER(guint64, &jobs_locked(vm)->tunables, field) = value;
}

void
inv_vm_forget_run_tunables_locked(InvVm *vm)
{
    if (vm->jobs)
        vm->jobs->tunables = (InvMigrationTunables){ .bandwidth = vm->jobs->tunables.bandwidth };
}
