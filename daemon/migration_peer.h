/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/migration_out.h"
#include "rpc/client.h"

G_BEGIN_DECLS

/* The other daemon, of whom this one is a client. All wait. */

/*
 * Migrates @vm to the daemon at @uri, all steps from here (--p2p): Begin, Prepare, Perform, Finish,
 * Confirm. @params: the client's own, for the other side.
 */
gboolean inv_migration_peer_migrate(InvDaemon *daemon, InvVm *vm, const char *uri, const InvMigrationOptions *options,
                                    const remote_typed_param *params, guint n_params, GError **error);

/*
 * What became of the migration @token at @peer ("UUID URI"): FINISHED or CANCELLED, for good. An error
 * when there is no such daemon, or another one than that.
 */
gboolean inv_migration_peer_ask(const char *peer, const char *token, const char *uuid, InvMigrationPhase *outcome,
                                GError **error);

G_END_DECLS
