/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/device_class.h"
#include "xml/domain_words.h"

#include <string.h>

/* Buses other than PCI: drives, USB, virtio-serial. */

/* QEMU's AHCI has six ports, its IDE two channels of two, and narrow SCSI seven units. */
#define SATA_PORTS 6u
#define IDE_UNITS 4u
#define SCSI_UNITS 7u
/* Without a word of how many, QEMU makes this many. */
#define XHCI_PORTS 4
#define UHCI_PORTS 2
#define EHCI_PORTS 6
#define VIRTIO_SERIAL_PORTS 31

/* "vdb" → 1. FALSE for a name that says no number. */
static gboolean
target_number(const char *target, guint *number)
{
    const char *letters = target[0] && target[1] ? target + 2 : "";
    guint value = 0;

    if (!*letters || strlen(letters) > 3)
        return FALSE;
    for (; *letters; letters++) {
        if (!g_ascii_islower(*letters))
            return FALSE;
        value = value * 26 + (guint)(*letters - 'a') + 1;
    }
    *number = value - 1;
    return TRUE;
}

static gboolean
drive_is_taken(const InvDomain *domain, const InvDevice *disk, const InvAddress *address)
{
    for (guint i = 0; i < domain->devices->len; i++) {
        const InvDevice *other = g_ptr_array_index(domain->devices, i);

        if (other != disk && other->type == INV_DEVICE_DISK && other->u.disk.bus == disk->u.disk.bus
            && other->address.type == INV_ADDRESS_DRIVE && other->address.controller == address->controller
            && other->address.bus == address->bus && other->address.target == address->target
            && other->address.unit == address->unit)
            return TRUE;
    }
    return FALSE;
}

static void
drive_place(InvDiskBus bus, guint number, InvAddress *address)
{
    *address = (InvAddress){ .type = INV_ADDRESS_DRIVE };
    if (bus == INV_BUS_IDE) {
        address->controller = number / IDE_UNITS;
        address->bus = number % IDE_UNITS / 2;
        address->unit = number % 2;
    } else if (bus == INV_BUS_SATA) {
        address->controller = number / SATA_PORTS;
        address->unit = number % SATA_PORTS;
    } else if (bus == INV_BUS_SCSI) {
        address->controller = number / SCSI_UNITS;
        address->unit = number % SCSI_UNITS;
    } else {
        address->controller = number / 2;
        address->unit = number % 2;
    }
}

static gboolean
assign_drive(const InvDomain *domain, InvDevice *device, GError **error)
{
    InvDisk *disk = &device->u.disk;
    InvAddress address;
    guint number = 0;

    if (device->address.type == INV_ADDRESS_NONE) {
        if (!target_number(disk->target, &number))
            return inv_error_set(error, VIR_ERR_XML_ERROR, "<target dev='%.64s'>: a name like 'sda' is needed, from which "
                                 "the place on the bus follows", disk->target);
        drive_place(disk->bus, number, &address);
        for (guint next = 0; drive_is_taken(domain, device, &address); next++)
            drive_place(disk->bus, next, &address);
        device->address = address;
    }
    if ((disk->bus == INV_BUS_IDE || disk->bus == INV_BUS_FDC) && device->address.controller > 0)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "<disk> '%.64s': the machine has one %s controller, with "
                             "room for %u disks; use bus='virtio' or 'sata'", disk->target,
                             inv_words_to_string(&inv_disk_buses, disk->bus), disk->bus == INV_BUS_IDE ? IDE_UNITS : 2);
    return TRUE;
}

static void
need_drive_controller(InvDomain *domain, const InvDisk *disk, guint index)
{
    inv_domain_need_controller(domain, inv_words_to_string(&inv_disk_buses, disk->bus), (int)index,
                               disk->bus == INV_BUS_SCSI ? "virtio-scsi" : NULL);
}

static gboolean
assign_drives(InvDomain *domain, InvPciLayout layout, GError **error)
{
    g_autoptr(GPtrArray) disks = g_ptr_array_new(); /* borrowed; controllers are added to domain->devices meanwhile */

    for (guint i = 0; i < domain->devices->len; i++) {
        InvDevice *device = g_ptr_array_index(domain->devices, i);
        InvDiskBus bus = device->u.disk.bus;

        if (device->type == INV_DEVICE_DISK && bus != INV_BUS_VIRTIO && bus != INV_BUS_USB && bus != INV_BUS_UNSET)
            g_ptr_array_add(disks, device);
    }
    for (guint i = 0; i < disks->len; i++) {
        InvDevice *device = g_ptr_array_index(disks, i);

        if (device->u.disk.bus == INV_BUS_IDE && layout != INV_PCI_I440FX && layout != INV_PCI_NONE)
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                 "<disk> '%.64s': the machine has no IDE controller; use bus='sata' or 'virtio'",
                                 device->u.disk.target);
        if (!assign_drive(domain, device, error))
            return FALSE;
        if (device->address.type == INV_ADDRESS_DRIVE)
            need_drive_controller(domain, &device->u.disk, device->address.controller);
    }
    return TRUE;
}

static gboolean
is_usb(const InvDevice *device)
{
    return (device->type == INV_DEVICE_DISK && device->u.disk.bus == INV_BUS_USB)
           || (device->type == INV_DEVICE_INPUT && g_strcmp0(device->u.input.bus, "usb") == 0);
}

static const InvDevice *
first_usb_controller(const InvDomain *domain)
{
    for (guint i = 0; i < domain->devices->len; i++) {
        const InvDevice *device = g_ptr_array_index(domain->devices, i);

        if (device->type == INV_DEVICE_CONTROLLER && strcmp(device->u.controller.type, "usb") == 0)
            return device;
    }
    return NULL;
}

static guint
usb_ports(const InvController *controller)
{
    const char *model = controller->model ? controller->model : "";

    if (controller->ports > 0)
        return (guint)controller->ports;
    if (strcmp(model, "qemu-xhci") == 0 || strcmp(model, "nec-xhci") == 0)
        return XHCI_PORTS;
    return strstr(model, "ich9") || strcmp(model, "ehci") == 0 ? EHCI_PORTS : UHCI_PORTS;
}

static gboolean
port_is_taken(const InvDomain *domain, InvAddressType type, guint controller, guint port)
{
    for (guint i = 0; i < domain->devices->len; i++) {
        const InvAddress *address = &((const InvDevice *)g_ptr_array_index(domain->devices, i))->address;

        if (address->type == type && address->port == port
            && controller == (type == INV_ADDRESS_USB ? address->bus : address->controller))
            return TRUE;
    }
    return FALSE;
}

static gboolean
assign_usb(InvDomain *domain, InvPciLayout layout, GError **error)
{
    gboolean needed = FALSE;
    const InvDevice *controller;

    for (guint i = 0; i < domain->devices->len; i++)
        needed = needed || is_usb(g_ptr_array_index(domain->devices, i));
    if (!needed)
        return TRUE;
    controller = first_usb_controller(domain);
    if (!controller) {
        inv_domain_need_controller(domain, "usb", 0, layout == INV_PCI_I440FX ? "piix3-uhci" : "qemu-xhci");
        controller = first_usb_controller(domain);
    }
    for (guint i = 0; i < domain->devices->len; i++) {
        InvDevice *device = g_ptr_array_index(domain->devices, i);
        guint ports = usb_ports(&controller->u.controller);
        guint port = 1;
        g_autofree char *name = NULL;

        if (!is_usb(device))
            continue;
        name = inv_device_describe(device);
        if (g_strcmp0(controller->u.controller.model, "none") == 0)
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                 "%s is a USB device, but <controller type='usb' model='none'> forbids USB", name);
        if (device->address.type != INV_ADDRESS_NONE)
            continue;
        while (port <= ports && port_is_taken(domain, INV_ADDRESS_USB, (guint)controller->u.controller.index, port))
            port++;
        if (port > ports)
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s: all %u ports of the USB controller are taken; give "
                                 "it more with <controller type='usb' model='qemu-xhci' ports='…'>", name, ports);
        device->address = (InvAddress){
            .type = INV_ADDRESS_USB, .bus = (guint)controller->u.controller.index, .port = port,
        };
    }
    return TRUE;
}

static gboolean
is_virtio_serial(const InvDevice *device)
{
    return (device->type == INV_DEVICE_CHANNEL || device->type == INV_DEVICE_CONSOLE)
           && g_strcmp0(device->u.chardev.target_type, "virtio") == 0;
}

/* Port 0 is a console's in QEMU; what is put here starts at 1, as libvirt does. */
static gboolean
assign_virtio_serial(InvDomain *domain, GError **error)
{
    g_autoptr(GPtrArray) ports = g_ptr_array_new(); /* borrowed */

    for (guint i = 0; i < domain->devices->len; i++) {
        if (is_virtio_serial(g_ptr_array_index(domain->devices, i)))
            g_ptr_array_add(ports, g_ptr_array_index(domain->devices, i));
    }
    for (guint i = 0; i < ports->len; i++) {
        InvDevice *device = g_ptr_array_index(ports, i);
        guint port = 1;

        if (device->address.type == INV_ADDRESS_NONE) {
            while (port < VIRTIO_SERIAL_PORTS && port_is_taken(domain, INV_ADDRESS_VIRTIO_SERIAL, 0, port))
                port++;
            if (port == VIRTIO_SERIAL_PORTS)
                return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "more than %d virtio-serial ports are not supported "
                                     "by one controller", VIRTIO_SERIAL_PORTS - 1);
            device->address = (InvAddress){ .type = INV_ADDRESS_VIRTIO_SERIAL, .port = port };
        }
        if (device->address.type == INV_ADDRESS_VIRTIO_SERIAL)
            inv_domain_need_controller(domain, "virtio-serial", (int)device->address.controller, NULL);
    }
    return TRUE;
}

gboolean
inv_domain_bus_addresses(InvDomain *domain, InvPciLayout layout, GError **error)
{
    return assign_drives(domain, layout, error) && assign_usb(domain, layout, error) && assign_virtio_serial(domain, error);
}
