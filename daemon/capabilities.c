/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/capabilities.h"

#include "daemon/guest_arch.h"
#include "daemon/host.h"
#include "daemon/host_cache.h"
#include "daemon/host_cpu.h"
#include "daemon/host_topology.h"
#include "daemon/host_tsc.h"
#include "daemon/xml_out.h"

#include <unistd.h>

#define NODE_FOLDER "/sys/devices/system/node"

static guint
remaining_ms(gint64 end)
{
    gint64 left = (end - g_get_monotonic_time()) / 1000;

    return left > 1 ? (guint)left : 1;
}

static void
write_signature(InvXmlOut *out, const InvHostCpuIdentity *identity)
{
    if (identity->microcode > 0) {
        inv_xml_out_open(out, "microcode");
        inv_xml_out_attribute_uint(out, "version", (guint64)identity->microcode);
        inv_xml_out_close(out);
    }
    if (identity->family > 0 && identity->model >= 0 && identity->stepping >= 0) {
        inv_xml_out_open(out, "signature");
        inv_xml_out_attribute_uint(out, "family", (guint64)identity->family);
        inv_xml_out_attribute_uint(out, "model", (guint64)identity->model);
        inv_xml_out_attribute_uint(out, "stepping", (guint64)identity->stepping);
        inv_xml_out_close(out);
    }
}

static void
write_counter(InvXmlOut *out)
{
    InvHostTsc tsc;

    if (!inv_host_tsc(&tsc))
        return;
    inv_xml_out_open(out, "counter");
    inv_xml_out_attribute(out, "name", "tsc");
    inv_xml_out_attribute_uint(out, "frequency", tsc.frequency);
    inv_xml_out_attribute(out, "scaling", tsc.scaling ? "yes" : "no");
    inv_xml_out_close(out);
}

/* libvirt's: sockets of one NUMA node, as in virNodeInfo. */
static void
write_cpu_topology(InvXmlOut *out, const InvHostTopology *topology)
{
    guint sockets, dies, cores, threads, nodes = 0;

    inv_host_topology_shape(topology, &sockets, &dies, &cores, &threads);
    for (guint i = 0; i < topology->cells->len; i++)
        nodes += ((const InvHostCell *)g_ptr_array_index(topology->cells, i))->cpus->len > 0;
    if (nodes > 1 && sockets % nodes == 0)
        sockets /= nodes;
    inv_xml_out_open(out, "topology");
    inv_xml_out_attribute_uint(out, "sockets", sockets);
    inv_xml_out_attribute_uint(out, "dies", dies);
    inv_xml_out_attribute_uint(out, "cores", cores);
    inv_xml_out_attribute_uint(out, "threads", threads);
    inv_xml_out_close(out);
}

static void
write_page_size(InvXmlOut *out, guint size_kib)
{
    inv_xml_out_open(out, "pages");
    inv_xml_out_attribute(out, "unit", "KiB");
    inv_xml_out_attribute_uint(out, "size", size_kib);
    inv_xml_out_close(out);
}

static void
write_cpu(InvXmlOut *out, const InvHostTopology *topology)
{
    g_autoptr(InvHostCpuIdentity) identity = inv_host_cpu_identity();
    g_autoptr(InvHostCpuDescription) description = inv_host_cpu_describe_host();

    inv_xml_out_open(out, "cpu");
    inv_xml_out_element(out, "arch", inv_host_arch());
    if (description && description->model)
        inv_xml_out_element(out, "model", description->model);
    if (identity->vendor_id && inv_guest_arch_is_x86(inv_host_arch())) {
        inv_xml_out_element(out, "vendor", inv_cpu_vendor_from_id(identity->vendor_id));
        write_signature(out, identity);
        write_counter(out);
    }
    write_cpu_topology(out, topology);
    if (identity->phys_bits > 0) {
        inv_xml_out_open(out, "maxphysaddr");
        inv_xml_out_attribute(out, "mode", "emulate");
        inv_xml_out_attribute_uint(out, "bits", (guint64)identity->phys_bits);
        inv_xml_out_close(out);
    }
    for (char **name = description ? description->features : NULL; name && *name; name++) {
        /* libvirt's schema has no dot in a host's features (sse4.1), though it has them in guests': QEMU's other spelling is sse4_1. */
        g_autofree char *spelling = g_strdelimit(g_strdup(*name), ".", '_');

        inv_xml_out_element_with(out, "feature", "name", spelling);
    }
    write_page_size(out, (guint)(sysconf(_SC_PAGESIZE) / 1024));
    for (guint i = 0; i < topology->huge_pages_kib->len; i++)
        write_page_size(out, g_array_index(topology->huge_pages_kib, guint, i));
    inv_xml_out_close(out);
}

static void
write_cell_memory(InvXmlOut *out, const InvHostCell *cell)
{
    g_autofree char *memory = g_strdup_printf("%" G_GUINT64_FORMAT, cell->memory_kib);

    inv_xml_out_open(out, "memory");
    inv_xml_out_attribute(out, "unit", "KiB");
    inv_xml_out_text(out, memory);
    inv_xml_out_close(out);
    for (guint i = 0; i < cell->pages->len; i++) {
        InvHostPages *pages = &g_array_index(cell->pages, InvHostPages, i);
        g_autofree char *count = g_strdup_printf("%" G_GUINT64_FORMAT, pages->count);

        inv_xml_out_open(out, "pages");
        inv_xml_out_attribute(out, "unit", "KiB");
        inv_xml_out_attribute_uint(out, "size", pages->size_kib);
        inv_xml_out_text(out, count);
        inv_xml_out_close(out);
    }
}

static void
write_cell(InvXmlOut *out, const InvHostCell *cell)
{
    inv_xml_out_open(out, "cell");
    inv_xml_out_attribute_uint(out, "id", cell->id);
    write_cell_memory(out, cell);
    if (cell->distances->len)
        inv_xml_out_open(out, "distances");
    for (guint i = 0; i < cell->distances->len; i++) {
        InvHostDistance *distance = &g_array_index(cell->distances, InvHostDistance, i);

        inv_xml_out_open(out, "sibling");
        inv_xml_out_attribute_uint(out, "id", distance->cell);
        inv_xml_out_attribute_uint(out, "value", distance->value);
        inv_xml_out_close(out);
    }
    if (cell->distances->len)
        inv_xml_out_close(out);
    inv_xml_out_open(out, "cpus");
    inv_xml_out_attribute_uint(out, "num", cell->cpus->len);
    for (guint i = 0; i < cell->cpus->len; i++) {
        const InvHostCpu *cpu = g_ptr_array_index(cell->cpus, i);

        inv_xml_out_open(out, "cpu");
        inv_xml_out_attribute_uint(out, "id", cpu->id);
        if (cpu->placed) {
            inv_xml_out_attribute_uint(out, "socket_id", cpu->socket);
            inv_xml_out_attribute_uint(out, "die_id", cpu->die);
            inv_xml_out_attribute_uint(out, "core_id", cpu->core);
            inv_xml_out_attribute(out, "siblings", cpu->siblings);
        }
        inv_xml_out_close(out);
    }
    inv_xml_out_close(out);
    inv_xml_out_close(out);
}

static void
write_caches(InvXmlOut *out, const InvHostTopology *topology)
{
    static const char *const units[] = { "KiB", "MiB", "GiB" };
    g_autoptr(GPtrArray) caches = inv_host_caches_at(NULL, topology->online);

    if (!caches->len)
        return;
    inv_xml_out_open(out, "cache");
    for (guint i = 0; i < caches->len; i++) {
        const InvHostCache *cache = g_ptr_array_index(caches, i);
        guint64 size = cache->size_kib;
        guint unit = 0;

        for (; size % 1024 == 0 && unit + 1 < G_N_ELEMENTS(units); unit++)
            size /= 1024;
        inv_xml_out_open(out, "bank");
        inv_xml_out_attribute_uint(out, "id", cache->id);
        inv_xml_out_attribute_uint(out, "level", cache->level);
        inv_xml_out_attribute(out, "type", cache->type);
        inv_xml_out_attribute_uint(out, "size", size);
        inv_xml_out_attribute(out, "unit", units[unit]);
        inv_xml_out_attribute(out, "cpus", cache->cpus);
        inv_xml_out_close(out);
    }
    inv_xml_out_close(out);
}

static gboolean
write_host(InvXmlOut *out, GError **error)
{
    g_autoptr(InvHostTopology) topology = inv_host_topology(error);
    g_autofree char *uuid = inv_host_uuid(NULL);

    if (!topology)
        return FALSE;
    inv_xml_out_open(out, "host");
    if (uuid)
        inv_xml_out_element(out, "uuid", uuid);
    write_cpu(out, topology);
    /* Suspending the host is not among Invar's calls: whatever the kernel can do, no client gets it here. */
    inv_xml_out_element(out, "power_management", NULL);
    inv_xml_out_element_with(out, "iommu", "support", inv_host_has_iommu() ? "yes" : "no");
    inv_xml_out_open(out, "topology");
    inv_xml_out_open(out, "cells");
    inv_xml_out_attribute_uint(out, "num", topology->cells->len);
    for (guint i = 0; i < topology->cells->len; i++)
        write_cell(out, g_ptr_array_index(topology->cells, i));
    inv_xml_out_close(out);
    inv_xml_out_close(out);
    write_caches(out, topology);
    /* As the call for the host's security model says. */
    inv_xml_out_open(out, "secmodel");
    inv_xml_out_element(out, "model", "none");
    inv_xml_out_element(out, "doi", "0");
    inv_xml_out_close(out);
    inv_xml_out_close(out);
    return TRUE;
}

static void
write_machine(InvXmlOut *out, const InvMachine *machine, const char *name)
{
    inv_xml_out_open(out, "machine");
    if (name != machine->name)
        inv_xml_out_attribute(out, "canonical", machine->name);
    if (machine->max_cpus)
        inv_xml_out_attribute_uint(out, "maxCpus", machine->max_cpus);
    if (machine->deprecated)
        inv_xml_out_attribute(out, "deprecated", "yes");
    inv_xml_out_text(out, name);
    inv_xml_out_close(out);
}

/* The default first, as clients expect; an alias right behind its machine type. */
static void
write_machines(InvXmlOut *out, const InvEmulator *emulator)
{
    for (guint pass = 0; pass < 2; pass++) {
        for (guint i = 0; i < inv_emulator_n_machines(emulator); i++) {
            const InvMachine *machine = inv_emulator_machine_at(emulator, i);

            /* "none" is QEMU's own, for questions: no guest runs on it. */
            if (machine->is_default != (pass == 0) || g_str_equal(machine->name, "none"))
                continue;
            write_machine(out, machine, machine->name);
            if (machine->alias)
                write_machine(out, machine, machine->alias);
        }
    }
}

static void
write_toggle(InvXmlOut *out, const char *feature, const char *toggle)
{
    inv_xml_out_open(out, feature);
    inv_xml_out_attribute(out, "default", "on");
    inv_xml_out_attribute(out, "toggle", toggle);
    inv_xml_out_close(out);
}

static void
write_features(InvXmlOut *out, const char *arch)
{
    gboolean x86 = inv_guest_arch_is_x86(arch);

    inv_xml_out_open(out, "features");
    if (g_str_equal(arch, "i686")) {
        inv_xml_out_element(out, "pae", NULL);
        inv_xml_out_element(out, "nonpae", NULL);
    }
    if (x86 || g_str_equal(arch, "aarch64"))
        write_toggle(out, "acpi", "yes");
    if (x86)
        write_toggle(out, "apic", "no");
    inv_xml_out_element(out, "cpuselection", NULL);
    inv_xml_out_element(out, "deviceboot", NULL);
    inv_xml_out_close(out);
}

static void
write_guest(InvXmlOut *out, InvEmulator *emulator)
{
    const char *arch = inv_emulator_arch(emulator);
    g_autofree char *word_size = g_strdup_printf("%u", inv_guest_arch_word_size(arch));
    gboolean tcg = inv_emulator_has_tcg(emulator);
    gboolean kvm = inv_emulator_check_accelerator(emulator, INV_VIRT_KVM, NULL);

    if (!tcg && !kvm)
        return;
    inv_xml_out_open(out, "guest");
    inv_xml_out_element(out, "os_type", "hvm");
    inv_xml_out_open(out, "arch");
    inv_xml_out_attribute(out, "name", arch);
    inv_xml_out_element(out, "wordsize", word_size);
    inv_xml_out_element(out, "emulator", inv_emulator_path(emulator));
    write_machines(out, emulator);
    if (tcg)
        inv_xml_out_element_with(out, "domain", "type", "qemu");
    if (kvm)
        inv_xml_out_element_with(out, "domain", "type", "kvm");
    inv_xml_out_close(out);
    write_features(out, arch);
    inv_xml_out_close(out);
}

static int
compare_by_arch(gconstpointer a, gconstpointer b)
{
    return g_strcmp0(inv_emulator_arch(*(InvEmulator *const *)a), inv_emulator_arch(*(InvEmulator *const *)b));
}

/* The emulator of each architecture that a domain gets which names none; of InvEmulator, owned, by architecture. */
static GPtrArray *
default_emulators(InvEmulators *emulators, gint64 end, gboolean *complete)
{
    g_autoptr(GPtrArray) all = inv_emulators_probe_all(emulators, remaining_ms(end), complete);
    GPtrArray *defaults = g_ptr_array_new_with_free_func((GDestroyNotify)inv_emulator_unref);

    g_ptr_array_sort(all, compare_by_arch);
    for (guint i = 0, next; i < all->len; i = next) {
        InvEmulator *emulator = g_ptr_array_index(all, i);
        const char *arch = inv_emulator_arch(emulator);
        InvEmulator *first = NULL;

        for (next = i + 1; next < all->len && g_str_equal(inv_emulator_arch(g_ptr_array_index(all, next)), arch); next++)
            continue;
        if (!inv_guest_arch_word_size(arch))
            continue;
        /* Asking which comes first looks through every folder: only where there is a choice. */
        if (next > i + 1)
            first = inv_emulators_get(emulators, NULL, arch, remaining_ms(end), NULL);
        g_ptr_array_add(defaults, first ? first : inv_emulator_ref(emulator));
    }
    return defaults;
}

/* The sizes of the pools below @folder. FALSE: it is not there. */
static gboolean
watch_pools(InvFreshness *freshness, const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *entry;

    while (dir && (entry = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, entry, "nr_hugepages", NULL);

        if (g_str_has_prefix(entry, "hugepages-"))
            inv_freshness_watch_text(freshness, path);
    }
    return dir != NULL;
}

/* The kernel's own files: their times tell nothing, and their texts are a line each. */
static void
watch_host(InvFreshness *freshness)
{
    g_autoptr(GDir) nodes = g_dir_open(NODE_FOLDER, 0, NULL);
    gboolean per_node = FALSE;
    const char *entry;

    inv_freshness_watch_text(freshness, "/sys/devices/system/cpu/online");
    inv_freshness_watch_text(freshness, NODE_FOLDER "/online");
    inv_freshness_watch_memory(freshness);
    while (nodes && (entry = g_dir_read_name(nodes))) {
        g_autofree char *pools = g_build_filename(NODE_FOLDER, entry, "hugepages", NULL);

        if (g_str_has_prefix(entry, "node") && g_ascii_isdigit(entry[4]) && watch_pools(freshness, pools))
            per_node = TRUE;
    }
    if (!per_node)
        watch_pools(freshness, "/sys/kernel/mm/hugepages");
}

void
inv_capabilities_watch(InvEmulators *emulators, InvFreshness *freshness)
{
    g_auto(GStrv) paths = NULL;

    inv_kvm_watch(freshness, TRUE);
    inv_emulators_watch(emulators, NULL, freshness);
    paths = inv_emulators_list(emulators);
    for (char **path = paths; *path; path++)
        inv_emulators_watch(emulators, *path, freshness);
    watch_host(freshness);
}

char *
inv_capabilities_format(InvEmulators *emulators, guint deadline_ms, gboolean *complete, GError **error)
{
    gint64 end = g_get_monotonic_time() + (gint64)deadline_ms * 1000;
    g_autoptr(GPtrArray) defaults = default_emulators(emulators, end, complete);
    g_autoptr(InvXmlOut) out = inv_xml_out_new();

    inv_xml_out_open(out, "capabilities");
    if (!write_host(out, error))
        return NULL;
    for (guint i = 0; i < defaults->len; i++)
        write_guest(out, g_ptr_array_index(defaults, i));
    inv_xml_out_close(out);
    return inv_xml_out_finish(out);
}
