/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/guest_start.h"
#include "daemon/migration_in.h"

G_BEGIN_DECLS

/*
 * Makes the QEMU of @start wait for the state: where the client says (`options->uri`,
 * `options->listen_address`), else on the first free port of the range that libvirt uses, or for a
 * tunnel on a socket of the run's own folder. Fills `uri_out` (where the source is to send the state)
 * and `tunnel_fd`.
 */
gboolean inv_migration_listen_for_state(InvDaemon *daemon, const InvStart *start, InvMigrationPrepare *prepare, GError **error);

/* The same for a QEMU that waits to be sent the rest of a postcopy whose channel broke. */
gboolean inv_migration_listen_again(InvDaemon *daemon, const InvStart *start, InvMigrationPrepare *prepare, GError **error);

G_END_DECLS
