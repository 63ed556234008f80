/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/qmp.h"
#include "xml/domain.h"

#include <glib.h>
#include <sys/types.h>

G_BEGIN_DECLS

/*
 * Copying disks along with a migration, for hosts that share no storage: the destination exports its
 * disks over NBD, the source mirrors its own into them, and when the guest stands still before the last
 * step the mirrors are brought to their end. All calls wait, those with a deadline at most until it for
 * all that they do together: never on the I/O thread.
 */

typedef struct {
    char *target;     /* "vda": by this the two sides mean the same disk, whatever else differs in their definitions */
    char *alias;      /* QEMU's id of the device in this side's live definition, or NULL */
    guint number;     /* of the disk in this side's QEMU: node "diskN-format" */
    guint64 capacity; /* what the guest sees, bytes; 0: not known yet */
} InvCopiedDisk;

void inv_copied_disk_free(InvCopiedDisk *disk);

/* 64 TiB: more is no disk that is copied, but a peer that lies. */
#define INV_COPY_MAX_CAPACITY (G_GUINT64_CONSTANT(1) << 46)
/* Where NBD usually listens, and how many ports from there on are tried. */
#define INV_COPY_PORT 10809u
#define INV_COPY_PORTS 64u

/*
 * Which disks of @domain are copied: an array of InvCopiedDisk, owned by the caller, empty when there
 * are none. @only NULL: those with a source that are neither read-only nor shareable; else those of these
 * targets, in the order of the definition. VIR_ERR_INVALID_ARG: a target that is not there, or cannot be copied.
 */
GPtrArray *inv_migration_copied_disks(const InvDomain *domain, const char *const *only, GError **error);

/* Source: fills in the capacities, as the guest sees them. */
gboolean inv_migration_copy_capacities(InvQmp *qmp, GPtrArray *disks, guint deadline_ms, GError **error);

/*
 * Destination, before QEMU: images that are not there are made, in the definition's format and with the
 * capacity that @disks says (from a peer: untrusted), owned by @uid and @gid ((uid_t)-1: us). Others must be
 * regular files of just that capacity: the guest must not see its disk change. @incremental: an image is made only on top of the <backingStore> that
 * the definition names. *@made: paths that were made, for removal when the migration fails; owned by the
 * caller, never NULL on success. On failure nothing is left.
 */
gboolean inv_migration_copy_prepare_images(const InvDomain *domain, GPtrArray *disks, gboolean incremental, uid_t uid, gid_t gid,
                                           GStrv *made, GError **error);

/*
 * Destination: QEMU's NBD server with one writable export per disk, named as its target. On @path when it
 * is not NULL, else on @host (an address without brackets) and the first free port from @first_port to
 * @last_port (0: INV_COPY_PORT and the INV_COPY_PORTS from there); *@port (may be NULL) is the one.
 */
gboolean inv_migration_copy_serve(InvQmp *qmp, GPtrArray *disks, const char *host, guint first_port, guint last_port,
                                  const char *path, guint *port, guint deadline_ms, GError **error);

/* Destination: before `cont`. A server that does not run is no error. */
gboolean inv_migration_copy_stop_serving(InvQmp *qmp, guint deadline_ms, GError **error);

/*
 * Source: starts a mirror per disk into the exports. @incremental: only what is not in its backing file.
 * @bandwidth: bytes/s for each, 0: no limit. On failure none is left.
 */
gboolean inv_migration_copy_start(InvQmp *qmp, GPtrArray *disks, const char *host, guint port, const char *path,
                                  gboolean incremental, guint64 bandwidth, guint deadline_ms, GError **error);

/*
 * How far the mirrors are, in bytes of all together; *@ready: all have caught up with the guest and follow
 * it. The outputs may be NULL. An error of a mirror, or one that is gone, is VIR_ERR_OPERATION_FAILED naming
 * the disk.
 */
gboolean inv_migration_copy_query(InvQmp *qmp, GPtrArray *disks, gboolean *ready, guint64 *total, guint64 *done, guint deadline_ms,
                                  GError **error);

/*
 * Source. Not @abort: in PRE_SWITCHOVER, when all were ready: the mirrors write what is left and end; success
 * means that both images are the same. VIR_ERR_OPERATION_FAILED: they are not. @abort: the mirrors are given
 * up, those that are gone already are no error. Either way QEMU keeps nothing of them.
 */
gboolean inv_migration_copy_finish(InvQmp *qmp, GPtrArray *disks, gboolean abort, guint deadline_ms, GError **error);

G_END_DECLS
