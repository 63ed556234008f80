/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/command_device.h"

#include <string.h>

typedef struct {
    const char *model;  /* libvirt's */
    const char *driver; /* QEMU's */
} Model;

static const Model usb_models[] = {
    { "piix3-uhci", "piix3-usb-uhci" },    { "piix4-uhci", "piix4-usb-uhci" },  { "ehci", "usb-ehci" },
    { "ich9-ehci1", "ich9-usb-ehci1" },    { "ich9-uhci1", "ich9-usb-uhci1" },  { "ich9-uhci2", "ich9-usb-uhci2" },
    { "ich9-uhci3", "ich9-usb-uhci3" },    { "vt82c686b-uhci", "vt82c686b-usb-uhci" },
    { "pci-ohci", "pci-ohci" },            { "nec-xhci", "nec-usb-xhci" },      { "qemu-xhci", "qemu-xhci" },
};

static const Model pci_models[] = {
    { "pcie-root-port", "pcie-root-port" },
    { "pcie-to-pci-bridge", "pcie-pci-bridge" },
    { "pci-bridge", "pci-bridge" },
    { "dmi-to-pci-bridge", "i82801b11-bridge" },
    { "pcie-switch-upstream-port", "x3130-upstream" },
    { "pcie-switch-downstream-port", "xio3130-downstream" },
};

static const Model scsi_models[] = {
    { "lsilogic", "lsi53c895a" }, { "lsisas1068", "mptsas1068" }, { "lsisas1078", "megasas" },
    { "vmpvscsi", "pvscsi" },     { "am53c974", "am53c974" },
};

static const char *
find_driver(const Model *models, gsize count, const char *model)
{
    for (gsize i = 0; i < count; i++) {
        if (g_strcmp0(models[i].model, model) == 0)
            return models[i].driver;
    }
    return NULL;
}

static gboolean
pci_controller(InvCommandBuilder *builder, const InvDevice *device, const char *what, GError **error)
{
    const InvController *controller = &device->u.controller;
    const char *model = controller->model ? controller->model : "";
    const char *driver = find_driver(pci_models, G_N_ELEMENTS(pci_models), model);
    InvJson *properties;

    if (controller->index <= 0 || g_str_equal(model, "pci-root") || g_str_equal(model, "pcie-root")) {
        if (controller->index > 0)
            return inv_command_unsupported(error, "a second PCI root, controller model", model, "pcie-root-port or pci-bridge");
        return builder->root_bus ||
               inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s: machine type '%s' has no PCI", what, builder->machine);
    }
    if (!driver)
        return inv_command_unsupported(error, "PCI controller model", model, "pcie-root-port, pcie-to-pci-bridge or pci-bridge");
    properties = inv_command_new_device(builder, device, driver, what, error);
    if (!properties)
        return FALSE;
    if (g_str_equal(model, "pcie-root-port") || g_str_equal(model, "pcie-switch-downstream-port")) {
        inv_json_object_set_int(properties, "port", controller->port >= 0 ? controller->port
                                                    : (int)(device->address.slot << 3 | device->address.function));
        inv_json_object_set_int(properties, "chassis", controller->chassis >= 0 ? controller->chassis : controller->index);
    } else if (g_str_equal(model, "pci-bridge")) {
        inv_json_object_set_int(properties, "chassis_nr", controller->chassis >= 0 ? controller->chassis : controller->index);
    }
    return inv_command_add_device(builder, properties, what, error);
}

/* The UHCI parts of an ICH9 serve the slow devices on the ports of its EHCI, two each. */
static void
set_companion(const InvCommandBuilder *builder, const InvController *controller, InvJson *properties)
{
    const char *model = controller->model;
    g_autofree char *master = NULL;

    for (guint i = 0; i < builder->domain->devices->len; i++) {
        const InvDevice *other = g_ptr_array_index(builder->domain->devices, i);

        if (other->type == INV_DEVICE_CONTROLLER && g_str_equal(other->u.controller.type, "usb") &&
            other->u.controller.index == controller->index && g_strcmp0(other->u.controller.model, "ich9-ehci1") == 0)
            master = g_strdup_printf("%s.0", builder->aliases[i]);
    }
    if (!master)
        return;
    inv_json_object_set_string(properties, "masterbus", master);
    inv_json_object_set_int(properties, "firstport", (model[strlen(model) - 1] - '1') * 2);
}

static gboolean
usb_controller(InvCommandBuilder *builder, const InvDevice *device, const char *what, GError **error)
{
    const InvController *controller = &device->u.controller;
    const char *model = controller->model ? controller->model
                                          : (builder->board == INV_BOARD_I440FX ? "piix3-uhci" : "qemu-xhci");
    const char *driver = find_driver(usb_models, G_N_ELEMENTS(usb_models), model);
    gboolean xhci = g_str_has_suffix(model, "xhci");
    InvJson *properties;

    if (g_str_equal(model, "none"))
        return TRUE;
    if (!driver)
        return inv_command_unsupported(error, "USB controller model", model, "qemu-xhci");
    if (!builder->root_bus)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s needs PCI, which machine type '%s' does not have", what,
                             builder->machine);
    properties = inv_command_new_device(builder, device, driver, what, error);
    if (!properties)
        return FALSE;
    if (controller->ports > 0 && xhci) {
        inv_json_object_set_int(properties, "p2", controller->ports);
        inv_json_object_set_int(properties, "p3", controller->ports);
    }
    if (g_str_has_prefix(model, "ich9-uhci"))
        set_companion(builder, controller, properties);
    return inv_command_add_device(builder, properties, what, error);
}

static gboolean
scsi_controller(InvCommandBuilder *builder, const InvDevice *device, const char *what, GError **error)
{
    const char *model = device->u.controller.model;
    const char *driver = find_driver(scsi_models, G_N_ELEMENTS(scsi_models), model);
    InvJson *properties;

    if (driver)
        properties = inv_command_new_device(builder, device, driver, what, error);
    else if (!model || g_str_equal(model, "auto") || g_str_equal(model, "virtio-scsi"))
        properties = inv_command_new_virtio(builder, device, "virtio-scsi", what, error);
    else
        return inv_command_unsupported(error, "SCSI controller model", model, "virtio-scsi");
    return properties && inv_command_add_device(builder, properties, what, error);
}

static gboolean
sata_controller(InvCommandBuilder *builder, const InvDevice *device, const char *what, GError **error)
{
    InvJson *properties;

    if (builder->board == INV_BOARD_Q35 && device->u.controller.index <= 0)
        return TRUE; /* a part of the board */
    if (!builder->root_bus)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s needs PCI, which machine type '%s' does not have", what,
                             builder->machine);
    properties = inv_command_new_device(builder, device, "ich9-ahci", what, error);
    return properties && inv_command_add_device(builder, properties, what, error);
}

gboolean
inv_command_controller_device(InvCommandBuilder *builder, const InvDevice *device, GError **error)
{
    const InvController *controller = &device->u.controller;
    g_autofree char *what = g_strdup_printf("controller %s %d", controller->type, MAX(controller->index, 0));
    InvJson *properties;

    if (g_str_equal(controller->type, "pci"))
        return pci_controller(builder, device, what, error);
    if (g_str_equal(controller->type, "usb"))
        return usb_controller(builder, device, what, error);
    if (g_str_equal(controller->type, "scsi"))
        return scsi_controller(builder, device, what, error);
    if (g_str_equal(controller->type, "sata"))
        return sata_controller(builder, device, what, error);
    if (g_str_equal(controller->type, "virtio-serial")) {
        properties = inv_command_new_virtio(builder, device, "virtio-serial", what, error);
        if (properties && controller->ports > 0)
            inv_json_object_set_int(properties, "max_ports", controller->ports);
        return properties && inv_command_add_device(builder, properties, what, error);
    }
    /* Parts of the board: a drive on one that is not there gets the error. */
    if (g_str_equal(controller->type, "ide") || g_str_equal(controller->type, "fdc"))
        return controller->index <= 0 ||
               inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s: the machine has one such controller", what);
    return inv_command_unsupported(error, "controller type", controller->type, "pci, usb, scsi, sata, ide, fdc or virtio-serial");
}
