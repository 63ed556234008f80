/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/database.h"
#include "store/store.h"

G_BEGIN_DECLS

/* Internal to store/. */
struct InvStore {
    GMutex lock;           /* serialises every use of the database */
    InvDatabase *database; /* guarded by lock */
};

/* Opens the file, makes it when it is absent, brings an older one up to date (schema.c). */
InvDatabase *inv_store_open_database(const char *path, GError **error);

/*
 * A write transaction in a scope: what is not committed when it ends is rolled back. NULL with an
 * error set when it cannot begin. The caller holds the lock.
 */
typedef struct InvTransaction InvTransaction;

InvTransaction *inv_transaction_begin_locked(InvStore *store, GError **error);
gboolean inv_transaction_commit(InvTransaction *transaction, GError **error);
void inv_transaction_end(InvTransaction *transaction);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvTransaction, inv_transaction_end)

/* The domain's current state, or VIR_ERR_NO_DOMAIN. */
InvStoredDomain *inv_store_find_locked(InvStore *store, const char *uuid, GError **error);

/* Is the name free for @uuid? */
gboolean inv_store_check_name_locked(InvStore *store, const char *uuid, const char *name, GError **error);

/* Adds the revision after @current and makes it the current one, with its name. */
gboolean inv_store_add_revision_locked(InvStore *store, const InvStoredDomain *current, const char *name, const char *xml,
                                       const char *record, const char *reason, gint64 *revision, GError **error);

/* Limits on what a caller passes on from outside; NULL texts pass. */
gboolean inv_store_check_text(const char *what, const char *text, gsize limit, GError **error);
gboolean inv_store_check_uuid(const char *uuid, GError **error);

#define INV_STORE_MAX_XML (4u * 1024 * 1024)    /* what xml/ reads at most */
#define INV_STORE_MAX_RECORD (4u * 1024 * 1024) /* a record has a line for each feature: some hundred KiB at most */
#define INV_STORE_MAX_NAME 4096u
#define INV_STORE_MAX_REASON 1024u

G_END_DECLS
