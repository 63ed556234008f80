/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/migration.h"
#include "rpc/remote_protocol.h"

#include <glib.h>
#include <libvirt/libvirt.h>

G_BEGIN_DECLS

/* What a client asks of one migration: the same at every step and on both sides. */
typedef struct {
    unsigned int flags;    /* virDomainMigrateFlags */
    char *dname;           /* the domain's name at the destination, or NULL */
    char *xml;             /* the live definition for the destination, or NULL */
    char *persistent_xml;  /* the definition that it keeps there, or NULL */
    char *uri;             /* where the state goes, or NULL: the destination says */
    char *listen_address;  /* where the destination listens, or NULL: everywhere */
    char *disks_uri;       /* where copied disks go, or NULL: as the state does */
    guint disks_port;      /* 0: the destination chooses */
    char **disks;          /* targets of the disks to copy, or NULL: every disk that can be */
    InvMigrationSettings settings;
} InvMigrationOptions;

void inv_migration_options_free(InvMigrationOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvMigrationOptions, inv_migration_options_free)

/*
 * Reads libvirt's typed parameters (VIR_MIGRATE_PARAM_*) and flags. Errors name the parameter or the
 * flag that is unknown, malformed, contradicts another, or is not supported.
 */
InvMigrationOptions *inv_migration_options_read(const remote_typed_param *params, guint n, unsigned int flags, GError **error);

/* The same, of the calls from before there were parameters. @bandwidth: MiB/s, 0: no limit. */
InvMigrationOptions *inv_migration_options_read_old(guint64 flags, const char *dname, const char *uri, const char *xml,
                                                    guint64 bandwidth, GError **error);

/* Are disks copied along? */
static inline gboolean
inv_migration_options_copy(const InvMigrationOptions *options)
{
    return (options->flags & (VIR_MIGRATE_NON_SHARED_DISK | VIR_MIGRATE_NON_SHARED_INC)) != 0;
}

G_END_DECLS
