/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/load_domains.h"

#include "daemon/record_jobs.h"
#include "util/error.h"

#include <malloc.h>

/* Made in one go by one thread; fewer domains than that need no thread. */
#define BATCH 64u
/* Beyond that they only wait for the one that reads. */
#define MAX_THREADS 8u
/* So many leave memory behind that is worth giving back. */
#define MANY 1000u

typedef struct {
    InvDaemon *daemon;
    GThreadPool *pool; /* of batches; NULL until there is a second one */
    GPtrArray *batch;  /* of InvStoredDomain, owned */
    guint count;
} Load;

/* A definition that this version cannot read, which is found later, is kept as it is and listed: it is somebody's data. */
static void
load_domain(InvDaemon *daemon, InvStoredDomain *stored)
{
    unsigned char uuid[VIR_UUID_BUFLEN];
    g_autoptr(InvVm) vm = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(InvRegistryLock) lock = NULL;

    if (!inv_uuid_parse(stored->uuid, uuid)) {
        g_warning("the store has a domain '%s' with the malformed uuid '%s': it is left out", stored->name, stored->uuid);
        return;
    }
    vm = inv_vm_new(daemon->registry, uuid, stored->name);
    vm->inactive_xml = g_steal_pointer(&stored->xml);
    vm->autostart = stored->autostart;
    vm->revision = stored->revision;
    vm->unread = TRUE;
    if (stored->record && !(vm->record = inv_record_parse(stored->record, &error))) {
        g_warning("the CPU record of domain '%s' cannot be read: %s", stored->name, error->message);
        inv_vm_add_message_locked(vm, "its CPU record cannot be read: %s", error->message);
    }
    g_clear_error(&error);
    /* Until here nobody else knew it. */
    lock = inv_registry_lock(daemon->registry);
    if (!inv_registry_add_locked(daemon->registry, vm, &error))
        g_warning("domain '%s' is left out: %s", stored->name, error->message);
}

static void
load_batch(gpointer data, gpointer user_data)
{
    g_autoptr(GPtrArray) batch = data;

    for (guint i = 0; i < batch->len; i++)
        load_domain(user_data, g_ptr_array_index(batch, i));
}

static GPtrArray *
new_batch(void)
{
    return g_ptr_array_new_full(BATCH, (GDestroyNotify)inv_stored_domain_free);
}

static void
take_domain(InvStoredDomain *stored, gpointer user_data)
{
    Load *load = user_data;

    load->count++;
    if (load->batch->len == BATCH) {
        if (!load->pool)
            load->pool = g_thread_pool_new(load_batch, load->daemon, (int)CLAMP(g_get_num_processors(), 1, MAX_THREADS), FALSE, NULL);
        g_thread_pool_push(load->pool, g_steal_pointer(&load->batch), NULL);
        load->batch = new_batch();
    }
    g_ptr_array_add(load->batch, stored);
}

gboolean
inv_load_domains(InvDaemon *daemon, GError **error)
{
    Load load = { .daemon = daemon, .batch = new_batch() };
    gboolean ok = inv_store_each_domain(daemon->store, take_domain, &load, error);

    load_batch(load.batch, daemon);
    if (load.pool)
        g_thread_pool_free(load.pool, FALSE, TRUE);
#ifdef __GLIBC__
    /* What reading left behind is none of what lists and answers need. */
    if (load.count > MANY)
        malloc_trim(0);
#endif
    return ok;
}
