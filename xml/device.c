/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/device_class.h"

#include <string.h>

static const InvDeviceClass *const classes[] = {
    &inv_disk_class,  &inv_controller_class, &inv_interface_class, &inv_serial_class,     &inv_console_class, &inv_channel_class,
    &inv_input_class, &inv_graphics_class,   &inv_video_class,     &inv_memballoon_class, &inv_rng_class,     NULL,
};
G_STATIC_ASSERT(G_N_ELEMENTS(classes) == INV_DEVICE_UNKNOWN + 1);

const char *const inv_device_order[] = {
    "driver", "auth", "source", "mac", "backingStore", "target", "protocol", "listen", "log", "iotune", "readonly", "shareable",
    "transient", "serial", "model", "rate", "backend", "boot", "master", "alias", "address", NULL,
};

const InvDeviceClass *
inv_device_class(InvDeviceType type)
{
    return classes[type];
}

static char **
string_at(InvDevice *device, gsize offset)
{
    return (char **)((char *)device + offset);
}

InvDevice *
inv_device_new(InvDeviceType type)
{
    InvDevice *device = g_new0(InvDevice, 1);

    device->type = type;
    if (classes[type] && classes[type]->init)
        classes[type]->init(device);
    return device;
}

void
inv_device_free(InvDevice *device)
{
    if (!device)
        return;
    if (classes[device->type]) {
        for (const gsize *offset = classes[device->type]->strings; *offset; offset++)
            g_free(*string_at(device, *offset));
    }
    if (device->source)
        xmlFreeNode(device->source);
    g_free(device->alias);
    g_free(device);
}

InvDevice *
inv_device_copy(const InvDevice *device)
{
    InvDevice *copy = g_memdup2(device, sizeof(*device));

    if (classes[device->type]) {
        for (const gsize *offset = classes[device->type]->strings; *offset; offset++)
            *string_at(copy, *offset) = g_strdup(*string_at(copy, *offset));
    }
    copy->source = device->source ? xmlDocCopyNode(device->source, NULL, 1) : NULL;
    copy->alias = g_strdup(device->alias);
    return copy;
}

const char *
inv_device_element(const InvDevice *device)
{
    if (classes[device->type])
        return classes[device->type]->element;
    return device->source ? (const char *)device->source->name : "device";
}

char *
inv_device_describe(const InvDevice *device)
{
    const char *element = inv_device_element(device);
    const char *name = NULL;

    if (device->type == INV_DEVICE_DISK)
        name = device->u.disk.target;
    else if (device->type == INV_DEVICE_INTERFACE)
        name = device->u.interface.mac;
    else if (device->type == INV_DEVICE_CONTROLLER && device->u.controller.index >= 0)
        return g_strdup_printf("<controller> '%s' %d", device->u.controller.type, device->u.controller.index);
    else if (device->type == INV_DEVICE_CONTROLLER)
        name = device->u.controller.type;
    else if (device->type == INV_DEVICE_CHANNEL)
        name = device->u.chardev.target_name;
    else if (device->type == INV_DEVICE_INPUT)
        name = device->u.input.type;
    else if (device->type == INV_DEVICE_VIDEO)
        name = device->u.video.model;
    if (!name && device->source)
        return g_strdup_printf("<%s> of line %ld", element, xmlGetLineNo(device->source));
    return name ? g_strdup_printf("<%s> '%s'", element, name) : g_strdup_printf("<%s>", element);
}

gboolean
inv_format_is_live(InvFormatFlags flags)
{
    return (flags & INV_FORMAT_LIVE) && !(flags & INV_FORMAT_MIGRATABLE);
}

gboolean
inv_alias_is_user(const char *alias)
{
    return g_str_has_prefix(alias, "ua-");
}

static InvDeviceType
type_of(xmlNodePtr node)
{
    for (guint i = 0; i < INV_DEVICE_UNKNOWN; i++) {
        if (inv_node_is(node, classes[i]->element))
            return (InvDeviceType)i;
    }
    return INV_DEVICE_UNKNOWN;
}

InvDevice *
inv_device_parse(xmlNodePtr node, gboolean live, GError **error)
{
    g_autoptr(InvDevice) device = inv_device_new(type_of(node));
    const InvDeviceClass *class = classes[device->type];
    xmlNodePtr boot;
    xmlNodePtr alias;
    guint order = 0;

    if (!inv_node_only_child(node, "boot", &boot, error) || !inv_node_only_child(node, "alias", &alias, error))
        return NULL;
    /* A device that is only kept still has its place on a bus. */
    if (!inv_address_parse(&device->address, node, error))
        return NULL;
    if (class) {
        if (boot && !inv_node_uint(boot, "order", 1, G_MAXINT, &order, error))
            return NULL;
        if (!class->parse(device, node, live, error))
            return NULL;
        device->boot_order = (int)order;
        device->alias = alias ? inv_node_attr(alias, "name") : NULL;
    }
    device->source = xmlDocCopyNode(node, NULL, 1);
    return g_steal_pointer(&device);
}

static void
format_alias(const InvDevice *device, xmlNodePtr node, InvFormatFlags flags)
{
    xmlNodePtr alias;

    if (!device->alias || (!inv_format_is_live(flags) && !inv_alias_is_user(device->alias))) {
        inv_node_remove_child(node, "alias");
        return;
    }
    alias = inv_node_ensure(node, "alias", inv_device_order);
    inv_node_set(alias, "name", device->alias);
}

/* A kept element of another kind: only what belongs to one run is taken off. */
static void
format_unknown(xmlNodePtr node, InvFormatFlags flags)
{
    xmlNodePtr alias = inv_node_child(node, "alias");
    g_autofree char *name = alias ? inv_node_attr(alias, "name") : NULL;

    if (alias && !inv_format_is_live(flags) && (!name || !inv_alias_is_user(name)))
        inv_node_remove(alias);
}

xmlNodePtr
inv_device_format(const InvDevice *device, InvFormatFlags flags)
{
    const InvDeviceClass *class = classes[device->type];
    xmlNodePtr node = device->source ? xmlDocCopyNode(device->source, NULL, 1)
                                     : xmlNewNode(NULL, (const xmlChar *)inv_device_element(device));
    xmlNodePtr order;

    if (!class) {
        format_unknown(node, flags);
        return node;
    }
    class->format(device, node, flags);
    if (device->boot_order) {
        order = inv_node_ensure(node, "boot", inv_device_order);
        inv_node_setf(order, "order", "%d", device->boot_order);
    } else {
        inv_node_remove_child(node, "boot");
    }
    format_alias(device, node, flags);
    inv_address_format(&device->address, node);
    return node;
}
