/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/migration_check.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * A host's description in a file, from which is told whether a guest can move there, without the
 * host. Made to be looked into, not to be read: of a file with every machine type (megabytes) a
 * question reads some ten kilobytes.
 *
 * Version 1. Lines of JSON, each an object whose last member is "sum": 16 hex digits, FNV-1a (64 bit)
 * over the line before `,"sum":`. Places are [offset, length] in bytes, counted from the end of the
 * first line, and each holds one or more whole lines.
 *
 * The first line, at most 1 MiB: {"invar-host":1, "hostname", "uuid", "exported" (seconds since 1970),
 *   "arch", "memory-total", "memory-available" (bytes), "settings": PLACE (absent: KVM does not work there),
 *   "hardware": SET (or absent), "kernel": {ARCH: SET}, "names": PLACE, "emulators": [{"path", "arch", "version",
 *   "usual":true (or absent: a domain that names no emulator does not get it), "tcg", "kvm" ("": works, else why
 *   not), "devices": PLACE, "machines": PLACE}]}
 * names: {"names":["3dnow",…]}: libvirt's names of features; SET is a string of hex digits, the n-th
 *   of which stands for the names 4n to 4n+3, the first of them its lowest bit.
 * settings: {"release", "cmdline", "parameters":[…], "chip":[vendor, family, model, stepping] (or absent)}.
 * devices: {"devices":" virtio-blk-pci virtio-net-pci … "}: QEMU's types, sorted, a space around each.
 * machines: a line per type: {"machine", "alias" (or absent), "default":true (or absent), "max-vcpus",
 *   "tcg": PLACE, "kvm": PLACE}; a table that was not exported is absent.
 * a table: {"table":"pc-q35-7.2", "accelerator", "default-model", "known": SET, "host-model", "proved": SET (what some
 *   model has and QEMU does not filter: inv_cpu_proved_features())} and a line per
 *   model: {"model", "alias-of"} for an alias, else {"model", "type", "on": SET, "known": SET (absent: the
 *   table's), "unavailable":[names] (absent: this architecture does not say), "others":{"vendor", "level", …}}.
 *
 * The sums are against damage, not against forgery: who can write the file can say anything of the host.
 */
#define INV_HOST_EXPORT_VERSION 1

/* What the file says of the host as a whole. All borrowed; NULL and 0: not known. */
typedef struct {
    const char *hostname, *uuid, *arch;
    gint64 exported;
    guint64 memory_total, memory_available;
    gboolean has_settings;
    InvCpuHostSettings settings;
    const InvFeatureSet *hardware;
} InvHostExportHead;

typedef struct {
    const char *path, *arch, *version;
    const char *tcg, *kvm;       /* why the accelerator does not work; NULL or "": it does */
    const char *const *devices;  /* NULL-terminated */
    gboolean is_usual;           /* a domain that names none gets it */
} InvHostExportEmulator;

typedef struct {
    const char *name, *alias;    /* alias may be NULL */
    gboolean is_default;
    guint max_vcpus;
    const InvCpuFacts *tcg, *kvm; /* with expansions, or NULL: not exported */
} InvHostExportMachine;

typedef struct InvHostExportWriter InvHostExportWriter;
/* What @head and the others point to is copied. */
InvHostExportWriter *inv_host_export_writer_new(const InvHostExportHead *head);
void inv_host_export_writer_add_emulator(InvHostExportWriter *writer, const InvHostExportEmulator *emulator);
/* Of the emulator that was added last. */
void inv_host_export_writer_add_machine(InvHostExportWriter *writer, const InvHostExportMachine *machine);
/* The whole file; frees @writer. Owned by the caller. */
char *inv_host_export_writer_end(InvHostExportWriter *writer);

/*
 * What many files are read with: dictionaries by architecture, names of features, lists of names
 * that were seen before. For any number of threads at once.
 */
typedef struct InvHostExportReader InvHostExportReader;
/* @folder: of the CPU map; NULL: the installed one. */
InvHostExportReader *inv_host_export_reader_new(const char *folder);
void inv_host_export_reader_free(InvHostExportReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvHostExportReader, inv_host_export_reader_free)

/* Reads up to @length bytes at @offset: how many there were, -1 with errno. */
typedef gssize (*InvHostExportRead)(gpointer data, guint64 offset, char *buffer, gsize length);

typedef struct InvHostExport InvHostExport;
/*
 * The description behind @read, of which the first line is read at once; @data must stay until it is
 * freed. For one thread at a time. VIR_ERR_INVALID_ARG: it is none, of another version, damaged
 * (with the place); VIR_ERR_SYSTEM_ERROR: it cannot be read. The errors do not name the file.
 */
InvHostExport *inv_host_export_open(InvHostExportReader *reader, InvHostExportRead read, gpointer data, GError **error);
void inv_host_export_free(InvHostExport *host);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvHostExport, inv_host_export_free)

/* Borrowed; NULL where it does not say. */
const char *inv_host_export_hostname(const InvHostExport *host);

/* NULL with an error when the file turned out to be damaged: nothing is decided by it then. */
InvMigrationVerdict *inv_host_export_check(InvHostExport *host, const InvMigrationSubject *subject, GError **error);

G_END_DECLS
