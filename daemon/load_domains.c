/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/load_domains.h"

#include "util/error.h"

/* A definition that this version cannot read, which is found later, is kept as it is and listed: it is somebody's data. */
static void
take_domain(InvStoredDomain *to_take, gpointer user_data)
{
    g_autoptr(InvStoredDomain) stored = to_take;
    InvRegistry *registry = user_data;
    unsigned char uuid[VIR_UUID_BUFLEN];
    g_autoptr(InvVm) vm = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(InvRegistryLock) lock = NULL;

    if (!inv_uuid_parse(stored->uuid, uuid)) {
        g_warning("the store has a domain '%s' with the malformed uuid '%s': it is left out", stored->name, stored->uuid);
        return;
    }
    vm = inv_vm_new(registry, uuid, stored->name);
    vm->persistent = TRUE;
    vm->autostart = stored->autostart;
    vm->revision = stored->revision;
    vm->unread = TRUE;
    lock = inv_registry_lock(registry);
    if (!inv_registry_add_locked(registry, vm, &error))
        g_warning("domain '%s' is left out: %s", stored->name, error->message);
}

gboolean
inv_load_domains(InvDaemon *daemon, GError **error)
{
    return inv_store_each_domain(daemon->store, take_domain, daemon->registry, error);
}
