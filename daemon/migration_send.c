/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/migration_send.h"

#include "daemon/disk_copy.h"
#include "daemon/domain_define.h"
#include "daemon/domain_job.h"
#include "daemon/migration_postcopy.h"
#include "daemon/migrations.h"
#include "util/error.h"
#include "util/fault.h"

#include <string.h>

/* How often figures are read, the other side is looked after, and a lost event is made up for. */
#define LOOK_MS 200u
/* While it writes the last of the guest's state QEMU does not answer; meanwhile there are others to look after. */
#define LOOK_DEADLINE_MS 2000u
/* A connection over which nothing has moved for so long is broken, whatever TCP still hopes for. */
#define STALL_US (30 * G_USEC_PER_SEC)
/* A disk of which nothing is copied for so long, because a host that is gone does not even say so. Writing zeroes counts for nothing. */
#define COPY_STALL_US (120 * G_USEC_PER_SEC)
/* The guest stands still while the last blocks of its disks are written. */
#define COPY_END_DEADLINE_MS 30000u

typedef struct {
    InvDaemon *daemon;
    InvVm *vm;
    InvMigrationOut *out;
    const InvMigrationPerform *perform;
    const InvMigrationCookie *theirs;
    InvQmp *qmp;
    GPtrArray *disks;         /* of InvCopiedDisk: they go along; or NULL */
    guint64 disk_total, disk_done;
    InvMigrationState state;  /* the last one seen */
    guint64 moved;            /* bytes, when something moved last */
    gint64 moved_us;
} Send;

/* Not live: the guest stands still from the beginning. */
static gboolean
stop_guest(Send *send, GError **error)
{
    InvVm *vm = send->vm;
    gboolean running;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        running = vm->state == VIR_DOMAIN_RUNNING;
        vm->quiet = TRUE;
    }
    if (!running || (send->out->flags & VIR_MIGRATE_LIVE))
        return TRUE;
    send->out->stopped_us = g_get_monotonic_time();
    if (!inv_qmp_call(send->qmp, "stop", NULL, INV_QMP_DEADLINE_MS, NULL, error))
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        vm->state = VIR_DOMAIN_PAUSED;
        vm->reason = VIR_DOMAIN_PAUSED_MIGRATION;
    }
    inv_domain_event(send->daemon, vm, VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED);
    return TRUE;
}

/* What was set for this domain's migrations counts where the call itself says nothing. */
static gboolean
configure(Send *send, GError **error)
{
    InvMigrationSettings settings = send->perform->options->settings;
    InvMigrationTunables tunables = { 0 };

    inv_vm_get_tunables(send->vm, &tunables);
    settings.bandwidth = settings.bandwidth ? settings.bandwidth : tunables.bandwidth;
    settings.postcopy_bandwidth = settings.postcopy_bandwidth ? settings.postcopy_bandwidth : tunables.postcopy_bandwidth;
    settings.downtime_ms = tunables.downtime_ms;
    settings.xbzrle_cache = settings.xbzrle_cache ? settings.xbzrle_cache : tunables.compression_cache;
    settings.pause_before_switchover = TRUE;
    settings.one_way = (send->out->flags & VIR_MIGRATE_TUNNELLED) != 0;
    /* The texts stay the options' own. */
    return inv_migration_configure(send->qmp, &settings, FALSE, INV_QMP_DEADLINE_MS, error);
}

/* Somebody wants an end, or the other side is gone. */
static gboolean
check_wanted(Send *send, GError **error)
{
    gboolean gone;

    if (inv_vm_job_abort_requested(send->vm))
        return inv_error_set(error, VIR_ERR_OPERATION_ABORTED, "operation aborted: migration out job: canceled by client");
    if (inv_daemon_is_ending(send->daemon))
        return inv_error_set(error, VIR_ERR_OPERATION_ABORTED, "operation aborted: this daemon is ending");
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(send->vm->registry);

        gone = send->out->client_gone;
    }
    if (gone)
        return inv_error_set(error, VIR_ERR_OPERATION_ABORTED, "operation aborted: the client of this migration is gone");
    return !send->perform->tick || send->perform->tick(send->perform->user_data, error);
}

static gboolean
look_at_disks(guint64 total, guint64 done, gpointer user_data, GError **error)
{
    Send *send = user_data;
    InvMigrationProgress progress = { .state = INV_MIGRATION_SETUP };
    gint64 now = g_get_monotonic_time();

    if (done != send->disk_done || !send->moved_us)
        send->moved_us = now;
    if (now - send->moved_us > COPY_STALL_US)
        return inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                             "nothing of the disks has been copied for %d s: the connection to the destination is broken",
                             (int)(COPY_STALL_US / G_USEC_PER_SEC));
    send->disk_total = total;
    send->disk_done = done;
    inv_vm_report_job(send->vm, &progress, total, done);
    return check_wanted(send, error);
}

/* Disks first: the state is sent once they follow the guest. */
static gboolean
copy_disks(Send *send, GError **error)
{
    const InvMigrationOptions *options = send->perform->options;

    if (!inv_migration_options_copy(options))
        return TRUE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(send->vm->registry);

        if (!send->vm->live)
            return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "QEMU of domain '%s' has ended", send->vm->name);
        send->disks = inv_migration_copied_disks(send->vm->live, (const char *const *)options->disks, error);
    }
    return send->disks && inv_disk_copy_send(send->vm, send->qmp, send->disks, options, send->theirs, options->settings.bandwidth,
                                             look_at_disks, send, error);
}

/* Where the state goes, in QEMU's form; owned by the caller. */
static char *
state_address(const Send *send, GError **error)
{
    g_autofree char *host = NULL, *path = NULL;
    guint port = 0;

    if (!send->perform->options->uri) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the destination did not say where the state of the guest goes");
        return NULL;
    }
    if (!inv_migration_uri_parse(send->perform->options->uri, &host, &port, &path, error))
        return NULL;
    if (path)
        return g_strconcat("unix:", path, NULL);
    send->out->port = port;
    if (port)
        return inv_migration_address_tcp(host, port);
    inv_error_set(error, VIR_ERR_INVALID_ARG, "'%s' names no port", send->perform->options->uri);
    return NULL;
}

static gboolean
start(Send *send, GError **error)
{
    g_autofree char *address = state_address(send, error);

    if (!address)
        return FALSE;
    inv_fault_point("migrate-out-before-start");
    send->moved_us = g_get_monotonic_time();
    if (!inv_migration_start(send->qmp, address, FALSE, INV_QMP_DEADLINE_MS, error))
        return FALSE;
    inv_fault_point("migrate-out-started");
    return TRUE;
}

static gboolean
check_moving(Send *send, const InvMigrationProgress *progress, GError **error)
{
    gint64 now = g_get_monotonic_time();

    if (progress->transferred != send->moved || progress->state == INV_MIGRATION_PRE_SWITCHOVER) {
        send->moved = progress->transferred;
        send->moved_us = now;
    }
    if (now - send->moved_us < STALL_US)
        return TRUE;
    return inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                         "nothing of the guest's state has moved for %d s: the connection to %s is broken",
                         (int)(STALL_US / G_USEC_PER_SEC), send->perform->options->uri);
}

/* The guest stands still, the last of its state is to be sent: from here it takes as long as the guest's downtime. */
static gboolean
switch_over(Send *send, GError **error)
{
    gboolean ran = FALSE;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(send->vm->registry);

        ran = send->vm->state == VIR_DOMAIN_RUNNING;
        if (ran) {
            send->vm->state = VIR_DOMAIN_PAUSED;
            send->vm->reason = VIR_DOMAIN_PAUSED_MIGRATION;
        }
    }
    if (ran) {
        send->out->stopped_us = g_get_monotonic_time();
        inv_domain_event(send->daemon, send->vm, VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED);
    }
    inv_fault_point("migrate-out-switchover");
    if (send->disks && !inv_migration_copy_finish(send->qmp, send->disks, FALSE, COPY_END_DEADLINE_MS, error))
        return FALSE;
    /* They are over: nothing is left to be given up. */
    g_clear_pointer(&send->disks, g_ptr_array_unref);
    return inv_migration_continue(send->qmp, INV_QMP_DEADLINE_MS, error);
}

static void
become_postcopy(Send *send)
{
    send->out->postcopy = TRUE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(send->vm->registry);

        send->vm->state = VIR_DOMAIN_PAUSED;
        send->vm->reason = VIR_DOMAIN_PAUSED_POSTCOPY;
    }
    inv_domain_event(send->daemon, send->vm, VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY);
}

/* A look at QEMU: *@done once all is sent. */
static gboolean
look(Send *send, gboolean *done, GError **error)
{
    InvMigrationProgress progress = { 0 };
    g_autoptr(GError) cause = NULL;
    gboolean ok = TRUE;

    if (!inv_migration_query(send->qmp, &progress, LOOK_DEADLINE_MS, &cause)) {
        progress.transferred = send->moved;
        progress.state = send->state == INV_MIGRATION_PRE_SWITCHOVER ? INV_MIGRATION_DEVICE : send->state;
        if (inv_error_code(cause) == VIR_ERR_OPERATION_TIMEOUT)
            return check_moving(send, &progress, error);
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    inv_vm_report_job(send->vm, &progress, send->disk_total, send->disk_done);
    switch (progress.state) {
    case INV_MIGRATION_COMPLETED:
        inv_fault_point("migrate-out-completed");
        *done = TRUE;
        break;
    case INV_MIGRATION_POSTCOPY:
    case INV_MIGRATION_POSTCOPY_PAUSED:
        /* Who drives it makes the guest run over there now, and the rest follows. */
        become_postcopy(send);
        *done = TRUE;
        break;
    case INV_MIGRATION_FAILED:
        ok = inv_error_set(error, VIR_ERR_OPERATION_FAILED, "operation failed: job 'migration out' failed: %s",
                           progress.error ? progress.error : "the destination has closed the connection, or cannot be reached");
        break;
    case INV_MIGRATION_CANCELLED:
    case INV_MIGRATION_CANCELLING:
        ok = inv_error_set(error, VIR_ERR_OPERATION_ABORTED, "operation aborted: migration out job: canceled by client");
        break;
    case INV_MIGRATION_PRE_SWITCHOVER:
        ok = send->state == INV_MIGRATION_PRE_SWITCHOVER || switch_over(send, error);
        break;
    case INV_MIGRATION_NONE:
    case INV_MIGRATION_SETUP:
    case INV_MIGRATION_ACTIVE:
    case INV_MIGRATION_DEVICE:
    case INV_MIGRATION_POSTCOPY_RECOVER:
        ok = check_moving(send, &progress, error);
        break;
    }
    send->state = progress.state;
    inv_migration_progress_clear(&progress);
    return ok;
}

static gboolean
wait_sent(Send *send, GError **error)
{
    gboolean done = FALSE;

    while (inv_vm_is_alive(send->vm)) {
        if (!check_wanted(send, error) || !look(send, &done, error))
            return FALSE;
        if (done)
            return TRUE;
        inv_vm_wait_migration(send->vm, send->state, LOOK_MS);
    }
    return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "QEMU of domain '%s' ended while it was migrated", send->vm->name);
}

/* The guest is as it was, or goes on later: *@returned says why. */
static gboolean
roll_back(Send *send, GError **returned)
{
    g_autoptr(GError) error = NULL;

    if (send->disks && inv_vm_is_alive(send->vm) &&
        !inv_migration_copy_finish(send->qmp, send->disks, TRUE, COPY_END_DEADLINE_MS, &error))
        g_warning("domain '%s': %s", send->vm->name, error->message);
    return inv_migration_out_resume(send->daemon, send->vm, send->out, returned);
}

/* An interrupted one: the channel alone is made anew. */
static gboolean
take_up(Send *send, GError **error)
{
    g_autofree char *address = NULL;

    /* It has run elsewhere since. */
    send->out->stopped_us = 0;
    return (address = state_address(send, error)) != NULL && inv_migration_postcopy_resume(send->vm, address, error);
}

/* Whoever was told that it is aborted is right. A postcopy can still be interrupted. */
static gboolean
close_abort(Send *send, GError **error)
{
    return send->out->postcopy || inv_vm_close_job_abort(send->vm) || check_wanted(send, error);
}

static gboolean
send_state(Send *send, GError **error)
{
    return stop_guest(send, error) && configure(send, error) && copy_disks(send, error) && start(send, error) &&
           wait_sent(send, error) && close_abort(send, error) &&
           /* Before anybody can hear that all is there. */
           inv_migration_out_note(send->daemon, send->vm, send->out, INV_PHASE_UNDECIDED, error);
}

static gboolean
abort_job(InvVm *vm, unsigned int flags, gpointer data, GError **error)
{
    g_autoptr(InvQmp) qmp = inv_vm_get_qmp(vm, error);

    if (!qmp)
        return FALSE;
    return flags & VIR_DOMAIN_ABORT_JOB_POSTCOPY ? inv_migration_pause_postcopy(qmp, INV_QMP_DEADLINE_MS, error)
                                                 : inv_migration_cancel(qmp, INV_QMP_DEADLINE_MS, error);
}

gboolean
inv_migration_send(InvDaemon *daemon, InvVm *vm, InvMigrationOut *out, const InvMigrationPerform *perform,
                   const InvMigrationCookie *theirs, GError **returned, GError **error)
{
    g_autoptr(InvQmp) qmp = inv_vm_get_qmp(vm, error);
    Send send = { .daemon = daemon, .vm = vm, .out = out, .perform = perform, .theirs = theirs, .qmp = qmp };
    gboolean ok;

    if (!qmp)
        return FALSE;
    if (out->phase == INV_OUT_INTERRUPTED)
        return take_up(&send, error);
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        out->was_running = vm->state == VIR_DOMAIN_RUNNING;
    }
    if (!inv_migration_out_note(daemon, vm, out, INV_PHASE_SENDING, error))
        return FALSE;
    inv_vm_set_job_abort(vm, abort_job, NULL);
    ok = send_state(&send, error);
    if (!ok)
        inv_vm_set_job_abort(vm, NULL, NULL);
    if (!ok && roll_back(&send, returned))
        inv_migration_out_forget(daemon, vm, out);
    g_clear_pointer(&send.disks, g_ptr_array_unref);
    return ok;
}
