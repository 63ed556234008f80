/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/migration_end.h"

#include "daemon/domain_define.h"
#include "daemon/domain_job.h"
#include "daemon/domain_stop.h"
#include "daemon/migration_peer.h"
#include "daemon/migration_postcopy.h"
#include "daemon/migrations.h"
#include "util/error.h"
#include "util/fault.h"

#include <string.h>

/* All of the guest is elsewhere, and its images were let go of: nothing is left to flush. */
#define END_GRACE_MS 0u

gboolean
inv_migration_out_note(InvDaemon *daemon, const InvVm *vm, const InvMigrationOut *out, InvMigrationPhase phase, GError **error)
{
    InvStoredMigration stored = {
        .token = out->token,
        .role = INV_MIGRATION_OUT,
        .uuid = (char *)vm->uuid_text,
        .phase = phase,
        .peer = out->peer,
        .flags = out->flags,
        .running = out->was_running,
    };

    return inv_store_set_migration(daemon->store, &stored, error);
}

void
inv_migration_out_forget(InvDaemon *daemon, const InvVm *vm, const InvMigrationOut *out)
{
    g_autoptr(GError) error = NULL;

    if (!inv_store_clear_migration(daemon->store, out->token, INV_MIGRATION_OUT, &error))
        g_warning("%s: %s", vm->uuid_text, error->message);
}

gboolean
inv_migration_out_resume(InvDaemon *daemon, InvVm *vm, const InvMigrationOut *out, GError **error)
{
    g_autoptr(InvQmp) qmp = NULL;
    gboolean was_paused = FALSE;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        was_paused = vm->state == VIR_DOMAIN_PAUSED;
        vm->quiet = FALSE;
        if (!out->was_running || !inv_vm_is_active(vm)) {
            if (was_paused && vm->reason == VIR_DOMAIN_PAUSED_MIGRATION)
                vm->reason = VIR_DOMAIN_PAUSED_USER;
            return TRUE;
        }
    }
    qmp = inv_vm_get_qmp(vm, error);
    /* Takes the images back, too. */
    if (!qmp || !inv_qmp_call(qmp, "cont", NULL, INV_QMP_DEADLINE_MS, NULL, error))
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        vm->state = VIR_DOMAIN_RUNNING;
        vm->reason = VIR_DOMAIN_RUNNING_MIGRATION_CANCELED;
    }
    if (was_paused)
        inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_RESUMED, VIR_DOMAIN_EVENT_RESUMED_MIGRATED);
    return TRUE;
}

/* It runs elsewhere: its QEMU here goes, and its definition if that was asked for. */
static gboolean
end_here(InvDaemon *daemon, InvVm *vm, const InvMigrationOut *out, GError **error)
{
    g_autoptr(InvProcess) process = NULL;
    gboolean undefine = FALSE;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        process = vm->process ? inv_process_ref(vm->process) : NULL;
        vm->stop_detail = VIR_DOMAIN_EVENT_STOPPED_MIGRATED;
        undefine = (out->flags & VIR_MIGRATE_UNDEFINE_SOURCE) && inv_vm_is_persistent(vm);
    }
    if (process && !inv_process_kill(process, END_GRACE_MS, error))
        return FALSE;
    inv_fault_point("migrate-out-ended");
    if (undefine && !inv_store_undefine(daemon->store, vm->uuid_text, error))
        return FALSE;
    if (undefine) {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        g_clear_pointer(&vm->inactive_xml, g_free);
        vm->autostart = FALSE;
        vm->revision = 0;
    }
    if (process)
        inv_domain_forget_run(daemon, vm, VIR_DOMAIN_SHUTOFF_MIGRATED, VIR_DOMAIN_EVENT_STOPPED_MIGRATED);
    if (undefine)
        inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_UNDEFINED, VIR_DOMAIN_EVENT_UNDEFINED_REMOVED);
    return TRUE;
}

static void
put_back(InvVm *vm, InvMigrationOut *out, InvOutPhase phase)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    out->phase = phase;
    out->busy = FALSE;
}

/* In postcopy neither answer ends anything before the last page has gone. */
static gboolean
wait_for_pages(InvDaemon *daemon, InvVm *vm, InvMigrationOut *out, gboolean cancelled, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (!inv_vm_is_alive(vm) || (!cancelled && inv_migration_postcopy_wait(vm, &cause)))
        return TRUE;
    if (cancelled)
        inv_error_set(&cause, VIR_ERR_OPERATION_FAILED, "its migration was not finished at the destination, where the guest runs");
    if (inv_vm_is_alive(vm)) {
        inv_migration_postcopy_failed(daemon, vm, FALSE, cause->message);
        put_back(vm, out, INV_OUT_INTERRUPTED);
    }
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

gboolean
inv_migration_out_end(InvDaemon *daemon, InvVm *vm, InvMigrationOut *out, gboolean cancelled, GError **error)
{
    gboolean ok;

    if (out->postcopy && !wait_for_pages(daemon, vm, out, cancelled, error))
        return FALSE;
    ok = cancelled ? inv_migration_out_resume(daemon, vm, out, error) : end_here(daemon, vm, out, error);

    inv_migration_out_forget(daemon, vm, out);
    inv_migration_out_leave(daemon, vm, !cancelled);
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (!inv_vm_is_persistent(vm) && !inv_vm_is_active(vm))
            inv_registry_remove_locked(vm->registry, vm);
    }
    return ok;
}

void
inv_migration_out_run_ended(InvDaemon *daemon, InvVm *vm)
{
    InvMigrationOut *out = inv_migration_out_take(vm);

    /* Who performs or ends it sees for himself. */
    if (!out)
        return;
    /* The definition is left, and the destination may have all of the guest: it still has to be asked before this domain is started again. */
    if (!vm->removed && (out->phase == INV_OUT_SENT || out->phase == INV_OUT_UNDECIDED)) {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        out->phase = INV_OUT_UNDECIDED;
        out->busy = FALSE;
        inv_migrations_resolve_later(daemon->migrations);
        return;
    }
    inv_migration_out_forget(daemon, vm, out);
    inv_migration_out_leave(daemon, vm, FALSE);
}

gboolean
inv_migration_holds_guest_locked(const InvVm *vm)
{
    return vm->migration_in || (vm->migration_out && vm->reason == VIR_DOMAIN_PAUSED_MIGRATION) ||
           (vm->migration_out && vm->migration_out->phase != INV_OUT_BEGUN);
}

gboolean
inv_migration_out_is_undecided(InvVm *vm)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    return vm->migration_out && vm->migration_out->phase == INV_OUT_UNDECIDED;
}

gboolean
inv_migration_out_resolve(InvDaemon *daemon, InvVm *vm, GError **error)
{
    InvMigrationOut *out = inv_migration_out_take(vm);
    InvMigrationPhase outcome = INV_PHASE_UNKNOWN;

    if (!out)
        return TRUE;
    if (out->phase != INV_OUT_UNDECIDED) {
        put_back(vm, out, out->phase);
        return TRUE;
    }
    /* Of a daemon before this one, too. */
    out->postcopy = out->postcopy || inv_migration_postcopy_is_open(vm);
    if (!inv_migration_peer_ask(out->peer, out->token, vm->uuid_text, &outcome, error)) {
        put_back(vm, out, INV_OUT_UNDECIDED);
        return FALSE;
    }
    g_message("domain %s: its migration %s", vm->uuid_text,
              outcome == INV_PHASE_FINISHED ? "had been finished: it runs at the destination" : "was called off: it goes on here");
    return inv_migration_out_end(daemon, vm, out, outcome != INV_PHASE_FINISHED, error);
}

/* Nobody drives it any more, and all was sent. */
static void
become_undecided(InvDaemon *daemon, InvVm *vm, InvMigrationOut *out)
{
    g_autoptr(GError) error = NULL;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        inv_vm_add_message_locked(vm, "its migration has lost who drove it: it stands still until the destination says whether it "
                                      "runs there (%s)",
                                  out->peer ? out->peer : "unknown");
    }
    put_back(vm, out, INV_OUT_UNDECIDED);
    if (inv_migration_out_resolve(daemon, vm, &error))
        return;
    g_warning("domain %s stands still until its migration's outcome is known: %s", vm->uuid_text, error->message);
    inv_migrations_resolve_later(daemon->migrations);
}

void
inv_migration_out_undecided(InvDaemon *daemon, InvVm *vm)
{
    InvMigrationOut *out = inv_migration_out_take(vm);

    if (out)
        become_undecided(daemon, vm, out);
}

void
inv_migration_out_client_gone(InvDaemon *daemon, InvVm *vm, guint64 client)
{
    InvMigrationOut *out = NULL;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        out = vm->migration_out;
        if (!out || out->client != client)
            return;
        /* Perform runs: without its client nobody would finish what it sends. */
        if (out->busy) {
            out->client_gone = TRUE;
            return;
        }
        out->busy = TRUE;
    }
    if (out->phase == INV_OUT_BEGUN)
        inv_migration_out_leave(daemon, vm, FALSE);
    else
        become_undecided(daemon, vm, out);
}

/* What a restarted daemon finds. */
static InvMigrationOut *
restore(InvDaemon *daemon, InvVm *vm, const InvStoredMigration *stored, GError **error)
{
    InvMigrationOut *out = NULL;

    if (!inv_vm_begin_long_job(vm, VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT, "migration out", error))
        return NULL;
    inv_vm_close_job_abort(vm);
    out = g_new0(InvMigrationOut, 1);
    out->flags = stored->flags;
    out->token = g_strdup(stored->token);
    out->peer = g_strdup(stored->peer);
    out->was_running = stored->running;
    out->phase = INV_OUT_UNDECIDED;
    out->busy = TRUE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        vm->migration_out = out;
        if (inv_vm_is_active(vm)) {
            vm->state = VIR_DOMAIN_PAUSED;
            vm->reason = VIR_DOMAIN_PAUSED_MIGRATION;
        }
    }
    return out;
}

/* The state may be on its way still: nobody would finish it. */
static void
call_off(InvDaemon *daemon, InvVm *vm, InvMigrationOut *out)
{
    g_autoptr(InvQmp) qmp = inv_vm_get_qmp(vm, NULL);
    g_autoptr(GError) error = NULL;

    if (qmp && !inv_migration_cancel(qmp, INV_QMP_DEADLINE_MS, &error))
        g_warning("domain %s: %s", vm->uuid_text, error->message);
    g_clear_error(&error);
    if (!inv_migration_out_end(daemon, vm, out, TRUE, &error))
        g_warning("domain %s does not go on after its migration was called off: %s", vm->uuid_text, error->message);
}

void
inv_migration_out_adopt(InvDaemon *daemon, const InvStoredMigration *stored)
{
    unsigned char uuid[VIR_UUID_BUFLEN];
    g_autoptr(InvVm) vm = inv_uuid_parse(stored->uuid, uuid) ? inv_registry_get_uuid(daemon->registry, uuid, NULL) : NULL;
    g_autoptr(GError) error = NULL;
    InvMigrationOut *out = NULL;

    if (!vm) {
        if (!inv_store_clear_migration(daemon->store, stored->token, INV_MIGRATION_OUT, &error))
            g_warning("%s: %s", stored->uuid, error->message);
        return;
    }
    out = restore(daemon, vm, stored, &error);
    if (!out) {
        g_warning("%s: %s", stored->uuid, error->message);
        return;
    }
    if (stored->phase == INV_PHASE_SENDING) {
        g_message("calling off the unfinished migration of domain %s", stored->uuid);
        call_off(daemon, vm, out);
        return;
    }
    put_back(vm, out, INV_OUT_UNDECIDED);
    inv_migrations_resolve_later(daemon->migrations);
}
