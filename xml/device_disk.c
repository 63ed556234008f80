/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/device_class.h"

#include <string.h>

#define DISK_WORDS(name, last, ...)                                       \
    static const char *const name##_list[] = { __VA_ARGS__ };             \
    G_STATIC_ASSERT(G_N_ELEMENTS(name##_list) == (gsize)(last) + 1);      \
    const InvWords inv_disk_##name = { name##_list, G_N_ELEMENTS(name##_list) }

DISK_WORDS(devices, INV_DISK_FLOPPY, "disk", "cdrom", "floppy");
DISK_WORDS(buses, INV_BUS_FDC, NULL, "ide", "sata", "virtio", "scsi", "usb", "fdc");

static const char *const disk_types[] = {
    "file", "block", "dir", "network", "volume", "nvme", "vhostuser", "vhostvdpa", NULL,
};

static const char *const disk_children[] = {
    "driver", "source", "target", "readonly", "shareable", "serial", "boot", "address", "alias", "backingStore", NULL,
};

static const gsize disk_strings[] = {
    G_STRUCT_OFFSET(InvDevice, u.disk.type_name), G_STRUCT_OFFSET(InvDevice, u.disk.path),
    G_STRUCT_OFFSET(InvDevice, u.disk.format),    G_STRUCT_OFFSET(InvDevice, u.disk.cache),
    G_STRUCT_OFFSET(InvDevice, u.disk.io),        G_STRUCT_OFFSET(InvDevice, u.disk.discard),
    G_STRUCT_OFFSET(InvDevice, u.disk.target),    G_STRUCT_OFFSET(InvDevice, u.disk.serial),
    0,
};

static gboolean
parse_type(InvDisk *disk, xmlNodePtr node, GError **error)
{
    g_autofree char *device = inv_node_attr(node, "device");

    disk->type_name = inv_node_attr(node, "type");
    if (disk->type_name && !inv_name_in(disk->type_name, disk_types)) {
        g_autofree char *known = g_strjoinv(", ", (char **)disk_types);

        return inv_node_fail(node, "type", VIR_ERR_XML_ERROR, error, "unknown value; known: %s", known);
    }
    if (device && strcmp(device, "lun") == 0)
        return inv_node_fail(node, "device", VIR_ERR_CONFIG_UNSUPPORTED, error,
                             "SCSI pass-through is not supported by Invar; use device='disk'");
    return inv_node_words(node, "device", &inv_disk_devices, (guint *)&disk->device, error);
}

static gboolean
parse_disk(InvDevice *device, xmlNodePtr node, gboolean live, GError **error)
{
    InvDisk *disk = &device->u.disk;
    xmlNodePtr driver;
    xmlNodePtr source;
    xmlNodePtr target;

    if (!parse_type(disk, node, error) || !inv_node_only_child(node, "driver", &driver, error)
        || !inv_node_only_child(node, "source", &source, error) || !inv_node_only_child(node, "target", &target, error))
        return FALSE;
    if (driver) {
        disk->format = inv_node_attr(driver, "type");
        disk->cache = inv_node_attr(driver, "cache");
        disk->io = inv_node_attr(driver, "io");
        disk->discard = inv_node_attr(driver, "discard");
    }
    if (source && (!disk->type_name || strcmp(disk->type_name, "file") == 0)) {
        disk->path = inv_node_attr(source, "file");
        if (disk->path && !*disk->path)
            g_clear_pointer(&disk->path, g_free);
        if (disk->path && !g_path_is_absolute(disk->path))
            return inv_node_fail(source, "file", VIR_ERR_XML_ERROR, error, "the path must be absolute");
    }
    if (!target)
        return inv_node_fail(node, NULL, VIR_ERR_XML_ERROR, error, "a <target> is missing");
    disk->target = inv_node_required(target, "dev", error);
    if (!disk->target || !inv_node_words(target, "bus", &inv_disk_buses, (guint *)&disk->bus, error))
        return FALSE;
    disk->readonly = inv_node_child(node, "readonly") != NULL;
    disk->shareable = inv_node_child(node, "shareable") != NULL;
    disk->serial = inv_node_child_token(node, "serial");
    return TRUE;
}

static void
set_flag(xmlNodePtr node, const char *name, gboolean set)
{
    if (set)
        inv_node_ensure(node, name, inv_device_order);
    else
        inv_node_remove_child(node, name);
}

static void
format_disk(const InvDevice *device, xmlNodePtr node, InvFormatFlags flags)
{
    const InvDisk *disk = &device->u.disk;
    xmlNodePtr driver = inv_node_child(node, "driver");
    xmlNodePtr source = inv_node_child(node, "source");
    xmlNodePtr target = inv_node_ensure(node, "target", inv_device_order);

    inv_node_set(node, "type", disk->type_name ? disk->type_name : "file");
    inv_node_set(node, "device", inv_words_to_string(&inv_disk_devices, disk->device));
    if (driver || disk->format || disk->cache || disk->io || disk->discard) {
        if (!driver) {
            driver = inv_node_ensure(node, "driver", inv_device_order);
            inv_node_set(driver, "name", "qemu");
        }
        inv_node_set(driver, "type", disk->format);
        inv_node_set(driver, "cache", disk->cache);
        inv_node_set(driver, "io", disk->io);
        inv_node_set(driver, "discard", disk->discard);
    }
    if (!disk->type_name || strcmp(disk->type_name, "file") == 0) {
        if (disk->path) {
            source = inv_node_ensure(node, "source", inv_device_order);
            inv_node_set(source, "file", disk->path);
        } else if (source && !xmlFirstElementChild(source)) {
            inv_node_remove(source);
        }
    }
    inv_node_set(target, "dev", disk->target);
    inv_node_set(target, "bus", inv_words_to_string(&inv_disk_buses, disk->bus));
    set_flag(node, "readonly", disk->readonly);
    set_flag(node, "shareable", disk->shareable);
    inv_node_set_child_text(node, "serial", disk->serial, inv_device_order);
}

const InvDeviceClass inv_disk_class = {
    .element = "disk",
    .children = disk_children,
    .strings = disk_strings,
    .parse = parse_disk,
    .format = format_disk,
};
