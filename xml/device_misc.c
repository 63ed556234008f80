/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/device_class.h"

#include <string.h>

/* Controllers, interfaces, and the small ones: balloon, random numbers, input. */

static const char *const controller_children[] = { "target", "model", "master", "address", "alias", "boot", NULL };
static const char *const interface_children[] = { "mac", "model", "source", "target", "boot", "address", "alias", NULL };
static const char *const memballoon_children[] = { "address", "alias", "boot", NULL };
static const char *const rng_children[] = { "rate", "backend", "address", "alias", "boot", NULL };
static const char *const input_children[] = { "address", "alias", "boot", NULL };

static const gsize controller_strings[] = {
    G_STRUCT_OFFSET(InvDevice, u.controller.type),
    G_STRUCT_OFFSET(InvDevice, u.controller.model),
    0,
};
static const gsize interface_strings[] = {
    G_STRUCT_OFFSET(InvDevice, u.interface.type),
    G_STRUCT_OFFSET(InvDevice, u.interface.mac),
    G_STRUCT_OFFSET(InvDevice, u.interface.model),
    0,
};
static const gsize memballoon_strings[] = { G_STRUCT_OFFSET(InvDevice, u.memballoon.model), 0 };
static const gsize rng_strings[] = {
    G_STRUCT_OFFSET(InvDevice, u.rng.model),
    G_STRUCT_OFFSET(InvDevice, u.rng.backend_model),
    G_STRUCT_OFFSET(InvDevice, u.rng.backend),
    0,
};
static const gsize input_strings[] = {
    G_STRUCT_OFFSET(InvDevice, u.input.type),
    G_STRUCT_OFFSET(InvDevice, u.input.bus),
    0,
};

static void
init_controller(InvDevice *device)
{
    device->u.controller.index = -1;
    device->u.controller.chassis = -1;
    device->u.controller.port = -1;
    device->u.controller.ports = -1;
}

/* An optional number: -1 when it is not there. */
static gboolean
parse_number(xmlNodePtr node, const char *attribute, guint minimum, guint maximum, int *value, GError **error)
{
    guint number = G_MAXUINT;

    if (!inv_node_uint(node, attribute, minimum, maximum, &number, error))
        return FALSE;
    if (number != G_MAXUINT)
        *value = (int)number;
    return TRUE;
}

static gboolean
parse_controller(InvDevice *device, xmlNodePtr node, gboolean live, GError **error)
{
    InvController *controller = &device->u.controller;
    xmlNodePtr target;

    controller->type = inv_node_required(node, "type", error);
    controller->model = inv_node_attr(node, "model");
    if (!controller->type || !parse_number(node, "index", 0, 255, &controller->index, error)
        || !parse_number(node, "ports", 1, 255, &controller->ports, error)
        || !inv_node_only_child(node, "target", &target, error))
        return FALSE;
    return !target
           || (parse_number(target, "chassis", 0, 255, &controller->chassis, error)
               && parse_number(target, "port", 0, 255, &controller->port, error));
}

static void
format_controller(const InvDevice *device, xmlNodePtr node, InvFormatFlags flags)
{
    const InvController *controller = &device->u.controller;

    inv_node_set(node, "type", controller->type);
    if (!inv_node_has(node, "index"))
        inv_node_set(node, "model", NULL);
    if (controller->index >= 0)
        inv_node_setf(node, "index", "%d", controller->index);
    inv_node_set(node, "model", controller->model);
    if (controller->ports >= 0)
        inv_node_setf(node, "ports", "%d", controller->ports);
    if (controller->chassis >= 0)
        inv_node_setf(inv_node_ensure(node, "target", inv_device_order), "chassis", "%d", controller->chassis);
    if (controller->port >= 0)
        inv_node_setf(inv_node_ensure(node, "target", inv_device_order), "port", "0x%x", (guint)controller->port);
}

static gboolean
parse_mac(InvInterface *interface, xmlNodePtr node, GError **error)
{
    guint bytes[6];

    interface->mac = inv_node_required(node, "address", error);
    if (!interface->mac)
        return FALSE;
    for (guint i = 0; i < 17; i++) {
        gboolean good = i % 3 == 2 ? interface->mac[i] == ':' : g_ascii_isxdigit(interface->mac[i]);

        if (!good)
            return inv_node_fail(node, "address", VIR_ERR_XML_ERROR, error, "not a MAC address like 52:54:00:12:34:56");
        if (i % 3 == 1)
            bytes[i / 3] = (guint)(g_ascii_xdigit_value(interface->mac[i - 1]) << 4 | g_ascii_xdigit_value(interface->mac[i]));
    }
    if (interface->mac[17])
        return inv_node_fail(node, "address", VIR_ERR_XML_ERROR, error, "not a MAC address like 52:54:00:12:34:56");
    if (bytes[0] & 1)
        return inv_node_fail(node, "address", VIR_ERR_XML_ERROR, error, "a multicast address cannot be an interface's own");
    for (char *each = interface->mac; *each; each++)
        *each = g_ascii_tolower(*each);
    return TRUE;
}

static gboolean
parse_interface(InvDevice *device, xmlNodePtr node, gboolean live, GError **error)
{
    InvInterface *interface = &device->u.interface;
    xmlNodePtr mac;
    xmlNodePtr model;

    interface->type = inv_node_required(node, "type", error);
    if (!interface->type || !inv_node_only_child(node, "mac", &mac, error)
        || !inv_node_only_child(node, "model", &model, error))
        return FALSE;
    interface->model = model ? inv_node_attr(model, "type") : NULL;
    return !mac || parse_mac(interface, mac, error);
}

static void
format_interface(const InvDevice *device, xmlNodePtr node, InvFormatFlags flags)
{
    const InvInterface *interface = &device->u.interface;

    inv_node_set(node, "type", interface->type);
    if (interface->mac)
        inv_node_set(inv_node_ensure(node, "mac", inv_device_order), "address", interface->mac);
    if (interface->model)
        inv_node_set(inv_node_ensure(node, "model", inv_device_order), "type", interface->model);
}

static gboolean
parse_memballoon(InvDevice *device, xmlNodePtr node, gboolean live, GError **error)
{
    device->u.memballoon.model = inv_node_required(node, "model", error);
    return device->u.memballoon.model != NULL;
}

static void
format_memballoon(const InvDevice *device, xmlNodePtr node, InvFormatFlags flags)
{
    inv_node_set(node, "model", device->u.memballoon.model);
}

static gboolean
parse_rng(InvDevice *device, xmlNodePtr node, gboolean live, GError **error)
{
    InvRng *rng = &device->u.rng;
    xmlNodePtr backend;
    xmlNodePtr rate;
    g_autofree char *bytes = NULL;

    rng->model = inv_node_required(node, "model", error);
    if (!rng->model || !inv_node_only_child(node, "backend", &backend, error)
        || !inv_node_only_child(node, "rate", &rate, error))
        return FALSE;
    if (!backend)
        return inv_node_fail(node, "model", VIR_ERR_XML_ERROR, error, "a <backend> is missing");
    rng->backend_model = inv_node_required(backend, "model", error);
    if (!rng->backend_model)
        return FALSE;
    if (strcmp(rng->backend_model, "random") == 0)
        rng->backend = inv_node_token(backend);
    if (!rate)
        return TRUE;
    bytes = inv_node_required(rate, "bytes", error);
    return bytes && inv_node_uint(rate, "bytes", 1, G_MAXUINT, &rng->rate_bytes, error)
           && inv_node_uint(rate, "period", 1, G_MAXUINT, &rng->rate_period, error);
}

static void
format_rng(const InvDevice *device, xmlNodePtr node, InvFormatFlags flags)
{
    const InvRng *rng = &device->u.rng;
    xmlNodePtr backend = inv_node_ensure(node, "backend", inv_device_order);

    inv_node_set(node, "model", rng->model);
    inv_node_set(backend, "model", rng->backend_model);
    if (rng->backend)
        inv_node_set_text(backend, rng->backend);
    if (rng->rate_bytes) {
        xmlNodePtr rate = inv_node_ensure(node, "rate", inv_device_order);

        inv_node_setf(rate, "bytes", "%u", rng->rate_bytes);
        if (rng->rate_period)
            inv_node_setf(rate, "period", "%u", rng->rate_period);
    }
}

static gboolean
parse_input(InvDevice *device, xmlNodePtr node, gboolean live, GError **error)
{
    static const char *const types[] = { "tablet", "mouse", "keyboard", "passthrough", "evdev", NULL };
    static const char *const buses[] = { "usb", "ps2", "virtio", "xen", "parallels", "none", NULL };
    InvInput *input = &device->u.input;

    input->type = inv_node_required(node, "type", error);
    input->bus = inv_node_attr(node, "bus");
    if (!input->type)
        return FALSE;
    if (!inv_name_in(input->type, types))
        return inv_node_fail(node, "type", VIR_ERR_XML_ERROR, error,
                             "unknown value; known: tablet, mouse, keyboard, passthrough, evdev");
    if (input->bus && !inv_name_in(input->bus, buses))
        return inv_node_fail(node, "bus", VIR_ERR_XML_ERROR, error, "unknown value; known: usb, ps2, virtio, xen");
    return TRUE;
}

static void
format_input(const InvDevice *device, xmlNodePtr node, InvFormatFlags flags)
{
    inv_node_set(node, "type", device->u.input.type);
    inv_node_set(node, "bus", device->u.input.bus);
}

const InvDeviceClass inv_controller_class = {
    .element = "controller",
    .children = controller_children,
    .strings = controller_strings,
    .init = init_controller,
    .parse = parse_controller,
    .format = format_controller,
};

const InvDeviceClass inv_interface_class = {
    .element = "interface",
    .children = interface_children,
    .strings = interface_strings,
    .parse = parse_interface,
    .format = format_interface,
};

const InvDeviceClass inv_memballoon_class = {
    .element = "memballoon",
    .children = memballoon_children,
    .strings = memballoon_strings,
    .parse = parse_memballoon,
    .format = format_memballoon,
};

const InvDeviceClass inv_rng_class = {
    .element = "rng",
    .children = rng_children,
    .strings = rng_strings,
    .parse = parse_rng,
    .format = format_rng,
};

const InvDeviceClass inv_input_class = {
    .element = "input",
    .children = input_children,
    .strings = input_strings,
    .parse = parse_input,
    .format = format_input,
};
