/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/migration_check.h"

#include "cpu_driver/driver.h"
#include "cpu_driver/hold.h"
#include "util/error.h"

#include <string.h>

#define MIB (1024u * 1024u)
#define KIB 1024u

const char *
inv_migration_outcome_to_string(InvMigrationOutcome outcome)
{
    switch (outcome) {
    case INV_MIGRATION_CAN:
        return "can";
    case INV_MIGRATION_CAN_WITH:
        return "with";
    case INV_MIGRATION_CANNOT:
        return "cannot";
    }
    return "cannot";
}

void
inv_migration_verdict_free(InvMigrationVerdict *verdict)
{
    if (!verdict)
        return;
    inv_verdict_free(verdict->verdict);
    g_ptr_array_unref(verdict->arguments);
    g_ptr_array_unref(verdict->notes);
    g_free(verdict->hostname);
    g_free(verdict->uuid);
    g_free(verdict->emulator_version);
    g_free(verdict);
}

static InvMigrationVerdict *
verdict_new(void)
{
    InvMigrationVerdict *verdict = g_new0(InvMigrationVerdict, 1);

    verdict->verdict = inv_verdict_new();
    verdict->arguments = g_ptr_array_new_with_free_func(g_free);
    verdict->notes = g_ptr_array_new_with_free_func(g_free);
    return verdict;
}

void
inv_migration_verdict_refuse(InvMigrationVerdict *verdict, const char *feature, InvLayer layer, const char *reason, const char *remedy)
{
    inv_verdict_add(verdict->verdict, feature, layer, reason, remedy);
    verdict->verdict->outcome = INV_OUTCOME_REFUSED;
    verdict->outcome = INV_MIGRATION_CANNOT;
}

void
inv_migration_verdict_need(InvMigrationVerdict *verdict, const char *argument)
{
    if (!g_ptr_array_find_with_equal_func(verdict->arguments, argument, g_str_equal, NULL))
        g_ptr_array_add(verdict->arguments, g_strdup(argument));
    if (verdict->outcome == INV_MIGRATION_CAN)
        verdict->outcome = INV_MIGRATION_CAN_WITH;
}

static void note(InvMigrationVerdict *verdict, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void
note(InvMigrationVerdict *verdict, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    g_ptr_array_add(verdict->notes, g_strdup_vprintf(format, list));
    va_end(list);
}

/* A feature of which the table tells what becomes of it: QEMU filters what has a bit, and nothing else. */
static gboolean
has_bit(const InvCpuFacts *facts, const char *name)
{
    const InvCpuMapFeature *entry = inv_cpu_map_find(facts->map, name);

    return entry && entry->mask != 0;
}

InvFeatureSet *
inv_cpu_proved_features(const InvCpuTable *table)
{
    InvFeatureSet *proved = inv_feature_set_new(inv_cpu_table_names(table));

    for (guint i = 0; i < inv_cpu_table_size(table); i++) {
        const InvCpuModel *model = inv_cpu_table_at(table, i);
        g_autoptr(InvFeatureSet) on = NULL;

        if (!model->has_usable || !model->expansion)
            continue;
        on = inv_feature_set_copy(model->expansion->on);
        for (char **name = model->unavailable; name && *name; name++)
            inv_feature_set_remove(on, *name);
        inv_feature_set_unite(proved, on);
    }
    return proved;
}

/* What this QEMU can give to one who asks for it, or NULL: it was not asked. A new set. */
static InvFeatureSet *
can_give(const InvCpuFacts *facts)
{
    InvFeatureSet *gives = inv_cpu_host_gives(facts);
    g_autoptr(InvFeatureSet) own = NULL;
    const InvFeatureSet *proved = facts->proved;

    if (!gives)
        return NULL;
    if (!proved)
        proved = own = inv_cpu_proved_features(facts->table);
    inv_feature_set_unite(gives, proved);
    return gives;
}

/*
 * What QEMU would filter of @request, told from what it can give at all; *@known FALSE where its
 * table does not tell (no dictionary, no expansions). Owned by the caller.
 */
static char **
predict(const InvCpuFacts *facts, const InvCpuRequest *request, gboolean *known)
{
    const InvCpuModel *model = request->model ? inv_cpu_table_find(facts->table, request->model) : NULL;
    g_autoptr(InvFeatureSet) gives = can_give(facts);
    g_autoptr(InvFeatureSet) on = NULL;
    g_autofree const char **list = NULL;
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    const char *const *told = NULL;
    GHashTableIter iter;
    gpointer value;

    *known = TRUE;
    if (inv_cpu_request_known_unavailable(facts, request, &told))
        return told ? g_strdupv((char **)told) : g_strv_builder_end(builder);
    if (!gives || !model || !model->expansion || inv_cpu_map_size(facts->map) == 0) {
        *known = FALSE;
        return g_strv_builder_end(builder);
    }
    on = inv_feature_set_copy(model->expansion->on);
    g_hash_table_iter_init(&iter, request->features);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const InvAsked *asked = value;

        if (asked->on)
            inv_feature_set_add(on, asked->name);
        else
            inv_feature_set_remove(on, asked->name);
    }
    inv_feature_set_subtract(on, gives);
    list = inv_feature_set_list(on);
    for (guint i = 0; list[i]; i++) {
        if (has_bit(facts, list[i]))
            g_strv_builder_add(builder, list[i]);
    }
    return g_strv_builder_end(builder);
}

static InvVerdict *
refused_model(const InvCpuFacts *facts, const GError *cause)
{
    InvVerdict *verdict = inv_verdict_new();
    g_autofree char *remedy = g_strdup_printf("migrate to a host whose QEMU knows the domain's CPU model and features; this one has %s",
                                              facts->emulator);

    inv_verdict_add(verdict, "model", INV_LAYER_QEMU, cause->message, remedy);
    verdict->outcome = INV_OUTCOME_REFUSED;
    return verdict;
}

static gboolean
is_blocked(const InvVerdict *verdict, const char *feature)
{
    for (guint i = 0; i < verdict->blockers->len; i++) {
        if (strcmp(((const InvBlocker *)g_ptr_array_index(verdict->blockers, i))->feature, feature) == 0)
            return TRUE;
    }
    return FALSE;
}

/* KVM and QEMU refuse to send the state of some features (invtsc) to another host, whatever that has. */
static void
refuse_bound_features(InvVerdict *verdict, const InvCpuFacts *facts, const InvCpuRecord *record)
{
    for (char **name = record->on; facts->accelerator == INV_VIRT_KVM && *name; name++) {
        const InvCpuMapFeature *entry = inv_cpu_map_find(facts->map, *name);
        g_autofree char *reason = NULL;

        if (!entry || !entry->mask || entry->migratable || is_blocked(verdict, *name))
            continue;
        reason = g_strdup_printf("the guest sees %s, which QEMU lets no guest take to another host", *name);
        inv_verdict_add(verdict, *name, INV_LAYER_QEMU, reason,
                        "shut the domain down, take the feature out of its definition and reopen its record (invar cpu-reopen)");
        verdict->outcome = INV_OUTCOME_REFUSED;
    }
}

/* "GenuineIntel 6-94-3 Intel(R) Core(TM) …": which processor it is, down to the one that a shop sells. */
static char *
processor_text(const char *vendor, gint64 family, gint64 model, gint64 stepping, const char *brand)
{
    g_autofree char *text = g_strdup_printf("%s %" G_GINT64_FORMAT "-%" G_GINT64_FORMAT "-%" G_GINT64_FORMAT " %s", vendor ? vendor : "?", family,
                                            model, stepping, brand ? brand : "");

    return g_strdup(g_strstrip(text));
}

/*
 * With the host's own processor a guest sees what belongs to no feature: sizes of caches, counters, the power leaf.
 * The brand names one product of a signature, and of one product these are equal.
 */
static void
refuse_other_processor(InvVerdict *verdict, const InvCpuFacts *facts, const InvCpuRecord *record)
{
    g_autofree char *theirs = NULL, *ours = NULL, *reason = NULL;
    const InvJson *host = facts->host ? facts->host->others : NULL;

    if (facts->accelerator != INV_VIRT_KVM || (g_strcmp0(record->model, "host") != 0 && g_strcmp0(record->model, "max") != 0) || !record->vendor ||
        !host)
        return;
    theirs = processor_text(record->vendor, record->family, record->model_number, record->stepping, record->brand);
    ours = processor_text(inv_json_get_string(host, "vendor"), inv_json_get_int(host, "family", -1), inv_json_get_int(host, "model", -1),
                          inv_json_get_int(host, "stepping", -1), record->brand ? inv_json_get_string(host, "model-id") : NULL);
    if (strcmp(theirs, ours) == 0 || is_blocked(verdict, "processor"))
        return;
    reason = g_strdup_printf("the guest has its host's own processor (%s), caches and counters included, and this host's is another one (%s)",
                             theirs, ours);
    inv_verdict_add(verdict, "processor", INV_LAYER_HARDWARE, reason,
                    "migrate to a host with the same processor, or give the domain a named model (<cpu mode='custom'>) and reopen its record (invar cpu-reopen)");
    verdict->outcome = INV_OUTCOME_REFUSED;
}

void
inv_migration_refuse_immobile(InvVerdict *verdict, const InvCpuFacts *facts, const InvCpuRecord *record)
{
    refuse_bound_features(verdict, facts, record);
    refuse_other_processor(verdict, facts, record);
}

/* What a guest that runs already would lose is no drop that may be recorded: it must not happen. */
static void
refuse_filtered(InvVerdict *verdict, const InvCpuFacts *facts, const InvCpu *cpu, const InvCpuRequest *request, char *const *unavailable)
{
    g_autoptr(InvVerdict) told = inv_cpu_verdict(facts, cpu, request, (const char *const *)unavailable);

    g_free(verdict->argument);
    verdict->argument = g_steal_pointer(&told->argument);
    for (guint i = 0; i < told->blockers->len; i++) {
        const InvBlocker *blocker = g_ptr_array_index(told->blockers, i);

        if (is_blocked(verdict, blocker->feature))
            continue;
        inv_verdict_add(verdict, blocker->feature, blocker->layer, blocker->reason, "migrate to a host that gives it");
        verdict->outcome = INV_OUTCOME_REFUSED;
    }
}

InvVerdict *
inv_migration_check_cpu(const InvCpuFacts *facts, const InvCpu *cpu, const InvCpuRecord *record, InvCpuRequest **request)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(InvCpuRequest) asked = inv_cpu_resolve(facts, cpu, &cause);
    g_autoptr(InvVerdict) verdict = NULL;
    g_auto(GStrv) unavailable = NULL;
    gboolean known;

    if (request)
        *request = NULL;
    if (!asked)
        return refused_model(facts, cause);
    if (!record) {
        unavailable = predict(facts, asked, &known);
        verdict = inv_cpu_verdict(facts, cpu, asked, (const char *const *)unavailable);
    } else {
        verdict = inv_cpu_hold(facts, asked, record);
        inv_migration_refuse_immobile(verdict, facts, record);
        unavailable = predict(facts, asked, &known);
        refuse_filtered(verdict, facts, cpu, asked, unavailable);
    }
    if (!verdict->model)
        verdict->model = g_strdup(inv_cpu_request_model(asked));
    if (!verdict->machine)
        verdict->machine = g_strdup(facts->machine);
    if (request)
        *request = g_steal_pointer(&asked);
    return g_steal_pointer(&verdict);
}

/* The models whose expansion the check looks at. */
static char **
models_of(const InvMigrationSubject *subject)
{
    const InvCpu *cpu = subject->domain->cpu;
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

    if (subject->record && subject->record->model)
        g_strv_builder_add(builder, subject->record->model);
    if (cpu && cpu->model && *cpu->model)
        g_strv_builder_add(builder, cpu->model);
    /* What these modes stand for under either accelerator. */
    if (cpu && (cpu->mode == INV_CPU_MODE_MAXIMUM || cpu->mode == INV_CPU_MODE_HOST_PASSTHROUGH || g_strcmp0(cpu->model, "host") == 0))
        g_strv_builder_add_many(builder, "max", "host", NULL);
    return g_strv_builder_end(builder);
}

static gboolean
check_emulator(InvMigrationVerdict *verdict, const InvMigrationSubject *subject, const InvMigrationHost *host)
{
    const InvDomain *domain = subject->domain;
    g_autoptr(GError) cause = NULL;

    if (host->emulator(host->data, domain->emulator, domain->os.arch, &cause)) {
        verdict->emulator_version = g_strdup(host->version ? host->version(host->data) : NULL);
        return TRUE;
    }
    inv_migration_verdict_refuse(verdict, "emulator", INV_LAYER_QEMU, cause->message,
                                 domain->emulator ? "install it there under that path, or migrate with --xml and another <emulator>"
                                                  : "install a QEMU for that architecture there");
    return FALSE;
}

static gboolean
check_accelerator(InvMigrationVerdict *verdict, const InvMigrationSubject *subject, const InvMigrationHost *host)
{
    g_autoptr(GError) cause = NULL;

    if (host->accelerator(host->data, subject->domain->virt_type, &cause))
        return TRUE;
    inv_migration_verdict_refuse(verdict, "accelerator", INV_LAYER_KERNEL, cause->message,
                                 subject->domain->virt_type == INV_VIRT_KVM
                                     ? "make KVM work there (the kernel's module, the firmware's setting, the rights of /dev/kvm)"
                                     : "install a QEMU that is built with TCG there");
    return FALSE;
}

/* FALSE: there is no such machine type. */
static gboolean
check_machine(InvMigrationVerdict *verdict, const InvMigrationSubject *subject, const InvMigrationHost *host)
{
    const char *wanted = subject->record && subject->record->machine ? subject->record->machine : subject->domain->os.machine;
    const char *canonical = NULL;
    guint max_vcpus = 0;
    g_autoptr(GError) cause = NULL;
    g_autofree char *reason = NULL;

    if (!host->machine(host->data, wanted, &canonical, &max_vcpus, &cause)) {
        inv_migration_verdict_refuse(verdict, "machine", INV_LAYER_MACHINE, cause->message,
                                     "migrate to a host whose QEMU has that machine type: a guest's machine never changes");
        return FALSE;
    }
    /* An alias means another machine under another QEMU. */
    if (subject->record && subject->record->machine && g_strcmp0(canonical, wanted) != 0) {
        reason = g_strdup_printf("the guest is a %s, and by that name this QEMU makes a %s", wanted, canonical);
        inv_migration_verdict_refuse(verdict, "machine", INV_LAYER_MACHINE, reason,
                                     "migrate to a host whose QEMU has that machine type: a guest's machine never changes");
        return FALSE;
    }
    if (max_vcpus && subject->domain->max_vcpus > max_vcpus) {
        reason = g_strdup_printf("the domain has %u vCPUs, machine type %s has at most %u there", subject->domain->max_vcpus, canonical,
                                 max_vcpus);
        inv_migration_verdict_refuse(verdict, "vcpu", INV_LAYER_MACHINE, reason, "migrate to a host whose QEMU allows more");
    }
    return TRUE;
}

static void
check_cpu(InvMigrationVerdict *verdict, const InvMigrationSubject *subject, const InvMigrationHost *host)
{
    g_auto(GStrv) models = models_of(subject);
    g_autoptr(GError) cause = NULL;
    g_autoptr(InvVerdict) cpu = NULL;
    InvCpuFacts facts = { 0 };

    if (!host->facts(host->data, (const char *const *)models, &facts, &cause)) {
        inv_migration_verdict_refuse(verdict, "model", INV_LAYER_QEMU, cause->message,
                                     host->as_of ? "export the host anew with this machine type: invar host-export --machine"
                                                 : "look into the destination's log");
        return;
    }
    cpu = inv_migration_check_cpu(&facts, subject->domain->cpu, subject->record, NULL);
    verdict->verdict->model = g_steal_pointer(&cpu->model);
    verdict->verdict->machine = g_steal_pointer(&cpu->machine);
    verdict->verdict->argument = g_steal_pointer(&cpu->argument);
    for (guint i = 0; i < cpu->blockers->len; i++) {
        const InvBlocker *blocker = g_ptr_array_index(cpu->blockers, i);

        if (cpu->outcome == INV_OUTCOME_REFUSED)
            inv_migration_verdict_refuse(verdict, blocker->feature, blocker->layer, blocker->reason, blocker->remedy);
        else
            note(verdict, "a first start there would drop %s: %s", blocker->feature, blocker->reason);
    }
}

static void
check_devices(InvMigrationVerdict *verdict, const InvMigrationSubject *subject, const InvMigrationHost *host)
{
    if (!subject->devices) {
        note(verdict, "which devices QEMU would be asked for is not known: they were not checked");
        return;
    }
    for (char **type = subject->devices; *type; type++) {
        g_autofree char *feature = NULL;
        g_autofree char *reason = NULL;

        if (host->has_device(host->data, *type))
            continue;
        feature = g_strdup_printf("device %s", *type);
        reason = g_strdup_printf("the domain has a %s, and the QEMU there knows no such device", *type);
        inv_migration_verdict_refuse(verdict, feature, INV_LAYER_QEMU, reason,
                                     "install the QEMU module that has it, or migrate to a host whose QEMU knows it");
    }
}

static void
check_memory(InvMigrationVerdict *verdict, const InvMigrationSubject *subject, const InvMigrationHost *host)
{
    guint64 needed = subject->domain->max_memory_kib > G_MAXUINT64 / KIB ? G_MAXUINT64 : subject->domain->max_memory_kib * KIB;
    g_autofree char *reason = NULL;

    if (host->memory_total && needed > host->memory_total) {
        reason = g_strdup_printf("the guest has %" G_GUINT64_FORMAT " MiB of memory, the host %" G_GUINT64_FORMAT " MiB in all", needed / MIB,
                                 host->memory_total / MIB);
        inv_migration_verdict_refuse(verdict, "memory", INV_LAYER_HARDWARE, reason, "migrate to a larger host");
    } else if (host->memory_available && needed > host->memory_available) {
        g_autoptr(GDateTime) when = host->as_of ? g_date_time_new_from_unix_utc(host->as_of) : NULL;
        g_autofree char *date = when ? g_date_time_format(when, " on %Y-%m-%d at %H:%M UTC, when it was exported") : NULL;

        reason = g_strdup_printf("the guest has %" G_GUINT64_FORMAT " MiB of memory, and the host had %" G_GUINT64_FORMAT " MiB to give%s",
                                 needed / MIB, host->memory_available / MIB, date ? date : "");
        inv_migration_verdict_refuse(verdict, "memory", INV_LAYER_HARDWARE, reason,
                                     host->as_of ? "free memory there and export the host anew, or ask the host itself" : "free memory there");
    }
}

/* What can be done about a disk that is not there, or is another one. */
static void
check_missing_disk(InvMigrationVerdict *verdict, const InvMigrationSubject *subject, const InvDisk *disk, const char *feature, const char *what)
{
    g_autofree char *reason = NULL;

    if (!subject->active) {
        note(verdict, "%s: %s: bring it there before the domain is started", feature, what);
        return;
    }
    if (!disk->readonly && !disk->shareable && disk->device != INV_DISK_CDROM) {
        inv_migration_verdict_need(verdict, "--copy-storage-all");
        note(verdict, "%s: %s: it must be copied along, or shared", feature, what);
        return;
    }
    reason = g_strdup_printf("%s, and what %s is not copied along", what, disk->shareable ? "several guests write" : "cannot be written");
    inv_migration_verdict_refuse(verdict, feature, INV_LAYER_CONFIGURATION, reason,
                                 disk->device == INV_DISK_DISK ? "copy or share it" : "copy or share it, or eject it before");
}

static void
check_disk(InvMigrationVerdict *verdict, const InvMigrationSubject *subject, const InvMigrationHost *host, const InvDisk *disk)
{
    g_autofree char *feature = g_strdup_printf("disk %s", disk->target ? disk->target : disk->path);
    g_autofree char *what = NULL;

    switch (host->disk ? host->disk(host->data, disk) : INV_DISK_UNKNOWN) {
    case INV_DISK_UNKNOWN:
        note(verdict, "%s: whether %s is there was not looked at; share it, or copy it along with --copy-storage-all", feature, disk->path);
        return;
    case INV_DISK_SHARED:
    case INV_DISK_SAME:
        return;
    case INV_DISK_LOCAL:
        note(verdict, "%s: %s is there on a file system of that host; unless it is the same one, copy it along with --copy-storage-all",
             feature, disk->path);
        return;
    case INV_DISK_OTHER:
        what = g_strdup_printf("%s is there, and is another file", disk->path);
        break;
    case INV_DISK_ABSENT:
        what = g_strdup_printf("%s is not there", disk->path);
        break;
    }
    check_missing_disk(verdict, subject, disk, feature, what);
}

static void
check_disks(InvMigrationVerdict *verdict, const InvMigrationSubject *subject, const InvMigrationHost *host)
{
    for (guint i = 0; i < subject->domain->devices->len; i++) {
        const InvDevice *device = g_ptr_array_index(subject->domain->devices, i);
        const InvDisk *disk = &device->u.disk;

        if (device->type != INV_DEVICE_DISK || !disk->path)
            continue;
        if (!subject->copied || !disk->target || !g_strv_contains((const char *const *)subject->copied, disk->target))
            check_disk(verdict, subject, host, disk);
    }
}

InvMigrationVerdict *
inv_migration_check(const InvMigrationSubject *subject, const InvMigrationHost *host)
{
    InvMigrationVerdict *verdict = verdict_new();

    verdict->hostname = g_strdup(host->hostname);
    verdict->uuid = g_strdup(host->uuid);
    verdict->as_of = host->as_of;
    if (subject->host_uuid && g_strcmp0(subject->host_uuid, host->uuid) == 0)
        inv_migration_verdict_refuse(verdict, "host", INV_LAYER_CONFIGURATION, "it is the very host that the domain is on",
                                     "choose another destination");
    if (!subject->active) {
        inv_migration_verdict_need(verdict, "--offline");
        inv_migration_verdict_need(verdict, "--persistent");
    }
    if (check_emulator(verdict, subject, host)) {
        gboolean works = check_accelerator(verdict, subject, host);

        if (check_machine(verdict, subject, host) && works && host->facts)
            check_cpu(verdict, subject, host);
        check_devices(verdict, subject, host);
    }
    check_memory(verdict, subject, host);
    check_disks(verdict, subject, host);
    return verdict;
}
