/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/command_device.h"

#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How <driver cache=> falls apart into QEMU's three switches. */
typedef struct {
    const char *name;
    gboolean direct, no_flush, write_cache;
} CacheMode;

static const CacheMode cache_modes[] = {
    { "none", TRUE, FALSE, TRUE },        { "writeback", FALSE, FALSE, TRUE }, { "writethrough", FALSE, FALSE, FALSE },
    { "directsync", TRUE, FALSE, FALSE }, { "unsafe", FALSE, TRUE, TRUE },
};

/* *@mode: NULL for QEMU's default. */
static gboolean
find_cache_mode(const InvDisk *disk, const CacheMode **mode, GError **error)
{
    *mode = NULL;
    if (!disk->cache || g_str_equal(disk->cache, "default"))
        return TRUE;
    for (gsize i = 0; i < G_N_ELEMENTS(cache_modes); i++) {
        if (g_str_equal(cache_modes[i].name, disk->cache)) {
            *mode = &cache_modes[i];
            return TRUE;
        }
    }
    return inv_command_unsupported(error, "disk cache mode", disk->cache, "none, writeback, writethrough, directsync or unsafe");
}

static void
set_cache(InvJson *node, const CacheMode *mode)
{
    InvJson *cache;

    if (!mode)
        return;
    cache = inv_json_new_object();
    inv_json_object_set_boolean(cache, "direct", mode->direct);
    inv_json_object_set_boolean(cache, "no-flush", mode->no_flush);
    inv_json_object_set(node, "cache", cache);
}

static gboolean
check_disk(const InvDisk *disk, const CacheMode *mode, GError **error)
{
    if (disk->type_name && !g_str_equal(disk->type_name, "file"))
        return inv_command_unsupported(error, "disk type", disk->type_name, "type='file'");
    if (disk->format && !g_str_equal(disk->format, "raw") && !g_str_equal(disk->format, "qcow2"))
        return inv_command_unsupported(error, "disk format", disk->format, "raw or qcow2");
    if (disk->discard && !g_str_equal(disk->discard, "unmap") && !g_str_equal(disk->discard, "ignore"))
        return inv_command_unsupported(error, "disk discard mode", disk->discard, "unmap or ignore");
    if (disk->io && !g_str_equal(disk->io, "native") && !g_str_equal(disk->io, "threads") &&
        !g_str_equal(disk->io, "io_uring"))
        return inv_command_unsupported(error, "disk io mode", disk->io, "native, threads or io_uring");
    if (g_strcmp0(disk->io, "native") == 0 && (!mode || !mode->direct))
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "disk '%s': io='native' needs cache='none' or cache='directsync'", disk->target);
    if (disk->readonly && disk->device == INV_DISK_DISK && (disk->bus == INV_BUS_IDE || disk->bus == INV_BUS_SATA))
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "disk '%s': a read-only hard disk is not possible on bus ide or sata; use virtio, scsi or a cdrom",
                             disk->target);
    if (!disk->path && disk->device == INV_DISK_DISK)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "disk '%s' has no <source file='…'>", disk->target);
    return TRUE;
}

static void
add_nodes(InvCommandBuilder *builder, const InvDisk *disk, const CacheMode *mode, guint number)
{
    gboolean readonly = disk->readonly || disk->device == INV_DISK_CDROM;
    g_autofree char *storage = g_strdup_printf("disk%u-storage", number);
    g_autofree char *format = g_strdup_printf("disk%u-format", number);
    InvJson *node = inv_json_new_object();

    inv_json_object_set_string(node, "driver", "file");
    inv_json_object_set_string(node, "filename", disk->path);
    inv_json_object_set_string(node, "node-name", storage);
    inv_json_object_set_boolean(node, "auto-read-only", TRUE);
    inv_json_object_set_string(node, "discard", disk->discard ? disk->discard : "unmap");
    inv_json_object_set_string(node, "aio", disk->io);
    set_cache(node, mode);
    inv_command_add_json(builder, "-blockdev", node);

    node = inv_json_new_object();
    inv_json_object_set_string(node, "node-name", format);
    inv_json_object_set_boolean(node, "read-only", readonly);
    inv_json_object_set_string(node, "discard", disk->discard);
    set_cache(node, mode);
    inv_json_object_set_string(node, "driver", disk->format ? disk->format : "raw");
    inv_json_object_set_string(node, "file", storage);
    inv_command_add_json(builder, "-blockdev", node);
}

/* The bus of an IDE or SATA drive, NULL with an error. */
static char *
drive_bus(const InvCommandBuilder *builder, const InvDevice *device, const char *what, GError **error)
{
    const InvAddress *at = &device->address;
    gboolean sata = device->u.disk.bus == INV_BUS_SATA;
    const char *controller = NULL;

    if (!sata && (builder->board == INV_BOARD_I440FX || builder->board == INV_BOARD_ISAPC) && at->controller == 0)
        return g_strdup_printf("ide.%u", at->bus);
    if (sata && builder->board == INV_BOARD_Q35 && at->controller == 0)
        return g_strdup_printf("ide.%u", at->unit);
    if (sata)
        controller = inv_command_controller(builder, "sata", at->controller);
    if (controller)
        return g_strdup_printf("%s.%u", controller, at->unit);
    inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s: machine type '%s' has no %s controller %u", what, builder->machine,
                  sata ? "SATA" : "IDE", at->controller);
    return NULL;
}

static InvJson *
ide_device(const InvCommandBuilder *builder, const InvDevice *device, const char *what, GError **error)
{
    g_autofree char *bus = drive_bus(builder, device, what, error);
    InvJson *properties;

    if (!bus)
        return NULL;
    properties = inv_command_new_device(builder, device, device->u.disk.device == INV_DISK_CDROM ? "ide-cd" : "ide-hd", what,
                                        error);
    if (!properties)
        return NULL;
    inv_json_object_set_string(properties, "bus", bus);
    if (device->u.disk.bus == INV_BUS_IDE)
        inv_json_object_set_uint(properties, "unit", device->address.unit);
    return properties;
}

static InvJson *
scsi_device(const InvCommandBuilder *builder, const InvDevice *device, const char *what, GError **error)
{
    const char *controller = inv_command_controller(builder, "scsi", device->address.controller);
    g_autofree char *bus = controller ? g_strdup_printf("%s.0", controller) : NULL;
    InvJson *properties;

    if (!controller) {
        inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s needs <controller type='scsi' index='%u'/>", what,
                      device->address.controller);
        return NULL;
    }
    properties = inv_command_new_device(builder, device, device->u.disk.device == INV_DISK_CDROM ? "scsi-cd" : "scsi-hd", what,
                                        error);
    if (!properties)
        return NULL;
    inv_json_object_set_string(properties, "bus", bus);
    inv_json_object_set_uint(properties, "channel", device->address.bus);
    inv_json_object_set_uint(properties, "scsi-id", device->address.target);
    inv_json_object_set_uint(properties, "lun", device->address.unit);
    return properties;
}

static InvJson *
floppy_device(InvCommandBuilder *builder, const InvDevice *device, const char *what, GError **error)
{
    InvJson *properties;

    if (builder->board != INV_BOARD_I440FX && builder->board != INV_BOARD_ISAPC) {
        inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s: machine type '%s' has no floppy controller", what,
                      builder->machine);
        return NULL;
    }
    properties = inv_command_new_device(builder, device, "floppy", what, error);
    if (properties)
        inv_json_object_set_uint(properties, "unit", device->address.unit);
    return properties;
}

static InvJson *
front_end(InvCommandBuilder *builder, const InvDevice *device, const char *what, GError **error)
{
    switch (device->u.disk.bus) {
    case INV_BUS_IDE:
    case INV_BUS_SATA:
        return ide_device(builder, device, what, error);
    case INV_BUS_VIRTIO:
        if (device->u.disk.device == INV_DISK_DISK)
            return inv_command_new_virtio(builder, device, "virtio-blk", what, error);
        inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s: only a hard disk can be on bus virtio; use sata, scsi or ide", what);
        return NULL;
    case INV_BUS_SCSI:
        return scsi_device(builder, device, what, error);
    case INV_BUS_USB:
        return inv_command_new_device(builder, device, "usb-storage", what, error);
    case INV_BUS_FDC:
        return floppy_device(builder, device, what, error);
    case INV_BUS_UNSET:
        break;
    }
    inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s has no bus", what);
    return NULL;
}

gboolean
inv_command_disk(InvCommandBuilder *builder, const InvDevice *device, GError **error)
{
    const InvDisk *disk = &device->u.disk;
    g_autofree char *what = g_strdup_printf("disk '%s'", disk->target);
    guint number = builder->n_nodes++;
    g_autofree char *node = g_strdup_printf("disk%u-format", number);
    const CacheMode *mode = NULL;
    InvJson *properties;

    if (!find_cache_mode(disk, &mode, error) || !check_disk(disk, mode, error))
        return FALSE;
    properties = front_end(builder, device, what, error);
    if (!properties)
        return FALSE;
    if (disk->path) {
        add_nodes(builder, disk, mode, number);
        inv_json_object_set_string(properties, "drive", node);
    }
    inv_command_set_boot_index(builder, device, properties);
    if (disk->bus != INV_BUS_FDC) {
        inv_json_object_set_string(properties, "serial", disk->serial);
        if (disk->shareable)
            inv_json_object_set_boolean(properties, "share-rw", TRUE);
        if (mode && disk->device == INV_DISK_DISK)
            inv_json_object_set_string(properties, "write-cache", mode->write_cache ? "on" : "off");
    }
    return inv_command_add_device(builder, properties, what, error);
}

static void
add_flash(InvCommandBuilder *builder, const char *name, const char *path, gboolean readonly)
{
    g_autofree char *storage = g_strdup_printf("%s-storage", name);
    g_autofree char *format = g_strdup_printf("%s-format", name);
    InvJson *node = inv_json_new_object();

    inv_json_object_set_string(node, "driver", "file");
    inv_json_object_set_string(node, "filename", path);
    inv_json_object_set_string(node, "node-name", storage);
    inv_json_object_set_boolean(node, "auto-read-only", TRUE);
    inv_json_object_set_string(node, "discard", "unmap");
    inv_command_add_json(builder, "-blockdev", node);
    node = inv_json_new_object();
    inv_json_object_set_string(node, "node-name", format);
    inv_json_object_set_boolean(node, "read-only", readonly);
    inv_json_object_set_string(node, "driver", "raw");
    inv_json_object_set_string(node, "file", storage);
    inv_command_add_json(builder, "-blockdev", node);
}

gboolean
inv_command_firmware(InvCommandBuilder *builder, GError **error)
{
    const InvDomainOs *os = &builder->domain->os;

    if (!os->loader)
        return !os->nvram || inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "<nvram> needs a <loader type='pflash'>");
    if (!os->loader_pflash) {
        inv_command_add(builder, "-bios", os->loader);
        return TRUE;
    }
    add_flash(builder, "pflash0", os->loader, os->loader_readonly != INV_TRISTATE_OFF);
    if (os->nvram)
        add_flash(builder, "pflash1", os->nvram, FALSE);
    if (os->loader_secure == INV_TRISTATE_ON)
        inv_command_add(builder, "-global", "driver=cfi.pflash01,property=secure,value=on");
    return TRUE;
}

/* Opening is the only test of permission that also knows capabilities and mandatory access control. */
static gboolean
check_file(const char *what, const char *path, gboolean writable, GError **error)
{
    inv_autofd int fd = -1;
    struct stat status;

    if (stat(path, &status) < 0)
        return inv_error_set_errno(error, errno, "%s '%s'", what, path);
    if (!S_ISREG(status.st_mode))
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s '%s' is %s, not a regular file", what, path,
                             S_ISDIR(status.st_mode)   ? "a folder"
                             : S_ISBLK(status.st_mode) ? "a block device"
                                                       : "a special file");
    fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return inv_error_set_errno(error, errno, "%s '%s' cannot be opened for %s", what, path,
                                   writable ? "writing" : "reading");
    return TRUE;
}

static gboolean
check_disks(const InvDomain *domain, GError **error)
{
    for (guint i = 0; i < domain->devices->len; i++) {
        const InvDevice *device = g_ptr_array_index(domain->devices, i);
        const InvDisk *disk = &device->u.disk;
        g_autofree char *what = NULL;

        if (device->type != INV_DEVICE_DISK || !disk->path || (disk->type_name && !g_str_equal(disk->type_name, "file")))
            continue;
        what = g_strdup_printf("disk '%s': image", disk->target);
        if (!check_file(what, disk->path, !disk->readonly && disk->device != INV_DISK_CDROM, error))
            return FALSE;
    }
    return TRUE;
}

gboolean
inv_command_check_host(const InvDomain *domain, GError **error)
{
    const InvDomainOs *os = &domain->os;

    /* QEMU finds a ROM by its bare name in folders of its own. */
    if (os->loader && (os->loader_pflash || g_path_is_absolute(os->loader)) &&
        !check_file("the loader", os->loader, os->loader_pflash && os->loader_readonly == INV_TRISTATE_OFF, error))
        return FALSE;
    return (!os->nvram || check_file("the nvram", os->nvram, TRUE, error)) &&
           (!os->kernel || check_file("the kernel", os->kernel, FALSE, error)) &&
           (!os->initrd || check_file("the initrd", os->initrd, FALSE, error)) && check_disks(domain, error);
}
