/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/command_device.h"

#include <string.h>

#define USER_PREFIX "ua-"

/* "vdc" → 2: libvirt numbers a virtio disk by its target. */
static guint
target_number(const char *target)
{
    guint number = 0;

    for (const char *p = target && strlen(target) > 2 ? target + 2 : ""; g_ascii_islower(*p) && number < 100000; p++)
        number = number * 26 + (guint)(*p - 'a') + 1;
    return number ? number - 1 : 0;
}

static char *
disk_alias(const InvDevice *device)
{
    const InvAddress *at = &device->address;

    switch (device->u.disk.bus) {
    case INV_BUS_IDE:
        return g_strdup_printf("ide%u-%u-%u", at->controller, at->bus, at->unit);
    case INV_BUS_SATA:
        return g_strdup_printf("sata%u-%u-%u", at->controller, at->bus, at->unit);
    case INV_BUS_SCSI:
        return g_strdup_printf("scsi%u-%u-%u-%u", at->controller, at->bus, at->target, at->unit);
    case INV_BUS_FDC:
        return g_strdup_printf("fdc%u-%u-%u", at->controller, at->bus, at->unit);
    case INV_BUS_USB:
        return g_strdup_printf("usb-disk%u", target_number(device->u.disk.target));
    case INV_BUS_VIRTIO:
        return g_strdup_printf("virtio-disk%u", target_number(device->u.disk.target));
    case INV_BUS_UNSET:
        break;
    }
    return g_strdup_printf("disk%u", target_number(device->u.disk.target));
}

static char *
controller_alias(const InvController *controller, InvBoard board)
{
    int index = MAX(controller->index, 0);

    if (strcmp(controller->type, "pci") == 0)
        return g_strdup_printf("%s.%d", g_strcmp0(controller->model, "pcie-root") == 0 ? "pcie" : "pci", index);
    if (strcmp(controller->type, "usb") == 0)
        return index ? g_strdup_printf("usb%d", index) : g_strdup("usb");
    /* The machine's own buses have names of its own. */
    if ((strcmp(controller->type, "ide") == 0 || (strcmp(controller->type, "sata") == 0 && board == INV_BOARD_Q35)) &&
        index == 0)
        return g_strdup("ide");
    return g_strdup_printf("%s%d", controller->type, index);
}

typedef struct {
    guint interfaces, serials, consoles, channels, inputs, graphics, videos, rngs, others;
} Counts;

static char *
make_alias(const InvDevice *device, InvBoard board, Counts *counts)
{
    switch (device->type) {
    case INV_DEVICE_DISK:
        return disk_alias(device);
    case INV_DEVICE_CONTROLLER:
        return controller_alias(&device->u.controller, board);
    case INV_DEVICE_INTERFACE:
        return g_strdup_printf("net%u", counts->interfaces++);
    case INV_DEVICE_SERIAL:
        return g_strdup_printf("serial%u", counts->serials++);
    case INV_DEVICE_CONSOLE:
        return g_strdup_printf("console%u", counts->consoles++);
    case INV_DEVICE_CHANNEL:
        return g_strdup_printf("channel%u", counts->channels++);
    case INV_DEVICE_INPUT:
        return g_strdup_printf("input%u", counts->inputs++);
    case INV_DEVICE_GRAPHICS:
        return g_strdup_printf("graphics%u", counts->graphics++);
    case INV_DEVICE_VIDEO:
        return g_strdup_printf("video%u", counts->videos++);
    case INV_DEVICE_MEMBALLOON:
        return g_strdup("balloon0");
    case INV_DEVICE_RNG:
        return g_strdup_printf("rng%u", counts->rngs++);
    case INV_DEVICE_UNKNOWN:
        break;
    }
    return g_strdup_printf("device%u", counts->others++);
}

/* A serial port under its other name: the first console of type serial. */
static gboolean
is_first_serial_console(const InvDomain *domain, guint index)
{
    const InvDevice *device = g_ptr_array_index(domain->devices, index);

    return device->type == INV_DEVICE_CONSOLE &&
           (!device->u.chardev.target_type || g_str_equal(device->u.chardev.target_type, "serial"));
}

char **
inv_command_aliases(const InvDomain *domain, InvBoard board)
{
    g_autoptr(GHashTable) taken = g_hash_table_new(g_str_hash, g_str_equal); /* borrowed from list */
    char **list = g_new0(char *, domain->devices->len + 1);
    const char *first_serial = NULL;
    Counts counts = { 0 };

    for (guint i = 0; i < domain->devices->len; i++) {
        const InvDevice *device = g_ptr_array_index(domain->devices, i);

        if (device->alias && g_str_has_prefix(device->alias, USER_PREFIX))
            list[i] = g_strdup(device->alias);
        else
            list[i] = make_alias(device, board, &counts);
        if (device->type == INV_DEVICE_SERIAL && !first_serial)
            first_serial = list[i];
        if (is_first_serial_console(domain, i) && first_serial) {
            g_free(list[i]);
            list[i] = g_strdup(first_serial);
            continue;
        }
        /* The parts of an ICH9's USB have one index and are four devices. */
        for (guint n = 1; g_hash_table_contains(taken, list[i]); n++) {
            g_autofree char *base = make_alias(device, board, &counts);

            g_free(list[i]);
            list[i] = g_strdup_printf("%s-%u", base, n);
        }
        g_hash_table_add(taken, list[i]);
    }
    return list;
}

void
inv_command_assign_aliases(InvDomain *domain)
{
    g_auto(GStrv) aliases = inv_command_aliases(domain, inv_command_board(domain->os.arch, domain->os.machine));

    for (guint i = 0; i < domain->devices->len; i++) {
        InvDevice *device = g_ptr_array_index(domain->devices, i);

        g_free(device->alias);
        device->alias = g_steal_pointer(&aliases[i]);
    }
    /* The list's strings have moved into the devices. */
}
