/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/device_class.h"

#include <string.h>

/* INV_CHAR_OTHER has no word of its own: type_name has it. */
INV_WORDS(char_types, INV_CHAR_OTHER, "pty", "file", "unix", "null", NULL);

/* What libvirt knows besides. */
static const char *const other_types[] = {
    "vc", "dev", "pipe", "stdio", "udp", "tcp", "spicevmc", "spiceport", "nmdm", "qemu-vdagent", "dbus", NULL,
};

static const char *const chardev_children[] = { "source", "target", "address", "alias", "boot", NULL };

static const gsize chardev_strings[] = {
    G_STRUCT_OFFSET(InvDevice, u.chardev.type_name),
    G_STRUCT_OFFSET(InvDevice, u.chardev.path),
    G_STRUCT_OFFSET(InvDevice, u.chardev.target_type),
    G_STRUCT_OFFSET(InvDevice, u.chardev.target_name),
    0,
};

static void
init_chardev(InvDevice *device)
{
    device->u.chardev.port = -1;
}

static gboolean
parse_type(InvChar *chardev, xmlNodePtr node, GError **error)
{
    guint type = INV_CHAR_OTHER;

    chardev->type_name = inv_node_required(node, "type", error);
    if (!chardev->type_name)
        return FALSE;
    if (!inv_words_from_string(&char_types, chardev->type_name, &type) && !inv_name_in(chardev->type_name, other_types)) {
        g_autofree char *known = inv_words_known(&char_types);
        g_autofree char *other = g_strjoinv(", ", (char **)other_types);

        return inv_node_fail(node, "type", VIR_ERR_XML_ERROR, error, "unknown value; known: %s, %s", known, other);
    }
    chardev->type = (InvCharType)type;
    return TRUE;
}

static gboolean
parse_source(InvChar *chardev, xmlNodePtr node, GError **error)
{
    xmlNodePtr source = inv_node_child(node, "source");
    g_autofree char *mode = source ? inv_node_attr(source, "mode") : NULL;

    if (source && chardev->type != INV_CHAR_NULL && chardev->type != INV_CHAR_OTHER)
        chardev->path = inv_node_attr(source, "path");
    if (chardev->type == INV_CHAR_PTY && !chardev->path)
        chardev->path = inv_node_attr(node, "tty");
    if (chardev->type == INV_CHAR_FILE && !chardev->path)
        return inv_node_fail(node, "type", VIR_ERR_XML_ERROR, error, "a <source path='…'> is missing");
    if (chardev->type == INV_CHAR_UNIX && mode && strcmp(mode, "bind") != 0 && strcmp(mode, "connect") != 0)
        return inv_node_fail(source, "mode", VIR_ERR_XML_ERROR, error, "unknown value; known: bind, connect");
    /* A socket whose path the daemon chooses can only be one that QEMU listens on. */
    chardev->listen = chardev->type == INV_CHAR_UNIX && (mode ? strcmp(mode, "bind") == 0 : !chardev->path);
    if (chardev->type == INV_CHAR_UNIX && !chardev->listen && !chardev->path)
        return inv_node_fail(source, "mode", VIR_ERR_XML_ERROR, error, "attribute 'path' is missing");
    return !source || inv_node_words(source, "append", &inv_on_off, (guint *)&chardev->append, error);
}

static gboolean
parse_chardev(InvDevice *device, xmlNodePtr node, gboolean live, GError **error)
{
    InvChar *chardev = &device->u.chardev;
    xmlNodePtr target;
    guint port = G_MAXUINT;

    if (!parse_type(chardev, node, error) || !parse_source(chardev, node, error)
        || !inv_node_only_child(node, "target", &target, error))
        return FALSE;
    if (target) {
        chardev->target_type = inv_node_attr(target, "type");
        chardev->target_name = inv_node_attr(target, "name");
        if (!inv_node_uint(target, "port", 0, 255, &port, error))
            return FALSE;
        chardev->port = port == G_MAXUINT ? -1 : (int)port;
    }
    if (device->type == INV_DEVICE_CHANNEL && (!target || !chardev->target_type))
        return inv_node_fail(node, "type", VIR_ERR_XML_ERROR, error, "a <target type='…'> is missing");
    return TRUE;
}

static void
format_source(const InvDevice *device, xmlNodePtr node, InvFormatFlags flags)
{
    const InvChar *chardev = &device->u.chardev;
    gboolean live = inv_format_is_live(flags);
    const char *path = chardev->path;
    xmlNodePtr source;

    if (chardev->type == INV_CHAR_OTHER || chardev->type == INV_CHAR_NULL)
        return;
    if (!live && (chardev->type == INV_CHAR_PTY || chardev->live_path))
        path = NULL;
    /* libvirt shows a console's terminal twice. */
    inv_node_set(node, "tty", device->type == INV_DEVICE_CONSOLE && chardev->type == INV_CHAR_PTY ? path : NULL);
    source = inv_node_child(node, "source");
    if (path || (source && chardev->type == INV_CHAR_UNIX)) {
        source = inv_node_ensure(node, "source", inv_device_order);
        if (chardev->type == INV_CHAR_UNIX)
            inv_node_set(source, "mode", chardev->listen ? "bind" : "connect");
        inv_node_set(source, "path", path);
        inv_node_set(source, "append", inv_words_to_string(&inv_on_off, chardev->append));
    } else if (source) {
        inv_node_remove(source);
    }
}

static void
format_chardev(const InvDevice *device, xmlNodePtr node, InvFormatFlags flags)
{
    const InvChar *chardev = &device->u.chardev;
    xmlNodePtr target;

    inv_node_set(node, "type", chardev->type_name);
    format_source(device, node, flags);
    if (!chardev->target_type && !chardev->target_name && chardev->port < 0)
        return;
    target = inv_node_ensure(node, "target", inv_device_order);
    inv_node_set(target, "type", chardev->target_type);
    if (chardev->port >= 0)
        inv_node_setf(target, "port", "%d", chardev->port);
    inv_node_set(target, "name", chardev->target_name);
}

const InvDeviceClass inv_serial_class = {
    .element = "serial",
    .children = chardev_children,
    .strings = chardev_strings,
    .init = init_chardev,
    .parse = parse_chardev,
    .format = format_chardev,
};

const InvDeviceClass inv_console_class = {
    .element = "console",
    .children = chardev_children,
    .strings = chardev_strings,
    .init = init_chardev,
    .parse = parse_chardev,
    .format = format_chardev,
};

const InvDeviceClass inv_channel_class = {
    .element = "channel",
    .children = chardev_children,
    .strings = chardev_strings,
    .init = init_chardev,
    .parse = parse_chardev,
    .format = format_chardev,
};
