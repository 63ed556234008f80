/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/migrations.h"

#include "daemon/host.h"
#include "daemon/migration_in.h"
#include "daemon/migration_out.h"
#include "rpc/uri.h"
#include "util/error.h"

#include <string.h>
#include <unistd.h>

/* Of one daemon; what a cookie has more of is not tried. */
#define MAX_CONTACTS 8

/* An outcome is asked for soon, and then less and less often. */
#define FIRST_RETRY_MS 1000u
/* A guest stands still meanwhile. */
#define LAST_RETRY_MS 5000u

typedef struct {
    InvVm *vm;
    guint64 client;
} Watch;

struct InvMigrations {
    InvDaemon *daemon;
    char *hostname, *hostuuid, *contact; /* immutable */
    GMutex lock;
    GArray *watches;     /* of Watch; guarded by lock, as all below */
    GHashTable *clients; /* the numbers of those that are connected (guint64) */
    GSource *retry;      /* or NULL */
    guint retry_ms;
    gboolean resolving;  /* a task is at it */
    gboolean again;      /* what came up while it was */
};

static void
watch_clear(gpointer data)
{
    inv_vm_unref(((Watch *)data)->vm);
}

/* One address of listen_tcp, as other hosts know it. */
static void
add_tcp_contact(GString *contact, const char *text, const char *path)
{
    g_autofree char *address = NULL;
    guint port = 0;
    gboolean any;

    if (!inv_rpc_address_parse(text, &address, &port, NULL))
        return;
    any = strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
    g_string_append_printf(contact, strchr(address, ':') && !any ? " qemu+tcp://[%s]:%u/%s" : " qemu+tcp://%s:%u/%s",
                           any ? g_get_host_name() : address, port, path);
}

/* Where this daemon can be asked, from this host and from others; the asker tries one after the other. */
static char *
make_contact(const InvDaemon *daemon)
{
    const char *path = daemon->paths->session ? "session" : "system";
    g_autofree char *socket = g_uri_escape_string(daemon->paths->socket, "/", FALSE);
    GString *contact = g_string_new(NULL);

    g_string_append_printf(contact, "qemu+unix:///%s?socket=%s", path, socket);
    for (char **each = daemon->config->listen_tcp; each && *each; each++)
        add_tcp_contact(contact, *each, path);
    if (!daemon->paths->session)
        g_string_append_printf(contact, " qemu+ssh://%s/%s", g_get_host_name(), path);
    return g_string_free(contact, FALSE);
}

InvMigrations *
inv_migrations_new(InvDaemon *daemon, GError **error)
{
    InvMigrations *migrations = NULL;
    g_autofree char *hostuuid = inv_host_uuid(error);

    if (!hostuuid)
        return NULL;
    migrations = g_new0(InvMigrations, 1);
    migrations->daemon = daemon;
    migrations->hostname = g_strdup(g_get_host_name());
    migrations->hostuuid = g_steal_pointer(&hostuuid);
    migrations->contact = make_contact(daemon);
    migrations->watches = g_array_new(FALSE, FALSE, sizeof(Watch));
    g_array_set_clear_func(migrations->watches, watch_clear);
    migrations->clients = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    migrations->retry_ms = FIRST_RETRY_MS;
    g_mutex_init(&migrations->lock);
    return migrations;
}

void
inv_migrations_free(InvMigrations *migrations)
{
    if (!migrations)
        return;
    if (migrations->retry) {
        g_source_destroy(migrations->retry);
        g_source_unref(migrations->retry);
    }
    g_array_unref(migrations->watches);
    g_hash_table_unref(migrations->clients);
    g_mutex_clear(&migrations->lock);
    g_free(migrations->hostname);
    g_free(migrations->hostuuid);
    g_free(migrations->contact);
    g_free(migrations);
}

const char *
inv_migrations_hostname(const InvMigrations *migrations)
{
    return migrations->hostname;
}

const char *
inv_migrations_hostuuid(const InvMigrations *migrations)
{
    return migrations->hostuuid;
}

const char *
inv_migrations_contact(const InvMigrations *migrations)
{
    return migrations->contact;
}

InvMigrationCookie *
inv_migrations_new_cookie(const InvMigrations *migrations, const InvVm *vm, const char *token)
{
    InvMigrationCookie *cookie = g_new0(InvMigrationCookie, 1);

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        cookie->name = g_strdup(vm->name);
    }
    cookie->uuid = g_strdup(vm->uuid_text);
    cookie->hostname = g_strdup(migrations->hostname);
    cookie->hostuuid = g_strdup(migrations->hostuuid);
    cookie->token = g_strdup(token);
    cookie->sent_us = g_get_real_time();
    return cookie;
}

gboolean
inv_migrations_watch(InvMigrations *migrations, InvVm *vm, guint64 client, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&migrations->lock);
    Watch watch = { vm, client };

    if (client && !g_hash_table_contains(migrations->clients, &client))
        return inv_error_set(error, VIR_ERR_OPERATION_ABORTED, "operation aborted: the client of this migration is gone");
    inv_vm_ref(vm);
    g_array_append_val(migrations->watches, watch);
    return TRUE;
}

gboolean
inv_migrations_is_connected(InvMigrations *migrations, guint64 client)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&migrations->lock);

    return !client || g_hash_table_contains(migrations->clients, &client);
}

void
inv_migrations_client_opened(InvMigrations *migrations, InvRpcClient *client)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&migrations->lock);
    guint64 number = inv_rpc_client_number(client);

    g_hash_table_add(migrations->clients, g_memdup2(&number, sizeof(number)));
}

void
inv_migrations_unwatch(InvMigrations *migrations, InvVm *vm)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&migrations->lock);

    for (guint i = migrations->watches->len; i > 0; i--) {
        if (g_array_index(migrations->watches, Watch, i - 1).vm == vm)
            g_array_remove_index_fast(migrations->watches, i - 1);
    }
}

/* A client of a migration is gone: what the I/O thread hands to a task. */
typedef struct {
    InvDaemon *daemon;
    InvVm *vm;
    guint64 client;
} Gone;

static void
handle_gone(gpointer data)
{
    Gone *gone = data;

    inv_migration_in_client_gone(gone->daemon, gone->vm, gone->client);
    inv_migration_out_client_gone(gone->daemon, gone->vm, gone->client);
    inv_vm_unref(gone->vm);
    g_free(gone);
}

void
inv_migrations_client_closed(InvMigrations *migrations, InvRpcClient *client)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&migrations->lock);
    guint64 number = inv_rpc_client_number(client);

    g_hash_table_remove(migrations->clients, &number);
    for (guint i = 0; i < migrations->watches->len; i++) {
        const Watch *watch = &g_array_index(migrations->watches, Watch, i);
        Gone *gone = NULL;

        if (watch->client != number)
            continue;
        gone = g_new0(Gone, 1);
        gone->daemon = migrations->daemon;
        gone->vm = inv_vm_ref(watch->vm);
        gone->client = number;
        inv_daemon_post(migrations->daemon, handle_gone, gone);
    }
}

gboolean
inv_migrations_split_peer(const char *peer, char **hostuuid, char ***uris)
{
    const char *blank = peer ? strchr(peer, ' ') : NULL;

    if (!blank)
        return FALSE;
    *hostuuid = g_strndup(peer, (gsize)(blank - peer));
    *uris = g_strsplit(blank + 1, " ", MAX_CONTACTS + 1);
    return TRUE;
}

static void
resolve(gpointer data)
{
    InvMigrations *migrations = data;
    g_autoptr(GPtrArray) all = inv_registry_list(migrations->daemon->registry);
    gboolean left = FALSE;

    for (guint i = 0; i < all->len && !inv_daemon_is_ending(migrations->daemon); i++) {
        g_autoptr(GError) error = NULL;
        InvVm *vm = g_ptr_array_index(all, i);

        if (!inv_migration_out_resolve(migrations->daemon, vm, &error)) {
            g_message("the migration of domain %s is still not at its end: %s", vm->uuid_text, error->message);
            left = TRUE;
        }
    }
    {
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&migrations->lock);

        migrations->resolving = FALSE;
        migrations->retry_ms = left ? MIN(migrations->retry_ms * 2, LAST_RETRY_MS) : FIRST_RETRY_MS;
        left = left || migrations->again;
        migrations->again = FALSE;
    }
    if (left)
        inv_migrations_resolve_later(migrations);
}

static gboolean
retry(gpointer data)
{
    InvMigrations *migrations = data;
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&migrations->lock);

    g_clear_pointer(&migrations->retry, g_source_unref);
    if (inv_daemon_is_ending(migrations->daemon))
        return G_SOURCE_REMOVE;
    migrations->resolving = TRUE;
    inv_daemon_post(migrations->daemon, resolve, migrations);
    return G_SOURCE_REMOVE;
}

void
inv_migrations_resolve_later(InvMigrations *migrations)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&migrations->lock);

    /* The task may have passed this one by already. */
    migrations->again = migrations->resolving;
    if (migrations->retry || migrations->resolving)
        return;
    migrations->retry = g_timeout_source_new(migrations->retry_ms);
    g_source_set_callback(migrations->retry, retry, migrations, NULL);
    g_source_attach(migrations->retry, inv_io_thread_context(migrations->daemon->io));
}

gboolean
inv_migrations_adopt(InvDaemon *daemon, GError **error)
{
    g_autoptr(GPtrArray) list = inv_store_list_migrations(daemon->store, error);

    if (!list)
        return FALSE;
    for (guint i = 0; i < list->len; i++) {
        const InvStoredMigration *stored = g_ptr_array_index(list, i);

        if (stored->role == INV_MIGRATION_IN)
            inv_migration_in_adopt(daemon, stored);
        else
            inv_migration_out_adopt(daemon, stored);
    }
    return TRUE;
}
