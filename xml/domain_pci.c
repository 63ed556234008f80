/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/device_class.h"
#include "xml/domain_words.h"

#include <string.h>

#define SLOTS 32u
#define FUNCTIONS 8u

/* What a device wants of the bus that it is put on. */
typedef enum {
    PLACE_NONE,    /* it is no PCI device */
    PLACE_ROOT,    /* the machine's own bus: conventional devices, bridges */
    PLACE_EXPRESS, /* behind a root port when there is a free one */
} Place;

typedef struct {
    const InvDomain *domain;
    InvPciLayout layout;
    GHashTable *devices; /* place → InvDevice, borrowed */
} Pci;

typedef struct {
    InvPciLayout layout;
    guint slot, function;
    const char *owner;
    const char *controller; /* the type of the controller that stands for it in a document, or NULL */
} Builtin;

static const Builtin builtins[] = {
    { INV_PCI_I440FX, 0, 0, "host bridge", NULL },
    { INV_PCI_I440FX, 1, 0, "ISA bridge", NULL },
    { INV_PCI_I440FX, 1, 1, "IDE controller", "ide" },
    { INV_PCI_I440FX, 1, 2, "USB controller", "usb" },
    { INV_PCI_I440FX, 1, 3, "power management", NULL },
    { INV_PCI_Q35, 0, 0, "host bridge", NULL },
    { INV_PCI_Q35, 0x1f, 0, "ISA bridge", NULL },
    { INV_PCI_Q35, 0x1f, 2, "SATA controller", "sata" },
    { INV_PCI_Q35, 0x1f, 3, "SMBus", NULL },
    { INV_PCI_VIRT, 0, 0, "host bridge", NULL },
    { INV_PCI_PSERIES, 0, 0, "host bridge", NULL },
};

gboolean
inv_arch_is_x86(const char *arch)
{
    return g_strcmp0(arch, "x86_64") == 0 || g_strcmp0(arch, "i686") == 0;
}

static gboolean
is_machine(const char *machine, const char *alias, const char *versions)
{
    return strcmp(machine, alias) == 0 || g_str_has_prefix(machine, versions);
}

InvPciLayout
inv_pci_layout(const char *arch, const char *machine)
{
    static const char *const pcie_architectures[] = { "aarch64", "armv7l", "riscv64", "riscv32", "loongarch64", NULL };

    if (!arch)
        return INV_PCI_NONE;
    if (inv_arch_is_x86(arch)) {
        if (!machine || is_machine(machine, "pc", "pc-i440fx-"))
            return INV_PCI_I440FX;
        return is_machine(machine, "q35", "pc-q35-") ? INV_PCI_Q35 : INV_PCI_NONE;
    }
    if (inv_name_in(arch, pcie_architectures))
        return !machine || is_machine(machine, "virt", "virt-") ? INV_PCI_VIRT : INV_PCI_NONE;
    if (strcmp(arch, "ppc64") == 0 || strcmp(arch, "ppc64le") == 0)
        return !machine || is_machine(machine, "pseries", "pseries-") ? INV_PCI_PSERIES : INV_PCI_NONE;
    return INV_PCI_NONE;
}

static gpointer
place_key(guint bus, guint slot, guint function)
{
    return GUINT_TO_POINTER((bus << 8 | slot << 3 | function) + 1);
}

static const Builtin *
find_builtin(const Pci *pci, guint bus, guint slot, guint function)
{
    for (guint i = 0; bus == 0 && i < G_N_ELEMENTS(builtins); i++) {
        if (builtins[i].layout == pci->layout && builtins[i].slot == slot && builtins[i].function == function)
            return &builtins[i];
    }
    return NULL;
}

static gboolean
is_pci_controller(const InvDevice *device)
{
    return device->type == INV_DEVICE_CONTROLLER && strcmp(device->u.controller.type, "pci") == 0;
}

static gboolean
is_root(const InvDevice *device)
{
    return is_pci_controller(device) && device->u.controller.index == 0;
}

static gboolean
is_root_port(const InvDevice *device)
{
    return is_pci_controller(device) && g_strcmp0(device->u.controller.model, "pcie-root-port") == 0;
}

static Place
controller_place(const InvController *controller, InvPciLayout layout)
{
    const char *model = controller->model ? controller->model : "";

    if (strcmp(controller->type, "pci") == 0)
        return controller->index == 0 ? PLACE_NONE : PLACE_ROOT;
    if (strcmp(controller->type, "usb") == 0) {
        if (strcmp(model, "none") == 0)
            return PLACE_NONE;
        return strcmp(model, "qemu-xhci") == 0 || strcmp(model, "nec-xhci") == 0 ? PLACE_EXPRESS : PLACE_ROOT;
    }
    if (strcmp(controller->type, "sata") == 0)
        return PLACE_ROOT;
    if (strcmp(controller->type, "ide") == 0)
        return layout == INV_PCI_I440FX ? PLACE_ROOT : PLACE_NONE;
    if (strcmp(controller->type, "scsi") == 0)
        return g_str_has_prefix(model, "virtio") ? PLACE_EXPRESS : PLACE_ROOT;
    return strcmp(controller->type, "virtio-serial") == 0 ? PLACE_EXPRESS : PLACE_NONE;
}

static Place
device_place(const InvDevice *device, InvPciLayout layout)
{
    const char *model = NULL;

    switch (device->type) {
    case INV_DEVICE_DISK:
        return device->u.disk.bus == INV_BUS_VIRTIO ? PLACE_EXPRESS : PLACE_NONE;
    case INV_DEVICE_CONTROLLER:
        return controller_place(&device->u.controller, layout);
    case INV_DEVICE_INTERFACE:
        model = device->u.interface.model ? device->u.interface.model : "";
        if (strcmp(device->u.interface.type, "hostdev") == 0 || strcmp(model, "usb-net") == 0
            || strcmp(model, "spapr-vlan") == 0)
            return PLACE_NONE;
        return g_str_has_prefix(model, "virtio") || strcmp(model, "e1000e") == 0 || strcmp(model, "igb") == 0
                   ? PLACE_EXPRESS : PLACE_ROOT;
    case INV_DEVICE_VIDEO:
        model = device->u.video.model ? device->u.video.model : "none";
        if (strcmp(model, "none") == 0 || strcmp(model, "ramfb") == 0)
            return PLACE_NONE;
        return PLACE_ROOT;
    case INV_DEVICE_MEMBALLOON:
        return strcmp(device->u.memballoon.model, "none") == 0 ? PLACE_NONE : PLACE_EXPRESS;
    case INV_DEVICE_RNG:
        return PLACE_EXPRESS;
    case INV_DEVICE_INPUT:
        return g_strcmp0(device->u.input.bus, "virtio") == 0 ? PLACE_EXPRESS : PLACE_NONE;
    case INV_DEVICE_SERIAL:
    case INV_DEVICE_CONSOLE:
    case INV_DEVICE_CHANNEL:
    case INV_DEVICE_GRAPHICS:
    case INV_DEVICE_UNKNOWN:
        return PLACE_NONE;
    }
    return PLACE_NONE;
}

static gboolean
refuse(const InvDevice *device, virErrorNumber code, GError **error, const char *format, ...) G_GNUC_PRINTF(4, 5);

static gboolean
refuse(const InvDevice *device, virErrorNumber code, GError **error, const char *format, ...)
{
    g_autofree char *name = inv_device_describe(device);
    g_autofree char *address = inv_address_describe(&device->address);
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    return inv_error_set(error, code, "%s at %s: %s", name, address ? address : "no address", text);
}

/* Enters an address that is given; one that something else has is an error. */
static gboolean
claim(Pci *pci, InvDevice *device, GError **error)
{
    const InvAddress *address = &device->address;
    gpointer key = place_key(address->bus, address->slot, address->function);
    const Builtin *builtin = find_builtin(pci, address->bus, address->slot, address->function);
    const InvDevice *other = g_hash_table_lookup(pci->devices, key);
    const InvDevice *bus;

    if (address->domain)
        return refuse(device, VIR_ERR_CONFIG_UNSUPPORTED, error, "PCI domains other than 0 are not supported by Invar");
    if (other) {
        g_autofree char *name = inv_device_describe(other);

        return refuse(device, VIR_ERR_XML_ERROR, error, "%s is at the same address", name);
    }
    if (builtin
        && (!builtin->controller || device->type != INV_DEVICE_CONTROLLER
            || strcmp(builtin->controller, device->u.controller.type) != 0))
        return refuse(device, VIR_ERR_XML_ERROR, error, "the machine's own %s is there", builtin->owner);
    bus = address->bus ? inv_domain_find_controller(pci->domain, "pci", (int)address->bus) : NULL;
    if (address->bus && !bus)
        return refuse(device, VIR_ERR_XML_ERROR, error, "there is no <controller type='pci' index='%u'>", address->bus);
    if (bus && is_root_port(bus) && address->slot)
        return refuse(device, VIR_ERR_XML_ERROR, error, "a pcie-root-port has slot 0 only");
    if (is_pci_controller(device) && (int)address->bus >= device->u.controller.index)
        return refuse(device, VIR_ERR_XML_ERROR, error, "a PCI controller must be on a bus of a lower index than its own");
    g_hash_table_insert(pci->devices, key, device);
    return TRUE;
}

static gboolean
put(Pci *pci, InvDevice *device, guint bus, guint slot, guint function)
{
    if (g_hash_table_contains(pci->devices, place_key(bus, slot, function)))
        return FALSE;
    device->address.type = INV_ADDRESS_PCI;
    device->address.domain = 0;
    device->address.bus = bus;
    device->address.slot = slot;
    device->address.function = function;
    g_hash_table_insert(pci->devices, place_key(bus, slot, function), device);
    return TRUE;
}

static gboolean
slot_is_free(const Pci *pci, guint slot)
{
    for (guint function = 0; function < FUNCTIONS; function++) {
        if (g_hash_table_contains(pci->devices, place_key(0, slot, function)) || find_builtin(pci, 0, slot, function))
            return FALSE;
    }
    return TRUE;
}

/* Slots below are the machine's own, and one is kept for the first display adapter. */
static guint
first_slot(InvPciLayout layout)
{
    if (layout == INV_PCI_I440FX)
        return 3;
    return layout == INV_PCI_Q35 ? 2 : 1;
}

static gboolean
put_on_root_bus(Pci *pci, InvDevice *device, GError **error)
{
    for (guint slot = first_slot(pci->layout); slot < SLOTS; slot++) {
        if (slot_is_free(pci, slot))
            return put(pci, device, 0, slot, 0);
    }
    return refuse(device, VIR_ERR_CONFIG_UNSUPPORTED, error, "all slots of PCI bus 0 are taken; give some devices "
                  "addresses on other buses, each with a <controller type='pci'>");
}

/* Root ports share slots, as on real boards: eight functions each. */
static gboolean
put_root_port(Pci *pci, InvDevice *device, GError **error)
{
    for (guint slot = first_slot(pci->layout); slot < SLOTS; slot++) {
        const InvDevice *first = g_hash_table_lookup(pci->devices, place_key(0, slot, 0));

        if (!first || !is_root_port(first) || first->address.multifunction != INV_TRISTATE_ON)
            continue;
        for (guint function = 1; function < FUNCTIONS; function++) {
            if (put(pci, device, 0, slot, function))
                return TRUE;
        }
    }
    if (!put_on_root_bus(pci, device, error))
        return FALSE;
    device->address.multifunction = INV_TRISTATE_ON;
    return TRUE;
}

static gboolean
put_behind_root_port(Pci *pci, InvDevice *device)
{
    for (guint index = 1; index < 256; index++) {
        const InvDevice *port = inv_domain_find_controller(pci->domain, "pci", (int)index);

        if (port && is_root_port(port) && put(pci, device, index, 0, 0))
            return TRUE;
    }
    return FALSE;
}

/* The four functions of an ICH9's USB: EHCI is function 7, its companions 0 to 2, in one slot. */
static gboolean
put_ich9_usb(Pci *pci, InvDevice *device, GError **error)
{
    static const char *const models[] = { "ich9-uhci1", "ich9-uhci2", "ich9-uhci3", NULL, NULL, NULL, NULL, "ich9-ehci1" };
    guint function = 0;

    while (g_strcmp0(models[function], device->u.controller.model) != 0)
        function++;
    for (guint i = 0; i < pci->domain->devices->len; i++) {
        const InvDevice *other = g_ptr_array_index(pci->domain->devices, i);

        if (other->type == INV_DEVICE_CONTROLLER && other->address.type == INV_ADDRESS_PCI && !other->address.bus
            && g_str_has_prefix(other->u.controller.model ? other->u.controller.model : "", "ich9-")
            && other->u.controller.index == device->u.controller.index) {
            device->address.multifunction = function == 0 ? INV_TRISTATE_ON : INV_TRISTATE_UNSET;
            if (put(pci, device, 0, other->address.slot, function))
                return TRUE;
        }
    }
    for (guint slot = first_slot(pci->layout); slot < SLOTS; slot++) {
        if (slot_is_free(pci, slot)) {
            device->address.multifunction = function == 0 ? INV_TRISTATE_ON : INV_TRISTATE_UNSET;
            return put(pci, device, 0, slot, function);
        }
    }
    return put_on_root_bus(pci, device, error);
}

static gboolean
is_ich9_usb(const InvDevice *device)
{
    static const char *const models[] = { "ich9-ehci1", "ich9-uhci1", "ich9-uhci2", "ich9-uhci3", NULL };

    return device->type == INV_DEVICE_CONTROLLER && device->u.controller.model
           && inv_name_in(device->u.controller.model, models);
}

/* Devices that the machine has at one place only. */
static void
put_builtin(Pci *pci, InvDevice *device)
{
    const InvController *controller = &device->u.controller;

    if (device->type != INV_DEVICE_CONTROLLER || controller->index != 0)
        return;
    if (pci->layout == INV_PCI_I440FX && strcmp(controller->type, "ide") == 0)
        put(pci, device, 0, 1, 1);
    else if (pci->layout == INV_PCI_I440FX && strcmp(controller->type, "usb") == 0
             && g_strcmp0(controller->model, "piix3-uhci") == 0)
        put(pci, device, 0, 1, 2);
    else if (pci->layout == INV_PCI_Q35 && strcmp(controller->type, "sata") == 0)
        put(pci, device, 0, 0x1f, 2);
}

static gboolean
wants_address(const InvDevice *device, InvPciLayout layout)
{
    return device->address.type == INV_ADDRESS_NONE && device_place(device, layout) != PLACE_NONE;
}

static gboolean
assign_one(Pci *pci, InvDevice *device, GError **error)
{
    if (is_root_port(device))
        return put_root_port(pci, device, error);
    if (is_ich9_usb(device))
        return put_ich9_usb(pci, device, error);
    if (device_place(device, pci->layout) == PLACE_EXPRESS && put_behind_root_port(pci, device))
        return TRUE;
    return put_on_root_bus(pci, device, error);
}

/* What the machine fixes first, then the buses, then the rest in the document's order. */
static gboolean
assign_all(Pci *pci, GError **error)
{
    gboolean video = FALSE;

    for (guint i = 0; i < pci->domain->devices->len; i++) {
        InvDevice *device = g_ptr_array_index(pci->domain->devices, i);

        if (!wants_address(device, pci->layout))
            continue;
        put_builtin(pci, device);
        if (device->type == INV_DEVICE_VIDEO && !video) {
            guint slot = first_slot(pci->layout) - 1;

            if (slot && slot_is_free(pci, slot))
                put(pci, device, 0, slot, 0);
            video = TRUE;
        }
    }
    for (guint pass = 0; pass < 2; pass++) {
        for (guint i = 0; i < pci->domain->devices->len; i++) {
            InvDevice *device = g_ptr_array_index(pci->domain->devices, i);

            if (wants_address(device, pci->layout) && (pass == 1 || is_pci_controller(device))
                && !assign_one(pci, device, error))
                return FALSE;
        }
    }
    return TRUE;
}

gboolean
inv_domain_pci_addresses(const InvDomain *domain, InvPciLayout layout, gboolean assign, GError **error)
{
    g_autoptr(GHashTable) devices = g_hash_table_new(NULL, NULL);
    Pci pci = { .domain = domain, .layout = layout, .devices = devices };

    for (guint i = 0; i < domain->devices->len; i++) {
        InvDevice *device = g_ptr_array_index(domain->devices, i);

        if (device->address.type == INV_ADDRESS_PCI && !is_root(device) && !claim(&pci, device, error))
            return FALSE;
    }
    return !assign || layout == INV_PCI_NONE || assign_all(&pci, error);
}
