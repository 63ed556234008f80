/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/migration_cookie.h"
#include "daemon/migration_end.h"

G_BEGIN_DECLS

/*
 * Sends the state of a guest to where `perform->options->uri` says. When it returns TRUE all is there
 * and the guest stands still here, undecided; else the guest is as it was before, unless *@returned
 * (owned by the caller) says why it cannot go on yet.
 */
gboolean inv_migration_send(InvDaemon *daemon, InvVm *vm, InvMigrationOut *out, const InvMigrationPerform *perform,
                            const InvMigrationCookie *theirs, GError **returned, GError **error);

G_END_DECLS
