/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/store_private.h"

#include "util/error.h"
#include "util/fault.h"

void
inv_revision_free(InvRevision *revision)
{
    if (!revision)
        return;
    g_free(revision->reason);
    g_free(revision->xml);
    g_free(revision->record);
    g_free(revision);
}

static gboolean
check_texts(const char *xml, const char *record, const char *reason, GError **error)
{
    return inv_store_check_text("definition", xml, INV_STORE_MAX_XML, error) &&
           inv_store_check_text("ABI record", record, INV_STORE_MAX_RECORD, error) &&
           inv_store_check_text("reason", reason, INV_STORE_MAX_REASON, error);
}

gboolean
inv_store_record(InvStore *store, const char *uuid, const char *xml, const char *record, const char *reason,
                 gint64 *revision, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);
    g_autoptr(InvTransaction) transaction = NULL;
    g_autoptr(InvStoredDomain) current = NULL;

    if (!check_texts(xml, record, reason, error) || !(transaction = inv_transaction_begin_locked(store, error)) ||
        !(current = inv_store_find_locked(store, uuid, error)))
        return FALSE;
    if (!g_str_equal(current->xml, xml)) {
        if (!inv_store_add_revision_locked(store, current, current->name, xml, record, reason, revision, error))
            return FALSE;
    } else {
        if (!inv_database_run(store->database, error, "UPDATE revision SET record = ? WHERE uuid = ? AND number = ?", "ssi",
                              record, uuid, current->revision))
            return FALSE;
        if (revision)
            *revision = current->revision;
    }
    inv_fault_point("store-record-before-commit");
    if (!inv_transaction_commit(transaction, error))
        return FALSE;
    inv_fault_point("store-record-after-commit");
    return TRUE;
}

gboolean
inv_store_reopen(InvStore *store, const char *uuid, const char *xml, const char *reason, gint64 *revision, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);
    g_autoptr(InvTransaction) transaction = NULL;
    g_autoptr(InvStoredDomain) current = NULL;

    return check_texts(xml, NULL, reason, error) && (transaction = inv_transaction_begin_locked(store, error)) &&
           (current = inv_store_find_locked(store, uuid, error)) &&
           inv_store_add_revision_locked(store, current, current->name, xml ? xml : current->xml, NULL, reason, revision,
                                         error) &&
           inv_transaction_commit(transaction, error);
}

GPtrArray *
inv_store_list_revisions(InvStore *store, const char *uuid, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);
    g_autoptr(GPtrArray) revisions = g_ptr_array_new_with_free_func((GDestroyNotify)inv_revision_free);
    inv_autoreset sqlite3_stmt *row = inv_database_query(
        store->database, error,
        "SELECT number, time, reason, record IS NOT NULL FROM revision WHERE uuid = ? ORDER BY number", "s", uuid);
    InvStep step = INV_STEP_FAILED;

    while (row && (step = inv_database_step(store->database, row, error)) == INV_STEP_ROW) {
        InvRevision *revision = g_new0(InvRevision, 1);

        revision->number = sqlite3_column_int64(row, 0);
        revision->time = sqlite3_column_int64(row, 1);
        revision->reason = inv_database_text(row, 2);
        revision->has_record = sqlite3_column_int(row, 3) != 0;
        g_ptr_array_add(revisions, revision);
    }
    if (step != INV_STEP_DONE)
        return NULL;
    if (revisions->len == 0) {
        inv_error_set(error, VIR_ERR_NO_DOMAIN, "Domain not found: no domain with matching uuid '%s'", uuid);
        return NULL;
    }
    return g_steal_pointer(&revisions);
}

static gboolean
fail_no_revision(InvStore *store, const char *uuid, gint64 number, GError **error)
{
    g_autoptr(InvStoredDomain) current = inv_store_find_locked(store, uuid, error);

    if (!current)
        return FALSE;
    return inv_error_set(error, VIR_ERR_INVALID_ARG,
                         "domain '%s' has no revision %" G_GINT64_FORMAT ": it has revisions 1 to %" G_GINT64_FORMAT,
                         current->name, number, current->revision);
}

/* *@name: what the domain was called then, or NULL when nobody asks; owned by the caller. */
static InvRevision *
get_locked(InvStore *store, const char *uuid, gint64 number, char **name, GError **error)
{
    inv_autoreset sqlite3_stmt *row =
        inv_database_query(store->database, error,
                           "SELECT time, reason, xml, record, name FROM revision WHERE uuid = ? AND number = ?", "si", uuid,
                           number);
    InvStep step = row ? inv_database_step(store->database, row, error) : INV_STEP_FAILED;
    InvRevision *revision;

    if (step == INV_STEP_DONE)
        fail_no_revision(store, uuid, number, error);
    if (step != INV_STEP_ROW)
        return NULL;
    revision = g_new0(InvRevision, 1);
    revision->number = number;
    revision->time = sqlite3_column_int64(row, 0);
    revision->reason = inv_database_text(row, 1);
    revision->xml = inv_database_text(row, 2);
    revision->record = inv_database_text(row, 3);
    revision->has_record = revision->record != NULL;
    if (name)
        *name = inv_database_text(row, 4);
    return revision;
}

InvRevision *
inv_store_get_revision(InvStore *store, const char *uuid, gint64 number, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

    return get_locked(store, uuid, number, NULL, error);
}

gboolean
inv_store_restore_revision(InvStore *store, const char *uuid, gint64 number, gint64 *revision, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);
    g_autoptr(InvTransaction) transaction = NULL;
    g_autoptr(InvStoredDomain) current = NULL;
    g_autoptr(InvRevision) wanted = NULL;
    g_autofree char *name = NULL;
    g_autofree char *reason = g_strdup_printf("restored revision %" G_GINT64_FORMAT, number);

    if (!(transaction = inv_transaction_begin_locked(store, error)) ||
        !(current = inv_store_find_locked(store, uuid, error)) ||
        !(wanted = get_locked(store, uuid, number, &name, error)) ||
        !inv_store_check_name_locked(store, uuid, name, error))
        return FALSE;
    if (g_str_equal(current->xml, wanted->xml) && g_strcmp0(current->record, wanted->record) == 0) {
        if (revision)
            *revision = current->revision;
        return TRUE;
    }
    return inv_store_add_revision_locked(store, current, name, wanted->xml, wanted->record, reason, revision, error) &&
           inv_transaction_commit(transaction, error);
}
