/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"

G_BEGIN_DECLS

/*
 * Puts every domain of the store into the registry: read by this thread, parsed by one for each
 * processor. A definition that cannot be read is kept and listed all the same. FALSE: the store failed.
 */
gboolean inv_load_domains(InvDaemon *daemon, GError **error);

G_END_DECLS
