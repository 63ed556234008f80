/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"

G_BEGIN_DECLS

/* All of these wait for the store or a probe: never on the I/O thread. */

/*
 * Parses, completes and validates a client's document. @flags: VIR_DOMAIN_DEFINE_VALIDATE checks it
 * against the schema first. The emulator, machine and CPU that it names must exist.
 */
InvDomain *inv_domain_prepare(InvDaemon *daemon, const char *xml, unsigned int flags, GError **error);

/* Adds a domain, or gives an existing one (same uuid and name) a new definition. A new reference. */
InvVm *inv_domain_define(InvDaemon *daemon, const char *xml, unsigned int flags, GError **error);

/* @flags: virDomainUndefineFlagsValues. A running domain becomes transient. */
gboolean inv_domain_undefine(InvDaemon *daemon, InvVm *vm, unsigned int flags, GError **error);
gboolean inv_domain_rename(InvDaemon *daemon, InvVm *vm, const char *name, GError **error);
gboolean inv_domain_set_autostart(InvDaemon *daemon, InvVm *vm, gboolean autostart, GError **error);

/* Sends a lifecycle event of @vm as it is now. */
void inv_domain_event(InvDaemon *daemon, InvVm *vm, int event, int detail);

G_END_DECLS
