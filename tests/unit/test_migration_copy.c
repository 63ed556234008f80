/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which disks are copied, and the images that they are copied into. */
/* First, for memmem(). */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "qemu/migration_copy.h"
#include "util/error.h"

#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1024 * 1024)

static char *folder;
static InvDomain *domain;
static GPtrArray *disks;
static GStrv made;
static GError *error;

static char *
replace(const char *text, const char *what, const char *by)
{
    g_auto(GStrv) parts = g_strsplit(text, what, -1);

    return g_strjoinv(by, parts);
}

static void
parse(const char *devices)
{
    g_autofree char *raw = g_strdup_printf(
        "<domain type='qemu'><name>moving</name><memory>32768</memory><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>"
        "<devices>%s</devices></domain>", devices);
    g_autofree char *xml = replace(raw, "@DIR@", folder);

    domain = inv_domain_parse(xml, &error);
    if (!domain || !inv_domain_complete(domain, "x86_64", "pc-q35-7.2", &error))
        fail_msg("%s", error->message);
}

static int
setup(void **state)
{
    folder = g_dir_make_tmp("invar-copy-XXXXXX", NULL);
    return folder ? 0 : -1;
}

static int
teardown(void **state)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);

    for (const char *name = g_dir_read_name(dir); name; name = g_dir_read_name(dir)) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        g_remove(path);
    }
    assert_int_equal(g_rmdir(folder), 0);
    g_clear_pointer(&folder, g_free);
    g_clear_pointer(&domain, inv_domain_free);
    g_clear_pointer(&disks, g_ptr_array_unref);
    g_clear_pointer(&made, g_strfreev);
    g_clear_error(&error);
    return 0;
}

#define DISK(target, more) \
    "<disk type='file' device='disk'><source file='@DIR@/" target "'/><target dev='" target "' bus='virtio'/>" more "</disk>"
#define CDROM "<disk type='file' device='cdrom'><source file='@DIR@/iso'/><target dev='sda' bus='sata'/><readonly/></disk>"
#define EMPTY "<disk type='file' device='cdrom'><target dev='sdb' bus='sata'/></disk>"
#define MANY CDROM DISK("vda", "") EMPTY DISK("vdb", "<readonly/>") DISK("vdc", "<shareable/>") DISK("vdd", "")

typedef struct {
    const char *name;
    const char *only[4];
    const char *result; /* "target:number …", or part of the error */
    gboolean refused;
} ChoiceCase;

static const ChoiceCase choice_cases[] = {
    { "all", { NULL }, "vda:1 vdd:5", FALSE },
    { "a named one", { "vdd" }, "vdd:5", FALSE },
    { "a shareable one when it is named", { "vdc", "vda" }, "vda:1 vdc:4", FALSE },
    { "one that is not there", { "vda", "vdz" }, "no disk 'vdz' to copy", TRUE },
    { "a read-only one", { "vdb" }, "disk 'vdb' is read-only and cannot be copied", TRUE },
    { "a CD-ROM", { "sda" }, "disk 'sda' is a CD-ROM", TRUE },
    { "an empty drive", { "sdb" }, "disk 'sdb' is an empty drive", TRUE },
};

static void
disks_are_chosen(void **state)
{
    const ChoiceCase *row = *state;
    g_autoptr(GString) got = g_string_new(NULL);

    parse(MANY);
    disks = inv_migration_copied_disks(domain, row->only[0] ? row->only : NULL, &error);
    assert_int_equal(disks == NULL, row->refused);
    if (row->refused) {
        assert_int_equal(inv_error_code(error), VIR_ERR_INVALID_ARG);
        assert_non_null(strstr(error->message, row->result));
        return;
    }
    for (guint i = 0; i < disks->len; i++) {
        const InvCopiedDisk *disk = g_ptr_array_index(disks, i);

        g_string_append_printf(got, "%s%s:%u", i ? " " : "", disk->target, disk->number);
    }
    assert_string_equal(got->str, row->result);
}

static char *
path_of(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

/* A qcow2 header, as much as is looked at. */
static void
write_qcow2(const char *path, guint64 size)
{
    guint8 header[512] = { 'Q', 'F', 'I', 0xfb, 0, 0, 0, 3 };

    size = GUINT64_TO_BE(size);
    memcpy(header + 24, &size, sizeof size);
    assert_true(g_file_set_contents(path, (const char *)header, sizeof header, NULL));
}

typedef struct {
    const char *name;
    const char *devices;
    guint64 capacity;     /* of vda */
    gssize existing;      /* bytes of the file "vda" that is there; -1: none */
    guint64 existing_qcow2; /* a qcow2 file of this size is there */
    gboolean incremental;
    gboolean makes;
    int code;             /* 0: good */
    const char *message;
} ImageCase;

#define QCOW2(more) \
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='@DIR@/vda'/><target dev='vda' bus='virtio'/>" more "</disk>"
#define BACKING(format, file) "<backingStore type='file'><format type='" format "'/><source file='" file "'/></backingStore>"

static const ImageCase image_cases[] = {
    { "raw is made", DISK("vda", ""), 3 * MIB, -1, .makes = TRUE },
    { "raw that is there", DISK("vda", ""), MIB, MIB },
    { "raw that is larger", DISK("vda", ""), MIB, 2 * MIB, .code = VIR_ERR_OPERATION_FAILED, .message = "which has 2097152 bytes in place of 1048576" },
    { "raw of no whole sectors", DISK("vda", ""), MIB, MIB - 5 },
    { "raw that is too small", DISK("vda", ""), 2 * MIB, MIB, .code = VIR_ERR_OPERATION_FAILED, .message = "which has 1048576 bytes in place of 2097152" },
    { "an empty file", DISK("vda", ""), 512, 0, .code = VIR_ERR_OPERATION_FAILED, .message = "which has 0 bytes" },
    { "qcow2 is made", QCOW2(""), G_GUINT64_CONSTANT(1) << 40, -1, .makes = TRUE },
    { "qcow2 that is there", QCOW2(""), MIB, -1, .existing_qcow2 = MIB },
    { "qcow2 that is too small", QCOW2(""), MIB + 512, -1, .existing_qcow2 = MIB, .code = VIR_ERR_OPERATION_FAILED, .message = "1048576 bytes" },
    { "qcow2 that is larger", QCOW2(""), MIB - 512, -1, .existing_qcow2 = MIB, .code = VIR_ERR_OPERATION_FAILED, .message = "1048576 bytes" },
    { "raw where qcow2 should be", QCOW2(""), MIB, MIB, .code = VIR_ERR_OPERATION_FAILED, .message = "which is no qcow2 image" },
    { "three bytes where qcow2 should be", QCOW2(""), MIB, 3, .code = VIR_ERR_OPERATION_FAILED, .message = "which is no qcow2 image" },
    { "no capacity", DISK("vda", ""), 0, -1, .code = VIR_ERR_INVALID_ARG, .message = "cannot have a capacity of 0 bytes" },
    { "an odd capacity", DISK("vda", ""), 513, -1, .code = VIR_ERR_INVALID_ARG, .message = "cannot have a capacity of 513 bytes" },
    { "an absurd capacity", DISK("vda", ""), G_MAXUINT64 - 511, -1, .code = VIR_ERR_INVALID_ARG, .message = "cannot have a capacity" },
    { "incremental, it is there", DISK("vda", ""), MIB, MIB, .incremental = TRUE },
    { "incremental, nothing is named", QCOW2(""), MIB, -1, .incremental = TRUE, .code = VIR_ERR_OPERATION_UNSUPPORTED,
      .message = "the definition names no backing file" },
    { "incremental, raw", DISK("vda", ""), MIB, -1, .incremental = TRUE, .code = VIR_ERR_OPERATION_UNSUPPORTED,
      .message = "a raw image cannot be made on top of a backing file" },
    { "incremental, on its backing file", QCOW2(BACKING("raw", "@DIR@/base")), 2 * MIB, -1, .incremental = TRUE, .makes = TRUE },
    { "incremental, a backing file of no format", QCOW2("<backingStore type='file'><source file='@DIR@/base'/></backingStore>"), MIB, -1,
      .incremental = TRUE, .code = VIR_ERR_OPERATION_UNSUPPORTED, .message = "needs <format type='raw'/>" },
    { "incremental, a backing file that is not there", QCOW2(BACKING("raw", "@DIR@/none")), MIB, -1, .incremental = TRUE,
      .code = VIR_ERR_OPERATION_FAILED, .message = "is not there" },
    { "incremental, a backing file in the network", QCOW2(BACKING("raw", "nbd://host/x")), MIB, -1, .incremental = TRUE,
      .code = VIR_ERR_OPERATION_UNSUPPORTED, .message = "names no backing file" },
    { "incremental, qcow2 that is raw", QCOW2(BACKING("qcow2", "@DIR@/base")), MIB, -1, .incremental = TRUE,
      .code = VIR_ERR_OPERATION_FAILED, .message = "cannot be made: " },
    { "the second of two cannot be", DISK("vda", "") DISK("vdb", ""), MIB, -1, .code = VIR_ERR_OPERATION_FAILED,
      .message = "disk 'vdb' cannot be copied into" },
    { "a folder that is not there", "<disk type='file' device='disk'><source file='@DIR@/no/vda'/><target dev='vda' bus='virtio'/></disk>",
      MIB, -1, .code = VIR_ERR_SYSTEM_ERROR, .message = "cannot be made" },
    { "a device", "<disk type='file' device='disk'><source file='/dev/null'/><target dev='vda' bus='virtio'/></disk>", MIB, -1,
      .code = VIR_ERR_CONFIG_UNSUPPORTED, .message = "not a regular file" },
};

/* What is made has the guest's size, is ours alone, and on top of what it should be. */
static void
check_made(const ImageCase *row, const char *path)
{
    g_autofree char *text = NULL;
    gsize length = 0;
    struct stat status;
    guint64 size;

    assert_string_equal(made[0], path);
    assert_null(made[1]);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_true(g_file_get_contents(path, &text, &length, NULL));
    size = length;
    if (strstr(row->devices, "qcow2")) {
        assert_true(length > 104 && memcmp(text, "QFI\xfb", 4) == 0);
        memcpy(&size, text + 24, sizeof size);
        size = GUINT64_FROM_BE(size);
    }
    assert_int_equal(size, row->capacity);
    if (row->incremental) {
        g_autofree char *base = path_of("base");

        assert_non_null(memmem(text, length, base, strlen(base)));
    }
}

static gboolean
has_tool_for(const ImageCase *row)
{
    g_autofree char *tool = g_find_program_in_path("qemu-img");
    gboolean asks = row->makes || (row->message && strstr(row->message, "cannot be made: "));

    return tool || !asks || !strstr(row->devices, "qcow2");
}

static void
images_are_made(const ImageCase *row)
{
    g_autofree char *path = path_of("vda");
    g_autofree char *second = path_of("vdb");
    g_autofree char *base = path_of("base");
    g_autofree char *zeros = g_malloc0(4 * MIB);
    gboolean before = row->existing >= 0 || row->existing_qcow2;
    gboolean ok;

    assert_true(g_file_set_contents(base, zeros, MIB, NULL));
    assert_true(g_file_set_contents(second, zeros, 512, NULL));
    if (row->existing >= 0)
        assert_true(g_file_set_contents(path, zeros, row->existing, NULL));
    if (row->existing_qcow2)
        write_qcow2(path, row->existing_qcow2);
    parse(row->devices);
    disks = inv_migration_copied_disks(domain, NULL, &error);
    assert_non_null(disks);
    for (guint i = 0; i < disks->len; i++)
        ((InvCopiedDisk *)g_ptr_array_index(disks, i))->capacity = row->capacity;
    ok = inv_migration_copy_prepare_images(domain, disks, row->incremental, (uid_t)-1, (gid_t)-1, &made, &error);
    if (ok != (row->code == 0))
        fail_msg("%s", error ? error->message : "it succeeded");
    if (!ok) {
        assert_int_equal(inv_error_code(error), row->code);
        if (!strstr(error->message, row->message))
            fail_msg("%s", error->message);
        assert_null(made);
        assert_int_equal(g_file_test(path, G_FILE_TEST_EXISTS), before);
        return;
    }
    if (row->makes)
        check_made(row, path);
    else
        assert_null(made[0]);
}

static void
images_are_made_or_taken(void **state)
{
    const ImageCase *row = *state;

    if (!has_tool_for(row))
        skip();
    images_are_made(row);
}

static void
a_disk_of_the_other_side_only(void **state)
{
    parse(DISK("vda", ""));
    disks = inv_migration_copied_disks(domain, NULL, &error);
    g_free(((InvCopiedDisk *)g_ptr_array_index(disks, 0))->target);
    ((InvCopiedDisk *)g_ptr_array_index(disks, 0))->target = g_strdup("vdz");
    ((InvCopiedDisk *)g_ptr_array_index(disks, 0))->capacity = MIB;
    assert_false(inv_migration_copy_prepare_images(domain, disks, FALSE, (uid_t)-1, (gid_t)-1, &made, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_INVALID_ARG);
    assert_non_null(strstr(error->message, "disk 'vdz' is to be copied"));
}

/* A link is somebody's: where it leads nothing is made. */
static void
link_is_not_followed(void **state)
{
    g_autofree char *path = path_of("vda");
    g_autofree char *elsewhere = path_of("elsewhere");

    assert_int_equal(symlink(elsewhere, path), 0);
    parse(DISK("vda", ""));
    disks = inv_migration_copied_disks(domain, NULL, &error);
    ((InvCopiedDisk *)g_ptr_array_index(disks, 0))->capacity = MIB;
    assert_false(inv_migration_copy_prepare_images(domain, disks, FALSE, (uid_t)-1, (gid_t)-1, &made, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_SYSTEM_ERROR);
    assert_false(g_file_test(elsewhere, G_FILE_TEST_EXISTS));
}

static void
image_is_given_to_the_guests(void **state)
{
    g_autofree char *path = NULL;
    struct stat status;

    if (geteuid() != 0)
        skip();
    path = path_of("vda");
    parse(DISK("vda", ""));
    disks = inv_migration_copied_disks(domain, NULL, &error);
    ((InvCopiedDisk *)g_ptr_array_index(disks, 0))->capacity = MIB;
    assert_true(inv_migration_copy_prepare_images(domain, disks, FALSE, 65534, 65534, &made, &error));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_uid, 65534);
    assert_int_equal(status.st_gid, 65534);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(choice_cases) + G_N_ELEMENTS(image_cases) + 3];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(choice_cases); i++)
        tests[n++] = (struct CMUnitTest){ choice_cases[i].name, disks_are_chosen, setup, teardown, (void *)&choice_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(image_cases); i++)
        tests[n++] = (struct CMUnitTest){ image_cases[i].name, images_are_made_or_taken, setup, teardown, (void *)&image_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(a_disk_of_the_other_side_only, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(link_is_not_followed, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(image_is_given_to_the_guests, setup, teardown);
    return cmocka_run_group_tests_name("copied disks", tests, NULL, NULL);
}
