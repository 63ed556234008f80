/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/migration_check.h"

#include "daemon/disk_file.h"
#include "daemon/host.h"
#include "daemon/host_export.h"
#include "qemu/command.h"
#include "util/error.h"

#include <string.h>

/* This host, while it is asked about one domain. */
typedef struct {
    InvDaemon *daemon;
    const InvMigrationSubject *subject;
    InvEmulator *emulator;     /* owned */
    const InvMachine *machine; /* the emulator's */
    InvVirtType accelerator;
    gboolean asked_cpu;        /* the facts were there, and a verdict was made of them */
} Here;

static void
here_clear(Here *here)
{
    g_clear_pointer(&here->emulator, inv_emulator_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Here, here_clear)

static gboolean
find_emulator(gpointer data, const char *path, const char *arch, GError **error)
{
    Here *here = data;

    here->emulator = inv_emulators_get(here->daemon->emulators, path, arch, inv_daemon_probe_deadline(here->daemon), error);
    return here->emulator != NULL;
}

static const char *
emulator_version(gpointer data)
{
    return inv_emulator_version_text(((Here *)data)->emulator);
}

static gboolean
check_accelerator(gpointer data, InvVirtType accelerator, GError **error)
{
    Here *here = data;

    here->accelerator = accelerator;
    return inv_emulator_check_accelerator(here->emulator, accelerator, error);
}

static gboolean
find_machine(gpointer data, const char *name, const char **canonical, guint *max_vcpus, GError **error)
{
    Here *here = data;

    here->machine = inv_emulator_find_machine(here->emulator, name, error);
    if (!here->machine)
        return FALSE;
    *canonical = here->machine->name;
    *max_vcpus = here->machine->max_cpus;
    return TRUE;
}

static gboolean
fill_facts(gpointer data, const char *const *models, InvCpuFacts *facts, GError **error)
{
    Here *here = data;

    here->asked_cpu = inv_emulator_cpu_facts(here->emulator, here->accelerator, here->machine->name, INV_EXPANSIONS_ALL,
                                             inv_daemon_probe_deadline(here->daemon), facts, error);
    return here->asked_cpu;
}

static gboolean
has_device(gpointer data, const char *type)
{
    return inv_emulator_has_device(((Here *)data)->emulator, type);
}

static InvDiskPresence
find_disk(gpointer data, const InvDisk *disk)
{
    const InvMigrationSubject *subject = ((const Here *)data)->subject;

    return inv_disk_file_find(disk, subject->files, subject->boot);
}

/*
 * The proof: QEMU is asked what it would filter of what it would be given. What is forced it lists all the
 * same, and a dry run tells nothing then.
 */
static void
prove(Here *here, const InvMigrationSubject *subject, InvMigrationVerdict *verdict)
{
    const char *argument = verdict->verdict->argument;
    g_auto(GStrv) unavailable = NULL;
    g_autoptr(GError) cause = NULL;

    if (verdict->outcome == INV_MIGRATION_CANNOT || !here->asked_cpu || !argument || strstr(argument, "x-force-features"))
        return;
    if (!inv_emulator_dry_run(here->emulator, here->accelerator, here->machine->name, argument, inv_daemon_probe_deadline(here->daemon),
                              &unavailable, &cause)) {
        inv_migration_verdict_refuse(verdict, "model", INV_LAYER_QEMU, cause->message, "migrate to a host whose QEMU takes that CPU");
        return;
    }
    for (char **name = unavailable; name && *name; name++) {
        g_autofree char *reason = NULL;

        if (inv_cpu_map_follows_topology(*name) || !subject->record || !g_strv_contains((const char *const *)subject->record->on, *name))
            continue;
        reason = g_strdup_printf("the guest sees %s, and QEMU said in a dry run that it would filter it", *name);
        inv_migration_verdict_refuse(verdict, *name, INV_LAYER_QEMU, reason, "migrate to a host that gives it");
    }
}

/* Who has the name, or the uuid. */
static void
check_domains(InvDaemon *daemon, const InvMigrationSubject *subject, InvMigrationVerdict *verdict)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);
    const InvDomain *domain = subject->domain;
    const InvVm *same = inv_registry_find_uuid_locked(daemon->registry, domain->uuid);
    const InvVm *named = inv_registry_find_name_locked(daemon->registry, domain->name);
    g_autofree char *reason = NULL;

    if (same && inv_vm_is_active(same)) {
        reason = g_strdup_printf("a domain with the uuid %s runs there already, as '%s'", same->uuid_text, same->name);
        inv_migration_verdict_refuse(verdict, "domain", INV_LAYER_CONFIGURATION, reason, "choose another destination, or end that one");
    } else if (same && strcmp(same->name, domain->name) != 0) {
        reason = g_strdup_printf("the domain's uuid is there already, as '%s'", same->name);
        inv_migration_verdict_refuse(verdict, "domain", INV_LAYER_CONFIGURATION, reason, "undefine it there, or rename it");
    } else if (named && named != same) {
        inv_migration_verdict_need(verdict, "--dname NAME");
        g_ptr_array_add(verdict->notes, g_strdup_printf("another domain is called '%s' there: give this one another name", domain->name));
    }
}

InvMigrationVerdict *
inv_migration_check_here(InvDaemon *daemon, const InvMigrationSubject *subject)
{
    g_auto(Here) here = { .daemon = daemon, .subject = subject };
    g_autofree char *hostname = inv_host_hostname();
    g_autofree char *uuid = inv_host_uuid(NULL);
    InvMigrationHost questions = {
        .hostname = hostname,
        .uuid = uuid,
        .data = &here,
        .emulator = find_emulator,
        .accelerator = check_accelerator,
        .machine = find_machine,
        .facts = fill_facts,
        .has_device = has_device,
        .disk = find_disk,
        .version = emulator_version,
    };
    InvMigrationVerdict *verdict;

    inv_host_memory_of(&questions.memory_total, &questions.memory_available);
    verdict = inv_migration_check(subject, &questions);
    prove(&here, subject, verdict);
    /* The domain itself is no other one. */
    if (g_strcmp0(subject->host_uuid, uuid) != 0)
        check_domains(daemon, subject, verdict);
    return verdict;
}

/* As an error: what refuses, and what would have had to be asked for. */
static gboolean
tell_refused(const InvMigrationVerdict *verdict, const char *name, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < verdict->verdict->blockers->len; i++) {
        const InvBlocker *blocker = g_ptr_array_index(verdict->verdict->blockers, i);

        g_string_append_printf(text, "\n  %s: %s; %s", blocker->feature, blocker->reason, blocker->remedy);
    }
    for (guint i = 0; verdict->arguments->len && i < verdict->notes->len; i++)
        g_string_append_printf(text, "\n  %s", (const char *)g_ptr_array_index(verdict->notes, i));
    for (guint i = 0; i < verdict->arguments->len; i++)
        g_string_append_printf(text, "%s%s", i ? " " : "\nIt takes ", (const char *)g_ptr_array_index(verdict->arguments, i));
    return inv_error_set(error, VIR_ERR_MIGRATE_UNSAFE, "domain '%s' cannot be migrated to this host%s\n--unsafe overrides what is said of disks and memory",
                         name, text->str);
}

gboolean
inv_migration_check_prepare(InvDaemon *daemon, const InvMigrationCookie *source, const InvMigrationOptions *options, InvDomain *domain,
                            GError **error)
{
    gboolean unsafe = (options->flags & VIR_MIGRATE_UNSAFE) != 0;
    g_autofree const char **copied = g_new0(const char *, (source->disks ? source->disks->len : 0) + 1);
    InvMigrationSubject subject = {
        .domain = domain,
        .record = source->record,
        /* Offline no guest moves that would have to be told from one that has yet to start. */
        .active = TRUE,
        .files = source->files,
        .boot = source->boot,
        .copied = (char **)copied,
    };
    g_auto(Here) here = { .daemon = daemon, .subject = &subject };
    g_autofree char *hostname = inv_host_hostname();
    InvMigrationHost questions = {
        .hostname = hostname,
        .data = &here,
        .emulator = find_emulator,
        .accelerator = check_accelerator,
        .machine = find_machine,
        .has_device = has_device,
        .disk = unsafe || (options->flags & VIR_MIGRATE_OFFLINE) ? NULL : find_disk,
        .version = emulator_version,
    };
    g_autoptr(InvMigrationVerdict) verdict = NULL;
    g_autoptr(InvEmulator) emulator = NULL;
    const InvMachine *machine = NULL;
    g_auto(GStrv) devices = NULL;

    for (guint i = 0; source->disks && i < source->disks->len; i++)
        copied[i] = ((const InvCopiedDisk *)g_ptr_array_index(source->disks, i))->target;
    if (!unsafe && !(options->flags & VIR_MIGRATE_OFFLINE))
        inv_host_memory_of(&questions.memory_total, &questions.memory_available);
    emulator = inv_emulators_get(daemon->emulators, domain->emulator, domain->os.arch, inv_daemon_probe_deadline(daemon), NULL);
    if (emulator)
        machine = inv_emulator_find_machine(emulator, domain->os.machine, NULL);
    if (machine)
        devices = inv_command_device_types(domain, emulator, machine, NULL);
    subject.devices = devices;
    verdict = inv_migration_check(&subject, &questions);
    return verdict->outcome == INV_MIGRATION_CAN || tell_refused(verdict, domain->name, error);
}

/* What stands for the host here stands for nothing there: the model and features that it came to are named. */
static gboolean
name_cpu(InvDaemon *daemon, InvEmulator *emulator, InvMigrationSubject *subject, GError **error)
{
    InvDomain *domain = subject->domain;
    InvCpuFacts facts = { 0 };
    InvCpu *named;

    if (!subject->record || !domain->cpu || domain->cpu->mode != INV_CPU_MODE_HOST_MODEL)
        return TRUE;
    if (!inv_emulator_cpu_facts(emulator, domain->virt_type, subject->record->machine, INV_EXPANSIONS_ALL, inv_daemon_probe_deadline(daemon), &facts, error))
        return FALSE;
    named = inv_cpu_update(&facts, domain->cpu, subject->record, error);
    if (!named)
        return FALSE;
    inv_cpu_free(domain->cpu);
    domain->cpu = named;
    return TRUE;
}

static gboolean
fill_subject(InvVm *vm, InvMigrationSubject *subject, GError **error)
{
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        subject->active = inv_vm_is_active(vm);
        if (subject->active)
            subject->record = inv_cpu_record_copy(vm->live_record);
        if (subject->active && vm->live)
            subject->domain = inv_domain_copy(vm->live);
    }
    if (!subject->active && !inv_vm_read_record(vm, &subject->record, error))
        return FALSE;
    if (!subject->domain)
        subject->domain = inv_vm_read_inactive(vm, error);
    return subject->domain != NULL;
}

char *
inv_migration_export(InvDaemon *daemon, InvVm *vm, GError **error)
{
    g_autoptr(InvMigrationSubject) subject = g_new0(InvMigrationSubject, 1);
    g_autoptr(InvEmulator) emulator = NULL;
    const InvMachine *machine;
    g_autofree char *xml = NULL;
    g_autoptr(InvJson) json = NULL;

    if (!fill_subject(vm, subject, error))
        return NULL;
    emulator = inv_emulators_get(daemon->emulators, subject->domain->emulator, subject->domain->os.arch, inv_daemon_probe_deadline(daemon), error);
    machine = emulator ? inv_emulator_find_machine(emulator, subject->domain->os.machine, error) : NULL;
    if (!machine || !name_cpu(daemon, emulator, subject, error))
        return NULL;
    /* An alias means what it means here. */
    g_free(subject->domain->os.machine);
    subject->domain->os.machine = g_strdup(machine->name);
    subject->devices = inv_command_device_types(subject->domain, emulator, machine, NULL);
    subject->files = inv_disk_files_of(subject->domain);
    subject->boot = inv_disk_file_boot();
    subject->emulator_version = g_strdup(inv_emulator_version_text(emulator));
    subject->hostname = inv_host_hostname();
    subject->host_uuid = inv_host_uuid(NULL);
    xml = inv_domain_format(subject->domain, INV_FORMAT_MIGRATABLE);
    json = inv_migration_subject_to_json(subject, xml);
    return inv_json_format(json, FALSE);
}
