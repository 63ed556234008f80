/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/migration_check.h"
#include "daemon/daemon.h"
#include "daemon/migration_cookie.h"
#include "daemon/migration_options.h"

G_BEGIN_DECLS

/* Both may ask QEMUs: not on the I/O thread. Neither changes anything. */

/* Who would move, as the text of inv_migration_subject_to_json(), owned by the caller. */
char *inv_migration_export(InvDaemon *daemon, InvVm *vm, GError **error);

/*
 * Could @subject, of another daemon, move here? As inv_migration_check() says, and then as QEMU says in a
 * dry run of the CPU, and with what only a running daemon knows: its domains and its files. Never NULL.
 */
InvMigrationVerdict *inv_migration_check_here(InvDaemon *daemon, const InvMigrationSubject *subject);

/*
 * The same at a migration's destination, of what the CPU's decision does not look at: machine, accelerator, devices,
 * memory, disks (those that the source announces to be copied aside). VIR_MIGRATE_UNSAFE lets memory and disks
 * be; a definition that moves offline has neither yet. VIR_ERR_MIGRATE_UNSAFE names each thing and what to do.
 */
gboolean inv_migration_check_prepare(InvDaemon *daemon, const InvMigrationCookie *source, const InvMigrationOptions *options, InvDomain *domain,
                                     GError **error);

G_END_DECLS
