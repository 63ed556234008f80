/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"
#include "daemon/migration_cookie.h"
#include "daemon/migration_options.h"
#include "qemu/migration_copy.h"

G_BEGIN_DECLS

/* The disks that go along with a guest (--copy-storage-all, --copy-storage-inc), as the daemons see it. All wait. */

/* The source's Begin: which disks, and how big they are, for the destination. */
gboolean inv_disk_copy_tell(InvVm *vm, const InvMigrationOptions *options, InvMigrationCookie *cookie, GError **error);

/* What the destination has made for them. */
typedef struct {
    GPtrArray *disks; /* of InvCopiedDisk */
    char **made;      /* images that were not there before */
    char *path;       /* where they are received; NULL: on `port` */
    guint port;
} InvDiskCopy;

void inv_disk_copy_free(InvDiskCopy *copy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvDiskCopy, inv_disk_copy_free)

/* Before QEMU: the images that @source announces are there, or made, and as big as at the source. */
InvDiskCopy *inv_disk_copy_new(InvDaemon *daemon, const InvDomain *domain, const InvMigrationCookie *source,
                               const InvMigrationOptions *options, GError **error);
/* Receives them. @folder: of this run, for a socket. */
gboolean inv_disk_copy_receive(InvDiskCopy *copy, InvQmp *qmp, const char *folder, const InvMigrationOptions *options,
                               GError **error);
/* They failed, or were not wanted in the end: what was made is removed. QEMU has ended. */
void inv_disk_copy_undo(InvDiskCopy *copy);

/*
 * The source's Perform. Starts the copies and returns once they follow the guest: then its state may be
 * sent. @look is called meanwhile with what is known of the progress, and ends it by FALSE.
 */
typedef gboolean (*InvDiskCopyLook)(guint64 total, guint64 done, gpointer user_data, GError **error);
gboolean inv_disk_copy_send(InvVm *vm, InvQmp *qmp, GPtrArray *disks, const InvMigrationOptions *options,
                            const InvMigrationCookie *theirs, guint64 bandwidth, InvDiskCopyLook look, gpointer user_data,
                            GError **error);

G_END_DECLS
