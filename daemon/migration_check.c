/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/migration_check.h"

#include "daemon/host.h"
#include "daemon/host_export.h"
#include "qemu/command.h"
#include "util/error.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* This host, while it is asked about one domain. */
typedef struct {
    InvDaemon *daemon;
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

/* Numbers that linux/magic.h does not have; statfs(2) tells them. */
#define CIFS_MAGIC 0xff534d42u
#define GFS2_MAGIC 0x01161970u
#define GPFS_MAGIC 0x47504653u
#define LUSTRE_MAGIC 0x0bd00bd0u

static InvDiskPresence
find_disk(gpointer data, const char *path)
{
    static const guint32 shared[] = { NFS_SUPER_MAGIC, CEPH_SUPER_MAGIC, OCFS2_SUPER_MAGIC, SMB_SUPER_MAGIC, SMB2_SUPER_MAGIC,
                                      FUSE_SUPER_MAGIC, CIFS_MAGIC, GFS2_MAGIC, GPFS_MAGIC, LUSTRE_MAGIC };
    struct stat info;
    struct statfs system;

    if (stat(path, &info) != 0)
        return errno == ENOENT || errno == ENOTDIR ? INV_DISK_ABSENT : INV_DISK_UNKNOWN;
    if (statfs(path, &system) != 0)
        return INV_DISK_LOCAL;
    for (guint i = 0; i < G_N_ELEMENTS(shared); i++) {
        if ((guint32)system.f_type == shared[i])
            return INV_DISK_SHARED;
    }
    return INV_DISK_LOCAL;
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
    g_auto(Here) here = { .daemon = daemon };
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
        subject->record = inv_cpu_record_copy(subject->active ? vm->live_record : vm->record);
        if (subject->active && vm->live)
            subject->domain = inv_domain_copy(vm->live);
    }
    if (!subject->domain)
        subject->domain = inv_vm_parse_inactive(vm, error);
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
    subject->emulator_version = g_strdup(inv_emulator_version_text(emulator));
    subject->hostname = inv_host_hostname();
    subject->host_uuid = inv_host_uuid(NULL);
    xml = inv_domain_format(subject->domain, INV_FORMAT_MIGRATABLE);
    json = inv_migration_subject_to_json(subject, xml);
    return inv_json_format(json, FALSE);
}
