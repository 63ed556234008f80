/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/disk_copy.h"

#include "daemon/domain_job.h"
#include "util/error.h"

#include <glib/gstdio.h>
#include <string.h>

/* Exports are opened, mirrors begun: each of these answers at once or not at all. */
#define STEP_DEADLINE_MS 30000u
#define LOOK_MS 200u

void
inv_disk_copy_free(InvDiskCopy *copy)
{
    if (!copy)
        return;
    g_ptr_array_unref(copy->disks);
    g_strfreev(copy->made);
    g_free(copy->path);
    g_free(copy);
}

gboolean
inv_disk_copy_tell(InvVm *vm, const InvMigrationOptions *options, InvMigrationCookie *cookie, GError **error)
{
    g_autoptr(InvQmp) qmp = NULL;

    if (!inv_migration_options_copy(options))
        return TRUE;
    qmp = inv_vm_get_qmp(vm, error);
    if (!qmp)
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (!vm->live)
            return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "domain '%s' is not running", vm->name);
        cookie->disks = inv_migration_copied_disks(vm->live, (const char *const *)options->disks, error);
    }
    return cookie->disks && inv_migration_copy_capacities(qmp, cookie->disks, STEP_DEADLINE_MS, error);
}

static const InvCopiedDisk *
find_disk(const GPtrArray *disks, const char *target)
{
    for (guint i = 0; disks && i < disks->len; i++) {
        const InvCopiedDisk *disk = g_ptr_array_index(disks, i);

        if (g_strcmp0(disk->target, target) == 0)
            return disk;
    }
    return NULL;
}

/* The disks that the source announces, as this side's definition has them. */
static GPtrArray *
announced(const InvDomain *domain, const InvMigrationCookie *source, GError **error)
{
    g_autoptr(GPtrArray) targets = g_ptr_array_new();
    g_autoptr(GPtrArray) disks = NULL;

    for (guint i = 0; source->disks && i < source->disks->len; i++)
        g_ptr_array_add(targets, ((const InvCopiedDisk *)g_ptr_array_index(source->disks, i))->target);
    g_ptr_array_add(targets, NULL);
    disks = inv_migration_copied_disks(domain, (const char *const *)targets->pdata, error);
    for (guint i = 0; disks && i < disks->len; i++) {
        InvCopiedDisk *disk = g_ptr_array_index(disks, i);

        disk->capacity = find_disk(source->disks, disk->target)->capacity;
    }
    return g_steal_pointer(&disks);
}

InvDiskCopy *
inv_disk_copy_new(InvDaemon *daemon, const InvDomain *domain, const InvMigrationCookie *source, const InvMigrationOptions *options,
                  GError **error)
{
    g_autoptr(GPtrArray) disks = announced(domain, source, error);
    g_autoptr(InvDiskCopy) copy = NULL;

    if (!disks)
        return NULL;
    copy = g_new0(InvDiskCopy, 1);
    copy->disks = g_steal_pointer(&disks);
    if (!inv_migration_copy_prepare_images(domain, copy->disks, (options->flags & VIR_MIGRATE_NON_SHARED_INC) != 0,
                                           daemon->qemu_uid, daemon->qemu_gid, &copy->made, error))
        return NULL;
    return g_steal_pointer(&copy);
}

gboolean
inv_disk_copy_receive(InvDiskCopy *copy, InvQmp *qmp, const char *folder, const InvMigrationOptions *options, GError **error)
{
    g_autofree char *host = NULL, *path = NULL, *state_host = NULL, *state_path = NULL;
    guint port = 0, state_port = 0;

    if (!copy->disks->len)
        return TRUE;
    if (options->disks_uri && !inv_migration_uri_parse(options->disks_uri, &host, &port, &path, error))
        return FALSE;
    if (!options->disks_uri && options->uri && !inv_migration_uri_parse(options->uri, &state_host, &state_port, &state_path, error))
        return FALSE;
    /* The disks go the way of the state, where nothing else is said. */
    if (state_path)
        path = g_build_filename(folder, "disks.sock", NULL);
    if (!port)
        port = options->disks_port;
    if (!inv_migration_copy_serve(qmp, copy->disks, options->listen_address ? options->listen_address : "::", port, port, path,
                                  &copy->port, STEP_DEADLINE_MS, error))
        return FALSE;
    copy->path = g_steal_pointer(&path);
    return TRUE;
}

void
inv_disk_copy_undo(InvDiskCopy *copy)
{
    for (char **path = copy->made; path && *path; path++) {
        if (g_unlink(*path) < 0)
            g_warning("cannot remove '%s', which was made for a migration that failed", *path);
    }
    g_clear_pointer(&copy->made, g_strfreev);
}

/* Where the destination receives them: what it says, at the host that the state goes to. */
static gboolean
find_address(const InvMigrationOptions *options, const InvMigrationCookie *theirs, char **host, guint *port, char **path,
             GError **error)
{
    if (options->disks_uri) {
        if (!inv_migration_uri_parse(options->disks_uri, host, port, path, error))
            return FALSE;
    } else if (theirs->nbd_path) {
        *path = g_strdup(theirs->nbd_path);
    } else if (theirs->nbd_host) {
        *host = g_strdup(theirs->nbd_host);
    } else if (!inv_migration_uri_parse(options->uri, host, port, path, error)) {
        return FALSE;
    }
    if (*path)
        return TRUE;
    *port = theirs->nbd_port;
    return *port || inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the destination does not receive disks: it names no port for them");
}

gboolean
inv_disk_copy_send(InvVm *vm, InvQmp *qmp, GPtrArray *disks, const InvMigrationOptions *options, const InvMigrationCookie *theirs,
                   guint64 bandwidth, InvDiskCopyLook look, gpointer user_data, GError **error)
{
    g_autofree char *host = NULL, *path = NULL;
    gboolean ready = FALSE;
    guint port = 0;

    if (!disks->len)
        return TRUE;
    if (!find_address(options, theirs, &host, &port, &path, error) ||
        !inv_migration_copy_start(qmp, disks, host, port, path, (options->flags & VIR_MIGRATE_NON_SHARED_INC) != 0, bandwidth,
                                  STEP_DEADLINE_MS, error))
        return FALSE;
    while (!ready) {
        guint64 total = 0, done = 0;

        if (!inv_migration_copy_query(qmp, disks, &ready, &total, &done, STEP_DEADLINE_MS, error) ||
            !look(total, done, user_data, error))
            return FALSE;
        if (!ready)
            inv_vm_wait_migration(vm, INV_MIGRATION_NONE, LOOK_MS);
    }
    return TRUE;
}
