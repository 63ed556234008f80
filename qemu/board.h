/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* How the machine's virtio devices are attached. */
typedef enum {
    INV_TRANSPORT_NONE,
    INV_TRANSPORT_PCI,
    INV_TRANSPORT_MMIO, /* microvm */
    INV_TRANSPORT_CCW,  /* s390x */
} InvTransport;

/* What comes with the machine type and is not to be made by -device. */
typedef enum {
    INV_BOARD_OTHER,
    INV_BOARD_I440FX,
    INV_BOARD_Q35,
    INV_BOARD_ISAPC,
    INV_BOARD_MICROVM,
    INV_BOARD_ARM_VIRT,
    INV_BOARD_RISCV_VIRT,
    INV_BOARD_LOONGARCH_VIRT,
    INV_BOARD_PSERIES,
    INV_BOARD_S390,
} InvBoard;

/*
 * What a board has and takes, so that what is offered to clients is what a command line can be made
 * for. INV_BOARD_OTHER has nothing: Invar starts such machines without devices that need a bus.
 */
typedef struct {
    InvTransport transport;
    const char *root_bus;  /* "pcie.0", "pci.0", or NULL: no PCI */
    gboolean ide;          /* two IDE channels */
    gboolean sata;         /* an AHCI controller */
    gboolean floppy;       /* a floppy controller */
    gboolean ramfb;        /* takes the ramfb display: firmware configuration with DMA */
    gboolean vga;          /* its first virtio card is a virtio-vga */
    guint pflash_since;    /* the first QEMU (libvirt's form, 8001000) with pflash0= and pflash1=; 0: none */
    gboolean smm;          /* firmware can be held apart from the guest (loader secure='yes') */
} InvBoardParts;

/* @arch: libvirt's name; @machine: canonical or an alias. */
InvBoard inv_command_board(const char *arch, const char *machine);
const InvBoardParts *inv_board_parts(InvBoard board);

/* "virtio-blk" → "virtio-blk-pci"; NULL: the board has no virtio. Owned by the caller. */
char *inv_board_virtio(const InvBoardParts *parts, const char *name);

G_END_DECLS
