/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"
#include "daemon/migration_cookie.h"

G_BEGIN_DECLS

/*
 * The migrations of this daemon that are under way, and what this host tells the other side of
 * itself. Safe from any thread.
 */
typedef struct InvMigrations InvMigrations;

InvMigrations *inv_migrations_new(InvDaemon *daemon, GError **error);
/* After the server, the tasks and the I/O thread's work have ended. */
void inv_migrations_free(InvMigrations *migrations);

/* Borrowed. */
const char *inv_migrations_hostname(const InvMigrations *migrations);
const char *inv_migrations_hostuuid(const InvMigrations *migrations);
/* "URI…": where this host can be asked for the outcome of what comes to it, one after the other. Borrowed. */
const char *inv_migrations_contact(const InvMigrations *migrations);

/* A cookie that says who sends it; the caller fills in the rest and owns it. */
InvMigrationCookie *inv_migrations_new_cookie(const InvMigrations *migrations, const InvVm *vm, const char *token);

/*
 * @client (its number; 0: this daemon itself) drives a migration of @vm in or out: when it goes away
 * before the migration's next step, inv_migration_in_client_gone() or inv_migration_out_client_gone()
 * is called on a task. FALSE: it has gone already.
 */
gboolean inv_migrations_watch(InvMigrations *migrations, InvVm *vm, guint64 client, GError **error);
gboolean inv_migrations_is_connected(InvMigrations *migrations, guint64 client);
void inv_migrations_unwatch(InvMigrations *migrations, InvVm *vm);
/* Both on the I/O thread. */
void inv_migrations_client_opened(InvMigrations *migrations, InvRpcClient *client);
void inv_migrations_client_closed(InvMigrations *migrations, InvRpcClient *client);

/* Brings back to order what an earlier daemon left half done, after its guests were taken up. */
gboolean inv_migrations_adopt(InvDaemon *daemon, GError **error);

/* Somebody must find out how the migration of a domain ended: tries again and again until it is known. */
void inv_migrations_resolve_later(InvMigrations *migrations);

/* The peer that knows an outcome, "UUID URI…" → parts; FALSE when there is no URI. */
gboolean inv_migrations_split_peer(const char *peer, char **hostuuid, char ***uris);

G_END_DECLS
