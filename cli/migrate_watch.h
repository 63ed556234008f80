/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/cli.h"
#include "cli/migrate.h"

G_BEGIN_DECLS

/* What to do with a migration that takes too long. */
typedef enum { INV_TIMEOUT_NONE, INV_TIMEOUT_SUSPEND, INV_TIMEOUT_POSTCOPY } InvMigrateTimeout;

typedef struct {
    InvMigrateTimeout action;
    guint timeout_s;   /* of meaning with an action */
    gboolean after_precopy; /* switch to postcopy once the first pass is over */
    gboolean verbose;  /* progress in virsh's words, wherever standard error goes; a terminal gets a bar anyway */
} InvMigrateWatch;

/*
 * inv_migrate_run() on a thread of its own, watched by a second connection to the source: progress on
 * standard error, Ctrl-C aborts the job, a timeout suspends the guest or switches to postcopy.
 */
gboolean inv_migrate_run_watched(InvCli *cli, InvMigrate *migrate, const InvMigrateWatch *options, GError **error);

G_END_DECLS
