/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/board.h"

#include <string.h>

static gboolean
is_machine(const char *machine, const char *name)
{
    gsize length = strlen(name);

    return machine && strncmp(machine, name, length) == 0 && (machine[length] == '\0' || machine[length] == '-');
}

InvBoard
inv_command_board(const char *arch, const char *machine)
{
    static const struct {
        const char *arch;    /* a prefix */
        const char *machine; /* the name up to its version */
        InvBoard board;
    } boards[] = {
        { "x86_64", "microvm", INV_BOARD_MICROVM },
        { "x86_64", "isapc", INV_BOARD_ISAPC },
        { "x86_64", "q35", INV_BOARD_Q35 },
        { "x86_64", "pc-q35", INV_BOARD_Q35 },
        { "x86_64", "pc", INV_BOARD_I440FX },
        { "aarch64", "virt", INV_BOARD_ARM_VIRT },
        { "arm", "virt", INV_BOARD_ARM_VIRT },
        { "riscv", "virt", INV_BOARD_RISCV_VIRT },
        { "loongarch64", "virt", INV_BOARD_LOONGARCH_VIRT },
        { "ppc64", "pseries", INV_BOARD_PSERIES },
        { "s390x", "s390-ccw-virtio", INV_BOARD_S390 },
    };

    if (g_strcmp0(arch, "i686") == 0)
        arch = "x86_64";
    for (gsize i = 0; arch && i < G_N_ELEMENTS(boards); i++) {
        if (g_str_has_prefix(arch, boards[i].arch) && is_machine(machine, boards[i].machine))
            return boards[i].board;
    }
    return INV_BOARD_OTHER;
}

const InvBoardParts *
inv_board_parts(InvBoard board)
{
    static const InvBoardParts parts[] = {
        [INV_BOARD_OTHER] = { .transport = INV_TRANSPORT_NONE },
        [INV_BOARD_I440FX] = { .transport = INV_TRANSPORT_PCI, .root_bus = "pci.0", .ide = TRUE, .floppy = TRUE, .ramfb = TRUE,
                               .vga = TRUE, .pflash_since = 1 },
        [INV_BOARD_Q35] = { .transport = INV_TRANSPORT_PCI, .root_bus = "pcie.0", .sata = TRUE, .ramfb = TRUE, .vga = TRUE,
                            .pflash_since = 1, .smm = TRUE },
        [INV_BOARD_ISAPC] = { .transport = INV_TRANSPORT_NONE, .ide = TRUE, .floppy = TRUE },
        [INV_BOARD_MICROVM] = { .transport = INV_TRANSPORT_MMIO, .ramfb = TRUE },
        [INV_BOARD_ARM_VIRT] = { .transport = INV_TRANSPORT_PCI, .root_bus = "pcie.0", .ramfb = TRUE, .pflash_since = 1 },
        [INV_BOARD_RISCV_VIRT] = { .transport = INV_TRANSPORT_PCI, .root_bus = "pcie.0", .pflash_since = 8001000 },
        [INV_BOARD_LOONGARCH_VIRT] = { .transport = INV_TRANSPORT_PCI, .root_bus = "pcie.0", .ramfb = TRUE },
        [INV_BOARD_PSERIES] = { .transport = INV_TRANSPORT_PCI, .root_bus = "pci.0", .vga = TRUE },
        [INV_BOARD_S390] = { .transport = INV_TRANSPORT_CCW },
    };

    return &parts[board];
}

char *
inv_board_virtio(const InvBoardParts *parts, const char *name)
{
    const char *suffix = NULL;

    switch (parts->transport) {
    case INV_TRANSPORT_NONE:
        break;
    case INV_TRANSPORT_PCI:
        suffix = "pci";
        break;
    case INV_TRANSPORT_MMIO:
        suffix = "device";
        break;
    case INV_TRANSPORT_CCW:
        suffix = "ccw";
        break;
    }
    return suffix ? g_strdup_printf("%s-%s", name, suffix) : NULL;
}
