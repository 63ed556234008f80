/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/device_class.h"
#include "xml/domain_words.h"

#include <string.h>

static gboolean
same_number(const char *what, guint64 one, guint64 other, GError **error)
{
    return one == other
           || inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the guest would see another %s: %" G_GUINT64_FORMAT
                            " instead of %" G_GUINT64_FORMAT, what, other, one);
}

static gboolean
same_text(const char *what, const char *one, const char *other, GError **error)
{
    return g_strcmp0(one, other) == 0
           || inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the guest would see another %s: '%s' instead of '%s'", what,
                            other ? other : "", one ? one : "");
}

/* A domain without a <topology> has a socket per vCPU. */
static void
topology(const InvDomain *domain, guint numbers[5])
{
    const InvCpu *cpu = domain->cpu;
    gboolean given = cpu && cpu->sockets;

    numbers[0] = given ? cpu->sockets : domain->max_vcpus;
    numbers[1] = given ? MAX(cpu->dies, 1) : 1;
    numbers[2] = given ? MAX(cpu->clusters, 1) : 1;
    numbers[3] = given ? cpu->cores : 1;
    numbers[4] = given ? cpu->threads : 1;
}

static gboolean
same_topology(const InvDomain *domain, const InvDomain *other, GError **error)
{
    static const char *const names[] = {
        "number of CPU sockets", "number of dies", "number of clusters", "number of cores", "number of threads",
    };
    guint mine[5];
    guint theirs[5];

    topology(domain, mine);
    topology(other, theirs);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        if (!same_number(names[i], mine[i], theirs[i], error))
            return FALSE;
    }
    return TRUE;
}

static const InvNumaCell *
find_cell(const InvCpu *cpu, guint id)
{
    for (guint i = 0; i < cpu->cells->len; i++) {
        const InvNumaCell *cell = g_ptr_array_index(cpu->cells, i);

        if (cell->id == id)
            return cell;
    }
    return NULL;
}

static guint
distance(const InvNumaCell *cell, guint to)
{
    for (guint i = 0; cell->distances && i < cell->distances->len; i++) {
        const InvNumaDistance *each = &g_array_index(cell->distances, InvNumaDistance, i);

        if (each->cell == to)
            return each->value;
    }
    /* ACPI's values where nothing is said. */
    return cell->id == to ? 10 : 20;
}

static gboolean
same_numa(const InvCpu *cpu, const InvCpu *other, GError **error)
{
    guint count = cpu ? cpu->cells->len : 0;

    if (!same_number("number of NUMA cells", count, other ? other->cells->len : 0, error))
        return FALSE;
    for (guint i = 0; i < count; i++) {
        const InvNumaCell *mine = g_ptr_array_index(cpu->cells, i);
        const InvNumaCell *theirs = find_cell(other, mine->id);
        g_autofree char *what = g_strdup_printf("NUMA cell %u", mine->id);

        if (!theirs)
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the guest would no longer see NUMA cell %u", mine->id);
        if (!same_number(what, mine->memory_kib, theirs->memory_kib, error) || !same_text(what, mine->cpus, theirs->cpus, error))
            return FALSE;
        for (guint to = 0; to < count; to++) {
            if (!same_number("NUMA distance", distance(mine, to), distance(theirs, to), error))
                return FALSE;
        }
    }
    return TRUE;
}

static void
append(GString *text, const char *name, const char *value)
{
    if (value)
        g_string_append_printf(text, " %s='%s'", name, value);
}

/* What a guest can see of a device, or NULL: the host's end of it is nothing to the guest. */
static char *
visible(const InvDevice *device)
{
    GString *text = g_string_new(inv_device_element(device));
    g_autofree char *address = inv_address_describe(&device->address);

    switch (device->type) {
    case INV_DEVICE_DISK:
        append(text, "target", device->u.disk.target);
        append(text, "device", inv_words_to_string(&inv_disk_devices, device->u.disk.device));
        append(text, "bus", inv_words_to_string(&inv_disk_buses, device->u.disk.bus));
        append(text, "serial", device->u.disk.serial);
        append(text, "readonly", device->u.disk.readonly ? "yes" : "no");
        break;
    case INV_DEVICE_CONTROLLER:
        append(text, "type", device->u.controller.type);
        g_string_append_printf(text, " index='%d'", device->u.controller.index);
        append(text, "model", device->u.controller.model);
        g_string_append_printf(text, " chassis='%d' port='%d' ports='%d'", device->u.controller.chassis,
                               device->u.controller.port, device->u.controller.ports);
        break;
    case INV_DEVICE_INTERFACE:
        append(text, "mac", device->u.interface.mac);
        append(text, "model", device->u.interface.model);
        break;
    case INV_DEVICE_SERIAL:
    case INV_DEVICE_CONSOLE:
    case INV_DEVICE_CHANNEL:
        append(text, "target", device->u.chardev.target_type);
        append(text, "name", device->u.chardev.target_name);
        g_string_append_printf(text, " port='%d'", device->u.chardev.port);
        break;
    case INV_DEVICE_INPUT:
        append(text, "type", device->u.input.type);
        append(text, "bus", device->u.input.bus);
        break;
    case INV_DEVICE_VIDEO:
        append(text, "model", device->u.video.model);
        g_string_append_printf(text, " vram='%u' heads='%u'", device->u.video.vram_kib, device->u.video.heads);
        break;
    case INV_DEVICE_MEMBALLOON:
        append(text, "model", device->u.memballoon.model);
        break;
    case INV_DEVICE_RNG:
        append(text, "model", device->u.rng.model);
        break;
    case INV_DEVICE_GRAPHICS:
        return g_string_free(text, TRUE);
    case INV_DEVICE_UNKNOWN:
        break;
    }
    append(text, "address", address);
    return g_string_free(text, FALSE);
}

static GPtrArray *
visible_devices(const InvDomain *domain)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
    const InvDevice *mirror = inv_domain_console_of_serial(domain);

    for (guint i = 0; i < domain->devices->len; i++) {
        const InvDevice *device = g_ptr_array_index(domain->devices, i);
        char *text = device == mirror ? NULL : visible(device);

        if (text)
            g_ptr_array_add(list, text);
    }
    return list;
}

static int
compare_texts(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Both lists sorted, the first place where they part names what is gone or what is new. */
static gboolean
same_devices(const InvDomain *domain, const InvDomain *other, GError **error)
{
    g_autoptr(GPtrArray) mine = visible_devices(domain);
    g_autoptr(GPtrArray) theirs = visible_devices(other);
    guint i = 0;

    g_ptr_array_sort(mine, compare_texts);
    g_ptr_array_sort(theirs, compare_texts);
    while (i < mine->len && i < theirs->len
           && strcmp(g_ptr_array_index(mine, i), g_ptr_array_index(theirs, i)) == 0)
        i++;
    if (i == mine->len && i == theirs->len)
        return TRUE;
    if (i == theirs->len)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the guest would lose a device: %s",
                             (const char *)g_ptr_array_index(mine, i));
    if (i == mine->len)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the guest would get a new device: %s",
                             (const char *)g_ptr_array_index(theirs, i));
    return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the guest would see other devices: %s instead of %s",
                         (const char *)g_ptr_array_index(theirs, i), (const char *)g_ptr_array_index(mine, i));
}

gboolean
inv_domain_check_abi(const InvDomain *domain, const InvDomain *other, GError **error)
{
    return same_text("hypervisor", inv_words_to_string(&inv_virt_types, domain->virt_type),
                     inv_words_to_string(&inv_virt_types, other->virt_type), error)
           && same_text("architecture", domain->os.arch, other->os.arch, error)
           && same_text("machine type", domain->os.machine, other->os.machine, error)
           && (memcmp(domain->uuid, other->uuid, sizeof(domain->uuid)) == 0
               || inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the guest would see another UUID"))
           && same_number("memory size in KiB", domain->max_memory_kib, other->max_memory_kib, error)
           && same_number("number of vCPUs", domain->max_vcpus, other->max_vcpus, error)
           && same_number("ACPI", domain->acpi == INV_TRISTATE_ON, other->acpi == INV_TRISTATE_ON, error)
           && same_number("APIC", domain->apic == INV_TRISTATE_ON, other->apic == INV_TRISTATE_ON, error)
           && same_topology(domain, other, error) && same_numa(domain->cpu, other->cpu, error)
           && same_devices(domain, other, error);
}
