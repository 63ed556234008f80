/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host_export.h"

#include "cpu_driver/host_export.h"
#include "daemon/host.h"
#include "qemu/kvm.h"
#include "qemu/kvm_cpu.h"
#include "util/error.h"

#include <string.h>

#define KIB 1024u
/* As many tables as are asked for at once; how many QEMUs that may be is the probe budget's to say. */
#define MAX_THREADS 4

static const InvVirtType accelerators[] = { INV_VIRT_QEMU, INV_VIRT_KVM };
#define ACCELERATORS G_N_ELEMENTS(accelerators)

/* One machine type of one emulator, and what is known of it. */
typedef struct {
    InvDaemon *daemon;
    InvEmulator *emulator;     /* borrowed */
    const InvMachine *machine; /* the emulator's */
    InvCpuFacts facts[ACCELERATORS];
    gboolean has[ACCELERATORS];
} Table;

void
inv_host_memory_of(guint64 *total, guint64 *available)
{
    InvMemoryStats stats = { 0 };

    *total = *available = 0;
    if (!inv_host_memory_stats(&stats, NULL) || stats.total > G_MAXUINT64 / KIB)
        return;
    *total = stats.total * KIB;
    *available = (stats.available ? stats.available : stats.free + stats.buffers + stats.cached) * KIB;
}

static void
ask_table(gpointer data, gpointer user_data)
{
    Table *table = data;

    for (guint i = 0; i < ACCELERATORS; i++) {
        g_autoptr(GError) cause = NULL;

        if (inv_daemon_is_ending(table->daemon) || !inv_emulator_check_accelerator(table->emulator, accelerators[i], NULL))
            continue;
        table->has[i] = inv_emulator_cpu_facts(table->emulator, accelerators[i], table->machine->name, INV_EXPANSIONS_ALL,
                                               inv_daemon_probe_deadline(table->daemon), &table->facts[i], &cause);
        if (!table->has[i])
            g_info("host export without %s of %s: %s", table->machine->name, inv_emulator_path(table->emulator), cause->message);
    }
}

/* Of the machine types that the domains of this daemon use. */
static gboolean
is_used(const GPtrArray *platforms, InvEmulator *emulator, const InvMachine *machine)
{
    for (guint i = 0; i < platforms->len; i++) {
        const InvVmPlatform *platform = g_ptr_array_index(platforms, i);
        const InvMachine *found;

        if (g_strcmp0(platform->arch, inv_emulator_arch(emulator)) != 0 ||
            (platform->emulator && strcmp(platform->emulator, inv_emulator_path(emulator)) != 0))
            continue;
        found = inv_emulator_find_machine(emulator, platform->machine, NULL);
        if (found == machine)
            return TRUE;
    }
    return FALSE;
}

/* Every name of @machines is a machine type of @emulator. */
static gboolean
check_names(InvEmulator *emulator, const char *const *machines, GError **error)
{
    for (; machines && *machines; machines++) {
        if (!inv_emulator_find_machine(emulator, *machines, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
is_named(InvEmulator *emulator, const char *const *machines, const InvMachine *machine)
{
    for (; machines && *machines; machines++) {
        if (inv_emulator_find_machine(emulator, *machines, NULL) == machine)
            return TRUE;
    }
    return FALSE;
}

/* CPUs are devices to QEMU; what there is of them is in the tables. */
static char **
devices_of(const InvEmulator *emulator)
{
    g_auto(GStrv) all = inv_emulator_list_devices(emulator);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

    for (char **type = all; *type; type++) {
        if (!g_str_has_suffix(*type, "-cpu"))
            g_strv_builder_add(builder, *type);
    }
    return g_strv_builder_end(builder);
}

static void
add_emulator(InvHostExportWriter *writer, InvDaemon *daemon, InvEmulator *emulator, GPtrArray *tables)
{
    g_auto(GStrv) devices = devices_of(emulator);
    g_autoptr(InvEmulator) usual =
        inv_emulators_get(daemon->emulators, NULL, inv_emulator_arch(emulator), inv_daemon_probe_deadline(daemon), NULL);
    g_autoptr(GError) tcg = NULL;
    g_autoptr(GError) kvm = NULL;

    inv_emulator_check_accelerator(emulator, INV_VIRT_QEMU, &tcg);
    inv_emulator_check_accelerator(emulator, INV_VIRT_KVM, &kvm);
    inv_host_export_writer_add_emulator(writer, &(InvHostExportEmulator){ .path = inv_emulator_path(emulator),
                                                                          .arch = inv_emulator_arch(emulator),
                                                                          .version = inv_emulator_version_text(emulator),
                                                                          .tcg = tcg ? tcg->message : NULL,
                                                                          .kvm = kvm ? kvm->message : NULL,
                                                                          .devices = (const char *const *)devices,
                                                                          .is_usual = usual && g_str_equal(inv_emulator_path(usual),
                                                                                                           inv_emulator_path(emulator)) });
    for (guint i = 0; i < inv_emulator_n_machines(emulator); i++) {
        const InvMachine *machine = inv_emulator_machine_at(emulator, i);
        InvHostExportMachine out = {
            .name = machine->name, .alias = machine->alias, .is_default = machine->is_default, .max_vcpus = machine->max_cpus
        };

        for (guint k = 0; k < tables->len; k++) {
            const Table *table = g_ptr_array_index(tables, k);

            if (table->emulator == emulator && table->machine == machine) {
                out.tcg = table->has[0] ? &table->facts[0] : NULL;
                out.kvm = table->has[1] ? &table->facts[1] : NULL;
            }
        }
        inv_host_export_writer_add_machine(writer, &out);
    }
}

/* The emulators that are described, of InvEmulator. NULL with an error. */
static GPtrArray *
choose_emulators(InvDaemon *daemon, const char *path, const GPtrArray *platforms, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)inv_emulator_unref);
    guint deadline = inv_daemon_probe_deadline(daemon);
    g_auto(GStrv) paths = path ? NULL : inv_emulators_list(daemon->emulators);

    if (path) {
        InvEmulator *emulator = inv_emulators_get(daemon->emulators, path, NULL, deadline, error);

        if (!emulator)
            return NULL;
        g_ptr_array_add(list, emulator);
        return g_steal_pointer(&list);
    }
    for (char **at = paths; *at; at++) {
        g_autoptr(InvEmulator) emulator = inv_emulators_get(daemon->emulators, *at, NULL, deadline, NULL);
        gboolean wanted = emulator && g_str_equal(inv_emulator_arch(emulator), daemon->host_arch);

        for (guint i = 0; emulator && !wanted && i < platforms->len; i++)
            wanted = g_strcmp0(((const InvVmPlatform *)g_ptr_array_index(platforms, i))->arch, inv_emulator_arch(emulator)) == 0;
        if (wanted)
            g_ptr_array_add(list, g_steal_pointer(&emulator));
    }
    return g_steal_pointer(&list);
}

/* Of Table, for all that is wanted; asked. */
static GPtrArray *
ask_tables(InvDaemon *daemon, const GPtrArray *emulators, const GPtrArray *platforms, const char *const *machines, gboolean all)
{
    GPtrArray *tables = g_ptr_array_new_with_free_func(g_free);
    GThreadPool *pool = g_thread_pool_new(ask_table, NULL, MAX_THREADS, FALSE, NULL);

    for (guint i = 0; i < emulators->len; i++) {
        InvEmulator *emulator = g_ptr_array_index(emulators, i);

        for (guint k = 0; k < inv_emulator_n_machines(emulator); k++) {
            const InvMachine *machine = inv_emulator_machine_at(emulator, k);
            Table *table;

            if (!all && !machine->is_default && !machine->alias && !is_named(emulator, machines, machine) &&
                !is_used(platforms, emulator, machine))
                continue;
            table = g_new0(Table, 1);
            *table = (Table){ .daemon = daemon, .emulator = emulator, .machine = machine };
            g_ptr_array_add(tables, table);
            g_thread_pool_push(pool, table, NULL);
        }
    }
    g_thread_pool_free(pool, FALSE, TRUE);
    return tables;
}

static const InvFeatureSet *
hardware_of(const GPtrArray *tables, const char *arch)
{
    for (guint i = 0; i < tables->len; i++) {
        const Table *table = g_ptr_array_index(tables, i);

        for (guint k = 0; k < ACCELERATORS; k++) {
            if (table->has[k] && table->facts[k].hardware && g_strcmp0(table->facts[k].arch, arch) == 0)
                return table->facts[k].hardware;
        }
    }
    return NULL;
}

char *
inv_host_export(InvDaemon *daemon, const char *emulator, const char *const *machines, gboolean all, GError **error)
{
    g_autoptr(GPtrArray) platforms = inv_registry_list_platforms(daemon->registry);
    g_autoptr(GPtrArray) emulators = choose_emulators(daemon, emulator, platforms, error);
    g_autoptr(GPtrArray) tables = NULL;
    g_autoptr(InvKvmSettings) settings = inv_kvm_settings_new();
    g_autofree char *hostname = inv_host_hostname();
    g_autofree char *uuid = inv_host_uuid(NULL);
    InvHostExportHead head = { .hostname = hostname, .uuid = uuid, .arch = daemon->host_arch, .exported = g_get_real_time() / G_USEC_PER_SEC };
    InvHostExportWriter *writer;

    if (!emulators)
        return NULL;
    for (guint i = 0; i < emulators->len; i++) {
        /* A name need not be of every emulator, but of the only one. */
        if (emulators->len == 1 && !check_names(g_ptr_array_index(emulators, i), machines, error))
            return NULL;
    }
    tables = ask_tables(daemon, emulators, platforms, machines, all);
    inv_host_memory_of(&head.memory_total, &head.memory_available);
    head.has_settings = inv_kvm_state(NULL) == INV_KVM_WORKS;
    head.settings = *inv_kvm_settings_get(settings);
    head.hardware = hardware_of(tables, daemon->host_arch);
    writer = inv_host_export_writer_new(&head);
    for (guint i = 0; i < emulators->len; i++)
        add_emulator(writer, daemon, g_ptr_array_index(emulators, i), tables);
    return inv_host_export_writer_end(writer);
}
