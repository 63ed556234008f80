/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/board.h"
#include "qemu/command.h"
#include "util/error.h"
#include "util/json.h"

G_BEGIN_DECLS

/* Internal to qemu/command*.c: a command line that is being put together. */

typedef struct {
    const InvDomain *domain;
    const InvCommandContext *context;
    const char *machine; /* name for messages and -machine */
    InvBoard board;
    InvTransport transport;
    const char *root_bus; /* "pcie.0", "pci.0", or NULL: no PCI */
    char **aliases;       /* parallel to domain->devices */
    GPtrArray *argv;      /* owned strings */
    guint n_videos, n_nodes;
} InvCommandBuilder;

/* Adds copies; @value may be NULL. */
void inv_command_add(InvCommandBuilder *builder, const char *option, const char *value);
/* @option with the JSON of @value, which is taken over. */
void inv_command_add_json(InvCommandBuilder *builder, const char *option, InvJson *value);
/* -device; an error names @what when the emulator does not have the driver. Takes @properties over. */
gboolean inv_command_add_device(InvCommandBuilder *builder, InvJson *properties, const char *what, GError **error);

/* @text for the inside of an option: commas doubled. Owned by the caller. */
char *inv_command_escape(const char *text);

/* "virtio-blk" → "virtio-blk-pci" as this machine has it; NULL with an error naming @what. Owned by the caller. */
char *inv_command_virtio(const InvCommandBuilder *builder, const char *name, const char *what, GError **error);

/* Properties of a new device: driver, id, and where it sits (pci, usb, virtio-serial; others say nothing). NULL: error. */
InvJson *inv_command_new_device(const InvCommandBuilder *builder, const InvDevice *device, const char *driver,
                                const char *what, GError **error);
/* The same for a virtio device. */
InvJson *inv_command_new_virtio(const InvCommandBuilder *builder, const InvDevice *device, const char *name,
                                const char *what, GError **error);

const char *inv_command_alias(const InvCommandBuilder *builder, const InvDevice *device);
/* The alias of a controller, or NULL. */
const char *inv_command_controller(const InvCommandBuilder *builder, const char *type, guint index);
/* QEMU's bootindex of a device, 0: none. */
int inv_command_boot_index(const InvCommandBuilder *builder, const InvDevice *device);
void inv_command_set_boot_index(const InvCommandBuilder *builder, const InvDevice *device, InvJson *properties);

/* VIR_ERR_CONFIG_UNSUPPORTED: "@what @name is not supported by Invar yet; use @instead". */
gboolean inv_command_unsupported(GError **error, const char *what, const char *value, const char *instead);

/* The aliases of all devices, NULL-terminated; owned by the caller (command_alias.c). */
char **inv_command_aliases(const InvDomain *domain, InvBoard board);

/* Each adds what the device needs. */
gboolean inv_command_firmware(InvCommandBuilder *builder, GError **error);
gboolean inv_command_disk(InvCommandBuilder *builder, const InvDevice *device, GError **error);
gboolean inv_command_controller_device(InvCommandBuilder *builder, const InvDevice *device, GError **error);
gboolean inv_command_serial(InvCommandBuilder *builder, const InvDevice *device, GError **error);
gboolean inv_command_console(InvCommandBuilder *builder, const InvDevice *device, GError **error);
gboolean inv_command_channel(InvCommandBuilder *builder, const InvDevice *device, GError **error);
gboolean inv_command_interface(InvCommandBuilder *builder, const InvDevice *device, GError **error);
gboolean inv_command_input(InvCommandBuilder *builder, const InvDevice *device, GError **error);
gboolean inv_command_graphics(InvCommandBuilder *builder, const InvDevice *device, GError **error);
gboolean inv_command_video(InvCommandBuilder *builder, const InvDevice *device, GError **error);
gboolean inv_command_balloon(InvCommandBuilder *builder, const InvDevice *device, GError **error);
gboolean inv_command_rng(InvCommandBuilder *builder, const InvDevice *device, GError **error);

G_END_DECLS
