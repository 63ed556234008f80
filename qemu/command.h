/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/emulator.h"
#include "xml/domain.h"

#include <glib.h>

G_BEGIN_DECLS

/* What a command line needs beyond the definition. All borrowed. */
typedef struct {
    InvEmulator *emulator;
    const InvMachine *machine;
    const char *cpu_argument; /* settled; NULL: QEMU's default */
    int monitor_fd;           /* listening UNIX socket that QEMU inherits */
    const char *runtime_dir;  /* folder of this domain, for sockets QEMU makes */
    const char *incoming;     /* NULL, or what -incoming says: "defer", until a migration's address is told over QMP */
} InvCommandContext;

/*
 * QEMU's arguments for a completed, validated definition, NULL-terminated, argv[0] the binary,
 * owned by the caller. It starts stopped (-S), with -no-user-config -nodefaults, the seccomp
 * sandbox on, and nothing that the definition does not say. Errors name what this emulator or Invar
 * cannot give (VIR_ERR_CONFIG_UNSUPPORTED).
 */
char **inv_command_build(const InvDomain *domain, const InvCommandContext *context, GError **error);

/*
 * The device types that the command line of @domain asks its emulator for ("virtio-blk-pci"), sorted, each
 * once, NULL-terminated, owned by the caller. Errors as of inv_command_build(). (device_types.c)
 */
char **inv_command_device_types(const InvDomain *domain, InvEmulator *emulator, const InvMachine *machine, GError **error);

/* QEMU's id of a device; the alias that the live XML shows. Owned by the caller. */
void inv_command_assign_aliases(InvDomain *domain);

/*
 * A host-side check before QEMU is spawned, so that errors are ours and clear: disks, kernel,
 * initrd, loader there, of the right type and readable (writable where needed).
 */
gboolean inv_command_check_host(const InvDomain *domain, GError **error);

G_END_DECLS
