/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/store_private.h"

#include "util/error.h"
#include "util/fault.h"

#include <limits.h>

void
inv_running_free(InvRunning *running)
{
    if (!running)
        return;
    g_free(running->uuid);
    g_free(running->monitor);
    g_free(running->live_xml);
    g_free(running->record);
    g_free(running);
}

gboolean
inv_store_set_running(InvStore *store, const InvRunning *running, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

    if (!inv_store_check_uuid(running->uuid, error) ||
        !inv_store_check_text("monitor's path", running->monitor, PATH_MAX, error) ||
        !inv_store_check_text("live definition", running->live_xml, INV_STORE_MAX_XML, error) ||
        !inv_store_check_text("ABI record", running->record, INV_STORE_MAX_RECORD, error))
        return FALSE;
    inv_fault_point("store-running-before-commit");
    /* One statement is one transaction. */
    if (!inv_database_run(store->database, error,
                          "INSERT OR REPLACE INTO running"
                          " (uuid, pid, start_time, id, monitor, live_xml, persistent, record, started, paused)"
                          " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                          "siiissisii", running->uuid, running->pid, (gint64)running->start_time, (gint64)running->id,
                          running->monitor, running->live_xml, (gint64)(running->persistent ? 1 : 0), running->record,
                          (gint64)(running->started ? 1 : 0), (gint64)(running->paused ? 1 : 0)))
        return FALSE;
    inv_fault_point("store-running-after-commit");
    return TRUE;
}

gboolean
inv_store_clear_running(InvStore *store, const char *uuid, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

    return inv_database_run(store->database, error, "DELETE FROM running WHERE uuid = ?", "s", uuid);
}

GPtrArray *
inv_store_list_running(InvStore *store, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)inv_running_free);
    inv_autoreset sqlite3_stmt *row = inv_database_query(
        store->database, error,
        "SELECT uuid, pid, start_time, id, monitor, live_xml, persistent, record, started, paused FROM running ORDER BY id", "");
    InvStep step = INV_STEP_FAILED;

    while (row && (step = inv_database_step(store->database, row, error)) == INV_STEP_ROW) {
        InvRunning *running = g_new0(InvRunning, 1);

        running->uuid = inv_database_text(row, 0);
        running->pid = sqlite3_column_int64(row, 1);
        running->start_time = (guint64)sqlite3_column_int64(row, 2);
        running->id = sqlite3_column_int(row, 3);
        running->monitor = inv_database_text(row, 4);
        running->live_xml = inv_database_text(row, 5);
        running->persistent = sqlite3_column_int(row, 6) != 0;
        running->record = inv_database_text(row, 7);
        running->started = sqlite3_column_int(row, 8) != 0;
        running->paused = sqlite3_column_int(row, 9) != 0;
        g_ptr_array_add(list, running);
    }
    return step == INV_STEP_DONE ? g_steal_pointer(&list) : NULL;
}
