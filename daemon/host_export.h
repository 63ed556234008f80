/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"

G_BEGIN_DECLS

/*
 * This host's description in the form of cpu_driver/host_export.h, owned by the caller. @emulator NULL: the
 * emulators of the host's architecture and of the domains. Of each the default machine type, those with an
 * alias, those that domains use, and @machines (NULL-terminated, names or aliases); @all: every one. May
 * start many QEMUs; not on the I/O thread. Errors: an emulator that cannot be used, a machine type that is
 * none. A table that one QEMU refuses to tell is left out.
 */
char *inv_host_export(InvDaemon *daemon, const char *emulator, const char *const *machines, gboolean all, GError **error);

/* What a new guest can have of this host's memory, in bytes; 0: not known. */
void inv_host_memory_of(guint64 *total, guint64 *available);

G_END_DECLS
