/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/dispatch.h"

#include "daemon/baselines.h"
#include "daemon/migrations.h"
#include "util/error.h"

#include <string.h>

static const InvDispatchFamily *const remote_families[] = {
    &inv_dispatch_connect, &inv_dispatch_host,      &inv_dispatch_list,
    &inv_dispatch_info,    &inv_dispatch_lifecycle, &inv_dispatch_event,
    &inv_dispatch_cpu,     &inv_dispatch_job,       &inv_dispatch_migrate,
};

static const InvDispatchFamily *const invar_families[] = { &inv_dispatch_invar, &inv_dispatch_baseline, &inv_dispatch_fleet,
                                                          &inv_dispatch_outcome };

static void
client_opened(InvRpcClient *client, gpointer user_data)
{
    InvDaemon *daemon = user_data;

    inv_rpc_client_set_data(client, inv_baselines_new(), (GDestroyNotify)inv_baselines_free);
    inv_migrations_client_opened(daemon->migrations, client);
}

static void
client_closed(InvRpcClient *client, gpointer user_data)
{
    InvDaemon *daemon = user_data;

    inv_events_forget_client(daemon->events, client);
    inv_migrations_client_closed(daemon->migrations, client);
}

static GArray *
join(const InvDispatchFamily *const *families, gsize n)
{
    GArray *methods = g_array_new(FALSE, FALSE, sizeof(InvRpcMethod));

    for (gsize i = 0; i < n; i++)
        g_array_append_vals(methods, families[i]->methods, families[i]->n_methods);
    return methods;
}

void
inv_dispatch_register(InvDaemon *daemon)
{
    /* The server borrows the tables for as long as it lives: for the whole of the process. */
    static GArray *remote, *invar;

    if (!remote) {
        remote = join(remote_families, G_N_ELEMENTS(remote_families));
        invar = join(invar_families, G_N_ELEMENTS(invar_families));
    }
    inv_rpc_server_add_program(daemon->server, &inv_rpc_remote_program, (const InvRpcMethod *)remote->data, remote->len, daemon);
    /* libvirt's clients ask for it; none of its procedures is there yet, and each says so. */
    inv_rpc_server_add_program(daemon->server, &inv_rpc_qemu_program, NULL, 0, daemon);
    inv_rpc_server_add_program(daemon->server, &inv_rpc_invar_program, (const InvRpcMethod *)invar->data, invar->len, daemon);
    inv_rpc_server_set_client_callbacks(daemon->server, client_opened, client_closed, daemon);
}

InvVm *
inv_dispatch_find(InvDaemon *daemon, const remote_nonnull_domain *wire, GError **error)
{
    return inv_registry_get_uuid(daemon->registry, (const unsigned char *)wire->uuid, error);
}

void
inv_dispatch_fill_locked(remote_nonnull_domain *wire, const InvVm *vm)
{
    wire->name = g_strdup(vm->name);
    memcpy(wire->uuid, vm->uuid, VIR_UUID_BUFLEN);
    wire->id = vm->id;
}

void
inv_dispatch_fill(remote_nonnull_domain *wire, InvVm *vm)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    inv_dispatch_fill_locked(wire, vm);
}

gboolean
inv_dispatch_check_flags(unsigned int flags, unsigned int known, const char *procedure, GError **error)
{
    if (flags & ~known)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "unsupported flags (0x%x) in %s", flags & ~known, procedure);
    return TRUE;
}

static gboolean
is_emulator_of_domain(InvDaemon *daemon, const char *path)
{
    g_autoptr(GPtrArray) all = inv_registry_list_platforms(daemon->registry);

    for (guint i = 0; i < all->len; i++) {
        if (g_strcmp0(((const InvVmPlatform *)g_ptr_array_index(all, i))->emulator, path) == 0)
            return TRUE;
    }
    return FALSE;
}

gboolean
inv_dispatch_check_emulator(InvRpcClient *client, InvDaemon *daemon, const char *path, GError **error)
{
    g_auto(GStrv) known = NULL;

    if (!path || !inv_rpc_client_is_read_only(client))
        return TRUE;
    known = inv_emulators_list(daemon->emulators);
    if (g_strv_contains((const char *const *)known, path) || is_emulator_of_domain(daemon, path))
        return TRUE;
    return inv_error_set(error, VIR_ERR_OPERATION_DENIED,
                         "operation forbidden: on a read-only connection only emulators that the host has can be asked, not '%s': see "
                         "invar emulators",
                         path);
}

const char *
inv_dispatch_optional(const remote_string text)
{
    return text ? *text : NULL;
}
