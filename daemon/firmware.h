/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/freshness.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * The firmware images that this host's packages describe for guests: QEMU's firmware descriptors
 * (docs/interop/firmware.json), JSON files whose names say their order. A file of the same name in an
 * earlier folder takes the place of a later one; an empty file hides it.
 */
typedef struct {
    char *path;         /* of the image: what <loader> names */
    gboolean flash;     /* <loader type='pflash'>, else a ROM */
    gboolean secure;    /* needs SMM and does secure boot: <loader secure='yes'> */
} InvFirmware;

void inv_firmware_free(InvFirmware *firmware);

/*
 * Those for @arch (libvirt's name) and @machine (canonical), in order, each image once; of
 * InvFirmware, owned. @folders: NULL-terminated, first the one that goes before the others; NULL:
 * /etc/qemu/firmware, /usr/share/qemu/firmware. A descriptor that cannot be used is left out with a
 * debug line. Images that are not there are left out.
 */
GPtrArray *inv_firmware_list(const char *const *folders, const char *arch, const char *machine);

/* Lets @freshness notice what changes such a list. */
void inv_firmware_watch(const char *const *folders, InvFreshness *freshness);

G_END_DECLS
