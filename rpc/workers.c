/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/workers.h"

#include "util/long_wait.h"

struct InvRpcWorkers {
    GFunc run;
    gpointer user_data;
    guint n;
    GThreadPool *pool;
    InvLongWaitOwner owner;
    GMutex lock;
    /* Guarded by lock, as is how many threads the pool may have. */
    guint waiting;
    gboolean ending;
};

static void
resize_locked(InvRpcWorkers *workers)
{
    if (!workers->ending)
        g_thread_pool_set_max_threads(workers->pool, (int)(workers->n + workers->waiting), NULL);
}

static gboolean
wait_begins(gpointer user_data)
{
    InvRpcWorkers *workers = user_data;
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&workers->lock);

    if (workers->waiting >= INV_RPC_WAITING_MAX)
        return FALSE;
    workers->waiting++;
    resize_locked(workers);
    return TRUE;
}

static void
wait_ends(gpointer user_data)
{
    InvRpcWorkers *workers = user_data;
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&workers->lock);

    workers->waiting--;
    resize_locked(workers);
}

static void
run_task(gpointer task, gpointer user_data)
{
    InvRpcWorkers *workers = user_data;

    inv_long_wait_set_owner(&workers->owner);
    workers->run(task, workers->user_data);
    /* GLib's threads go from pool to pool. */
    inv_long_wait_set_owner(NULL);
}

InvRpcWorkers *
inv_rpc_workers_new(GFunc run, gpointer user_data, guint n)
{
    InvRpcWorkers *workers = g_new0(InvRpcWorkers, 1);

    workers->run = run;
    workers->user_data = user_data;
    workers->n = n;
    workers->owner = (InvLongWaitOwner){ wait_begins, wait_ends, workers };
    g_mutex_init(&workers->lock);
    /* Threads that are shared cannot fail to start here; GLib aborts when the system has none. */
    workers->pool = g_thread_pool_new(run_task, workers, (int)n, FALSE, NULL);
    return workers;
}

void
inv_rpc_workers_free(InvRpcWorkers *workers)
{
    if (!workers)
        return;
    g_mutex_lock(&workers->lock);
    workers->ending = TRUE;
    /* From here on GLib lets nobody change it: whoever waits must not keep what still has to run. */
    g_thread_pool_set_max_threads(workers->pool, (int)(workers->n + INV_RPC_WAITING_MAX), NULL);
    g_mutex_unlock(&workers->lock);
    g_thread_pool_free(workers->pool, FALSE, TRUE);
    g_mutex_clear(&workers->lock);
    g_free(workers);
}

void
inv_rpc_workers_push(InvRpcWorkers *workers, gpointer task)
{
    g_thread_pool_push(workers->pool, task, NULL);
}
