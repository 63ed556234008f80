/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/migration_out.h"

#include "daemon/disk_copy.h"
#include "daemon/disk_file.h"
#include "daemon/domain_define.h"
#include "daemon/domain_job.h"
#include "daemon/migration_end.h"
#include "daemon/migration_figures.h"
#include "daemon/migration_send.h"
#include "daemon/migrations.h"
#include "util/error.h"
#include "util/fault.h"

#include <string.h>

#define TOKEN_BYTES 16u

void
inv_migration_out_free(InvMigrationOut *out)
{
    if (!out)
        return;
    g_free(out->token);
    g_free(out->peer);
    g_free(out->message);
    g_free(out);
}

static char *
new_token(void)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < TOKEN_BYTES / sizeof(guint32); i++)
        g_string_append_printf(text, "%08x", g_random_int());
    return g_string_free(text, FALSE);
}

/* What only the source can tell: the destination gets the parameters without their flag. */
static gboolean
check_options(const InvMigrationOptions *options, GError **error)
{
    const InvMigrationSettings *settings = &options->settings;

    if (!settings->auto_converge && (settings->throttle_initial || settings->throttle_increment))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "%s has no meaning without --auto-converge",
                             settings->throttle_initial ? VIR_MIGRATE_PARAM_AUTO_CONVERGE_INITIAL : VIR_MIGRATE_PARAM_AUTO_CONVERGE_INCREMENT);
    return TRUE;
}

static gboolean
check_domain_locked(const InvVm *vm, const InvMigrationOptions *options, GError **error)
{
    if (options->flags & VIR_MIGRATE_OFFLINE)
        return inv_vm_is_persistent(vm) ||
               inv_error_set(error, VIR_ERR_OPERATION_INVALID, "cannot perform offline migration of the transient domain '%s'",
                             vm->name);
    if (!inv_vm_is_active(vm))
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "Requested operation is not valid: domain '%s' is not running (a definition alone moves with --offline "
                             "--persistent)",
                             vm->name);
    if (!vm->live_record)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "which CPU the guest of domain '%s' sees is not known: it was started by another daemon; start it anew",
                             vm->name);
    if ((options->flags & VIR_MIGRATE_UNDEFINE_SOURCE) && !inv_vm_is_persistent(vm))
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "cannot undefine transient domain '%s'", vm->name);
    if (vm->migration_in)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "domain '%s' is itself being migrated to this host", vm->name);
    return TRUE;
}

/* The document for the destination: the client's own one shows the guest the same hardware, in whatever order it is written. */
static char *
destination_xml(InvDaemon *daemon, InvVm *vm, const InvMigrationOptions *options, GError **error)
{
    g_autoptr(InvDomain) current = NULL;
    g_autoptr(InvDomain) wanted = NULL;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (vm->live && !(options->flags & VIR_MIGRATE_OFFLINE))
            current = inv_domain_copy(vm->live);
    }
    if (!current && !(current = inv_vm_read_inactive(vm, error)))
        return NULL;
    if (!options->xml)
        return inv_domain_format(current, INV_FORMAT_MIGRATABLE | INV_FORMAT_SECURE);
    wanted = inv_domain_parse(options->xml, error);
    if (!wanted || !inv_domain_complete(wanted, daemon->host_arch, current->os.machine, error) ||
        !inv_domain_validate(wanted, error))
        return NULL;
    if (!inv_domain_check_abi(current, wanted, error)) {
        g_prefix_error(error, "the definition for the destination (--xml) changes domain '%s': ", current->name);
        return NULL;
    }
    return inv_domain_format(wanted, INV_FORMAT_MIGRATABLE | INV_FORMAT_SECURE);
}

/* What the destination shall keep. */
static gboolean
tell_persistent(InvDaemon *daemon, InvVm *vm, const InvMigrationOptions *options, const char *live_xml,
                InvMigrationCookie *cookie, GError **error)
{
    g_autoptr(InvDomain) wanted = NULL, current = NULL;
    g_autoptr(InvCpuRecord) record = NULL;
    const char *name = options->dname;

    if (!(options->flags & VIR_MIGRATE_PERSIST_DEST))
        return TRUE;
    if (options->persistent_xml) {
        current = inv_domain_parse(live_xml, error);
        wanted = inv_domain_parse(options->persistent_xml, error);
        if (!current || !wanted || !inv_domain_complete(wanted, daemon->host_arch, wanted->os.machine, error) ||
            !inv_domain_validate(wanted, error))
            return FALSE;
        if (memcmp(wanted->uuid, current->uuid, sizeof(wanted->uuid)) != 0)
            return inv_error_set(error, VIR_ERR_INVALID_ARG,
                                 "the definition to be kept (--persistent-xml) is of another domain than '%s'", current->name);
    } else if (!(wanted = inv_vm_read_inactive(vm, NULL))) {
        wanted = inv_domain_parse(live_xml, error);
        if (!wanted)
            return FALSE;
    }
    if (!inv_vm_read_record(vm, &record, error))
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (!record)
            record = inv_cpu_record_copy(vm->live_record);
        g_free(wanted->name);
        wanted->name = g_strdup(name ? name : vm->name);
        if (record) {
            g_autoptr(InvJson) json = inv_cpu_record_to_json(record);

            cookie->persistent_record = inv_json_format(json, FALSE);
        }
    }
    cookie->persistent_xml = inv_domain_format(wanted, INV_FORMAT_INACTIVE | INV_FORMAT_SECURE);
    return TRUE;
}

/* Which files its disks are, whatever they are called there. */
static void
tell_files(InvVm *vm, InvMigrationCookie *cookie)
{
    g_autoptr(InvDomain) live = NULL;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        live = vm->live ? inv_domain_copy(vm->live) : NULL;
    }
    if (!live)
        return;
    cookie->files = inv_disk_files_of(live);
    cookie->boot = inv_disk_file_boot();
}

static InvMigrationOut *
new_out(const InvMigrationOptions *options, const char *token, guint64 client)
{
    InvMigrationOut *out = g_new0(InvMigrationOut, 1);

    out->flags = options->flags;
    out->token = g_strdup(token);
    out->client = client;
    return out;
}

/* Holds the domain for a migration that @out (taken over) describes from here on. */
static gboolean
hold(InvDaemon *daemon, InvVm *vm, InvMigrationOut *out, GError **error)
{
    if (!inv_vm_begin_long_job(vm, VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT, "migration out", error)) {
        inv_migration_out_free(out);
        return FALSE;
    }
    inv_vm_set_job_flags(vm, out->flags);
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        vm->migration_out = out;
    }
    if (inv_migrations_watch(daemon->migrations, vm, out->client, error))
        return TRUE;
    inv_migration_out_leave(daemon, vm, FALSE);
    return FALSE;
}

/* One attempt at a time; an interrupted one is taken up again, and nothing else is. */
static gboolean
check_free_locked(const InvVm *vm, const InvMigrationOptions *options, GError **error)
{
    gboolean interrupted = vm->migration_out && vm->migration_out->phase == INV_OUT_INTERRUPTED && !vm->migration_out->busy;
    gboolean resume = (options->flags & VIR_MIGRATE_POSTCOPY_RESUME) != 0;

    if (resume && !interrupted)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "the migration of domain '%s' is not interrupted: there is nothing to take up again", vm->name);
    if (interrupted && !resume)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "domain '%s' is on its way to another host, and interrupted: take it up again with --postcopy "
                             "--postcopy-resume",
                             vm->name);
    if (vm->migration_out && !interrupted)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "domain '%s' is already being migrated", vm->name);
    return TRUE;
}

gboolean
inv_migration_out_begin(InvDaemon *daemon, InvVm *vm, const InvMigrationOptions *options, guint64 client, GBytes **cookie,
                        char **xml, GError **error)
{
    g_autofree char *token = new_token();
    g_autofree char *text = NULL;
    g_autoptr(InvMigrationCookie) mine = NULL;
    g_autoptr(GBytes) sealed = NULL;

    if (!check_options(options, error))
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (!check_domain_locked(vm, options, error))
            return FALSE;
        if (!check_free_locked(vm, options, error))
            return FALSE;
        /* An interrupted one is the same attempt still. */
        if (vm->migration_out) {
            g_free(token);
            token = g_strdup(vm->migration_out->token);
        }
    }
    text = destination_xml(daemon, vm, options, error);
    if (!text)
        return FALSE;
    mine = inv_migrations_new_cookie(daemon->migrations, vm, token);
    if (!tell_persistent(daemon, vm, options, text, mine, error) || !inv_disk_copy_tell(vm, options, mine, error))
        return FALSE;
    if ((options->flags & VIR_MIGRATE_OFFLINE) && !inv_vm_read_record(vm, &mine->record, error))
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (!(options->flags & VIR_MIGRATE_OFFLINE))
            mine->record = inv_cpu_record_copy(vm->live_record);
        mine->running = !(options->flags & VIR_MIGRATE_OFFLINE) && vm->state == VIR_DOMAIN_RUNNING;
    }
    tell_files(vm, mine);
    sealed = inv_migration_cookie_seal(mine, error);
    if (!sealed)
        return FALSE;
    if ((options->flags & VIR_MIGRATE_CHANGE_PROTECTION) &&
        !(options->flags & (VIR_MIGRATE_OFFLINE | VIR_MIGRATE_POSTCOPY_RESUME))) {
        InvMigrationOut *out = new_out(options, token, client);

        out->protected = TRUE;
        if (!hold(daemon, vm, out, error))
            return FALSE;
    }
    *cookie = g_steal_pointer(&sealed);
    *xml = g_steal_pointer(&text);
    inv_fault_point("migrate-out-begun");
    return TRUE;
}

/* The migration that Begin holds the domain for, or a new one. NULL: another one has it. */
static InvMigrationOut *
take_for_perform(InvDaemon *daemon, InvVm *vm, const InvMigrationPerform *perform, const char *token, GError **error)
{
    InvMigrationOut *out = NULL;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (!check_domain_locked(vm, perform->options, error))
            return NULL;
        out = vm->migration_out;
        if (out && !out->busy && strcmp(out->token, token) == 0 &&
            (out->phase == INV_OUT_BEGUN ||
             (out->phase == INV_OUT_INTERRUPTED && (perform->options->flags & VIR_MIGRATE_POSTCOPY_RESUME)))) {
            out->busy = TRUE;
            out->client = perform->client;
            out->client_gone = FALSE;
            if (out->phase == INV_OUT_BEGUN)
                out->flags = perform->options->flags;
            return out;
        }
        if (!check_free_locked(vm, perform->options, error))
            return NULL;
    }
    out = new_out(perform->options, token, perform->client);
    out->busy = TRUE;
    return hold(daemon, vm, out, error) ? out : NULL;
}

/* TRUE: its client has gone meanwhile. */
static gboolean
set_phase(InvVm *vm, InvMigrationOut *out, InvOutPhase phase)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    out->phase = phase;
    out->busy = FALSE;
    return out->client_gone;
}

/* Back to where Begin left it, unless nobody is left who would confirm. */
static gboolean
is_abandoned(InvVm *vm, InvMigrationOut *out)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    if (out->client_gone)
        return TRUE;
    out->phase = INV_OUT_BEGUN;
    out->busy = FALSE;
    return FALSE;
}

/* What the destination tells of itself; what it is not told by, it is no Invar. */
static InvMigrationCookie *
read_cookie(InvVm *vm, const InvMigrationPerform *perform, GError **error)
{
    g_autoptr(InvMigrationCookie) cookie = inv_migration_cookie_parse(perform->cookie, perform->cookie_length, error);

    if (!cookie)
        return NULL;
    if (g_strcmp0(cookie->uuid, vm->uuid_text) != 0) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the destination's migration cookie is of domain %s, not of %s",
                      cookie->uuid ? cookie->uuid : "(none)", vm->uuid_text);
        return NULL;
    }
    return g_steal_pointer(&cookie);
}

/* Without protection another start may have made another guest of the domain since Begin. */
static gboolean
check_record(InvVm *vm, const InvMigrationCookie *theirs, GError **error)
{
    g_autoptr(InvCpuRecord) mine = NULL;
    g_auto(GStrv) changes = NULL;
    g_autofree char *list = NULL;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        mine = inv_cpu_record_copy(vm->live_record);
    }
    if (!mine || !theirs->record)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                             "domain %s is not sent: %s which CPU %s", vm->uuid_text,
                             mine ? "the destination did not say" : "it is not known any more",
                             mine ? "its QEMU was made for" : "its guest sees");
    changes = inv_cpu_record_compare(theirs->record, mine);
    if (!*changes)
        return TRUE;
    list = g_strjoinv("\n  ", changes);
    return inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                         "domain %s is not sent: it was started anew since this migration was prepared, and its guest sees another CPU "
                         "now; migrate it again\n  %s",
                         vm->uuid_text, list);
}

gboolean
inv_migration_out_perform(InvDaemon *daemon, InvVm *vm, InvMigrationPerform *perform, GError **error)
{
    g_autoptr(InvMigrationCookie) theirs = read_cookie(vm, perform, error);
    g_autoptr(InvMigrationCookie) mine = NULL;
    g_autoptr(GError) returned = NULL;
    InvMigrationOut *out = NULL;

    if (!theirs)
        return FALSE;
    out = take_for_perform(daemon, vm, perform, theirs->token, error);
    if (!out)
        return FALSE;
    g_free(out->peer);
    out->peer = perform->peer      ? g_strdup(perform->peer)
                : theirs->contact ? g_strdup_printf("%s %s", theirs->hostuuid, theirs->contact)
                                  : NULL;
    if (!check_record(vm, theirs, error) || !inv_migration_send(daemon, vm, out, perform, theirs, &returned, error)) {
        /* Begin's hold lasts until Confirm; what is interrupted stays so. */
        if (returned)
            inv_migration_out_return_later(daemon, vm, out, returned);
        else if (out->phase == INV_OUT_INTERRUPTED)
            set_phase(vm, out, INV_OUT_INTERRUPTED);
        else if (out->protected && !is_abandoned(vm, out))
            return FALSE;
        else
            inv_migration_out_leave(daemon, vm, FALSE);
        return FALSE;
    }
    mine = inv_migrations_new_cookie(daemon->migrations, vm, out->token);
    inv_migration_figures_tell(vm, out->stopped_us, mine);
    if (set_phase(vm, out, INV_OUT_SENT))
        inv_migration_out_undecided(daemon, vm);
    perform->cookie_out = inv_migration_cookie_format(mine);
    inv_fault_point("migrate-out-sent");
    return TRUE;
}

InvMigrationOut *
inv_migration_out_take(InvVm *vm)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    if (!vm->migration_out || vm->migration_out->busy)
        return NULL;
    vm->migration_out->busy = TRUE;
    return vm->migration_out;
}

void
inv_migration_out_leave(InvDaemon *daemon, InvVm *vm, gboolean succeeded)
{
    InvMigrationOut *out = NULL;

    inv_migrations_unwatch(daemon->migrations, vm);
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        out = g_steal_pointer(&vm->migration_out);
    }
    inv_vm_end_long_job(vm, succeeded);
    inv_migration_out_free(out);
}

/* Offline nothing was sent and no QEMU ends: the definition is there now, and here no more if that was asked for. */
static gboolean
confirm_offline(InvDaemon *daemon, InvVm *vm, unsigned int flags, gboolean cancelled, GError **error)
{
    if (cancelled || !(flags & VIR_MIGRATE_UNDEFINE_SOURCE))
        return TRUE;
    return inv_domain_undefine(daemon, vm, VIR_DOMAIN_UNDEFINE_KEEP_NVRAM, error);
}

/* Confirm's word alone is not enough: who says so may have lost the destination's answer. */
static gboolean
ask_before_going_on(InvDaemon *daemon, InvVm *vm, InvMigrationOut *out, GError **error)
{
    set_phase(vm, out, out->phase);
    inv_migration_out_undecided(daemon, vm);
    return !inv_migration_out_is_undecided(vm) ||
           inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                         "domain '%s' stands still: all of it was sent, and whether it runs at the destination is not known, which "
                         "cannot be asked now. It goes on here, or is ended here, as soon as it can be (see dominfo)",
                         vm->name);
}

gboolean
inv_migration_out_is_confirmed_by(InvVm *vm, const char *cookie, gsize length, GError **error)
{
    g_autoptr(InvMigrationCookie) theirs = inv_migration_cookie_parse(cookie, length, error);
    g_autoptr(InvRegistryLock) lock = NULL;

    if (!theirs)
        return FALSE;
    lock = inv_registry_lock(vm->registry);
    if (!vm->migration_out)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "domain '%s' is not being migrated", vm->name);
    return g_strcmp0(theirs->token, vm->migration_out->token) == 0 ||
           inv_error_set(error, VIR_ERR_INVALID_ARG,
                         "the migration cookie is of another migration of domain '%s' than the one that is under way", vm->name);
}

gboolean
inv_migration_out_confirm(InvDaemon *daemon, InvVm *vm, unsigned int flags, gboolean cancelled, GError **error)
{
    InvMigrationOut *out = NULL;

    if (flags & VIR_MIGRATE_OFFLINE)
        return confirm_offline(daemon, vm, flags, cancelled, error);
    out = inv_migration_out_take(vm);
    if (!out)
        return cancelled || inv_error_set(error, VIR_ERR_OPERATION_INVALID, "domain '%s' is not being migrated", vm->name);
    inv_fault_point("migrate-out-before-confirm");
    switch (out->phase) {
    case INV_OUT_BEGUN:
        if (cancelled)
            return inv_migration_out_end(daemon, vm, out, TRUE, error);
        set_phase(vm, out, out->phase);
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "the state of domain '%s' was not sent: its migration cannot be confirmed", vm->name);
    case INV_OUT_SENT:
    case INV_OUT_UNDECIDED:
        return cancelled ? ask_before_going_on(daemon, vm, out, error) : inv_migration_out_end(daemon, vm, out, FALSE, error);
    case INV_OUT_INTERRUPTED:
        set_phase(vm, out, out->phase);
        return cancelled || inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                                          "the migration of domain '%s' is interrupted: take it up again with --postcopy "
                                          "--postcopy-resume",
                                          vm->name);
    case INV_OUT_RETURNING:
    case INV_OUT_ENDING:
        break;
    }
    /* It was decided before, and is under way. */
    set_phase(vm, out, out->phase);
    return cancelled == (out->phase == INV_OUT_RETURNING) ||
           inv_error_set(error, VIR_ERR_OPERATION_INVALID, "the migration of domain '%s' was %s before", vm->name,
                         cancelled ? "confirmed" : "called off");
}
