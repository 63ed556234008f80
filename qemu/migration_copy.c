/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/migration_copy.h"

#include "util/error.h"

#include <string.h>

/* Of job, nodes and export of a copied disk: short, since a node's name has at most 31 bytes, a target may have more. */
#define NAME_FORMAT "copy%u"

void
inv_copied_disk_free(InvCopiedDisk *disk)
{
    g_free(disk->target);
    g_free(disk->alias);
    g_free(disk);
}

static const char *
why_not_copied(const InvDisk *disk)
{
    if (!disk->path)
        return "is an empty drive";
    if (disk->device == INV_DISK_CDROM)
        return "is a CD-ROM";
    return disk->readonly ? "is read-only" : NULL;
}

static gboolean
check_names(const GPtrArray *disks, const InvDomain *domain, const char *const *only, GError **error)
{
    for (const char *const *name = only; *name; name++) {
        gboolean found = FALSE;

        for (guint i = 0; !found && i < disks->len; i++)
            found = g_str_equal(((const InvCopiedDisk *)g_ptr_array_index(disks, i))->target, *name);
        if (!found)
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "domain '%s' has no disk '%.64s' to copy", domain->name, *name);
    }
    return TRUE;
}

GPtrArray *
inv_migration_copied_disks(const InvDomain *domain, const char *const *only, GError **error)
{
    g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func((GDestroyNotify)inv_copied_disk_free);
    guint number = 0;

    for (guint i = 0; i < domain->devices->len; i++) {
        const InvDevice *device = g_ptr_array_index(domain->devices, i);
        const InvDisk *disk = &device->u.disk;
        const char *why;
        InvCopiedDisk *copied;

        if (device->type != INV_DEVICE_DISK)
            continue;
        number++;
        why = why_not_copied(disk);
        if (only ? !g_strv_contains(only, disk->target) : why || disk->shareable)
            continue;
        if (why) {
            inv_error_set(error, VIR_ERR_INVALID_ARG, "disk '%s' %s and cannot be copied", disk->target, why);
            return NULL;
        }
        copied = g_new0(InvCopiedDisk, 1);
        copied->target = g_strdup(disk->target);
        copied->alias = g_strdup(device->alias);
        copied->number = number - 1; /* as inv_command_build() counts */
        g_ptr_array_add(disks, copied);
    }
    if (only && !check_names(disks, domain, only, error))
        return NULL;
    return g_steal_pointer(&disks);
}

static char *
node_of(const InvCopiedDisk *disk)
{
    return g_strdup_printf("disk%u-format", disk->number);
}

static guint
left_until(gint64 end)
{
    return (guint)MAX((end - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND, 1);
}

static gint64
end_of(guint deadline_ms)
{
    return g_get_monotonic_time() + (gint64)deadline_ms * G_TIME_SPAN_MILLISECOND;
}

static const InvJson *
find_entry(const InvJson *list, const char *name, const char *value)
{
    for (guint i = 0; i < inv_json_size(list); i++) {
        if (g_strcmp0(inv_json_get_string(inv_json_at(list, i), name), value) == 0)
            return inv_json_at(list, i);
    }
    return NULL;
}

gboolean
inv_migration_copy_capacities(InvQmp *qmp, GPtrArray *disks, guint deadline_ms, GError **error)
{
    g_autoptr(InvJson) flat = inv_json_new_object();
    g_autoptr(InvJson) nodes = NULL;

    inv_json_object_set_boolean(flat, "flat", TRUE);
    if (!inv_qmp_call(qmp, "query-named-block-nodes", flat, deadline_ms, &nodes, error))
        return FALSE;
    for (guint i = 0; i < disks->len; i++) {
        InvCopiedDisk *disk = g_ptr_array_index(disks, i);
        g_autofree char *node = node_of(disk);
        const InvJson *image = inv_json_get(find_entry(nodes, "node-name", node), "image");

        disk->capacity = inv_json_get_uint(image, "virtual-size", 0);
        if (disk->capacity == 0)
            return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "QEMU does not tell the size of disk '%s'", disk->target);
    }
    return TRUE;
}

/* "inet" or "unix" with its data, as SocketAddressLegacy (nested) or SocketAddress has it. */
static InvJson *
make_address(const char *host, guint port, const char *path, gboolean nested)
{
    g_autofree char *digits = g_strdup_printf("%u", port);
    InvJson *address = inv_json_new_object();
    InvJson *data = nested ? inv_json_new_object() : address;

    inv_json_object_set_string(address, "type", path ? "unix" : "inet");
    if (path) {
        inv_json_object_set_string(data, "path", path);
    } else {
        inv_json_object_set_string(data, "host", host);
        inv_json_object_set_string(data, "port", digits);
    }
    if (nested)
        inv_json_object_set(address, "data", data);
    return address;
}

static gboolean
call_with(InvQmp *qmp, const char *command, InvJson *arguments, gint64 end, GError **error)
{
    g_autoptr(InvJson) owned = arguments;

    return inv_qmp_call(qmp, command, owned, left_until(end), NULL, error);
}

/* *@in_use: another port may be tried. */
static gboolean
start_server(InvQmp *qmp, const char *host, guint port, const char *path, gboolean *in_use, gint64 end, GError **error)
{
    InvJson *arguments = inv_json_new_object();
    GError *refused = NULL;

    inv_json_object_set(arguments, "addr", make_address(host, port, path, TRUE));
    if (call_with(qmp, "nbd-server-start", arguments, end, &refused))
        return TRUE;
    *in_use = strstr(refused->message, "Address already in use") != NULL;
    if (path)
        g_propagate_prefixed_error(error, refused, "no disks can be copied to '%s': ", path);
    else
        g_propagate_prefixed_error(error, refused, "no disks can be copied to '%s' port %u: ", host, port);
    return FALSE;
}

static gboolean
find_port(InvQmp *qmp, const char *host, guint first, guint last, guint *port, gint64 end, GError **error)
{
    for (guint i = first; i <= last && i <= 65535; i++) {
        g_autoptr(GError) refused = NULL;
        gboolean in_use = FALSE;

        if (start_server(qmp, host, i, NULL, &in_use, end, &refused)) {
            *port = i;
            return TRUE;
        }
        if (!in_use) {
            g_propagate_error(error, g_steal_pointer(&refused));
            return FALSE;
        }
    }
    return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "no disks can be copied to '%s': its ports %u to %u are all in use", host,
                         first, last);
}

static gboolean
add_export(InvQmp *qmp, const InvCopiedDisk *disk, gint64 end, GError **error)
{
    g_autofree char *id = g_strdup_printf(NAME_FORMAT, disk->number);
    g_autofree char *node = node_of(disk);
    InvJson *arguments = inv_json_new_object();

    inv_json_object_set_string(arguments, "type", "nbd");
    inv_json_object_set_string(arguments, "id", id);
    inv_json_object_set_string(arguments, "node-name", node);
    inv_json_object_set_string(arguments, "name", disk->target);
    inv_json_object_set_boolean(arguments, "writable", TRUE);
    if (call_with(qmp, "block-export-add", arguments, end, error))
        return TRUE;
    g_prefix_error(error, "disk '%s' cannot be copied: ", disk->target);
    return FALSE;
}

gboolean
inv_migration_copy_serve(InvQmp *qmp, GPtrArray *disks, const char *host, guint first_port, guint last_port, const char *path,
                         guint *port, guint deadline_ms, GError **error)
{
    gint64 end = end_of(deadline_ms);
    guint first = first_port ? first_port : INV_COPY_PORT;
    guint last = last_port ? last_port : first_port ? first_port : INV_COPY_PORT + INV_COPY_PORTS - 1;
    gboolean in_use = FALSE;
    guint taken = 0;

    if (path ? !start_server(qmp, host, 0, path, &in_use, end, error) : !find_port(qmp, host, first, last, &taken, end, error))
        return FALSE;
    for (guint i = 0; i < disks->len; i++) {
        if (!add_export(qmp, g_ptr_array_index(disks, i), end, error)) {
            inv_migration_copy_stop_serving(qmp, left_until(end), NULL);
            return FALSE;
        }
    }
    if (port)
        *port = taken;
    return TRUE;
}

gboolean
inv_migration_copy_stop_serving(InvQmp *qmp, guint deadline_ms, GError **error)
{
    GError *refused = NULL;

    if (inv_qmp_call(qmp, "nbd-server-stop", NULL, deadline_ms, NULL, &refused))
        return TRUE;
    if (strstr(refused->message, "not running")) {
        g_error_free(refused);
        return TRUE;
    }
    g_propagate_error(error, refused);
    return FALSE;
}

static gboolean
connect_export(InvQmp *qmp, const InvCopiedDisk *disk, const char *host, guint port, const char *path, gint64 end, GError **error)
{
    g_autofree char *node = g_strdup_printf(NAME_FORMAT "-format", disk->number);
    g_autofree char *storage = g_strdup_printf(NAME_FORMAT "-storage", disk->number);
    InvJson *arguments = inv_json_new_object();
    InvJson *file = inv_json_new_object();

    inv_json_object_set_string(file, "driver", "nbd");
    inv_json_object_set_string(file, "node-name", storage);
    inv_json_object_set(file, "server", make_address(host, port, path, FALSE));
    inv_json_object_set_string(file, "export", disk->target);
    inv_json_object_set_string(file, "discard", "unmap");
    inv_json_object_set_string(arguments, "driver", "raw");
    inv_json_object_set_string(arguments, "node-name", node);
    inv_json_object_set_string(arguments, "discard", "unmap");
    inv_json_object_set(arguments, "file", file);
    return call_with(qmp, "blockdev-add", arguments, end, error);
}

/* An ended job stays until it is dismissed: only so is it known how it ended. */
static gboolean
start_mirror(InvQmp *qmp, const InvCopiedDisk *disk, gboolean incremental, guint64 bandwidth, gint64 end, GError **error)
{
    g_autofree char *job = g_strdup_printf(NAME_FORMAT, disk->number);
    g_autofree char *to = g_strdup_printf(NAME_FORMAT "-format", disk->number);
    g_autofree char *from = node_of(disk);
    InvJson *arguments = inv_json_new_object();

    inv_json_object_set_string(arguments, "job-id", job);
    inv_json_object_set_string(arguments, "device", from);
    inv_json_object_set_string(arguments, "target", to);
    inv_json_object_set_string(arguments, "sync", incremental ? "top" : "full");
    inv_json_object_set_boolean(arguments, "auto-dismiss", FALSE);
    inv_json_object_set_string(arguments, "on-source-error", "report");
    inv_json_object_set_string(arguments, "on-target-error", "report");
    if (bandwidth)
        inv_json_object_set_uint(arguments, "speed", MIN(bandwidth, (guint64)G_MAXINT64));
    return call_with(qmp, "blockdev-mirror", arguments, end, error);
}

gboolean
inv_migration_copy_start(InvQmp *qmp, GPtrArray *disks, const char *host, guint port, const char *path, gboolean incremental,
                         guint64 bandwidth, guint deadline_ms, GError **error)
{
    gint64 end = end_of(deadline_ms);

    for (guint i = 0; i < disks->len; i++) {
        const InvCopiedDisk *disk = g_ptr_array_index(disks, i);

        if (connect_export(qmp, disk, host, port, path, end, error) && start_mirror(qmp, disk, incremental, bandwidth, end, error))
            continue;
        g_prefix_error(error, "disk '%s' cannot be copied: ", disk->target);
        inv_migration_copy_finish(qmp, disks, TRUE, deadline_ms, NULL);
        return FALSE;
    }
    return TRUE;
}

/* Of a job as query-block-jobs tells it; @job may be NULL. */
static gboolean
check_job(const InvCopiedDisk *disk, const InvJson *job, GError **error)
{
    const char *why = job ? inv_json_get_string(job, "error") : "QEMU knows nothing of it any more";

    return !why || inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the copy of disk '%s' failed: %s", disk->target, why);
}

gboolean
inv_migration_copy_query(InvQmp *qmp, GPtrArray *disks, gboolean *ready, guint64 *total, guint64 *done, guint deadline_ms,
                         GError **error)
{
    g_autoptr(InvJson) jobs = NULL;
    gboolean all = TRUE;
    guint64 sum_total = 0;
    guint64 sum_done = 0;

    if (!inv_qmp_call(qmp, "query-block-jobs", NULL, deadline_ms, &jobs, error))
        return FALSE;
    for (guint i = 0; i < disks->len; i++) {
        const InvCopiedDisk *disk = g_ptr_array_index(disks, i);
        g_autofree char *id = g_strdup_printf(NAME_FORMAT, disk->number);
        const InvJson *job = find_entry(jobs, "device", id);
        guint64 length = MIN(inv_json_get_uint(job, "len", 0), INV_COPY_MAX_CAPACITY);

        if (!check_job(disk, job, error))
            return FALSE;
        all = all && inv_json_get_boolean(job, "ready", FALSE);
        sum_total += length;
        sum_done += MIN(inv_json_get_uint(job, "offset", 0), length);
    }
    if (ready)
        *ready = all;
    if (total)
        *total = sum_total;
    if (done)
        *done = sum_done;
    return TRUE;
}

static void
cancel_job(InvQmp *qmp, const InvCopiedDisk *disk, gboolean abort, gint64 end, GError **error)
{
    g_autofree char *id = g_strdup_printf(NAME_FORMAT, disk->number);
    InvJson *arguments = inv_json_new_object();

    inv_json_object_set_string(arguments, "device", id);
    inv_json_object_set_boolean(arguments, "force", abort);
    call_with(qmp, "block-job-cancel", arguments, end, error);
}

/* Waits until the disk's job has come to an end, or is gone. FALSE: it has not, or QEMU did not answer. */
static gboolean
wait_job(InvQmp *qmp, const InvCopiedDisk *disk, gint64 end, GError **error)
{
    g_autofree char *id = g_strdup_printf(NAME_FORMAT, disk->number);

    for (;;) {
        guint64 seen = inv_qmp_events(qmp);
        g_autoptr(InvJson) jobs = NULL;
        const InvJson *job;

        if (!inv_qmp_call(qmp, "query-jobs", NULL, left_until(end), &jobs, error))
            return FALSE;
        job = find_entry(jobs, "id", id);
        if (!job || g_strcmp0(inv_json_get_string(job, "status"), "concluded") == 0)
            return check_job(disk, job, error);
        if (!inv_qmp_wait_event(qmp, seen, left_until(end)))
            return inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT, "the copy of disk '%s' did not come to its end in time",
                                 disk->target);
    }
}

/* Nothing that is asked for here need be there: what is not is no error. */
static void
forget_job(InvQmp *qmp, const InvCopiedDisk *disk, gint64 end)
{
    g_autofree char *id = g_strdup_printf(NAME_FORMAT, disk->number);
    g_autofree char *node = g_strdup_printf(NAME_FORMAT "-format", disk->number);
    InvJson *arguments = inv_json_new_object();

    inv_json_object_set_string(arguments, "id", id);
    call_with(qmp, "job-dismiss", arguments, end, NULL);
    arguments = inv_json_new_object();
    inv_json_object_set_string(arguments, "node-name", node);
    call_with(qmp, "blockdev-del", arguments, end, NULL);
}

/* A job that is told to end before it has caught up ends with half a copy: that must not pass for success. */
static gboolean
check_ready(InvQmp *qmp, GPtrArray *disks, gint64 end, GError **error)
{
    gboolean ready = FALSE;

    return inv_migration_copy_query(qmp, disks, &ready, NULL, NULL, left_until(end), error) &&
        (ready || inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the copies of the disks have not caught up with the guest yet"));
}

gboolean
inv_migration_copy_finish(InvQmp *qmp, GPtrArray *disks, gboolean abort, guint deadline_ms, GError **error)
{
    gint64 end = end_of(deadline_ms);
    g_autoptr(GError) first = NULL;

    if (!abort && !check_ready(qmp, disks, end, error)) {
        inv_migration_copy_finish(qmp, disks, TRUE, deadline_ms, NULL);
        return FALSE;
    }
    for (guint i = 0; i < disks->len; i++)
        cancel_job(qmp, g_ptr_array_index(disks, i), abort, end, abort || first ? NULL : &first);
    for (guint i = 0; i < disks->len; i++) {
        const InvCopiedDisk *disk = g_ptr_array_index(disks, i);
        g_autoptr(GError) failed = NULL;

        if (!wait_job(qmp, disk, end, &failed) && !first && (!abort || inv_error_code(failed) == VIR_ERR_OPERATION_TIMEOUT))
            first = g_steal_pointer(&failed);
        forget_job(qmp, disk, end);
    }
    if (!first)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&first));
    return FALSE;
}
