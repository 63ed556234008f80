/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/migration_end.h"

#include "daemon/domain_define.h"
#include "daemon/domain_job.h"
#include "daemon/domain_stop.h"
#include "daemon/migration_cut.h"
#include "daemon/migration_peer.h"
#include "daemon/migration_postcopy.h"
#include "daemon/migrations.h"
#include "util/error.h"
#include "util/fault.h"

#include <string.h>

/* All of the guest is elsewhere, and its images were let go of: nothing is left to flush. */
#define END_GRACE_MS 0u
#define CANCEL_DEADLINE_MS 10000u
/* One that does not answer by then waits for the network. */
#define CUT_DEADLINE_MS 2000u
/* From the end of QEMU's monitor to that of its process. */
#define END_DEADLINE_US (2 * G_USEC_PER_SEC)
/* For a lost event. */
#define LOOK_MS 200u

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

static void
set_phase(InvVm *vm, InvMigrationOut *out, InvOutPhase phase)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    out->phase = phase;
}

static void
put_back(InvVm *vm, InvMigrationOut *out, InvOutPhase phase)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    out->phase = phase;
    out->busy = FALSE;
}

/* The one message of a migration in the domain's; NULL: none. */
static void
set_message(InvVm *vm, InvMigrationOut *out, const char *message)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);
    guint index = 0;

    if (out->message && g_ptr_array_find_with_equal_func(vm->messages, out->message, g_str_equal, &index))
        g_ptr_array_remove_index(vm->messages, index);
    g_free(out->message);
    out->message = g_strdup(message);
    if (message)
        inv_vm_add_message_locked(vm, "%s", message);
}

/* QEMU waits for a network that swallows what it sends. */
static void
cut(InvVm *vm, const InvMigrationOut *out)
{
    g_autoptr(InvProcess) process = NULL;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        process = vm->process ? inv_process_ref(vm->process) : NULL;
    }
    if (process && inv_migration_cut(inv_process_pid(process), out->port))
        g_message("domain %s: its connection to the destination was ended from outside: QEMU waited for it", vm->uuid_text);
}

/* QEMU has let go of the migration: until then the guest cannot go on. */
static gboolean
cancel(InvVm *vm, const InvMigrationOut *out, InvQmp *qmp, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + CANCEL_DEADLINE_MS * 1000;
    g_autoptr(GError) cause = NULL;

    if (!inv_migration_cancel(qmp, CUT_DEADLINE_MS, &cause)) {
        if (inv_error_code(cause) == VIR_ERR_OPERATION_TIMEOUT)
            cut(vm, out);
        if (!inv_migration_cancel(qmp, CANCEL_DEADLINE_MS, error))
            return FALSE;
    }
    while (inv_vm_is_alive(vm) && g_get_monotonic_time() < deadline) {
        InvMigrationProgress progress = { 0 };
        InvMigrationState state = INV_MIGRATION_NONE;

        if (!inv_migration_query(qmp, &progress, CANCEL_DEADLINE_MS, error))
            return FALSE;
        state = progress.state;
        inv_migration_progress_clear(&progress);
        if (state == INV_MIGRATION_NONE || state == INV_MIGRATION_COMPLETED || state == INV_MIGRATION_FAILED ||
            state == INV_MIGRATION_CANCELLED)
            return TRUE;
        inv_vm_wait_migration(vm, state, LOOK_MS);
    }
    return inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT, "QEMU has not cancelled the migration within %u s",
                         CANCEL_DEADLINE_MS / 1000);
}

static gboolean
resume(InvDaemon *daemon, InvVm *vm, const InvMigrationOut *out, GError **error)
{
    g_autoptr(InvQmp) qmp = inv_vm_get_qmp(vm, error);
    gboolean was_paused = FALSE;

    if (!qmp || !cancel(vm, out, qmp, error))
        return FALSE;
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
    /* Takes the images back, too. */
    if (!inv_qmp_call(qmp, "cont", NULL, INV_QMP_DEADLINE_MS, NULL, error))
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

static gboolean
has_ended(InvVm *vm)
{
    g_autoptr(InvQmp) qmp = inv_vm_get_qmp(vm, NULL);
    gint64 deadline = g_get_monotonic_time() + END_DEADLINE_US;

    while (inv_vm_is_alive(vm) && (!qmp || !inv_qmp_is_open(qmp)) && g_get_monotonic_time() < deadline)
        inv_vm_wait_migration(vm, INV_MIGRATION_NONE, LOOK_MS);
    return !inv_vm_is_alive(vm);
}

gboolean
inv_migration_out_resume(InvDaemon *daemon, InvVm *vm, const InvMigrationOut *out, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (!inv_vm_is_alive(vm) || resume(daemon, vm, out, &cause))
        return TRUE;
    /* Nobody has to let run what ends: its monitor goes first. */
    if (has_ended(vm))
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

static void
stay(InvDaemon *daemon, InvVm *vm, InvMigrationOut *out, InvOutPhase phase, const char *what, const GError *cause)
{
    g_autofree char *message = g_strdup_printf("%s, which is tried again and again: %s", what, cause->message);

    g_warning("domain %s: %s", vm->uuid_text, message);
    set_message(vm, out, message);
    put_back(vm, out, phase);
    inv_migrations_resolve_later(daemon->migrations);
}

void
inv_migration_out_return_later(InvDaemon *daemon, InvVm *vm, InvMigrationOut *out, const GError *cause)
{
    stay(daemon, vm, out, INV_OUT_RETURNING, "its migration was called off, and it does not go on here yet", cause);
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
    inv_fault_point("migrate-out-undefined");
    if (undefine) {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        vm->persistent = FALSE;
        vm->autostart = FALSE;
        vm->revision = 0;
    }
    if (process)
        inv_domain_forget_run(daemon, vm, VIR_DOMAIN_SHUTOFF_MIGRATED, VIR_DOMAIN_EVENT_STOPPED_MIGRATED);
    if (undefine)
        inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_UNDEFINED, VIR_DOMAIN_EVENT_UNDEFINED_REMOVED);
    return TRUE;
}

/* In postcopy neither answer ends anything before the last page has gone. */
static gboolean
wait_for_pages(InvDaemon *daemon, InvVm *vm, InvMigrationOut *out, gboolean cancelled, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (!inv_vm_is_alive(vm) || (!cancelled && inv_migration_postcopy_wait(daemon, vm, &cause)))
        return TRUE;
    if (cancelled)
        inv_error_set(&cause, VIR_ERR_OPERATION_FAILED, "its migration was not finished at the destination, where the guest runs");
    if (inv_vm_is_alive(vm)) {
        inv_migration_postcopy_failed(daemon, vm, FALSE, cause->message);
        put_back(vm, out, INV_OUT_INTERRUPTED);
        /* One that ended meanwhile found it in hand: nobody would come to it any more. */
        if (!inv_vm_is_alive(vm))
            inv_migration_out_run_ended(daemon, vm);
    }
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

gboolean
inv_migration_out_end(InvDaemon *daemon, InvVm *vm, InvMigrationOut *out, gboolean cancelled, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (out->postcopy && !wait_for_pages(daemon, vm, out, cancelled, error))
        return FALSE;

    if (cancelled ? !inv_migration_out_resume(daemon, vm, out, &cause) : !end_here(daemon, vm, out, &cause)) {
        if (cancelled)
            inv_migration_out_return_later(daemon, vm, out, cause);
        else
            stay(daemon, vm, out, INV_OUT_ENDING, "it was migrated to another host, and is not ended here yet", cause);
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    set_message(vm, out, NULL);
    inv_migration_out_forget(daemon, vm, out);
    inv_migration_out_leave(daemon, vm, !cancelled);
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (!inv_vm_is_persistent(vm) && !inv_vm_is_active(vm))
            inv_registry_remove_locked(vm->registry, vm);
    }
    return TRUE;
}

void
inv_migration_out_run_ended(InvDaemon *daemon, InvVm *vm)
{
    InvMigrationOut *out = inv_migration_out_take(vm);

    /* Who performs or ends it sees for himself. */
    if (!out)
        return;
    /* The destination has all of the guest: who drives it may still finish it there, which to ask would prevent. */
    if (out->phase == INV_OUT_SENT) {
        put_back(vm, out, out->phase);
        return;
    }
    /* The definition is left: the destination still has to be asked before this domain is started again. */
    if (!vm->removed && (out->phase == INV_OUT_UNDECIDED || out->phase == INV_OUT_ENDING)) {
        put_back(vm, out, out->phase);
        inv_migrations_resolve_later(daemon->migrations);
        return;
    }
    set_message(vm, out, NULL);
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

/* By the destination's word, or without it by that of who knows better. */
static gboolean
decide(InvVm *vm, InvMigrationOut *out, gboolean *cancelled, GError **error)
{
    InvMigrationPhase outcome = INV_PHASE_UNKNOWN;
    g_autoptr(GError) cause = NULL;
    gboolean forced;

    if (inv_migration_peer_ask(out->peer, out->token, vm->uuid_text, &outcome, &cause)) {
        *cancelled = outcome != INV_PHASE_FINISHED;
        g_message("domain %s: its migration %s", vm->uuid_text,
                  *cancelled ? "was called off: it goes on here" : "had been finished: it runs at the destination");
        return TRUE;
    }
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        forced = out->forced;
    }
    *cancelled = TRUE;
    if (!forced) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    g_warning("domain %s goes on here by the word of a client, while its destination cannot be asked: %s", vm->uuid_text,
              cause->message);
    return TRUE;
}

gboolean
inv_migration_out_resolve(InvDaemon *daemon, InvVm *vm, GError **error)
{
    InvMigrationOut *out = inv_migration_out_take(vm);
    gboolean cancelled = TRUE;

    if (!out)
        return TRUE;
    if (out->phase == INV_OUT_RETURNING || out->phase == INV_OUT_ENDING)
        return inv_migration_out_end(daemon, vm, out, out->phase == INV_OUT_RETURNING, error);
    if (out->phase != INV_OUT_UNDECIDED) {
        put_back(vm, out, out->phase);
        return TRUE;
    }
    /* Of a daemon before this one, too. */
    out->postcopy = out->postcopy || inv_migration_postcopy_is_open(vm);
    if (!decide(vm, out, &cancelled, error)) {
        put_back(vm, out, INV_OUT_UNDECIDED);
        return FALSE;
    }
    return inv_migration_out_end(daemon, vm, out, cancelled, error);
}

/* domjobabort of an undecided one. */
static gboolean
force_here(InvVm *vm, unsigned int flags, gpointer data, GError **error)
{
    InvDaemon *daemon = data;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (!vm->migration_out || vm->migration_out->phase != INV_OUT_UNDECIDED)
            return TRUE;
        vm->migration_out->forced = TRUE;
    }
    inv_migrations_resolve_later(daemon->migrations);
    return TRUE;
}

/* Nobody can decide it now: the guest stands still, and says so. */
static void
stand_still(InvDaemon *daemon, InvVm *vm, InvMigrationOut *out, const char *cause)
{
    g_autofree char *message =
        g_strdup_printf("it stands still: all of it was sent to another host, and whether it runs there is not known. It goes on "
                        "here, or is ended here, as soon as that host can be asked (%s). If it is certain that it does not run "
                        "there, domjobabort lets it go on here; if it does, destroy ends it here",
                        cause);

    set_message(vm, out, message);
    inv_vm_set_job_abort(vm, force_here, daemon);
    put_back(vm, out, INV_OUT_UNDECIDED);
    inv_migrations_resolve_later(daemon->migrations);
}

/* Nobody drives it any more, and all was sent. */
static void
become_undecided(InvDaemon *daemon, InvVm *vm, InvMigrationOut *out)
{
    g_autoptr(GError) error = NULL;
    gboolean cancelled = TRUE;

    set_phase(vm, out, INV_OUT_UNDECIDED);
    if (decide(vm, out, &cancelled, &error)) {
        inv_migration_out_end(daemon, vm, out, cancelled, NULL);
        return;
    }
    g_warning("domain %s stands still until its migration's outcome is known: %s", vm->uuid_text, error->message);
    stand_still(daemon, vm, out, error->message);
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
    switch (out->phase) {
    case INV_OUT_BEGUN:
        inv_migration_out_leave(daemon, vm, FALSE);
        return;
    case INV_OUT_SENT:
        become_undecided(daemon, vm, out);
        return;
    case INV_OUT_UNDECIDED:
    case INV_OUT_INTERRUPTED:
    case INV_OUT_RETURNING:
    case INV_OUT_ENDING:
        put_back(vm, out, out->phase);
        return;
    }
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
    out->phase = stored->phase == INV_PHASE_SENDING ? INV_OUT_RETURNING : INV_OUT_UNDECIDED;
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
        /* The state may be on its way still: nobody would finish it. */
        inv_migration_out_end(daemon, vm, out, TRUE, NULL);
        return;
    }
    stand_still(daemon, vm, out, "this daemon was started anew");
}
