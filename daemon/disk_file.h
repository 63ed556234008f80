/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/migration_check.h"

G_BEGIN_DECLS

/*
 * Whether two hosts mean one file by a disk's path. All of these read files, which on a network's file
 * system may take long: not on the I/O thread.
 *
 * On one host, which has not been booted in between, file system and inode tell. Between hosts a regular file is
 * the same only in a file system that several hosts share (NFS, CephFS, GFS2, …), by its inode and its first
 * bytes; a block device by its size and its first bytes; and what nobody writes by these two as well, since a copy of
 * it is as good. First bytes are read past the caches where that can be done.
 */

/* The id of this boot, owned by the caller; NULL: not known. */
char *inv_disk_file_boot(void);

/* Of every disk of @domain whose file can be looked at. Of InvDiskFile, owned by the caller. */
GPtrArray *inv_disk_files_of(const InvDomain *domain);

/* What the path of @disk is here, to a domain whose disks are @files (or NULL) on the host that runs since @boot (or NULL). */
InvDiskPresence inv_disk_file_find(const InvDisk *disk, const GPtrArray *files, const char *boot);

G_END_DECLS
