/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/cpu_driver.h"
#include "util/json.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * Can a guest move to a host, and stay the guest that it is? One function answers, for a daemon that
 * is asked about itself and for a saved description of a host; what the two know differently
 * (files, what is free just now) is in the answers of an InvMigrationHost.
 */

/* A disk's file, as one host tells it from every other one. Made by daemon/disk_file. */
typedef struct {
    char *target;       /* the disk's, "vda" */
    gboolean block;     /* a block device */
    guint64 filesystem; /* st_dev: the same number means the same one as long as the host has not been booted */
    guint64 inode;      /* the same on every host that shares the file system */
    guint64 size;       /* bytes */
    char *digest;       /* SHA-256 of its first bytes, 64 hexadecimal digits, or NULL: they could not be read */
} InvDiskFile;

void inv_disk_file_free(InvDiskFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvDiskFile, inv_disk_file_free)

#define INV_DISK_FILES_MAX 256u
/* Fills it in; FALSE: not the digest of a file. NULL is one that could not be read. */
gboolean inv_disk_file_set_digest(InvDiskFile *file, const char *digest);

/* The domain that would move. */
typedef struct {
    InvDomain *domain;      /* the live definition, else the persistent one; completed */
    InvCpuRecord *record;   /* what its guest sees; NULL: it was never started */
    gboolean active;
    char **devices;         /* QEMU's device types that its command line makes, sorted; NULL: not known */
    char *emulator_version; /* of the QEMU that it is of, "7.2.22", or NULL */
    GPtrArray *files;       /* of InvDiskFile: its disks there; one that could not be looked at is missing. NULL: not known */
    char *boot;             /* the id of that host's boot, or NULL */
    char **copied;          /* targets of the disks that are copied along; NULL: none. Not in the JSON */
    char *hostname, *host_uuid; /* where it is now, or NULL */
} InvMigrationSubject;

void inv_migration_subject_free(InvMigrationSubject *subject);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvMigrationSubject, inv_migration_subject_free)

/*
 * A line of what `invar domain-export` writes: {"invar-domain":1,"xml":…,"record":{…}|null,"active":…,
 * "devices":[…]|null,"emulator-version":…,"hostname":…,"host-uuid":…,"boot":…,"files":[{"target":…,"block":…,"filesystem":…,
 * "inode":…,"size":…,"digest":…}]|null}; numbers of 64 bits are decimal text. @xml: the document of subject->domain.
 */
InvJson *inv_migration_subject_to_json(const InvMigrationSubject *subject, const char *xml);
/* Untrusted. VIR_ERR_INVALID_ARG, or what the document's own reader says. */
InvMigrationSubject *inv_migration_subject_from_json(const InvJson *json, GError **error);
/* A bare definition: never started, as far as anybody knows. */
InvMigrationSubject *inv_migration_subject_from_xml(const char *xml, GError **error);

typedef enum {
    INV_DISK_UNKNOWN, /* nobody can look */
    INV_DISK_ABSENT,
    INV_DISK_LOCAL,   /* something is there, in a file system of that host alone, and what it should be is not known */
    INV_DISK_SHARED,  /* the same in one that several hosts may share (NFS, CephFS, GFS2, …) */
    INV_DISK_SAME,    /* the very file that the domain has */
    INV_DISK_OTHER,   /* another file under that name */
} InvDiskPresence;

/*
 * What there is at the destination. The functions that can fail say in @error what is not there and
 * what is; they are asked in this order, and none after one of the first three has failed.
 */
typedef struct {
    const char *hostname;
    const char *uuid;           /* of the host, or NULL */
    gint64 as_of;               /* seconds since 1970: when the description was made; 0: it is now */
    guint64 memory_total;       /* bytes; 0: not known */
    guint64 memory_available;   /* bytes that a new guest can have; 0: not known */
    gpointer data;              /* of the functions */
    /* @path NULL: the host's usual one for @arch. */
    gboolean (*emulator)(gpointer data, const char *path, const char *arch, GError **error);
    gboolean (*accelerator)(gpointer data, InvVirtType accelerator, GError **error);
    gboolean (*machine)(gpointer data, const char *name, const char **canonical, guint *max_vcpus, GError **error);
    /* With the expansions of @models (NULL-terminated) at least, and of the model that stands for the host. NULL: the CPU is decided elsewhere. */
    gboolean (*facts)(gpointer data, const char *const *models, InvCpuFacts *facts, GError **error);
    gboolean (*has_device)(gpointer data, const char *type);
    InvDiskPresence (*disk)(gpointer data, const InvDisk *disk); /* NULL: nobody can look */
    const char *(*version)(gpointer data); /* of the emulator that was found: "10.0.0" */
} InvMigrationHost;

typedef enum {
    INV_MIGRATION_CAN,
    INV_MIGRATION_CAN_WITH, /* with `arguments` */
    INV_MIGRATION_CANNOT,   /* because of the verdict's blockers */
} InvMigrationOutcome;

const char *inv_migration_outcome_to_string(InvMigrationOutcome outcome); /* "can", "with", "cannot" */

typedef struct {
    InvMigrationOutcome outcome;
    InvVerdict *verdict;   /* blockers of all kinds; model, machine and argument as QEMU would get them there */
    GPtrArray *arguments;  /* of char *: what `invar migrate` needs beside domain and destination */
    GPtrArray *notes;      /* of char *: sentences without a final period */
    char *hostname, *uuid; /* of the destination; uuid may be NULL */
    char *emulator_version; /* or NULL: not found out */
    gint64 as_of;
} InvMigrationVerdict;

void inv_migration_verdict_free(InvMigrationVerdict *verdict);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvMigrationVerdict, inv_migration_verdict_free)
InvJson *inv_migration_verdict_to_json(const InvMigrationVerdict *verdict);
/* Untrusted. VIR_ERR_INVALID_ARG. */
InvMigrationVerdict *inv_migration_verdict_from_json(const InvJson *json, GError **error);
/* For callers that know a reason of their own: adds the blocker, and the outcome is CANNOT. */
void inv_migration_verdict_refuse(InvMigrationVerdict *verdict, const char *feature, InvLayer layer, const char *reason, const char *remedy);
/* The same of an argument that is needed, each once. */
void inv_migration_verdict_need(InvMigrationVerdict *verdict, const char *argument);

/* Never NULL. */
InvMigrationVerdict *inv_migration_check(const InvMigrationSubject *subject, const InvMigrationHost *host);

/*
 * What a guest with @record cannot take along to the host of @facts although QEMU there would make its CPU, each a
 * blocker of @verdict, which is refused then: features that QEMU lets no guest take to another host (invtsc); and of a guest that has its host's
 * own processor (host-passthrough under KVM) everything that no record lists, caches, performance counters, the
 * topology of the package, unless the other host's processor is of the same signature and brand.
 */
void inv_migration_refuse_immobile(InvVerdict *verdict, const InvCpuFacts *facts, const InvCpuRecord *record);

/*
 * What some model has here and QEMU does not filter of it. More than what stands for the host has: QEMU
 * leaves features out of "host" and "max" that it gives to whoever asks (topoext). A new set, owned by the
 * caller.
 */
InvFeatureSet *inv_cpu_proved_features(const InvCpuTable *table);

/*
 * The CPU's part of it: REFUSED unless a guest there has exactly the CPU of @record; without a
 * record as a first start there would be decided. @cpu may be NULL. *@request, when not NULL: what
 * QEMU would be asked for, settled by nobody yet, owned by the caller; NULL where there is none.
 * What QEMU would filter is told from the table; a destination that can should ask QEMU as well.
 */
InvVerdict *inv_migration_check_cpu(const InvCpuFacts *facts, const InvCpu *cpu, const InvCpuRecord *record, InvCpuRequest **request);

G_END_DECLS
