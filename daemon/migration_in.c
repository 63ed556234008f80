/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/migration_in.h"

#include "daemon/disk_copy.h"
#include "daemon/domain_define.h"
#include "daemon/domain_job.h"
#include "daemon/domain_stop.h"
#include "daemon/guest_start.h"
#include "daemon/migration_check.h"
#include "daemon/migration_figures.h"
#include "daemon/migration_listen.h"
#include "daemon/migration_postcopy.h"
#include "daemon/migrations.h"
#include "daemon/record_jobs.h"
#include "qemu/guest_cpu.h"
#include "util/error.h"
#include "util/fault.h"

#include <string.h>

/* QEMU events tell of every change; this is for the one that is lost with its QEMU. */
#define LOOK_AGAIN_MS 500u
/* Nothing is left to flush in a QEMU whose guest never ran. */
#define END_GRACE_MS 0u

struct InvMigrationIn {
    unsigned int flags;
    InvMigrationCookie *source;   /* the source's cookie */
    InvStart start;               /* emptied of what entered the registry */
    InvDiskCopy *copy;            /* disks that come along, or NULL */
    guint64 client;
    gboolean interrupted;         /* the guest runs, its memory does not follow any more; guarded as the next */
    gboolean busy;                /* somebody ends or finishes it; guarded by the registry's lock */
};

void
inv_migration_in_free(InvMigrationIn *in)
{
    if (!in)
        return;
    inv_migration_cookie_free(in->source);
    inv_start_clear(&in->start);
    inv_disk_copy_free(in->copy);
    g_free(in);
}

static gboolean
note(InvDaemon *daemon, const InvVm *vm, const InvMigrationIn *in, InvMigrationPhase phase, gboolean open, GError **error)
{
    InvStoredMigration stored = {
        .token = in->source->token,
        .role = INV_MIGRATION_IN,
        .uuid = (char *)vm->uuid_text,
        .phase = phase,
        .flags = in->flags,
        /* Once finished: what is still to be done. */
        .running = open && in->source->running && !(in->flags & VIR_MIGRATE_PAUSED),
        .xml = open ? in->source->persistent_xml : NULL,
        .record = open ? in->source->persistent_record : NULL,
    };

    return inv_store_set_migration(daemon->store, &stored, error);
}

/* The source's document, as the domain that shall run here. */
static InvDomain *
read_definition(InvDaemon *daemon, const InvMigrationOptions *options, const InvMigrationCookie *source, GError **error)
{
    g_autoptr(InvDomain) domain = NULL;
    char uuid[VIR_UUID_STRING_BUFLEN];

    if (!options->xml) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the migration comes without the domain's definition");
        return NULL;
    }
    domain = inv_domain_parse(options->xml, error);
    if (!domain)
        return NULL;
    inv_uuid_format(domain->uuid, uuid);
    if (!domain->has_uuid || !source->uuid || strcmp(uuid, source->uuid) != 0) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the definition is of domain %s, the migration cookie of %s",
                      domain->has_uuid ? uuid : "(no uuid)", source->uuid ? source->uuid : "(none)");
        return NULL;
    }
    if (options->dname) {
        g_free(domain->name);
        domain->name = g_strdup(options->dname);
    }
    /* Nothing is left to complete but what another version of Invar left out. */
    if (!inv_domain_complete(domain, daemon->host_arch, domain->os.machine, error) || !inv_domain_validate(domain, error))
        return NULL;
    return g_steal_pointer(&domain);
}

/* What is to be kept goes into the store as it came: it must be this domain's, and one that can be read again. */
static gboolean
check_persistent(InvDaemon *daemon, const InvMigrationCookie *source, const InvDomain *domain, GError **error)
{
    g_autoptr(InvDomain) kept = NULL;

    if (!source->persistent_xml)
        return TRUE;
    kept = inv_domain_parse(source->persistent_xml, error);
    if (!kept || !inv_domain_complete(kept, daemon->host_arch, kept->os.machine, error) || !inv_domain_validate(kept, error)) {
        g_prefix_error(error, "the definition to be kept: ");
        return FALSE;
    }
    return (kept->has_uuid && memcmp(kept->uuid, domain->uuid, sizeof(kept->uuid)) == 0 && strcmp(kept->name, domain->name) == 0) ||
           inv_error_set(error, VIR_ERR_INVALID_ARG, "the definition to be kept is of domain '%s', not of '%s'", kept->name,
                         domain->name);
}

/* A start may have held the job before: the guest that runs now is another one, and stays what it is. */
static gboolean
check_claimed(InvVm *vm, GError **error)
{
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (!inv_vm_is_active(vm))
            return TRUE;
        inv_error_set(error, VIR_ERR_OPERATION_FAILED, "domain '%s' was started on this host meanwhile", vm->name);
    }
    inv_vm_end_long_job(vm, FALSE);
    return FALSE;
}

/* The domain of that definition: new and transient, or defined here already and shut off. Its long job is held. */
static InvVm *
claim(InvDaemon *daemon, const InvDomain *domain, GError **error)
{
    g_autoptr(InvVm) vm = NULL;
    gboolean added = FALSE;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);
        InvVm *known = inv_registry_find_uuid_locked(daemon->registry, domain->uuid);

        if (known && inv_vm_is_active(known)) {
            inv_error_set(error, VIR_ERR_OPERATION_FAILED, "domain '%s' is already active as '%s' on this host", domain->name,
                          known->name);
            return NULL;
        }
        if (known && strcmp(known->name, domain->name) != 0) {
            inv_error_set(error, VIR_ERR_OPERATION_FAILED, "domain '%s' is already defined with uuid %s on this host",
                          known->name, known->uuid_text);
            return NULL;
        }
        vm = known ? inv_vm_ref(known) : inv_vm_new(daemon->registry, domain->uuid, domain->name);
        if (!known) {
            inv_vm_set_summary_locked(vm, domain);
            added = TRUE;
            if (!inv_registry_add_locked(daemon->registry, vm, error))
                return NULL;
        }
    }
    if (inv_vm_begin_long_job(vm, VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN, "migration in", error))
        return check_claimed(vm, error) ? g_steal_pointer(&vm) : NULL;
    if (added) {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        inv_registry_remove_locked(daemon->registry, vm);
    }
    return NULL;
}

/* What claim() took is given back; a domain that is here for this migration alone is gone. */
static void
unclaim(InvDaemon *daemon, InvVm *vm)
{
    inv_vm_end_long_job(vm, FALSE);
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        if (!inv_vm_is_persistent(vm) && !inv_vm_is_active(vm))
            inv_registry_remove_locked(daemon->registry, vm);
    }
}

/* All that `invar migrate-check` would say no to, before anything is started. */
static gboolean
decide_start(InvDaemon *daemon, InvMigrationIn *in, const InvMigrationOptions *options, GError **error)
{
    InvStart *start = &in->start;
    g_autoptr(InvVerdict) bound = NULL;

    if (!inv_start_decide(start, error))
        return FALSE;
    if (in->source->record) {
        bound = inv_verdict_new();
        inv_migration_refuse_immobile(bound, &start->decision->facts, in->source->record);
        if (bound->outcome == INV_OUTCOME_REFUSED)
            return inv_verdict_set_error(bound, start->live->name, error);
    }
    return inv_migration_check_prepare(daemon, in->source, options, start->live, error);
}

/* QEMU with exactly the guest's CPU, ready to be sent the state. */
static gboolean
bring_up(InvDaemon *daemon, InvMigrationIn *in, InvMigrationPrepare *prepare, GError **error)
{
    InvStart *start = &in->start;

    if (!decide_start(daemon, in, prepare->options, error))
        return FALSE;
    if (inv_migration_options_copy(prepare->options) &&
        !(in->copy = inv_disk_copy_new(daemon, start->live, in->source, prepare->options, error)))
        return FALSE;
    start->guest = inv_guest_process_spawn(daemon, start->vm, start->live, start->decision, start->cpu_argument, start->id,
                                           "defer", error);
    if (!start->guest)
        return FALSE;
    inv_fault_point("migrate-in-spawned");
    if (inv_start_read_guest(start, error) && inv_start_set_passwords(start, error) &&
        inv_guest_process_read_devices(daemon, start->guest, start->live, error) &&
        inv_migration_configure(start->guest->qmp, &prepare->options->settings, TRUE, inv_daemon_start_deadline(daemon), error) &&
        (!in->copy || inv_disk_copy_receive(in->copy, start->guest->qmp, start->guest->folder, prepare->options, error)) &&
        inv_migration_listen_for_state(daemon, start, prepare, error) &&
        /* All that a successor needs of it, but for the decision: that alone is written while the guest stands still. */
        inv_start_store_running(start, error) &&
        note(daemon, start->vm, in, INV_PHASE_PREPARED, TRUE, error))
        return TRUE;
    inv_guest_process_abandon(daemon, start->vm, start->guest);
    return FALSE;
}

static gboolean
enter(InvDaemon *daemon, InvMigrationIn *in, GError **error)
{
    InvVm *vm = in->start.vm;

    /* A definition that is here already stays what it is until Finish. */
    if (!inv_start_enter_registry(&in->start, error)) {
        inv_guest_process_abandon(daemon, vm, in->start.guest);
        return FALSE;
    }
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        vm->reason = VIR_DOMAIN_PAUSED_MIGRATION;
        vm->migration_in = in;
    }
    return TRUE;
}

/* The migration of @vm for whoever finishes or ends it now; nobody else gets it until then. NULL: there is none. */
static InvMigrationIn *
take(InvVm *vm)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    if (!vm->migration_in || vm->migration_in->busy)
        return NULL;
    vm->migration_in->busy = TRUE;
    return vm->migration_in;
}

static void
put_back(InvVm *vm, InvMigrationIn *in)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    in->busy = FALSE;
}

/* The last thing: the domain is a plain one, or gone. */
static void
leave(InvDaemon *daemon, InvVm *vm, gboolean succeeded)
{
    InvMigrationIn *in = NULL;

    inv_migrations_unwatch(daemon->migrations, vm);
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        in = g_steal_pointer(&vm->migration_in);
    }
    inv_vm_end_long_job(vm, succeeded);
    inv_migration_in_free(in);
}

static void
end_process(InvVm *vm)
{
    g_autoptr(InvProcess) process = NULL;
    g_autoptr(GError) error = NULL;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        process = vm->process ? inv_process_ref(vm->process) : NULL;
        vm->stop_detail = VIR_DOMAIN_EVENT_STOPPED_FAILED;
    }
    if (process && !inv_process_kill(process, END_GRACE_MS, &error))
        g_warning("%s: %s", vm->uuid_text, error->message);
}

/* Ends what was prepared. The caller has taken it. */
static void
call_off(InvDaemon *daemon, InvVm *vm, InvMigrationIn *in)
{
    g_autoptr(GError) error = NULL;

    end_process(vm);
    if (!note(daemon, vm, in, INV_PHASE_CANCELLED, FALSE, &error))
        g_warning("%s: %s", vm->uuid_text, error->message);
    if (in->copy)
        inv_disk_copy_undo(in->copy);
    {
        InvMigrationIn *whole = NULL;

        {
            g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

            whole = g_steal_pointer(&vm->migration_in);
        }
        inv_migrations_unwatch(daemon->migrations, vm);
        if (!(in->flags & VIR_MIGRATE_OFFLINE))
            inv_domain_forget_run(daemon, vm, VIR_DOMAIN_SHUTOFF_FAILED, VIR_DOMAIN_EVENT_STOPPED_FAILED);
        unclaim(daemon, vm);
        inv_migration_in_free(whole);
    }
}

/* Prepared: from here on whoever finishes or calls it off gets it. What went meanwhile found it busy. */
static gboolean
let_go(InvDaemon *daemon, InvVm *vm, InvMigrationIn *in, GError **error)
{
    const guint64 client = in->client;
    gboolean gone = !inv_migrations_is_connected(daemon->migrations, client);
    gboolean dead = !(in->flags & VIR_MIGRATE_OFFLINE) && !inv_vm_is_alive(vm);

    if (!gone && !dead) {
        put_back(vm, in);
        /* One that went since then may have found it busy still. */
        if (!inv_migrations_is_connected(daemon->migrations, client))
            inv_migration_in_client_gone(daemon, vm, client);
        return TRUE;
    }
    call_off(daemon, vm, in);
    return gone ? inv_error_set(error, VIR_ERR_OPERATION_ABORTED, "operation aborted: the client of this migration is gone")
                : inv_error_set(error, VIR_ERR_OPERATION_FAILED, "QEMU of domain '%s' ended while it waited for the state", vm->name);
}

static void
answer(InvDaemon *daemon, const InvMigrationIn *in, InvMigrationPrepare *prepare)
{
    g_autoptr(InvMigrationCookie) cookie = inv_migrations_new_cookie(daemon->migrations, in->start.vm, in->source->token);

    cookie->contact = g_strdup(inv_migrations_contact(daemon->migrations));
    /* Begin told it; the guest that Perform sends must still be that one. */
    cookie->record = inv_cpu_record_copy(in->source->record);
    cookie->emulator_version = g_strdup(in->start.decision ? in->start.decision->facts.emulator : NULL);
    if (in->copy) {
        cookie->nbd_path = g_strdup(in->copy->path);
        cookie->nbd_port = in->copy->port;
    }
    prepare->cookie_out = inv_migration_cookie_format(cookie);
}

/* @source and @domain are taken over. A guest that has a record keeps its CPU. */
static InvMigrationIn *
new_in(InvDaemon *daemon, const InvMigrationPrepare *prepare, InvMigrationCookie *source, InvDomain *domain)
{
    InvMigrationIn *in = g_new0(InvMigrationIn, 1);

    in->flags = prepare->options->flags;
    in->source = source;
    in->client = prepare->client;
    in->start = (InvStart){
        .daemon = daemon,
        .live = domain,
        .messages = g_ptr_array_new_with_free_func(g_free),
        .before = inv_cpu_record_copy(source->record),
        .incoming = source->record != NULL,
    };
    return in;
}

static gboolean
prepare_live(InvDaemon *daemon, InvMigrationPrepare *prepare, InvMigrationCookie *source, InvDomain *domain, GError **error)
{
    g_autoptr(InvMigrationIn) in = new_in(daemon, prepare, source, domain);
    g_autoptr(InvVm) vm = NULL;

    in->start.paused = TRUE;
    if (!source->record)
        return inv_error_set(error, VIR_ERR_INVALID_ARG,
                             "the migration cookie has no CPU record: which CPU the guest of domain '%s' sees is not known",
                             domain->name);
    vm = claim(daemon, domain, error);
    if (!vm)
        return FALSE;
    in->start.vm = vm;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        in->start.id = inv_registry_next_id_locked(daemon->registry);
        in->start.persistent = inv_vm_is_persistent(vm);
    }
    in->busy = TRUE;
    if (!inv_migrations_watch(daemon->migrations, vm, prepare->client, error) || !bring_up(daemon, in, prepare, error) ||
        !enter(daemon, in, error)) {
        if (in->copy)
            inv_disk_copy_undo(in->copy);
        inv_migrations_unwatch(daemon->migrations, vm);
        unclaim(daemon, vm);
        return FALSE;
    }
    answer(daemon, in, prepare);
    inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_MIGRATED);
    inv_fault_point("migrate-in-prepared");
    if (!let_go(daemon, vm, g_steal_pointer(&in), error))
        return FALSE;
    prepare->vm = inv_vm_ref(vm);
    return TRUE;
}

/* No guest moves, only a definition: whether it can start here is found out now, and it is kept with Finish. */
static gboolean
prepare_offline(InvDaemon *daemon, InvMigrationPrepare *prepare, InvMigrationCookie *source, InvDomain *domain, GError **error)
{
    g_autoptr(InvMigrationIn) in = new_in(daemon, prepare, source, domain);
    g_autoptr(InvVm) vm = NULL;

    if (!decide_start(daemon, in, prepare->options, error))
        return FALSE;
    vm = claim(daemon, domain, error);
    if (!vm)
        return FALSE;
    in->start.vm = vm;
    if (!inv_migrations_watch(daemon->migrations, vm, prepare->client, error) ||
        !note(daemon, vm, in, INV_PHASE_PREPARED, TRUE, error)) {
        inv_migrations_unwatch(daemon->migrations, vm);
        unclaim(daemon, vm);
        return FALSE;
    }
    answer(daemon, in, prepare);
    /* Nothing goes there, but libvirt's client takes an answer without it for none. */
    if (!prepare->options->uri)
        prepare->uri_out = g_strdup_printf("tcp:%s", inv_migrations_hostname(daemon->migrations));
    in->busy = TRUE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        vm->migration_in = in;
    }
    return let_go(daemon, vm, g_steal_pointer(&in), error);
}

/* The channel of an interrupted migration is made anew: the guest runs here already. */
static gboolean
prepare_resume(InvDaemon *daemon, InvMigrationPrepare *prepare, const InvMigrationCookie *source, const InvDomain *domain,
               GError **error)
{
    g_autoptr(InvVm) vm = inv_registry_get_uuid(daemon->registry, domain->uuid, error);
    InvMigrationIn *in = NULL;
    gboolean ok;

    if (!vm)
        return FALSE;
    in = take(vm);
    if (!in || !in->interrupted || strcmp(in->source->token, source->token) != 0) {
        if (in)
            put_back(vm, in);
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "the migration of domain '%s' to this host is not interrupted: there is nothing to take up again",
                             domain->name);
    }
    inv_migrations_unwatch(daemon->migrations, vm);
    ok = inv_migrations_watch(daemon->migrations, vm, prepare->client, error) &&
         inv_migration_listen_again(daemon, &in->start, prepare, error);
    if (ok) {
        in->client = prepare->client;
        answer(daemon, in, prepare);
    }
    put_back(vm, in);
    return ok;
}

gboolean
inv_migration_in_prepare(InvDaemon *daemon, InvMigrationPrepare *prepare, GError **error)
{
    g_autoptr(InvMigrationCookie) source = inv_migration_cookie_parse(prepare->cookie, prepare->cookie_length, error);
    g_autoptr(InvDomain) domain = NULL;

    prepare->tunnel_fd = -1;
    if (!source)
        return FALSE;
    if (g_strcmp0(source->hostuuid, inv_migrations_hostuuid(daemon->migrations)) == 0)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "Attempt to migrate guest to the same host %s (%s)",
                             source->hostuuid, source->hostname ? source->hostname : "");
    domain = read_definition(daemon, prepare->options, source, error);
    if (!domain || !check_persistent(daemon, source, domain, error))
        return FALSE;
    if (prepare->options->flags & VIR_MIGRATE_POSTCOPY_RESUME)
        return prepare_resume(daemon, prepare, source, domain, error);
    /* Both are the migration's from here on. */
    if (prepare->options->flags & VIR_MIGRATE_OFFLINE)
        return prepare_offline(daemon, prepare, g_steal_pointer(&source), g_steal_pointer(&domain), error);
    return prepare_live(daemon, prepare, g_steal_pointer(&source), g_steal_pointer(&domain), error);
}

/* QEMU's own words about its end, behind @what. */
static gboolean
tell_end(InvDaemon *daemon, InvVm *vm, const InvMigrationIn *in, const char *what, GError **error)
{
    g_autofree char *log = NULL;
    g_autofree char *tail = NULL;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        log = inv_guest_process_log(daemon, vm->name);
    }
    tail = inv_process_log_tail(log, in->start.guest ? inv_process_log_start(in->start.guest->process) : 0, 2048);
    g_strstrip(tail);
    return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "%s%s%s", what, *tail ? ": " : "", tail);
}

/* All of the state is here, and QEMU has accepted it. */
static gboolean
wait_received(InvDaemon *daemon, InvVm *vm, const InvMigrationIn *in, GError **error)
{
    g_autoptr(InvQmp) qmp = inv_vm_get_qmp(vm, error);
    gint64 deadline = g_get_monotonic_time() + (gint64)inv_daemon_start_deadline(daemon) * 1000;
    InvMigrationState state = INV_MIGRATION_NONE;

    if (!qmp)
        return FALSE;
    while (inv_vm_is_alive(vm)) {
        InvMigrationProgress progress = { 0 };
        InvMigrationState now = INV_MIGRATION_NONE;

        if (inv_migration_query(qmp, &progress, inv_daemon_start_deadline(daemon), NULL))
            now = progress.state;
        inv_migration_progress_clear(&progress);
        /* In postcopy all but memory is here, which follows the running guest: now, or when a broken channel is taken up again. */
        if (now == INV_MIGRATION_COMPLETED || now == INV_MIGRATION_POSTCOPY || now == INV_MIGRATION_POSTCOPY_PAUSED)
            return TRUE;
        if (now == INV_MIGRATION_FAILED)
            break;
        if (g_get_monotonic_time() > deadline)
            return inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                                 "the state of domain '%s' did not arrive whole within %u s: the connection from its source is "
                                 "stuck or broken",
                                 in->source->name, inv_daemon_start_deadline(daemon) / 1000);
        state = inv_vm_wait_migration(vm, state, LOOK_AGAIN_MS);
    }
    return tell_end(daemon, vm, in, "the state that arrived could not be loaded", error);
}

/* What QEMU has now must still be the recorded CPU: the state that came could not have changed it, and nothing runs unless that is so. */
static gboolean
verify(InvDaemon *daemon, InvVm *vm, InvMigrationIn *in, GError **error)
{
    const InvCpuFacts *facts = &in->start.decision->facts;
    g_autoptr(InvQmp) qmp = inv_vm_get_qmp(vm, error);
    g_autofree char *live = NULL;
    g_autoptr(InvGuestCpu) guest = NULL;
    g_autoptr(InvCpuRecord) record = NULL;
    g_auto(GStrv) changes = NULL;
    g_autofree char *list = NULL;

    live = qmp ? inv_guest_cpu_read_live(qmp, facts->arch, in->start.cpu_path, inv_daemon_start_deadline(daemon), error) : NULL;
    if (!live)
        return FALSE;
    /* The guest stands still: models are expanded again only to tell what has changed. */
    if (g_strcmp0(live, in->start.live_cpu) == 0)
        return TRUE;
    guest = inv_guest_cpu_read(qmp, facts->arch, facts->map, inv_cpu_table_names(facts->table), facts->machine,
                               in->start.cpu_argument, inv_daemon_start_deadline(daemon), error);
    if (!guest)
        return FALSE;
    record = inv_cpu_record_new(facts->arch, guest);
    changes = inv_cpu_record_compare(in->source->record, record);
    if (!*changes)
        return TRUE;
    list = g_strjoinv("\n  ", changes);
    return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "domain '%s' does not run here: its guest would see another CPU than at its source\n  %s",
                         in->source->name, list);
}

/* The definition that stays when the guest ends; a failure is told and leaves the guest as it is, running and transient. */
static void
keep_definition(InvDaemon *daemon, InvVm *vm, const char *xml, const char *record)
{
    g_autoptr(InvCpuRecord) parsed = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *name = NULL;
    gint64 revision = 0;
    gboolean was_persistent = FALSE, defined, ok;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        name = g_strdup(vm->name);
        was_persistent = inv_vm_is_persistent(vm);
    }
    defined = (!record || (parsed = inv_record_parse(record, &error))) &&
              inv_store_define(daemon->store, vm->uuid_text, name, xml, "migrated to this host", &revision, &error);
    ok = defined && (!record || inv_store_record(daemon->store, vm->uuid_text, xml, record,
                                                 "migrated to this host: CPU recorded", &revision, &error));
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (defined) {
            vm->persistent = TRUE;
            vm->revision = revision;
        }
        if (!ok) {
            inv_vm_add_message_locked(vm, "its definition could not be kept: %s", error->message);
            g_warning("domain '%s' was migrated here and its definition could not be kept: %s", name, error->message);
            return;
        }
    }
    inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_DEFINED,
                     was_persistent ? VIR_DOMAIN_EVENT_DEFINED_UPDATED : VIR_DOMAIN_EVENT_DEFINED_ADDED);
}

/* The guest's first instruction on this host. */
static gboolean
run(InvDaemon *daemon, InvVm *vm, gboolean paused, GError **error)
{
    g_autoptr(InvQmp) qmp = inv_vm_get_qmp(vm, error);

    inv_fault_point("migrate-in-before-cont");
    if (!qmp || (!paused && !inv_qmp_call(qmp, "cont", NULL, inv_daemon_start_deadline(daemon), NULL, error)))
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        vm->quiet = FALSE;
        vm->state = paused ? VIR_DOMAIN_PAUSED : VIR_DOMAIN_RUNNING;
        vm->reason = paused ? (int)VIR_DOMAIN_PAUSED_USER : (int)VIR_DOMAIN_RUNNING_MIGRATED;
        if (!paused && vm->migration_state == INV_MIGRATION_POSTCOPY)
            vm->reason = VIR_DOMAIN_RUNNING_POSTCOPY;
    }
    if (!paused)
        inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_RESUMED, VIR_DOMAIN_EVENT_RESUMED_MIGRATED);
    else
        inv_domain_event(daemon, vm, VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_PAUSED);
    return TRUE;
}

/* The guest is this host's, or it is not: decided for good. */
static gboolean
decide(InvDaemon *daemon, InvVm *vm, const InvMigrationIn *in, GError **error)
{
    InvMigrationPhase decided = INV_PHASE_UNKNOWN;
    g_autoptr(GError) cause = NULL;
    gboolean postcopy = FALSE;

    inv_fault_point("migrate-in-before-decision");
    if (!inv_store_decide_migration(daemon->store, in->source->token, vm->uuid_text, INV_PHASE_FINISHED, &decided, &cause)) {
        {
            g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

            postcopy = vm->migration_state == INV_MIGRATION_POSTCOPY;
        }
        /* Nothing but this side can run it any more, and the source knows: a full disk must not be the guest's end. */
        if (postcopy)
            g_warning("domain '%s' runs here, which cannot be kept for the next daemon: %s", in->source->name, cause->message);
        else
            g_propagate_error(error, g_steal_pointer(&cause));
        return postcopy;
    }
    inv_fault_point("migrate-in-after-decision");
    if (decided == INV_PHASE_FINISHED)
        return TRUE;
    return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the migration of domain '%s' was called off before it was finished",
                         in->source->name);
}

/* The mirrors have ended at the source, or it would not have sent the rest. */
static gboolean
stop_receiving(InvVm *vm, const InvMigrationIn *in, GError **error)
{
    g_autoptr(InvQmp) qmp = NULL;

    if (!in->copy)
        return TRUE;
    qmp = inv_vm_get_qmp(vm, error);
    return qmp && inv_migration_copy_stop_serving(qmp, INV_QMP_DEADLINE_MS, error);
}

static gboolean
finish_live(InvDaemon *daemon, InvVm *vm, InvMigrationIn *in, GError **error)
{
    gboolean paused = !in->source->running || (in->flags & VIR_MIGRATE_PAUSED);

    if (!wait_received(daemon, vm, in, error) || !verify(daemon, vm, in, error) ||
        !stop_receiving(vm, in, error) || !decide(daemon, vm, in, error)) {
        call_off(daemon, vm, in);
        return FALSE;
    }
    if (!run(daemon, vm, paused, error)) {
        call_off(daemon, vm, in);
        return FALSE;
    }
    return TRUE;
}

/* Of a postcopy: until all of the guest is here. It runs meanwhile, and goes on running when that fails. */
static gboolean
wait_for_pages(InvDaemon *daemon, InvVm *vm, InvMigrationIn *in, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (!(in->flags & VIR_MIGRATE_POSTCOPY))
        return TRUE;
    if (inv_migration_postcopy_wait(daemon, vm, &cause)) {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (vm->state == VIR_DOMAIN_RUNNING)
            vm->reason = VIR_DOMAIN_RUNNING_MIGRATED;
        return TRUE;
    }
    if (inv_vm_is_alive(vm)) {
        inv_migration_postcopy_failed(daemon, vm, TRUE, cause->message);
        {
            g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

            in->interrupted = TRUE;
            in->busy = FALSE;
        }
        /* One that ended meanwhile found it in hand: nobody would come to it any more. */
        if (!inv_vm_is_alive(vm))
            inv_migration_in_run_ended(daemon, vm);
    } else {
        leave(daemon, vm, FALSE);
    }
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

/* What is left once the guest runs: no failure of it may touch the guest. */
static void
settle(InvDaemon *daemon, InvVm *vm, const InvMigrationIn *in)
{
    g_autoptr(GError) error = NULL;
    InvMigrationPhase decided = INV_PHASE_UNKNOWN;

    inv_fault_point("migrate-in-before-settling");
    /* Once more, if it could not be kept before: the next daemon is to take the guest up. */
    if ((in->flags & VIR_MIGRATE_POSTCOPY) &&
        !inv_store_decide_migration(daemon->store, in->source->token, vm->uuid_text, INV_PHASE_FINISHED, &decided, &error)) {
        g_warning("%s: %s", vm->uuid_text, error->message);
        g_clear_error(&error);
    }
    if (in->source->persistent_xml && (in->flags & VIR_MIGRATE_PERSIST_DEST))
        keep_definition(daemon, vm, in->source->persistent_xml, in->source->persistent_record);
    if (!note(daemon, vm, in, INV_PHASE_FINISHED, FALSE, &error))
        g_warning("%s: %s", vm->uuid_text, error->message);
}

static gboolean
finish_offline(InvDaemon *daemon, InvVm *vm, InvMigrationIn *in, GError **error)
{
    if (!in->source->persistent_xml) {
        call_off(daemon, vm, in);
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the migration cookie has no persistent definition");
    }
    if (decide(daemon, vm, in, error))
        return TRUE;
    call_off(daemon, vm, in);
    return FALSE;
}

static InvVm *
find(InvDaemon *daemon, const char *name, InvMigrationIn **in, GError **error)
{
    g_autoptr(InvVm) vm = inv_registry_get_name(daemon->registry, name, NULL);

    *in = vm ? take(vm) : NULL;
    if (*in)
        return g_steal_pointer(&vm);
    inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                  "no migration of domain '%s' to this host is under way: it has failed, was called off, or its QEMU has ended "
                  "(see the log of that domain)",
                  name);
    return NULL;
}

/* Who finishes it has the source's word that all was sent. */
static gboolean
check_finish_cookie(const InvMigrationIn *in, const char *cookie, gsize length, GError **error)
{
    g_autoptr(InvMigrationCookie) source = inv_migration_cookie_parse(cookie, length, error);

    if (!source)
        return FALSE;
    return g_strcmp0(source->token, in->source->token) == 0 ||
           inv_error_set(error, VIR_ERR_INVALID_ARG,
                         "the migration cookie is of another migration of domain '%s' than the one that is under way",
                         in->source->name);
}

InvVm *
inv_migration_in_finish(InvDaemon *daemon, const InvMigrationOptions *options, const char *cookie, gsize cookie_length,
                        gboolean cancelled, GBytes **cookie_out, GError **error)
{
    InvMigrationIn *in = NULL;
    g_autoptr(InvVm) vm = find(daemon, options->dname, &in, error);
    g_autoptr(InvMigrationCookie) mine = NULL;
    gint64 asked_us = g_get_monotonic_time(), ran_us = asked_us;
    gboolean ok;

    if (!vm)
        return NULL;
    if (cancelled && in->interrupted) {
        /* The guest runs here: nothing of it is given up because taking it up again has failed. */
        put_back(vm, in);
        inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the migration of domain '%s' is still interrupted", in->source->name);
        return NULL;
    }
    if (cancelled) {
        call_off(daemon, vm, in);
        inv_error_set(error, VIR_ERR_MIGRATE_FINISH_OK, "migration successfully aborted");
        return NULL;
    }
    /* Offline nothing is sent, and so nothing told. */
    if (!(in->flags & VIR_MIGRATE_OFFLINE) && !check_finish_cookie(in, cookie, cookie_length, error)) {
        put_back(vm, in);
        return NULL;
    }
    mine = inv_migrations_new_cookie(daemon->migrations, vm, in->source->token);
    if (in->interrupted) {
        in->interrupted = FALSE;
        ok = TRUE;
    } else {
        ok = in->flags & VIR_MIGRATE_OFFLINE ? finish_offline(daemon, vm, in, error) : finish_live(daemon, vm, in, error);
        ran_us = g_get_monotonic_time();
        if (ok)
            settle(daemon, vm, in);
    }
    if (!ok || !wait_for_pages(daemon, vm, in, error))
        return NULL;
    inv_migration_figures_finish(vm, cookie, cookie_length, asked_us, ran_us, mine);
    leave(daemon, vm, TRUE);
    *cookie_out = inv_migration_cookie_format(mine);
    inv_fault_point("migrate-in-finished");
    return g_steal_pointer(&vm);
}

/* *@in: the migration @token to this host, NULL when it is not under way. FALSE: it is being prepared or finished at this moment. */
static gboolean
take_token(InvVm *vm, const char *token, InvMigrationIn **in, GError **error)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    *in = NULL;
    if (!vm->migration_in || strcmp(vm->migration_in->source->token, token) != 0)
        return TRUE;
    if (vm->migration_in->busy)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                             "the migration of domain '%s' to this host is being finished at this moment: ask again", vm->name);
    *in = vm->migration_in;
    (*in)->busy = TRUE;
    return TRUE;
}

gboolean
inv_migration_in_outcome(InvDaemon *daemon, const char *token, const char *uuid, InvMigrationPhase *outcome, GError **error)
{
    unsigned char raw[VIR_UUID_BUFLEN];
    g_autoptr(InvVm) vm = NULL;
    g_autoptr(GError) cause = NULL;
    InvMigrationIn *in = NULL;

    if (!inv_uuid_parse(uuid, raw))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "'%s' is no UUID", uuid);
    vm = inv_registry_get_uuid(daemon->registry, raw, NULL);
    if (vm && !take_token(vm, token, &in, error))
        return FALSE;
    *outcome = INV_PHASE_UNKNOWN;
    if (!inv_store_decide_migration(daemon->store, token, uuid, INV_PHASE_CANCELLED, outcome, &cause)) {
        /* What is prepared and not in hand is never finished any more, though that cannot be written down now (a full disk). */
        if (*outcome != INV_PHASE_PREPARED) {
            if (in)
                put_back(vm, in);
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        }
        g_warning("the migration of domain %s to this host is called off, which cannot be kept: %s", uuid, cause->message);
        *outcome = INV_PHASE_CANCELLED;
    }
    if (in && *outcome == INV_PHASE_CANCELLED)
        call_off(daemon, vm, in);
    else if (in)
        put_back(vm, in);
    return TRUE;
}

void
inv_migration_in_client_gone(InvDaemon *daemon, InvVm *vm, guint64 client)
{
    InvMigrationIn *in = take(vm);

    if (!in)
        return;
    /* One that is interrupted belongs to nobody: the guest runs. */
    if (in->client != client || in->interrupted) {
        put_back(vm, in);
        return;
    }
    g_message("the migration of domain '%s' to this host is called off: its client is gone", in->source->name);
    call_off(daemon, vm, in);
}

void
inv_migration_in_run_ended(InvDaemon *daemon, InvVm *vm)
{
    InvMigrationIn *in = take(vm);
    g_autoptr(GError) error = NULL;

    if (!in)
        return;
    /* Of one that is interrupted the guest has run here: it was not called off, and its disks are the only ones. */
    if (!in->interrupted) {
        if (!note(daemon, vm, in, INV_PHASE_CANCELLED, FALSE, &error))
            g_warning("%s: %s", vm->uuid_text, error->message);
        if (in->copy)
            inv_disk_copy_undo(in->copy);
    }
    leave(daemon, vm, FALSE);
}

/* What an earlier daemon had decided and not done any more. */
static void
complete(InvDaemon *daemon, InvVm *vm, const InvStoredMigration *stored)
{
    g_autoptr(GError) error = NULL;
    InvStoredMigration done = *stored;

    if (stored->running && inv_vm_is_alive(vm) && !run(daemon, vm, FALSE, &error))
        g_warning("domain %s was migrated here and does not run: %s", stored->uuid, error->message);
    if (stored->xml)
        keep_definition(daemon, vm, stored->xml, stored->record);
    done.running = FALSE;
    done.xml = NULL;
    done.record = NULL;
    g_clear_error(&error);
    if (!inv_store_set_migration(daemon->store, &done, &error))
        g_warning("%s: %s", stored->uuid, error->message);
}

void
inv_migration_in_adopt(InvDaemon *daemon, const InvStoredMigration *stored)
{
    unsigned char uuid[VIR_UUID_BUFLEN];
    g_autoptr(InvVm) vm = NULL;
    g_autoptr(GError) error = NULL;
    InvMigrationPhase decided = INV_PHASE_UNKNOWN;

    if (stored->phase == INV_PHASE_PREPARED) {
        /* Its QEMU was ended with the unfinished starts. */
        if (!inv_store_decide_migration(daemon->store, stored->token, stored->uuid, INV_PHASE_CANCELLED, &decided, &error))
            g_warning("%s: %s", stored->uuid, error->message);
        return;
    }
    if (stored->phase != INV_PHASE_FINISHED || (!stored->running && !stored->xml) || !inv_uuid_parse(stored->uuid, uuid))
        return;
    vm = inv_registry_get_uuid(daemon->registry, uuid, NULL);
    /* An offline migration brings a domain that nobody has taken up. */
    if (!vm && stored->xml && (stored->flags & VIR_MIGRATE_OFFLINE)) {
        g_autoptr(InvVm) defined = inv_domain_define(daemon, stored->xml, 0, &error);

        if (!defined)
            g_warning("%s: %s", stored->uuid, error->message);
        vm = g_steal_pointer(&defined);
    }
    if (vm)
        complete(daemon, vm, stored);
}
