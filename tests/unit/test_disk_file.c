/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/disk_file.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What another host tells of the file that is here: everything as it is here but what a row says. */
typedef struct {
    const char *name;
    gboolean rebooted;      /* the other host has another boot: it is another host, or was */
    gboolean other_inode, other_filesystem, other_digest, no_digest, other_size, block, untold;
    gboolean readonly, cdrom, absent, fifo;
    InvDiskPresence found;
} Case;

static const Case cases[] = {
    { .name = "the same file of one host", .found = INV_DISK_SAME },
    { .name = "one host, written to since", .other_digest = TRUE, .other_size = TRUE, .found = INV_DISK_SAME },
    { .name = "one host, another file", .other_inode = TRUE, .found = INV_DISK_OTHER },
    { .name = "one host, another file system", .other_filesystem = TRUE, .found = INV_DISK_OTHER },
    { .name = "another host, all equal in a file system of one host", .rebooted = TRUE, .found = INV_DISK_OTHER },
    { .name = "another host, the same bytes that nobody writes", .rebooted = TRUE, .readonly = TRUE, .other_inode = TRUE, .found = INV_DISK_SAME },
    { .name = "another host, a medium", .rebooted = TRUE, .cdrom = TRUE, .other_inode = TRUE, .found = INV_DISK_SAME },
    { .name = "another host, another medium", .rebooted = TRUE, .cdrom = TRUE, .other_digest = TRUE, .found = INV_DISK_OTHER },
    { .name = "another host, a longer medium", .rebooted = TRUE, .cdrom = TRUE, .other_size = TRUE, .found = INV_DISK_OTHER },
    { .name = "another host, a medium that could not be read", .rebooted = TRUE, .cdrom = TRUE, .no_digest = TRUE, .found = INV_DISK_OTHER },
    { .name = "a block device there, a file here", .rebooted = TRUE, .readonly = TRUE, .block = TRUE, .found = INV_DISK_OTHER },
    { .name = "not told", .untold = TRUE, .found = INV_DISK_LOCAL },
    { .name = "not there", .absent = TRUE, .found = INV_DISK_ABSENT },
    /* And nobody waits for who writes it. */
    { .name = "a FIFO", .rebooted = TRUE, .readonly = TRUE, .fifo = TRUE, .found = INV_DISK_OTHER },
};

#define OTHER_DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char *folder, *path;

static int
setup(void **state)
{
    folder = g_dir_make_tmp("disk-file-XXXXXX", NULL);
    path = folder ? g_build_filename(folder, "disk", NULL) : NULL;
    return path ? 0 : -1;
}

static int
teardown(void **state)
{
    g_unlink(path);
    g_rmdir(folder);
    g_clear_pointer(&path, g_free);
    g_clear_pointer(&folder, g_free);
    return 0;
}

static InvDomain *
domain_with(const char *file)
{
    g_autofree char *text = g_strdup_printf("<domain type='qemu'><name>x</name><memory>65536</memory><os><type arch='x86_64'>hvm</type></os><devices>"
                                            "<disk type='file'><source file='%s'/><target dev='vda' bus='virtio'/></disk></devices></domain>",
                                            file);

    return inv_domain_parse(text, NULL);
}

static void
change(InvDiskFile *file, const Case *row)
{
    file->inode += row->other_inode;
    file->filesystem += row->other_filesystem;
    file->size += row->other_size;
    file->block = row->block;
    if (row->other_digest || row->no_digest)
        assert_true(inv_disk_file_set_digest(file, row->no_digest ? NULL : OTHER_DIGEST));
}

static void
find(void **state)
{
    const Case *row = *state;
    g_autofree char *boot = row->rebooted ? g_strdup("another") : inv_disk_file_boot();
    g_autoptr(InvDomain) domain = domain_with(path);
    g_autoptr(GPtrArray) files = NULL;
    InvDisk disk = { .path = path, .target = (char *)"vda", .readonly = row->readonly, .device = row->cdrom ? INV_DISK_CDROM : INV_DISK_DISK };

    assert_non_null(domain);
    if (row->fifo)
        assert_int_equal(mkfifo(path, 0600), 0);
    else
        assert_true(g_file_set_contents(path, "some bytes that do not end at a block", -1, NULL));
    files = inv_disk_files_of(domain);
    assert_int_equal(files->len, 1);
    change(g_ptr_array_index(files, 0), row);
    if (row->absent)
        g_unlink(path);
    assert_int_equal(inv_disk_file_find(&disk, row->untold ? NULL : files, boot), row->found);
}

/* The digest is of the first bytes alone, however many there are. */
static void
first_bytes(void **state)
{
    static const gsize sizes[] = { 0, 1, 4096, 65535, 65536, 65537, 200000 };

    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autofree char *data = g_strnfill(sizes[i], 'x');
        g_autofree char *expected = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)data, MIN(sizes[i], 65536u));
        g_autoptr(InvDomain) domain = domain_with(path);
        g_autoptr(GPtrArray) files = NULL;
        const InvDiskFile *file;

        assert_true(g_file_set_contents(path, data, (gssize)sizes[i], NULL));
        files = inv_disk_files_of(domain);
        file = g_ptr_array_index(files, 0);
        assert_string_equal(file->digest, expected);
        assert_int_equal(file->size, sizes[i]);
    }
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(cases) + 1];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        tests[n++] = (struct CMUnitTest){ cases[i].name, find, setup, teardown, (void *)&cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(first_bytes, setup, teardown);
    return cmocka_run_group_tests_name("disk_file", tests, NULL, NULL);
}
