/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "xml/domain.h"
#include "xml/node.h"

/* How one kind of device is read and written; for this room only. */
typedef struct {
    const char *element;
    const char *const *children; /* what is known below it; the rest is told to be ignored */
    const gsize *strings;        /* offsets in InvDevice of the strings it owns, ended by 0 */
    void (*init)(InvDevice *device);
    /* @live: the document is of a running domain. */
    gboolean (*parse)(InvDevice *device, xmlNodePtr node, gboolean live, GError **error);
    void (*format)(const InvDevice *device, xmlNodePtr node, InvFormatFlags flags);
} InvDeviceClass;

/* NULL for INV_DEVICE_UNKNOWN. */
const InvDeviceClass *inv_device_class(InvDeviceType type);

extern const InvDeviceClass inv_disk_class;
extern const InvDeviceClass inv_controller_class;
extern const InvDeviceClass inv_interface_class;
extern const InvDeviceClass inv_serial_class;
extern const InvDeviceClass inv_console_class;
extern const InvDeviceClass inv_channel_class;
extern const InvDeviceClass inv_input_class;
extern const InvDeviceClass inv_graphics_class;
extern const InvDeviceClass inv_video_class;
extern const InvDeviceClass inv_memballoon_class;
extern const InvDeviceClass inv_rng_class;

/* The order in which new children of any device are put: libvirt's. */
extern const char *const inv_device_order[];

extern const InvWords inv_disk_devices;
extern const InvWords inv_disk_buses;

/* One element below <devices>; any name is accepted. */
InvDevice *inv_device_parse(xmlNodePtr node, gboolean live, GError **error);
/* A new element, owned by the caller. */
xmlNodePtr inv_device_format(const InvDevice *device, InvFormatFlags flags);

gboolean inv_address_parse(InvAddress *address, xmlNodePtr device, GError **error);
void inv_address_format(const InvAddress *address, xmlNodePtr device);
/* "PCI address 0000:00:03.0". Owned by the caller; NULL for an address that is not used. */
char *inv_address_describe(const InvAddress *address);

/* INV_FORMAT_LIVE as libvirt means it: a migratable document shows nothing of this run. */
gboolean inv_format_is_live(InvFormatFlags flags);
/* Is this alias the user's own, and so part of the definition? */
gboolean inv_alias_is_user(const char *alias);
