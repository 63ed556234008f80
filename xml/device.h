/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "xml/cpu.h"

#include <glib.h>
#include <libxml/tree.h>

G_BEGIN_DECLS

/* One element below <devices>. What is not known of it is kept in `source` and given back. */
typedef enum {
    INV_DEVICE_DISK,
    INV_DEVICE_CONTROLLER,
    INV_DEVICE_INTERFACE,
    INV_DEVICE_SERIAL,
    INV_DEVICE_CONSOLE,
    INV_DEVICE_CHANNEL,
    INV_DEVICE_INPUT,
    INV_DEVICE_GRAPHICS,
    INV_DEVICE_VIDEO,
    INV_DEVICE_MEMBALLOON,
    INV_DEVICE_RNG,
    INV_DEVICE_UNKNOWN, /* kept, not started */
} InvDeviceType;

typedef enum {
    INV_ADDRESS_NONE,
    INV_ADDRESS_PCI,
    INV_ADDRESS_DRIVE,
    INV_ADDRESS_USB,
    INV_ADDRESS_VIRTIO_SERIAL,
    INV_ADDRESS_ISA,
    INV_ADDRESS_OTHER, /* ccw, spapr-vio, …: kept, not used */
} InvAddressType;

typedef struct {
    InvAddressType type;
    guint domain, bus, slot, function; /* pci; `bus` also of drive, usb, virtio-serial */
    InvTristate multifunction;         /* pci */
    guint controller, target, unit;    /* drive; `controller` also of virtio-serial */
    guint port;                        /* usb, virtio-serial */
} InvAddress;

typedef enum {
    INV_DISK_DISK,
    INV_DISK_CDROM,
    INV_DISK_FLOPPY,
} InvDiskDevice;

typedef enum {
    INV_BUS_UNSET,
    INV_BUS_IDE,
    INV_BUS_SATA,
    INV_BUS_VIRTIO,
    INV_BUS_SCSI,
    INV_BUS_USB,
    INV_BUS_FDC,
} InvDiskBus;

typedef struct {
    char *type_name;   /* "file"; another word is kept and refused at start. NULL: file */
    InvDiskDevice device;
    char *path;        /* <source file=>; NULL: an empty drive */
    char *format;      /* <driver type=>: "raw" or "qcow2"; NULL: raw */
    char *cache, *io, *discard; /* <driver …>, or NULL */
    char *target;      /* "vda" */
    InvDiskBus bus;
    gboolean readonly;
    gboolean shareable;
    char *serial;      /* or NULL */
} InvDisk;

typedef struct {
    char *type;  /* "pci", "ide", "sata", "usb", "virtio-serial", "scsi", … */
    char *model; /* "pcie-root", "qemu-xhci", …, or NULL */
    int index;   /* -1: not given; always set after complete */
    int chassis; /* pcie-root-port: <target chassis=>, -1: not given; always set after complete */
    int port;    /* pcie-root-port: <target port=>, -1: not given; always set after complete */
    int ports;   /* usb, virtio-serial: how many, -1: not given */
} InvController;

typedef struct {
    char *type;  /* only "user" starts */
    char *mac;   /* "52:54:00:…", always set after complete */
    char *model; /* "virtio", "e1000", "e1000e", "rtl8139", or NULL */
} InvInterface;

/*
 * The host's end of a serial port, a console, a channel. A domain's first console of target type
 * "serial" is its first serial port under another name, no device of its own: it is formatted from
 * that port (inv_domain_console_of_serial()).
 */
typedef enum {
    INV_CHAR_PTY,
    INV_CHAR_FILE,
    INV_CHAR_UNIX,
    INV_CHAR_NULL,
    INV_CHAR_OTHER, /* known to libvirt only: refused at start */
} InvCharType;

typedef struct {
    InvCharType type;
    char *type_name; /* as written */
    char *path;      /* file, unix; a live pty's device */
    gboolean live_path; /* unix: @path was made for this run, and is no part of the definition */
    gboolean listen; /* unix: <source mode='bind'> */
    InvTristate append; /* file */
    char *target_type;  /* "isa-serial", "serial", "virtio", …, or NULL */
    char *target_name;  /* channel: "org.qemu.guest_agent.0" */
    int port;           /* <target port=>, -1: not given */
} InvChar;

typedef struct {
    char *type;    /* "vnc", or another word: kept, refused at start */
    int port;      /* -1: chosen at start */
    gboolean autoport;
    char *listen;  /* address, or NULL: 127.0.0.1 */
    char *passwd;  /* shown only with INV_FORMAT_SECURE */
    char *socket;  /* vnc over a UNIX socket, or NULL */
    int live_port; /* what QEMU really took; -1 while not running */
} InvGraphics;

typedef struct {
    char *model; /* "vga", "cirrus", "qxl", "virtio", "bochs", "ramfb", "none", or NULL */
    guint vram_kib, heads;
} InvVideo;

typedef struct {
    char *model; /* "virtio" or "none" */
} InvMemballoon;

typedef struct {
    char *model;        /* "virtio" */
    char *backend_model; /* "random", or another word: kept, refused at start */
    char *backend;      /* "/dev/urandom"; only backend model random starts */
    guint rate_bytes, rate_period; /* 0: no limit */
} InvRng;

typedef struct {
    char *type; /* "tablet", "mouse", "keyboard" */
    char *bus;  /* "usb", "ps2", "virtio" */
} InvInput;

typedef struct {
    InvDeviceType type;
    xmlNodePtr source; /* owned deep copy of the element, or NULL for one that was added */
    guint sequence;    /* its place among the elements below <devices> of the document, from 1; 0: added later */
    InvAddress address;
    char *alias;       /* QEMU's id of it, of a live domain or a user's "ua-…", or NULL */
    int boot_order;    /* <boot order=>, 0: none */
    union {
        InvDisk disk;
        InvController controller;
        InvInterface interface;
        InvChar chardev; /* serial, console, channel */
        InvGraphics graphics;
        InvVideo video;
        InvMemballoon memballoon;
        InvRng rng;
        InvInput input;
    } u;
} InvDevice;

InvDevice *inv_device_new(InvDeviceType type);
void inv_device_free(InvDevice *device);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvDevice, inv_device_free)
InvDevice *inv_device_copy(const InvDevice *device);

/* How messages call it: "<disk> 'vda'". Owned by the caller. */
char *inv_device_describe(const InvDevice *device);

/* "disk", "controller", …; the name of the element of an unknown one. Borrowed. */
const char *inv_device_element(const InvDevice *device);

G_END_DECLS
