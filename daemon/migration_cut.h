/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sys/types.h>

G_BEGIN_DECLS

/*
 * Ends the TCP connections of the process @pid (a QEMU) to the port @port of another host, from
 * outside: while QEMU sends the last of a guest its monitor waits for the network with it, and on a
 * network that swallows everything that lasts until TCP gives up, a quarter of an hour. The number of
 * those that were ended; 0 as well where this process may not do that (pidfd_getfd(2)).
 */
guint inv_migration_cut(pid_t pid, guint port);

G_END_DECLS
