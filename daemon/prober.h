/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * Asks emulators that nobody waits for: at the daemon's start those whose cache is cold, with the
 * tables of the machine types of defined domains; later what changed on the host. At idle priority,
 * and only while no client's question is open. It looks at files every few seconds, and starts no
 * QEMU while nothing changed.
 */
typedef struct InvProber InvProber;

/* @daemon outlives it. Before inv_prober_start() it does only what is wanted of it. */
InvProber *inv_prober_new(InvDaemon *daemon);
void inv_prober_start(InvProber *prober);
/* Behind inv_probe_budget_stop(). */
void inv_prober_free(InvProber *prober);

/* Has the emulator at @path asked soon, unless the cache knows it. From any thread. */
void inv_prober_want(InvProber *prober, const char *path);

/* The emulators of the search path, of the configuration and of all domains, sorted; owned by the caller. */
char **inv_prober_list(InvDaemon *daemon);

G_END_DECLS
