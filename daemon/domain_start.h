/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"

G_BEGIN_DECLS

/*
 * Starts a domain and returns when its guest runs (or stands paused, VIR_DOMAIN_START_PAUSED): see
 * "How a start flows" in ARCHITECTURE.md. Waits for QEMU: never on the I/O thread. On failure no
 * process is left; what a refusal names is not recorded.
 */
gboolean inv_domain_start(InvDaemon *daemon, InvVm *vm, unsigned int flags, GError **error);

/* virDomainCreateXML: a transient domain, or the live form of a defined one. A new reference. */
InvVm *inv_domain_create_xml(InvDaemon *daemon, const char *xml, unsigned int flags, GError **error);

G_END_DECLS
