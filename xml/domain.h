/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "xml/cpu.h"
#include "xml/device.h"

#include <glib.h>
#include <libvirt/libvirt.h>
#include <libxml/tree.h>

G_BEGIN_DECLS

/* What a document may at most be: an untrusted text must not cost more than this to read. */
#define INV_XML_MAX_BYTES (4u * 1024 * 1024)
#define INV_XML_MAX_DEPTH 64

typedef enum {
    INV_VIRT_QEMU, /* <domain type='qemu'>: TCG */
    INV_VIRT_KVM,
} InvVirtType;

typedef enum {
    INV_ACTION_UNSET,
    INV_ACTION_DESTROY,
    INV_ACTION_RESTART,
    INV_ACTION_PRESERVE,
    INV_ACTION_RENAME_RESTART,
    INV_ACTION_COREDUMP_DESTROY, /* on_crash only */
    INV_ACTION_COREDUMP_RESTART, /* on_crash only */
} InvLifecycleAction;

typedef enum {
    INV_BOOT_NETWORK,
    INV_BOOT_HD,
    INV_BOOT_CDROM,
    INV_BOOT_FD,
} InvBootDevice;

typedef enum {
    INV_CLOCK_UNSET,
    INV_CLOCK_UTC,
    INV_CLOCK_LOCALTIME,
    INV_CLOCK_TIMEZONE,
    INV_CLOCK_VARIABLE,
} InvClockOffset;

typedef struct {
    char *arch;       /* "x86_64", …; always set after complete */
    char *machine;    /* as written, an alias or canonical, or NULL */
    GArray *boot;     /* of InvBootDevice, in order */
    char *kernel, *initrd, *cmdline;
    char *loader;     /* path, or NULL */
    InvTristate loader_readonly;
    gboolean loader_pflash; /* type='pflash', else type='rom' */
    InvTristate loader_secure;
    char *nvram, *nvram_template;
} InvDomainOs;

/*
 * A domain's definition. The document as given is kept in `source`: whatever this room does not
 * know stays in it, and inv_domain_format() gives it back in place with every known part brought up
 * to date from the fields below.
 */
typedef struct {
    xmlDocPtr source; /* owned */
    InvVirtType virt_type;
    int id; /* <domain id=>, of a live document; -1: none */
    char *name;
    unsigned char uuid[VIR_UUID_BUFLEN];
    gboolean has_uuid; /* always TRUE after complete */
    char *title, *description;
    guint64 max_memory_kib;     /* <memory> */
    guint64 current_memory_kib; /* <currentMemory>; at most max_memory_kib; 0: as <memory> */
    guint max_vcpus, vcpus;     /* <vcpu current=>; vcpus 0: as max_vcpus */
    char *vcpu_cpuset;          /* <vcpu cpuset=>, or NULL */
    InvDomainOs os;
    InvTristate acpi, apic;
    InvClockOffset clock;
    char *clock_timezone;       /* clock timezone, or NULL */
    gint64 clock_adjustment;    /* seconds, clock variable */
    InvLifecycleAction on_poweroff, on_reboot, on_crash;
    char *emulator;             /* path, or NULL: the daemon chooses */
    InvCpu *cpu;                /* NULL: no <cpu> element */
    GPtrArray *devices;         /* of InvDevice, owned, in document order */
    GPtrArray *unknown;         /* of char *: paths of elements that a start would ignore ("devices/tpm") */
} InvDomain;

/* The console that only mirrors the first serial port, or NULL. Borrowed. */
InvDevice *inv_domain_console_of_serial(const InvDomain *domain);

void inv_domain_free(InvDomain *domain);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvDomain, inv_domain_free)
InvDomain *inv_domain_copy(const InvDomain *domain);

/*
 * Parses an untrusted document: no network, no external entity, no entity expansion, at most
 * INV_XML_MAX_BYTES and INV_XML_MAX_DEPTH. Errors: VIR_ERR_XML_ERROR (malformed, wrong value),
 * VIR_ERR_CONFIG_UNSUPPORTED (known to libvirt and refused here), each with element, attribute,
 * value and line.
 */
InvDomain *inv_domain_parse(const char *xml, GError **error);

/*
 * Makes the definition whole, the same way every time: a uuid when there is none, the host's
 * architecture, default devices and a fixed address for every device that a guest sees. What has
 * an address keeps it. @default_arch: of the host, "x86_64". @canonical_machine: what os.machine
 * resolves to, or NULL while it is not known: then addresses follow os.machine's name.
 */
gboolean inv_domain_complete(InvDomain *domain, const char *default_arch, const char *canonical_machine, GError **error);

/* Rules between the parts of a definition: topology × vcpus, two devices at one address or target, boot order, … */
gboolean inv_domain_validate(const InvDomain *domain, GError **error);

/* The document against schemas/ (VIR_DOMAIN_DEFINE_VALIDATE). @schema: path of the RNG file. */
gboolean inv_domain_validate_schema(const char *xml, const char *schema, GError **error);

typedef enum {
    INV_FORMAT_INACTIVE = 0,
    INV_FORMAT_LIVE = 1 << 0,       /* id, aliases, pty paths, ports */
    INV_FORMAT_SECURE = 1 << 1,     /* with passwords */
    INV_FORMAT_MIGRATABLE = 1 << 2, /* as libvirt's VIR_DOMAIN_XML_MIGRATABLE */
} InvFormatFlags;

/* The whole document as text, with a final newline. */
char *inv_domain_format(const InvDomain *domain, InvFormatFlags flags);

/* What a guest's hardware is, apart from its CPU: an error names the first difference of two definitions. */
gboolean inv_domain_check_abi(const InvDomain *domain, const InvDomain *other, GError **error);

/* xxxxxxxx-xxxx-…; @text at least VIR_UUID_STRING_BUFLEN. */
void inv_uuid_format(const unsigned char uuid[VIR_UUID_BUFLEN], char *text);
/* Accepts what libvirt accepts: hex digits with hyphens and blanks anywhere between bytes. */
gboolean inv_uuid_parse(const char *text, unsigned char uuid[VIR_UUID_BUFLEN]);

G_END_DECLS
