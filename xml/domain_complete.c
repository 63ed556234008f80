/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/device_class.h"
#include "xml/domain_words.h"

#include <string.h>
#include <sys/random.h>

static gboolean
random_bytes(guint8 *bytes, gsize count, GError **error)
{
    /* Up to 256 bytes come whole or not at all. */
    if (getrandom(bytes, count, 0) != (ssize_t)count)
        return inv_error_set(error, VIR_ERR_SYSTEM_ERROR, "the kernel gave no random numbers");
    return TRUE;
}

static gboolean
complete_uuid(InvDomain *domain, GError **error)
{
    if (domain->has_uuid)
        return TRUE;
    if (!random_bytes(domain->uuid, sizeof(domain->uuid), error))
        return FALSE;
    /* RFC 4122: version 4, its variant. */
    domain->uuid[6] = (domain->uuid[6] & 0x0f) | 0x40;
    domain->uuid[8] = (domain->uuid[8] & 0x3f) | 0x80;
    domain->has_uuid = TRUE;
    return TRUE;
}

static void
complete_basics(InvDomain *domain)
{
    guint64 sum = 0;

    for (guint i = 0; domain->cpu && i < domain->cpu->cells->len; i++)
        sum += ((const InvNumaCell *)g_ptr_array_index(domain->cpu->cells, i))->memory_kib;
    /* As in libvirt, cells say how large the memory is. */
    if (sum)
        domain->max_memory_kib = sum;
    if (!domain->current_memory_kib || domain->current_memory_kib > domain->max_memory_kib)
        domain->current_memory_kib = domain->max_memory_kib;
    if (!domain->on_poweroff)
        domain->on_poweroff = INV_ACTION_DESTROY;
    if (!domain->on_reboot)
        domain->on_reboot = INV_ACTION_RESTART;
    if (!domain->on_crash)
        domain->on_crash = INV_ACTION_DESTROY;
    if (!domain->clock)
        domain->clock = INV_CLOCK_UTC;
}

static void
complete_boot(InvDomain *domain)
{
    InvBootDevice hd = INV_BOOT_HD;

    for (guint i = 0; i < domain->devices->len; i++) {
        if (((const InvDevice *)g_ptr_array_index(domain->devices, i))->boot_order)
            return;
    }
    if (!domain->os.boot->len)
        g_array_append_val(domain->os.boot, hd);
}

static void
complete_disk(InvDisk *disk)
{
    static const struct {
        const char *prefix;
        InvDiskBus bus;
    } buses[] = { { "hd", INV_BUS_IDE }, { "sd", INV_BUS_SCSI }, { "vd", INV_BUS_VIRTIO }, { "fd", INV_BUS_FDC } };

    if (!disk->type_name)
        disk->type_name = g_strdup("file");
    for (guint i = 0; !disk->bus && i < G_N_ELEMENTS(buses); i++) {
        if (g_str_has_prefix(disk->target, buses[i].prefix))
            disk->bus = buses[i].bus;
    }
    if (!disk->bus && disk->device == INV_DISK_FLOPPY)
        disk->bus = INV_BUS_FDC;
    if (disk->device == INV_DISK_CDROM)
        disk->readonly = TRUE;
    /* Never guessed from the image, whose content is the guest's. */
    if (!disk->format && strcmp(disk->type_name, "file") == 0)
        disk->format = g_strdup("raw");
}

static gboolean
complete_interface(InvInterface *interface, gboolean x86_pc, GError **error)
{
    guint8 bytes[3];

    if (!interface->model)
        interface->model = g_strdup(x86_pc ? "rtl8139" : "virtio");
    if (interface->mac)
        return TRUE;
    if (!random_bytes(bytes, sizeof(bytes), error))
        return FALSE;
    interface->mac = g_strdup_printf("52:54:00:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2]);
    return TRUE;
}

static void
complete_input(InvInput *input, gboolean x86)
{
    if (!input->bus)
        input->bus = g_strdup(strcmp(input->type, "tablet") == 0 || !x86 ? "usb" : "ps2");
}

static const char *
default_video(InvPciLayout layout)
{
    return layout == INV_PCI_I440FX || layout == INV_PCI_Q35 || layout == INV_PCI_PSERIES ? "vga" : "virtio";
}

static InvDevice *
find_device(const InvDomain *domain, InvDeviceType type)
{
    for (guint i = 0; i < domain->devices->len; i++) {
        InvDevice *device = g_ptr_array_index(domain->devices, i);

        if (device->type == type)
            return device;
    }
    return NULL;
}

static const char *
serial_target(const char *arch, InvPciLayout layout)
{
    if (inv_arch_is_x86(arch))
        return "isa-serial";
    if (layout == INV_PCI_VIRT)
        return "system-serial";
    return layout == INV_PCI_PSERIES ? "spapr-vio-serial" : NULL;
}

static InvDevice *
new_chardev(InvDeviceType type, const InvChar *like, const char *target)
{
    InvDevice *device = inv_device_new(type);
    InvChar *chardev = &device->u.chardev;

    chardev->type = like->type;
    chardev->type_name = g_strdup(like->type_name);
    chardev->path = g_strdup(like->path);
    chardev->listen = like->listen;
    chardev->append = like->append;
    chardev->target_type = g_strdup(target);
    chardev->port = 0;
    return device;
}

/* A serial port is the first console as well, and the other way round: both are in the document. */
static void
complete_chardevs(InvDomain *domain, InvPciLayout layout)
{
    const char *target = serial_target(domain->os.arch, layout);
    InvDevice *console = inv_domain_console_of_serial(domain);
    InvDevice *serial = find_device(domain, INV_DEVICE_SERIAL);
    guint place = 0;
    int port = 0;

    if (!target)
        return;
    if (console && !serial) {
        serial = new_chardev(INV_DEVICE_SERIAL, &console->u.chardev, target);
        g_ptr_array_find(domain->devices, console, &place);
        g_ptr_array_insert(domain->devices, (int)place, serial);
    } else if (serial && !find_device(domain, INV_DEVICE_CONSOLE)) {
        for (guint i = 0; i < domain->devices->len; i++) {
            if (((const InvDevice *)g_ptr_array_index(domain->devices, i))->type == INV_DEVICE_SERIAL)
                place = i + 1;
        }
        console = new_chardev(INV_DEVICE_CONSOLE, &serial->u.chardev, "serial");
        g_ptr_array_insert(domain->devices, (int)place, console);
    }
    if (console && !console->u.chardev.target_type)
        console->u.chardev.target_type = g_strdup("serial");
    if (console && console->u.chardev.port < 0)
        console->u.chardev.port = 0;
    for (guint i = 0; i < domain->devices->len; i++) {
        InvDevice *device = g_ptr_array_index(domain->devices, i);

        if (device->type != INV_DEVICE_SERIAL)
            continue;
        if (!device->u.chardev.target_type)
            device->u.chardev.target_type = g_strdup(target);
        if (device->u.chardev.port < 0)
            device->u.chardev.port = port;
        port = MAX(port, device->u.chardev.port) + 1;
    }
}

static void
complete_controller(const InvDomain *domain, InvController *controller, InvPciLayout layout)
{
    int index = 0;

    /* The four parts of an ICH9's USB are one controller to libvirt. */
    if (controller->index < 0 && controller->model && g_str_has_prefix(controller->model, "ich9-"))
        controller->index = 0;
    if (controller->index < 0) {
        /* Bus 0 is the root's alone. */
        if (strcmp(controller->type, "pci") == 0 && controller->model && !g_str_has_suffix(controller->model, "-root"))
            index = 1;
        while (inv_domain_find_controller(domain, controller->type, index))
            index++;
        controller->index = index;
    }
    if (controller->model)
        return;
    if (strcmp(controller->type, "usb") == 0)
        controller->model = g_strdup(layout == INV_PCI_I440FX && controller->index == 0 ? "piix3-uhci" : "qemu-xhci");
    else if (strcmp(controller->type, "scsi") == 0)
        controller->model = g_strdup("virtio-scsi");
    else if (strcmp(controller->type, "pci") == 0 && layout != INV_PCI_NONE)
        controller->model = g_strdup(layout == INV_PCI_Q35 || layout == INV_PCI_VIRT
                                         ? (controller->index ? "pcie-root-port" : "pcie-root")
                                         : (controller->index ? "pci-bridge" : "pci-root"));
}

static gboolean
complete_devices(InvDomain *domain, InvPciLayout layout, GError **error)
{
    gboolean x86 = inv_arch_is_x86(domain->os.arch);
    gboolean x86_pc = layout == INV_PCI_I440FX || layout == INV_PCI_Q35;

    if (find_device(domain, INV_DEVICE_GRAPHICS) && !find_device(domain, INV_DEVICE_VIDEO))
        g_ptr_array_add(domain->devices, inv_device_new(INV_DEVICE_VIDEO));
    if (!find_device(domain, INV_DEVICE_MEMBALLOON)) {
        InvDevice *balloon = inv_device_new(INV_DEVICE_MEMBALLOON);

        balloon->u.memballoon.model = g_strdup("virtio");
        g_ptr_array_add(domain->devices, balloon);
    }
    for (guint i = 0; i < domain->devices->len; i++) {
        InvDevice *device = g_ptr_array_index(domain->devices, i);

        if (device->type == INV_DEVICE_DISK)
            complete_disk(&device->u.disk);
        else if (device->type == INV_DEVICE_INTERFACE && !complete_interface(&device->u.interface, x86_pc, error))
            return FALSE;
        else if (device->type == INV_DEVICE_INPUT)
            complete_input(&device->u.input, x86);
        else if (device->type == INV_DEVICE_CONTROLLER)
            complete_controller(domain, &device->u.controller, layout);
        else if (device->type == INV_DEVICE_VIDEO && !device->u.video.model)
            device->u.video.model = g_strdup(default_video(layout));
        else if (device->type == INV_DEVICE_RNG && !device->u.rng.backend
                 && strcmp(device->u.rng.backend_model, "random") == 0)
            device->u.rng.backend = g_strdup("/dev/urandom");
    }
    complete_chardevs(domain, layout);
    return TRUE;
}

/* The numbers that libvirt gives a root port: they are visible in its configuration space. */
static void
complete_root_ports(const InvDomain *domain)
{
    for (guint i = 0; i < domain->devices->len; i++) {
        InvDevice *device = g_ptr_array_index(domain->devices, i);
        InvController *controller = &device->u.controller;

        if (device->type != INV_DEVICE_CONTROLLER || g_strcmp0(controller->model, "pcie-root-port") != 0)
            continue;
        if (controller->chassis < 0)
            controller->chassis = controller->index;
        if (controller->port < 0)
            controller->port = (int)(device->address.slot << 3 | device->address.function);
    }
}

gboolean
inv_domain_complete(InvDomain *domain, const char *default_arch, const char *canonical_machine, GError **error)
{
    InvPciLayout layout;

    if (!domain->os.arch)
        domain->os.arch = g_strdup(default_arch);
    layout = inv_pci_layout(domain->os.arch, canonical_machine ? canonical_machine : domain->os.machine);
    if (!complete_uuid(domain, error))
        return FALSE;
    complete_basics(domain);
    complete_boot(domain);
    if (!complete_devices(domain, layout, error))
        return FALSE;
    if (layout != INV_PCI_NONE)
        inv_domain_need_controller(domain, "pci", 0, layout == INV_PCI_Q35 || layout == INV_PCI_VIRT ? "pcie-root" : "pci-root");
    if (!inv_domain_bus_addresses(domain, layout, error) || !inv_domain_pci_addresses(domain, layout, TRUE, error))
        return FALSE;
    complete_root_ports(domain);
    return TRUE;
}
