/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/migration_end.h"
#include "daemon/migration_in.h"

G_BEGIN_DECLS

/*
 * In postcopy the guest runs at the destination while the rest of its memory follows, page by page.
 * Neither side has all of it until then: neither is ended, nothing is called off, and when the channel
 * breaks the migration waits on both sides to be taken up again (--postcopy-resume). All wait for QEMU.
 */

/* Until the last page is there. FALSE: the channel broke, or a QEMU or the daemon ends. The job's figures are told meanwhile. */
gboolean inv_migration_postcopy_wait(InvDaemon *daemon, InvVm *vm, GError **error);

/* The channel is broken: the domain says so, to whoever looks and to who listens. */
void inv_migration_postcopy_failed(InvDaemon *daemon, InvVm *vm, gboolean incoming, const char *why);

/* Does the QEMU of @vm have some of a guest only, or wait for some of it? */
gboolean inv_migration_postcopy_is_open(InvVm *vm);

/* Source: the channel is taken up again, to @address of QEMU's kind; returns once pages move. */
gboolean inv_migration_postcopy_resume(InvVm *vm, const char *address, GError **error);

G_END_DECLS
