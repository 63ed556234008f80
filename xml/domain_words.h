/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "xml/domain.h"
#include "xml/node.h"

/* What the phases of this room share about a domain. */
extern const InvWords inv_virt_types;
extern const InvWords inv_lifecycle_actions;
extern const InvWords inv_boot_devices;
extern const InvWords inv_clock_offsets;

/* The order in which new children are put: libvirt's. */
extern const char *const inv_domain_children[];

/* How the machine's own PCI bus is laid out. */
typedef enum {
    INV_PCI_NONE, /* no PCI bus, or one that this room does not know: no addresses */
    INV_PCI_I440FX,
    INV_PCI_Q35,
    INV_PCI_VIRT,    /* PCIe: aarch64, riscv64, loongarch64 */
    INV_PCI_PSERIES,
} InvPciLayout;

InvPciLayout inv_pci_layout(const char *arch, const char *machine);
gboolean inv_arch_is_x86(const char *arch);

/*
 * Gives every device an address that has none, where @assign; else only looks at those that are
 * there. An error names two devices at one address.
 */
gboolean inv_domain_pci_addresses(const InvDomain *domain, InvPciLayout layout, gboolean assign, GError **error);
/* The same for drives, USB and virtio-serial ports, and the controllers they need. */
gboolean inv_domain_bus_addresses(InvDomain *domain, InvPciLayout layout, GError **error);

/* Adds a controller where it is missing. */
void inv_domain_need_controller(InvDomain *domain, const char *type, int index, const char *model);
InvDevice *inv_domain_find_controller(const InvDomain *domain, const char *type, int index);
