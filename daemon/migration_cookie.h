/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/migration_check.h"
#include "qemu/migration_copy.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * What two daemons tell each other of one migration, by way of the client, who hands it on unread.
 *
 * The form is that of libvirt's own cookies: <qemu-migration> with <name>, <uuid>, <hostname> and
 * <hostuuid>, so that each side can tell the other's, and below <invar version='1'> what only Invar has.
 * Whoever made a cookie is not trusted: it may come from any client. Its texts are checked for length
 * and for what they are put into later (QEMU's command line, messages); a record must be whole by its own
 * fingerprint, which says nothing of who made it.
 */
#define INV_COOKIE_MAX_BYTES (4u * 1024 * 1024) /* libvirt's limit for a cookie on the wire */
#define INV_COOKIE_MAX_DISKS 256u
#define INV_COOKIE_MAX_STATISTICS 128u
#define INV_COOKIE_MAX_CAPABILITIES 64u

typedef struct {
    char *name, *uuid;         /* of the domain, at the source */
    char *hostname, *hostuuid; /* of the sender */
    char *token;               /* 32 hexadecimal digits: this attempt, made by the source */
    InvCpuRecord *record;      /* source → destination: what the guest sees; destination → source: what its QEMU is made for; NULL: offline, of a domain never started */
    char *emulator_version;    /* of the sender's QEMU, "7.2.22", for messages; or NULL */
    gboolean running;          /* source → destination: the guest runs */
    char *contact;             /* destination → source: URIs, a blank between, where the outcome can be asked; or NULL */
    GPtrArray *disks;          /* of InvCopiedDisk, copied along: target and capacity travel, the rest is each side's own; NULL: none */
    GPtrArray *files;          /* source → destination: of InvDiskFile, which files its disks are; NULL: not told */
    char *boot;                /* the id of the boot of the source's host, or NULL */
    char *nbd_host;            /* destination → source: where the disks' exports are: host and port, or a path */
    guint nbd_port;
    char *nbd_path;
    char *persistent_xml;      /* source → destination with VIR_MIGRATE_PERSIST_DEST: the persistent definition, unread; or NULL */
    char *persistent_record;   /* JSON, its record, checked; or NULL */
    GHashTable *statistics;    /* of the sender's job, name → decimal text, both owned; NULL: none */
    gint64 sent_us;            /* sender's real time, for the downtime; 0: not told */
    GPtrArray *capabilities;   /* of char *, owned: QEMU's migration capabilities that the sender set; NULL: not told */
} InvMigrationCookie;

/* Has @token the form of InvMigrationCookie's? */
gboolean inv_migration_token_is_valid(const char *token);

void inv_migration_cookie_free(InvMigrationCookie *cookie);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvMigrationCookie, inv_migration_cookie_free)

/* With a final NUL, as libvirt's; owned by the caller. */
GBytes *inv_migration_cookie_format(const InvMigrationCookie *cookie);
/* The same for the other side. VIR_ERR_OPERATION_UNSUPPORTED: it has grown beyond what one reads there. */
GBytes *inv_migration_cookie_seal(const InvMigrationCookie *cookie, GError **error);

/*
 * @data need not end in a NUL. Errors name what is wrong ("migration cookie: …"): VIR_ERR_XML_ERROR for what
 * is malformed or out of range; VIR_ERR_INVALID_ARG for a cookie that is empty, too large, libvirt's, of another
 * version of Invar, or with a damaged record.
 */
InvMigrationCookie *inv_migration_cookie_parse(const char *data, gsize length, GError **error);

G_END_DECLS
