/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/device_class.h"

#include <string.h>

static gboolean
parse_pci(InvAddress *address, xmlNodePtr node, GError **error)
{
    /* Without a place it only asks for one on PCI. */
    if (!inv_node_has(node, "slot") && !inv_node_has(node, "bus") && !inv_node_has(node, "function"))
        return TRUE;
    address->type = INV_ADDRESS_PCI;
    return inv_node_uint(node, "domain", 0, 0xffff, &address->domain, error)
           && inv_node_uint(node, "bus", 0, 0xff, &address->bus, error)
           && inv_node_uint(node, "slot", 0, 0x1f, &address->slot, error)
           && inv_node_uint(node, "function", 0, 7, &address->function, error)
           && inv_node_words(node, "multifunction", &inv_on_off, (guint *)&address->multifunction, error);
}

static gboolean
parse_usb(InvAddress *address, xmlNodePtr node, GError **error)
{
    g_autofree char *port = inv_node_attr(node, "port");

    /* "1.2" is behind a hub, which Invar does not make: kept as it is. */
    if (port && strchr(port, '.')) {
        address->type = INV_ADDRESS_OTHER;
        return TRUE;
    }
    if (!port)
        return TRUE;
    address->type = INV_ADDRESS_USB;
    return inv_node_uint(node, "bus", 0, 255, &address->bus, error)
           && inv_node_uint(node, "port", 1, 255, &address->port, error);
}

gboolean
inv_address_parse(InvAddress *address, xmlNodePtr device, GError **error)
{
    xmlNodePtr node;
    g_autofree char *type = NULL;

    if (!inv_node_only_child(device, "address", &node, error))
        return FALSE;
    if (!node)
        return TRUE;
    type = inv_node_required(node, "type", error);
    if (!type)
        return FALSE;
    if (strcmp(type, "pci") == 0)
        return parse_pci(address, node, error);
    if (strcmp(type, "usb") == 0)
        return parse_usb(address, node, error);
    if (strcmp(type, "drive") == 0) {
        address->type = INV_ADDRESS_DRIVE;
        return inv_node_uint(node, "controller", 0, 255, &address->controller, error)
               && inv_node_uint(node, "bus", 0, 255, &address->bus, error)
               && inv_node_uint(node, "target", 0, 255, &address->target, error)
               && inv_node_uint(node, "unit", 0, 16383, &address->unit, error);
    }
    if (strcmp(type, "virtio-serial") == 0) {
        address->type = INV_ADDRESS_VIRTIO_SERIAL;
        return inv_node_uint(node, "controller", 0, 255, &address->controller, error)
               && inv_node_uint(node, "bus", 0, 255, &address->bus, error)
               && inv_node_uint(node, "port", 0, 511, &address->port, error);
    }
    address->type = strcmp(type, "isa") == 0 ? INV_ADDRESS_ISA : INV_ADDRESS_OTHER;
    return TRUE;
}

void
inv_address_format(const InvAddress *address, xmlNodePtr device)
{
    xmlNodePtr node;

    if (address->type == INV_ADDRESS_NONE || address->type == INV_ADDRESS_ISA || address->type == INV_ADDRESS_OTHER)
        return;
    node = inv_node_ensure(device, "address", inv_device_order);
    if (address->type == INV_ADDRESS_PCI) {
        inv_node_set(node, "type", "pci");
        inv_node_setf(node, "domain", "0x%04x", address->domain);
        inv_node_setf(node, "bus", "0x%02x", address->bus);
        inv_node_setf(node, "slot", "0x%02x", address->slot);
        inv_node_setf(node, "function", "0x%x", address->function);
        inv_node_set(node, "multifunction", inv_words_to_string(&inv_on_off, address->multifunction));
    } else if (address->type == INV_ADDRESS_DRIVE) {
        inv_node_set(node, "type", "drive");
        inv_node_setf(node, "controller", "%u", address->controller);
        inv_node_setf(node, "bus", "%u", address->bus);
        inv_node_setf(node, "target", "%u", address->target);
        inv_node_setf(node, "unit", "%u", address->unit);
    } else if (address->type == INV_ADDRESS_USB) {
        inv_node_set(node, "type", "usb");
        inv_node_setf(node, "bus", "%u", address->bus);
        inv_node_setf(node, "port", "%u", address->port);
    } else {
        inv_node_set(node, "type", "virtio-serial");
        inv_node_setf(node, "controller", "%u", address->controller);
        inv_node_setf(node, "bus", "%u", address->bus);
        inv_node_setf(node, "port", "%u", address->port);
    }
}

char *
inv_address_describe(const InvAddress *address)
{
    switch (address->type) {
    case INV_ADDRESS_PCI:
        return g_strdup_printf("PCI address %04x:%02x:%02x.%x", address->domain, address->bus, address->slot,
                               address->function);
    case INV_ADDRESS_DRIVE:
        return g_strdup_printf("drive address controller %u, bus %u, target %u, unit %u", address->controller, address->bus,
                               address->target, address->unit);
    case INV_ADDRESS_USB:
        return g_strdup_printf("USB address bus %u, port %u", address->bus, address->port);
    case INV_ADDRESS_VIRTIO_SERIAL:
        return g_strdup_printf("virtio-serial address controller %u, bus %u, port %u", address->controller, address->bus,
                               address->port);
    case INV_ADDRESS_NONE:
    case INV_ADDRESS_ISA:
    case INV_ADDRESS_OTHER:
        return NULL;
    }
    return NULL;
}
