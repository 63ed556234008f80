/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"

G_BEGIN_DECLS

/*
 * Puts every domain of the store into the registry: its definition and its record are read when somebody
 * wants to know what is in them. FALSE: the store failed.
 */
gboolean inv_load_domains(InvDaemon *daemon, GError **error);

G_END_DECLS
