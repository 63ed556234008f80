/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/migration_postcopy.h"

#include "daemon/domain_define.h"
#include "daemon/domain_job.h"
#include "util/error.h"

#define LOOK_MS 200u
/* QEMU has the other end's answer by then, or never. */
#define RESUME_DEADLINE_US (30 * G_USEC_PER_SEC)

static gboolean
look(InvVm *vm, InvMigrationState *state, GError **error)
{
    g_autoptr(InvQmp) qmp = inv_vm_get_qmp(vm, error);
    InvMigrationProgress progress = { 0 };

    if (!qmp || !inv_migration_query(qmp, &progress, INV_QMP_DEADLINE_MS, error))
        return FALSE;
    /* A destination counts nothing. */
    if (progress.total)
        inv_vm_report_job(vm, &progress, 0, 0);
    *state = progress.state;
    inv_migration_progress_clear(&progress);
    return TRUE;
}

gboolean
inv_migration_postcopy_wait(InvDaemon *daemon, InvVm *vm, GError **error)
{
    InvMigrationState state = INV_MIGRATION_NONE;
    /* By QEMU's events, of which a restarted daemon has had none: `state` would differ from it for ever, and nobody wait. */
    InvMigrationState told = INV_MIGRATION_NONE;

    while (inv_vm_is_alive(vm)) {
        if (!look(vm, &state, error))
            return FALSE;
        if (state == INV_MIGRATION_COMPLETED)
            return TRUE;
        if (state != INV_MIGRATION_POSTCOPY && state != INV_MIGRATION_DEVICE && state != INV_MIGRATION_ACTIVE &&
            state != INV_MIGRATION_POSTCOPY_RECOVER)
            return inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                                 "the connection broke while the guest's memory followed it (QEMU: %s): nothing is lost while both "
                                 "sides wait; take it up again with virsh migrate --postcopy --postcopy-resume",
                                 inv_migration_state_to_string(state));
        if (inv_daemon_is_ending(daemon))
            return inv_error_set(error, VIR_ERR_OPERATION_ABORTED,
                                 "operation aborted: this daemon is ending; the guest's memory goes on following it");
        told = inv_vm_wait_migration(vm, told, LOOK_MS);
    }
    return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "QEMU of domain '%s' ended while the guest's memory was on its way",
                         vm->name);
}

void
inv_migration_postcopy_failed(InvDaemon *daemon, InvVm *vm, gboolean incoming, const char *why)
{
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (!inv_vm_is_active(vm))
            return;
        inv_vm_add_message_locked(vm, "its migration is interrupted: %s", why);
        vm->reason = incoming ? (int)VIR_DOMAIN_RUNNING_POSTCOPY_FAILED : (int)VIR_DOMAIN_PAUSED_POSTCOPY_FAILED;
    }
    if (incoming)
        inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_RESUMED, VIR_DOMAIN_EVENT_RESUMED_POSTCOPY_FAILED);
    else
        inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY_FAILED);
}

gboolean
inv_migration_postcopy_is_open(InvVm *vm)
{
    InvMigrationState state = INV_MIGRATION_NONE;

    return inv_vm_is_alive(vm) && look(vm, &state, NULL) &&
           (state == INV_MIGRATION_POSTCOPY || state == INV_MIGRATION_POSTCOPY_PAUSED || state == INV_MIGRATION_POSTCOPY_RECOVER);
}

gboolean
inv_migration_postcopy_resume(InvVm *vm, const char *address, GError **error)
{
    g_autoptr(InvQmp) qmp = inv_vm_get_qmp(vm, error);
    gint64 deadline = g_get_monotonic_time() + RESUME_DEADLINE_US;
    InvMigrationState state = INV_MIGRATION_POSTCOPY_PAUSED;
    InvMigrationState told = INV_MIGRATION_NONE;
    gboolean tried = FALSE;

    if (!qmp || !inv_migration_start(qmp, address, TRUE, INV_QMP_DEADLINE_MS, error))
        return FALSE;
    while (inv_vm_is_alive(vm) && g_get_monotonic_time() < deadline) {
        if (!look(vm, &state, error))
            return FALSE;
        if (state == INV_MIGRATION_POSTCOPY || state == INV_MIGRATION_COMPLETED)
            return TRUE;
        tried = tried || state != INV_MIGRATION_POSTCOPY_PAUSED;
        if (tried && state == INV_MIGRATION_POSTCOPY_PAUSED)
            break;
        told = inv_vm_wait_migration(vm, told, LOOK_MS);
    }
    return inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                         "the interrupted migration of domain '%s' was not taken up again at %s (QEMU: %s)", vm->name, address,
                         inv_migration_state_to_string(state));
}
