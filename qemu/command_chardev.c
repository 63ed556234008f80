/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/command_device.h"

#include <string.h>

/* The host's end, named @id on the command line. */
static gboolean
add_chardev(InvCommandBuilder *builder, const InvDevice *device, const char *what, const char *id, GError **error)
{
    const InvChar *chardev = &device->u.chardev;
    g_autofree char *chosen = g_strdup_printf("%s/%s.sock", builder->context->runtime_dir, inv_command_alias(builder, device));
    g_autofree char *path = inv_command_escape(chardev->path ? chardev->path : chosen);
    g_autofree char *value = NULL;

    switch (chardev->type) {
    case INV_CHAR_PTY:
        value = g_strdup_printf("pty,id=%s", id);
        break;
    case INV_CHAR_FILE:
        if (!chardev->path)
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s of type 'file' has no path", what);
        value = g_strdup_printf("file,id=%s,path=%s,append=%s", id, path,
                                chardev->append == INV_TRISTATE_ON ? "on" : "off");
        break;
    case INV_CHAR_UNIX:
        if (!chardev->path && !chardev->listen)
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s of type 'unix' has no path to connect to", what);
        value = g_strdup_printf("socket,id=%s,path=%s%s", id, path, chardev->listen ? ",server=on,wait=off" : "");
        break;
    case INV_CHAR_NULL:
        value = g_strdup_printf("null,id=%s", id);
        break;
    case INV_CHAR_OTHER:
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "%s type '%s' is not supported by Invar yet; use pty, file, unix or null", what,
                             chardev->type_name ? chardev->type_name : "");
    }
    inv_command_add(builder, "-chardev", value);
    return TRUE;
}

/* A UART that is a part of the board is not made by -device: the n-th -serial is the n-th of them. */
static gboolean
is_board_serial(InvBoard board)
{
    return board == INV_BOARD_ARM_VIRT || board == INV_BOARD_RISCV_VIRT || board == INV_BOARD_LOONGARCH_VIRT ||
           board == INV_BOARD_MICROVM || board == INV_BOARD_OTHER;
}

/* QEMU's driver for the target's word, NULL for the board's own. */
static gboolean
serial_driver(const InvCommandBuilder *builder, const char *target, const char **driver, GError **error)
{
    static const struct {
        const char *target;
        const char *driver;
    } drivers[] = {
        { "isa-serial", "isa-serial" },         { "usb-serial", "usb-serial" },
        { "pci-serial", "pci-serial" },         { "spapr-vio-serial", "spapr-vty" },
        { "sclp-serial", "sclpconsole" },
    };
    const char *standard = "isa-serial";

    *driver = NULL;
    if (builder->board == INV_BOARD_PSERIES)
        standard = "spapr-vty";
    else if (builder->board == INV_BOARD_S390)
        standard = "sclpconsole";
    if (!target || g_str_equal(target, "serial") || g_str_equal(target, "system-serial") ||
        (g_str_equal(target, "isa-serial") && builder->board == INV_BOARD_MICROVM)) {
        *driver = is_board_serial(builder->board) ? NULL : standard;
        return TRUE;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(drivers); i++) {
        if (g_str_equal(drivers[i].target, target)) {
            *driver = drivers[i].driver;
            return TRUE;
        }
    }
    return inv_command_unsupported(error, "serial target type", target, "isa-serial, usb-serial or pci-serial");
}

gboolean
inv_command_serial(InvCommandBuilder *builder, const InvDevice *device, GError **error)
{
    const InvChar *chardev = &device->u.chardev;
    g_autofree char *id = g_strdup_printf("char%s", inv_command_alias(builder, device));
    g_autofree char *board_value = g_strdup_printf("chardev:%s", id);
    const char *driver = NULL;
    InvJson *properties;

    if (!serial_driver(builder, chardev->target_type, &driver, error) || !add_chardev(builder, device, "serial", id, error))
        return FALSE;
    if (!driver) {
        inv_command_add(builder, "-serial", board_value);
        return TRUE;
    }
    properties = inv_command_new_device(builder, device, driver, "serial port", error);
    if (!properties)
        return FALSE;
    inv_json_object_set_string(properties, "chardev", id);
    if (g_str_equal(driver, "isa-serial") && chardev->port >= 0)
        inv_json_object_set_int(properties, "index", chardev->port);
    return inv_command_add_device(builder, properties, "serial port", error);
}

static gboolean
has_serial(const InvDomain *domain)
{
    for (guint i = 0; i < domain->devices->len; i++) {
        if (((const InvDevice *)g_ptr_array_index(domain->devices, i))->type == INV_DEVICE_SERIAL)
            return TRUE;
    }
    return FALSE;
}

static gboolean
virtio_port(InvCommandBuilder *builder, const InvDevice *device, const char *driver, const char *what, GError **error)
{
    g_autofree char *id = g_strdup_printf("char%s", inv_command_alias(builder, device));
    InvJson *properties;

    if (!add_chardev(builder, device, what, id, error))
        return FALSE;
    properties = inv_command_new_device(builder, device, driver, what, error);
    if (!properties)
        return FALSE;
    inv_json_object_set_string(properties, "chardev", id);
    if (device->type == INV_DEVICE_CHANNEL)
        inv_json_object_set_string(properties, "name", device->u.chardev.target_name);
    return inv_command_add_device(builder, properties, what, error);
}

gboolean
inv_command_console(InvCommandBuilder *builder, const InvDevice *device, GError **error)
{
    const char *target = device->u.chardev.target_type;

    if (target && g_str_equal(target, "virtio"))
        return virtio_port(builder, device, "virtconsole", "console", error);
    if (target && (g_str_equal(target, "sclp") || g_str_equal(target, "sclplm"))) {
        g_autofree char *id = g_strdup_printf("char%s", inv_command_alias(builder, device));
        InvJson *properties;

        if (!add_chardev(builder, device, "console", id, error))
            return FALSE;
        properties = inv_command_new_device(builder, device, g_str_equal(target, "sclp") ? "sclpconsole" : "sclplmconsole",
                                            "console", error);
        if (properties)
            inv_json_object_set_string(properties, "chardev", id);
        return properties && inv_command_add_device(builder, properties, "console", error);
    }
    if (target && !g_str_equal(target, "serial"))
        return inv_command_unsupported(error, "console target type", target, "serial or virtio");
    /* The first serial port under its other name. */
    return has_serial(builder->domain) || inv_command_serial(builder, device, error);
}

gboolean
inv_command_channel(InvCommandBuilder *builder, const InvDevice *device, GError **error)
{
    const char *target = device->u.chardev.target_type ? device->u.chardev.target_type : "";

    if (!g_str_equal(target, "virtio"))
        return inv_command_unsupported(error, "channel target type", target, "virtio");
    if (device->address.type != INV_ADDRESS_VIRTIO_SERIAL)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "channel '%s' has no address on a virtio-serial controller",
                             device->u.chardev.target_name ? device->u.chardev.target_name : "");
    return virtio_port(builder, device, "virtserialport", "channel", error);
}
