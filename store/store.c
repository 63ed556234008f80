/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/store_private.h"

#include "util/error.h"
#include "util/fault.h"

#include <string.h>

#define UUID_LENGTH 36

struct InvTransaction {
    InvDatabase *database; /* borrowed */
};

InvStore *
inv_store_open(const char *path, GError **error)
{
    InvDatabase *database = inv_store_open_database(path, error);
    InvStore *store;

    if (!database)
        return NULL;
    store = g_new0(InvStore, 1);
    g_mutex_init(&store->lock);
    store->database = database;
    return store;
}

void
inv_store_close(InvStore *store)
{
    if (!store)
        return;
    inv_database_close(store->database);
    g_mutex_clear(&store->lock);
    g_free(store);
}

void
inv_stored_domain_free(InvStoredDomain *domain)
{
    if (!domain)
        return;
    g_free(domain->uuid);
    g_free(domain->name);
    g_free(domain->xml);
    g_free(domain->record);
    g_free(domain);
}

InvTransaction *
inv_transaction_begin_locked(InvStore *store, GError **error)
{
    InvTransaction *transaction;

    if (!inv_database_exec(store->database, "BEGIN IMMEDIATE", error))
        return NULL;
    transaction = g_new0(InvTransaction, 1);
    transaction->database = store->database;
    return transaction;
}

gboolean
inv_transaction_commit(InvTransaction *transaction, GError **error)
{
    return inv_database_exec(transaction->database, "COMMIT", error);
}

void
inv_transaction_end(InvTransaction *transaction)
{
    if (!transaction)
        return;
    inv_database_rollback(transaction->database);
    g_free(transaction);
}

gboolean
inv_store_check_text(const char *what, const char *text, gsize limit, GError **error)
{
    if (text && strnlen(text, limit + 1) > limit)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the %s is longer than the limit of %" G_GSIZE_FORMAT " bytes", what,
                             limit);
    return TRUE;
}

gboolean
inv_store_check_uuid(const char *uuid, GError **error)
{
    gboolean valid = uuid && strnlen(uuid, UUID_LENGTH + 1) == UUID_LENGTH;

    for (gsize i = 0; valid && i < UUID_LENGTH; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23)
            valid = uuid[i] == '-';
        else
            valid = g_ascii_isxdigit(uuid[i]) && !g_ascii_isupper(uuid[i]);
    }
    return valid || inv_error_set(error, VIR_ERR_INVALID_ARG, "'%s' is not a UUID in canonical form", uuid ? uuid : "");
}

#define SELECT_DOMAIN \
    "SELECT d.uuid, d.name, r.xml, d.autostart, d.revision, r.record FROM domain d" \
    " JOIN revision r ON r.uuid = d.uuid AND r.number = d.revision "

static InvStoredDomain *
domain_of_row(sqlite3_stmt *row)
{
    InvStoredDomain *domain = g_new0(InvStoredDomain, 1);

    domain->uuid = inv_database_text(row, 0);
    domain->name = inv_database_text(row, 1);
    domain->xml = inv_database_text(row, 2);
    domain->autostart = sqlite3_column_int(row, 3) != 0;
    domain->revision = sqlite3_column_int64(row, 4);
    domain->record = inv_database_text(row, 5);
    return domain;
}

/* *@domain stays NULL when there is none. */
static gboolean
look_up_locked(InvStore *store, const char *uuid, InvStoredDomain **domain, GError **error)
{
    inv_autoreset sqlite3_stmt *row =
        inv_database_query(store->database, error, SELECT_DOMAIN "WHERE d.uuid = ?", "s", uuid);

    if (!row)
        return FALSE;
    switch (inv_database_step(store->database, row, error)) {
    case INV_STEP_ROW:
        *domain = domain_of_row(row);
        return TRUE;
    case INV_STEP_DONE:
        return TRUE;
    case INV_STEP_FAILED:
        break;
    }
    return FALSE;
}

static gboolean
fail_no_domain(const char *uuid, GError **error)
{
    return inv_error_set(error, VIR_ERR_NO_DOMAIN, "Domain not found: no domain with matching uuid '%s'", uuid);
}

InvStoredDomain *
inv_store_find_locked(InvStore *store, const char *uuid, GError **error)
{
    g_autoptr(InvStoredDomain) domain = NULL;

    if (!look_up_locked(store, uuid, &domain, error))
        return NULL;
    if (!domain)
        fail_no_domain(uuid, error);
    return g_steal_pointer(&domain);
}

gboolean
inv_store_check_name_locked(InvStore *store, const char *uuid, const char *name, GError **error)
{
    inv_autoreset sqlite3_stmt *row =
        inv_database_query(store->database, error, "SELECT uuid FROM domain WHERE name = ? AND uuid <> ?", "ss", name, uuid);
    InvStep step = row ? inv_database_step(store->database, row, error) : INV_STEP_FAILED;

    if (step == INV_STEP_ROW)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "domain '%s' already exists with uuid %s", name,
                             (const char *)sqlite3_column_text(row, 0));
    return step == INV_STEP_DONE;
}

gboolean
inv_store_add_revision_locked(InvStore *store, const InvStoredDomain *current, const char *name, const char *xml,
                              const char *record, const char *reason, gint64 *revision, GError **error)
{
    gint64 number = current->revision + 1;

    if (!inv_database_run(store->database, error,
                          "INSERT INTO revision (uuid, number, time, reason, name, xml, record) VALUES (?, ?, ?, ?, ?, ?, ?)",
                          "siissss", current->uuid, number, g_get_real_time() / G_USEC_PER_SEC, reason ? reason : "", name,
                          xml, record) ||
        !inv_database_run(store->database, error, "UPDATE domain SET name = ?, revision = ? WHERE uuid = ?", "sis", name,
                          number, current->uuid))
        return FALSE;
    if (revision)
        *revision = number;
    return TRUE;
}

static gboolean
each_row(InvStore *store, const char *query, InvTakeStoredDomain take, gpointer user_data, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);
    inv_autoreset sqlite3_stmt *row = inv_database_query(store->database, error, query, "");
    InvStep step = INV_STEP_FAILED;

    while (row && (step = inv_database_step(store->database, row, error)) == INV_STEP_ROW)
        take(domain_of_row(row), user_data);
    return step == INV_STEP_DONE;
}

/* The one table alone: definitions and records are a hundred times of that. */
gboolean
inv_store_each_domain(InvStore *store, InvTakeStoredDomain take, gpointer user_data, GError **error)
{
    return each_row(store, "SELECT uuid, name, NULL, autostart, revision, NULL FROM domain", take, user_data, error);
}

InvStoredDomain *
inv_store_get_domain(InvStore *store, const char *uuid, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

    return inv_store_find_locked(store, uuid, error);
}

static void
add_to_list(InvStoredDomain *domain, gpointer user_data)
{
    g_ptr_array_add(user_data, domain);
}

GPtrArray *
inv_store_list_domains(InvStore *store, GError **error)
{
    g_autoptr(GPtrArray) domains = g_ptr_array_new_with_free_func((GDestroyNotify)inv_stored_domain_free);

    return each_row(store, SELECT_DOMAIN "ORDER BY d.name", add_to_list, domains, error) ? g_steal_pointer(&domains) : NULL;
}

static gboolean
check_definition(const char *uuid, const char *name, const char *xml, const char *reason, GError **error)
{
    return inv_store_check_uuid(uuid, error) && inv_store_check_text("domain's name", name, INV_STORE_MAX_NAME, error) &&
           inv_store_check_text("definition", xml, INV_STORE_MAX_XML, error) &&
           inv_store_check_text("reason", reason, INV_STORE_MAX_REASON, error);
}

static gboolean
insert_domain_locked(InvStore *store, const char *uuid, const char *name, const char *xml, const char *reason,
                     gint64 *revision, GError **error)
{
    InvStoredDomain none = { .uuid = (char *)uuid };

    return inv_database_run(store->database, error, "INSERT INTO domain (uuid, name, revision) VALUES (?, ?, 1)", "ss", uuid,
                            name) &&
           inv_store_add_revision_locked(store, &none, name, xml, NULL, reason, revision, error) &&
           inv_database_run(store->database, error, "UPDATE running SET persistent = 1 WHERE uuid = ?", "s", uuid);
}

gboolean
inv_store_define(InvStore *store, const char *uuid, const char *name, const char *xml, const char *reason, gint64 *revision,
                 GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);
    g_autoptr(InvTransaction) transaction = NULL;
    g_autoptr(InvStoredDomain) current = NULL;

    if (!check_definition(uuid, name, xml, reason, error) || !(transaction = inv_transaction_begin_locked(store, error)) ||
        !look_up_locked(store, uuid, &current, error) || !inv_store_check_name_locked(store, uuid, name, error))
        return FALSE;
    if (current && !g_str_equal(current->name, name))
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                             "domain '%s' is already defined with uuid %s: rename it before it is defined as '%s'",
                             current->name, uuid, name);
    if (current && g_str_equal(current->xml, xml)) {
        if (revision)
            *revision = current->revision;
        return TRUE;
    }
    if (current && !inv_store_add_revision_locked(store, current, name, xml, current->record, reason, revision, error))
        return FALSE;
    if (!current && !insert_domain_locked(store, uuid, name, xml, reason, revision, error))
        return FALSE;
    inv_fault_point("store-define-before-commit");
    if (!inv_transaction_commit(transaction, error))
        return FALSE;
    inv_fault_point("store-define-after-commit");
    return TRUE;
}

gboolean
inv_store_undefine(InvStore *store, const char *uuid, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);
    g_autoptr(InvTransaction) transaction = inv_transaction_begin_locked(store, error);

    if (!transaction || !inv_database_run(store->database, error, "DELETE FROM domain WHERE uuid = ?", "s", uuid))
        return FALSE;
    if (sqlite3_changes(store->database->handle) == 0)
        return fail_no_domain(uuid, error);
    /* One that runs goes on as a transient domain. */
    return inv_database_run(store->database, error, "UPDATE running SET persistent = 0 WHERE uuid = ?", "s", uuid) &&
           inv_transaction_commit(transaction, error);
}

gboolean
inv_store_set_autostart(InvStore *store, const char *uuid, gboolean autostart, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

    if (!inv_database_run(store->database, error, "UPDATE domain SET autostart = ? WHERE uuid = ?", "is",
                          (gint64)(autostart ? 1 : 0), uuid))
        return FALSE;
    return sqlite3_changes(store->database->handle) == 1 || fail_no_domain(uuid, error);
}

gboolean
inv_store_rename(InvStore *store, const char *uuid, const char *new_name, const char *xml, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);
    g_autoptr(InvTransaction) transaction = NULL;
    g_autoptr(InvStoredDomain) current = NULL;
    g_autofree char *reason = NULL;

    if (!check_definition(uuid, new_name, xml, NULL, error) || !(transaction = inv_transaction_begin_locked(store, error)) ||
        !(current = inv_store_find_locked(store, uuid, error)) ||
        !inv_store_check_name_locked(store, uuid, new_name, error))
        return FALSE;
    reason = g_strdup_printf("renamed from '%.*s'", (int)(INV_STORE_MAX_REASON / 2), current->name);
    return inv_store_add_revision_locked(store, current, new_name, xml, current->record, reason, NULL, error) &&
           inv_transaction_commit(transaction, error);
}
