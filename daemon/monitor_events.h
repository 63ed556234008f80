/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/qmp.h"

G_BEGIN_DECLS

/* Callbacks of a guest's monitor; their user data is the InvDaemon. On the I/O thread. */
void inv_monitor_event(InvQmp *qmp, const char *event, const InvJson *data, gint64 seconds, gint64 microseconds,
                       gpointer user_data);
void inv_monitor_closed(InvQmp *qmp, const GError *error, gpointer user_data);

G_END_DECLS
