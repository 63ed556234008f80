/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"

G_BEGIN_DECLS

/* What an administrator does with a domain's record and revisions. All wait: never on the I/O thread. */

/*
 * Reopens the record: the definition gets back the CPU and machine that were asked for before the
 * first start, and the next start settles them anew. *@changes: what that start would change, a line
 * each, owned by the caller. @dry_run: only says so. The old revision stays, to go back to.
 * VIR_ERR_OPERATION_INVALID when there is no record. One that cannot be read is given up, and the
 * definition stays as it is.
 */
gboolean inv_record_reopen(InvDaemon *daemon, InvVm *vm, const char *reason, gboolean dry_run, gint64 *revision,
                           char ***changes, GError **error);

/* Makes the definition and record of an old revision current again. Of a running domain: from its next start on. */
gboolean inv_record_restore_revision(InvDaemon *daemon, InvVm *vm, gint64 number, gint64 *revision, GError **error);

G_END_DECLS
