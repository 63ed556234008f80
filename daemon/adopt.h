/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"

G_BEGIN_DECLS

/*
 * What a daemon finds at its start and leaves at its end. Reads every definition, takes up the
 * QEMUs that run, and ends those whose start an earlier daemon did not finish.
 */
gboolean inv_adopt_load(InvDaemon *daemon, GError **error);

/* Starts what is marked for autostart, does not run, and was not shut off since the host booted; in the background. */
void inv_adopt_autostart(InvDaemon *daemon);

/* A domain was shut off on purpose: a restart of the daemon does not start it again before the next boot. */
void inv_adopt_mark_stopped(InvDaemon *daemon, const InvVm *vm, gboolean stopped);

/* Lets go of monitors and processes without ending them. */
void inv_adopt_release(InvDaemon *daemon);

G_END_DECLS
