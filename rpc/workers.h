/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * The threads that run calls: so many at work at once, however many more do nothing but wait
 * (util/long_wait.h). Clients that ask for what hangs keep no other client's call from its worker.
 */
typedef struct InvRpcWorkers InvRpcWorkers;

/* So many may wait beyond those that work: a thread that waits costs some tens of kilobytes. */
#define INV_RPC_WAITING_MAX 256u

/* @run: gets each task that is pushed, with @user_data. @n: at least 1. */
InvRpcWorkers *inv_rpc_workers_new(GFunc run, gpointer user_data, guint n);
/* Waits for all tasks, those included that have not begun. */
void inv_rpc_workers_free(InvRpcWorkers *workers);
void inv_rpc_workers_push(InvRpcWorkers *workers, gpointer task);

G_END_DECLS
