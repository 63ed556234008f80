/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/device_class.h"
#include "xml/domain_words.h"

#include <string.h>

static long
line_of(xmlNodePtr node)
{
    return node ? xmlGetLineNo(node) : 0;
}

static gboolean
validate_cpu(const InvDomain *domain, GError **error)
{
    const InvCpu *cpu = domain->cpu;
    gboolean x86 = inv_arch_is_x86(domain->os.arch);
    guint64 product;

    if (domain->vcpus > domain->max_vcpus)
        return inv_error_set(error, VIR_ERR_XML_ERROR, "<vcpu current='%u'>: more than the %u vCPUs that the domain has",
                             domain->vcpus, domain->max_vcpus);
    if (!cpu)
        return TRUE;
    product = (guint64)cpu->sockets * cpu->dies * cpu->clusters * cpu->cores * cpu->threads;
    if (cpu->sockets && product != domain->max_vcpus)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "line %ld: the <topology> has %" G_GUINT64_FORMAT
                             " CPUs (sockets × dies × clusters × cores × threads), but <vcpu> says %u",
                             line_of(cpu->source ? inv_node_child(cpu->source, "topology") : NULL), product, domain->max_vcpus);
    if (cpu->cache != INV_CPU_CACHE_NONE && !x86)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "<cache> of <cpu> is not supported for architecture %s",
                             domain->os.arch);
    if (cpu->maxphysaddr != INV_CPU_MAXPHYSADDR_NONE && !x86)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "<maxphysaddr> is not supported for architecture %s",
                             domain->os.arch);
    /* What QEMU's phys-bits accepts. */
    if (cpu->maxphysaddr_bits && (cpu->maxphysaddr_bits < 32 || cpu->maxphysaddr_bits > 52))
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "<maxphysaddr bits='%u'>: out of range: 32 to 52",
                             cpu->maxphysaddr_bits);
    if (cpu->deprecated_features && g_strcmp0(domain->os.arch, "s390x") != 0)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "<cpu deprecated_features='%s'>: not supported for architecture %s, for s390x only",
                             inv_words_to_string(&inv_on_off, cpu->deprecated_features), domain->os.arch);
    return TRUE;
}

/* "0-3,^2,5": marks each CPU in @owners with the cell's number + 1. */
static gboolean
parse_cpus(const char *text, guint cell, guint limit, guint *owners, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", limit + 1);

    for (char **part = parts; *part; part++) {
        const char *range = g_strstrip(*part);
        gboolean without = *range == '^';
        g_auto(GStrv) ends = g_strsplit(range + without, "-", 3);
        guint64 first = 0;
        guint64 last = 0;
        guint count = g_strv_length(ends);

        if (count < 1 || count > 2 || !g_ascii_string_to_unsigned(ends[0], 10, 0, G_MAXUINT32, &first, NULL)
            || !g_ascii_string_to_unsigned(ends[count - 1], 10, 0, G_MAXUINT32, &last, NULL) || last < first)
            return inv_error_set(error, VIR_ERR_XML_ERROR, "<cell id='%u' cpus='%.64s'>: not a list like '0-3,8'", cell, text);
        if (last >= limit)
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "<cell id='%u' cpus='%.64s'>: the domain has %u vCPUs only",
                                 cell, text, limit);
        for (guint64 i = first; i <= last; i++) {
            if (!without && owners[i] && owners[i] != cell + 1)
                return inv_error_set(error, VIR_ERR_XML_ERROR, "vCPU %" G_GUINT64_FORMAT " is in <cell id='%u'> and in "
                                     "<cell id='%u'>", i, owners[i] - 1, cell);
            owners[i] = without ? (owners[i] == cell + 1 ? 0 : owners[i]) : cell + 1;
        }
    }
    return TRUE;
}

static gboolean
validate_numa(const InvDomain *domain, GError **error)
{
    g_autofree guint *owners = g_new0(guint, domain->max_vcpus);
    guint64 sum = 0;

    if (!domain->cpu || !domain->cpu->cells->len)
        return TRUE;
    for (guint i = 0; i < domain->cpu->cells->len; i++) {
        const InvNumaCell *cell = g_ptr_array_index(domain->cpu->cells, i);

        if (cell->id >= domain->cpu->cells->len)
            return inv_error_set(error, VIR_ERR_XML_ERROR, "<cell id='%u'>: with %u cells, their ids are 0 to %u", cell->id,
                                 domain->cpu->cells->len, domain->cpu->cells->len - 1);
        if (cell->cpus && *cell->cpus && !parse_cpus(cell->cpus, cell->id, domain->max_vcpus, owners, error))
            return FALSE;
        for (guint k = 0; cell->distances && k < cell->distances->len; k++) {
            guint other = g_array_index(cell->distances, InvNumaDistance, k).cell;

            if (other >= domain->cpu->cells->len)
                return inv_error_set(error, VIR_ERR_XML_ERROR, "<sibling id='%u'> of <cell id='%u'>: there is no such cell",
                                     other, cell->id);
        }
        sum += cell->memory_kib;
    }
    if (sum != domain->max_memory_kib)
        return inv_error_set(error, VIR_ERR_XML_ERROR, "the cells of <numa> have %" G_GUINT64_FORMAT
                             " KiB of memory, but <memory> says %" G_GUINT64_FORMAT, sum, domain->max_memory_kib);
    return TRUE;
}

/* Enters @key; FALSE, with an error naming both devices, when it is there. Takes @key over. */
static gboolean
enter(GHashTable *seen, char *key, const InvDevice *device, const char *what, GError **error)
{
    g_autofree char *own = key;
    const InvDevice *other = g_hash_table_lookup(seen, own);

    if (other) {
        g_autofree char *name = inv_device_describe(device);
        g_autofree char *other_name = inv_device_describe(other);

        return inv_error_set(error, VIR_ERR_XML_ERROR, "line %ld: %s and %s of line %ld have the same %s", line_of(device->source),
                             name, other_name, line_of(other->source), what);
    }
    g_hash_table_insert(seen, g_steal_pointer(&own), (gpointer)device);
    return TRUE;
}

static gboolean
validate_controller(const InvDomain *domain, const InvDevice *device, GHashTable *seen, GError **error)
{
    const InvController *controller = &device->u.controller;
    const char *model = controller->model ? controller->model : "";
    InvPciLayout layout = inv_pci_layout(domain->os.arch, domain->os.machine);
    gboolean pcie = layout == INV_PCI_Q35 || layout == INV_PCI_VIRT;

    if (controller->index < 0)
        return TRUE;
    /* The companions of an ICH9's USB share their number. */
    if (!enter(seen, g_strdup_printf("controller %s %d %s", controller->type, controller->index,
                                     g_str_has_prefix(model, "ich9-") ? model : ""), device, "type and index", error))
        return FALSE;
    if (strcmp(controller->type, "pci") == 0 && layout != INV_PCI_NONE && domain->os.machine && controller->index == 0
        && strcmp(model, pcie ? "pcie-root" : "pci-root") != 0)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "line %ld: <controller type='pci' index='0' model='%.64s'>: machine type '%s' has %s",
                             line_of(device->source), model, domain->os.machine, pcie ? "pcie-root" : "pci-root");
    return TRUE;
}

static gboolean
validate_disk(const InvDevice *device, GHashTable *seen, GError **error)
{
    const InvDisk *disk = &device->u.disk;

    if (!enter(seen, g_strdup_printf("target %s", disk->target), device, "target", error))
        return FALSE;
    if (!disk->bus)
        return inv_error_set(error, VIR_ERR_XML_ERROR, "line %ld: <target dev='%.64s'>: attribute 'bus' is missing, and does "
                             "not follow from the name", line_of(device->source), disk->target);
    if (disk->device == INV_DISK_FLOPPY && disk->bus != INV_BUS_FDC)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "line %ld: <disk device='floppy'> '%s': needs bus='fdc'",
                             line_of(device->source), disk->target);
    if (disk->device != INV_DISK_FLOPPY && disk->bus == INV_BUS_FDC)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "line %ld: <disk> '%s': bus='fdc' is for device='floppy'",
                             line_of(device->source), disk->target);
    if (disk->device == INV_DISK_CDROM && disk->bus == INV_BUS_VIRTIO)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "line %ld: <disk device='cdrom'> '%s': bus='virtio' is not possible; use sata, scsi or ide",
                             line_of(device->source), disk->target);
    return TRUE;
}

static gboolean
validate_device(const InvDomain *domain, const InvDevice *device, GHashTable *seen, GError **error)
{
    /* PCI addresses have a check of their own; two drives are on one bus only if its kind is the same. */
    if (device->address.type != INV_ADDRESS_PCI && device->address.type != INV_ADDRESS_DRIVE) {
        char *address = inv_address_describe(&device->address);

        if (address && !enter(seen, address, device, "address", error))
            return FALSE;
    } else if (device->address.type == INV_ADDRESS_DRIVE && device->type == INV_DEVICE_DISK) {
        g_autofree char *address = inv_address_describe(&device->address);

        if (!enter(seen, g_strdup_printf("%s %d", address, (int)device->u.disk.bus), device, "address", error))
            return FALSE;
    }
    if (device->alias && inv_alias_is_user(device->alias)
        && !enter(seen, g_strdup_printf("alias %s", device->alias), device, "alias", error))
        return FALSE;
    if (device->boot_order) {
        if (domain->os.boot->len)
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                 "line %ld: <boot order='%d'>: not possible together with <boot dev='…'> of <os>; use one of them",
                                 line_of(device->source), device->boot_order);
        if (!enter(seen, g_strdup_printf("boot %d", device->boot_order), device, "boot order", error))
            return FALSE;
    }
    if (device->type == INV_DEVICE_DISK)
        return validate_disk(device, seen, error);
    if (device->type == INV_DEVICE_CONTROLLER)
        return validate_controller(domain, device, seen, error);
    if (device->type == INV_DEVICE_MEMBALLOON)
        return enter(seen, g_strdup("memballoon"), device, "place: a domain has one balloon", error);
    if (device->type == INV_DEVICE_SERIAL && device->u.chardev.port >= 0)
        return enter(seen, g_strdup_printf("serial %d", device->u.chardev.port), device, "port", error);
    return TRUE;
}

gboolean
inv_domain_validate(const InvDomain *domain, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL); /* key → device, borrowed */

    if (domain->current_memory_kib > domain->max_memory_kib)
        return inv_error_set(error, VIR_ERR_XML_ERROR, "<currentMemory> is more than <memory>: %" G_GUINT64_FORMAT
                             " KiB, %" G_GUINT64_FORMAT " KiB", domain->current_memory_kib, domain->max_memory_kib);
    if (!validate_cpu(domain, error) || !validate_numa(domain, error))
        return FALSE;
    for (guint i = 0; i < domain->devices->len; i++) {
        if (!validate_device(domain, g_ptr_array_index(domain->devices, i), seen, error))
            return FALSE;
    }
    return inv_domain_pci_addresses(domain, inv_pci_layout(domain->os.arch, domain->os.machine), FALSE, error);
}
