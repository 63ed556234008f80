/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE /* O_DIRECT */
#include "daemon/disk_file.h"

#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
/* Partition table, header of an image, descriptors of a medium (from 32 KiB on): all that differs between two disks. */
#define FIRST_BYTES 65536u
/* Of memory and length, for reading past the caches. */
#define ALIGNMENT 4096u

/* Numbers that linux/magic.h does not have; statfs(2) tells them. */
#define CIFS_MAGIC 0xff534d42u
#define GFS2_MAGIC 0x01161970u
#define GPFS_MAGIC 0x47504653u
#define LUSTRE_MAGIC 0x0bd00bd0u

char *
inv_disk_file_boot(void)
{
    char *text = NULL;

    if (!g_file_get_contents(BOOT_ID, &text, NULL, NULL))
        return NULL;
    return g_strstrip(text);
}

/* The bytes that are there, up to FIRST_BYTES; -1: they cannot be read so. */
static gssize
read_first(const char *path, int flags, void *buffer)
{
    inv_autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    gsize done = 0;

    if (fd < 0)
        return -1;
    while (done < FIRST_BYTES) {
        gssize n = pread(fd, (char *)buffer + done, FIRST_BYTES - done, (off_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        done += (gsize)n;
        /* An end that is not aligned, or none of either. */
        if (n == 0 || (gsize)n % ALIGNMENT)
            break;
    }
    return (gssize)done;
}

static char *
digest_of(const char *path)
{
    void *buffer = NULL;
    gssize length;
    char *digest = NULL;

    if (posix_memalign(&buffer, ALIGNMENT, FIRST_BYTES) != 0)
        return NULL;
    length = read_first(path, O_DIRECT, buffer);
    /* Not every file system can do that. */
    if (length < 0)
        length = read_first(path, 0, buffer);
    if (length >= 0)
        digest = g_compute_checksum_for_data(G_CHECKSUM_SHA256, buffer, (gsize)length);
    free(buffer);
    return digest;
}

static guint64
size_of(const char *path, const struct stat *info)
{
    inv_autofd int fd = S_ISBLK(info->st_mode) ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    off_t end = fd < 0 ? info->st_size : lseek(fd, 0, SEEK_END);

    return end < 0 ? 0 : (guint64)end;
}

static InvDiskFile *
file_new(const InvDisk *disk, const struct stat *info)
{
    InvDiskFile *file = g_new0(InvDiskFile, 1);

    file->target = g_strdup(disk->target);
    file->block = S_ISBLK(info->st_mode);
    file->filesystem = info->st_dev;
    file->inode = info->st_ino;
    file->size = size_of(disk->path, info);
    /* Nothing else has first bytes; a FIFO would make whoever asks wait. */
    if (file->block || S_ISREG(info->st_mode))
        file->digest = digest_of(disk->path);
    return file;
}

static void
free_file(gpointer data)
{
    inv_disk_file_free(data);
}

GPtrArray *
inv_disk_files_of(const InvDomain *domain)
{
    GPtrArray *files = g_ptr_array_new_with_free_func(free_file);

    for (guint i = 0; i < domain->devices->len && files->len < INV_DISK_FILES_MAX; i++) {
        const InvDevice *device = g_ptr_array_index(domain->devices, i);
        const InvDisk *disk = &device->u.disk;
        struct stat info;

        if (device->type == INV_DEVICE_DISK && disk->path && disk->target && stat(disk->path, &info) == 0)
            g_ptr_array_add(files, file_new(disk, &info));
    }
    return files;
}

static const InvDiskFile *
find_file(const GPtrArray *files, const char *target)
{
    for (guint i = 0; files && i < files->len; i++) {
        const InvDiskFile *file = g_ptr_array_index(files, i);

        if (g_strcmp0(file->target, target) == 0)
            return file;
    }
    return NULL;
}

static gboolean
is_shared(const char *path)
{
    static const guint32 shared[] = { NFS_SUPER_MAGIC, CEPH_SUPER_MAGIC, OCFS2_SUPER_MAGIC, SMB_SUPER_MAGIC, SMB2_SUPER_MAGIC, FUSE_SUPER_MAGIC,
                                      V9FS_MAGIC, CIFS_MAGIC, GFS2_MAGIC, GPFS_MAGIC, LUSTRE_MAGIC };
    struct statfs system;

    if (statfs(path, &system) != 0)
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(shared); i++) {
        if ((guint32)system.f_type == shared[i])
            return TRUE;
    }
    return FALSE;
}

/* Does what was read of both agree? What one of them could not read says nothing. */
static gboolean
agrees(const char *one, const char *other)
{
    return !one || !other || strcmp(one, other) == 0;
}

/* Is @here, in a file system of kind @shared, what @there is on another host? */
static gboolean
is_same(const InvDiskFile *here, const InvDiskFile *there, gboolean shared, gboolean readonly)
{
    if (here->block != there->block)
        return FALSE;
    if (shared && !here->block && here->inode == there->inode)
        return agrees(here->digest, there->digest);
    return (here->block || readonly) && here->size == there->size && here->digest && g_strcmp0(here->digest, there->digest) == 0;
}

InvDiskPresence
inv_disk_file_find(const InvDisk *disk, const GPtrArray *files, const char *boot)
{
    const InvDiskFile *there = find_file(files, disk->target);
    g_autofree char *own_boot = inv_disk_file_boot();
    g_autoptr(InvDiskFile) here = NULL;
    struct stat info;
    gboolean shared;

    if (stat(disk->path, &info) != 0)
        return errno == ENOENT || errno == ENOTDIR ? INV_DISK_ABSENT : INV_DISK_UNKNOWN;
    shared = is_shared(disk->path);
    if (!there)
        return shared ? INV_DISK_SHARED : INV_DISK_LOCAL;
    if (own_boot && g_strcmp0(own_boot, boot) == 0 && there->filesystem == info.st_dev && there->inode == info.st_ino)
        return INV_DISK_SAME;
    here = file_new(disk, &info);
    return is_same(here, there, shared, disk->readonly || disk->device == INV_DISK_CDROM) ? INV_DISK_SAME : INV_DISK_OTHER;
}
