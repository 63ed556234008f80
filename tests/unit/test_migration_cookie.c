/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/migration_cookie.h"
#include "util/error.h"

#define UUID "c7a5fdbd-edaf-9455-926a-d65c16db1809"
#define HOST "4dea22b3-1d52-d8f3-2516-782e98ab3fa0"
#define TOKEN "0123456789abcdef0123456789abcdef"
#define IDENTITY "<name>guest</name><uuid>" UUID "</uuid><hostname>here</hostname><hostuuid>" HOST "</hostuuid>"
#define COOKIE(inside) "<qemu-migration>" IDENTITY "<invar version='1'><token>" TOKEN "</token>" inside "</invar></qemu-migration>"

static InvMigrationCookie *cookie, *other;
static GError *error;
static GBytes *bytes;

static int
teardown(void **state)
{
    g_clear_pointer(&cookie, inv_migration_cookie_free);
    g_clear_pointer(&other, inv_migration_cookie_free);
    g_clear_pointer(&bytes, g_bytes_unref);
    g_clear_error(&error);
    return 0;
}

static InvCpuRecord *
new_record(void)
{
    g_autoptr(InvGuestCpu) guest = g_new0(InvGuestCpu, 1);

    guest->machine = g_strdup("pc-q35-7.2");
    guest->model = g_strdup("Nehalem-v1");
    guest->words = g_strdup("00000001.0.ecx=80982201");
    return inv_cpu_record_new("x86_64", guest);
}

static InvMigrationCookie *
new_cookie(void)
{
    InvMigrationCookie *full = g_new0(InvMigrationCookie, 1);
    InvCopiedDisk *disk = g_new0(InvCopiedDisk, 1);
    InvDiskFile *file = g_new0(InvDiskFile, 1);
    g_autoptr(InvJson) json = NULL;

    full->name = g_strdup("guest <&'\"> ü");
    full->uuid = g_strdup(UUID);
    full->hostname = g_strdup("here.example");
    full->hostuuid = g_strdup(HOST);
    full->token = g_strdup(TOKEN);
    full->record = new_record();
    full->emulator_version = g_strdup("7.2.22");
    full->running = TRUE;
    full->contact = g_strdup("qemu+tcp://there.example:16509/system");
    disk->target = g_strdup("vda");
    disk->alias = g_strdup("virtio-disk0");
    disk->capacity = INV_COPY_MAX_CAPACITY;
    full->disks = g_ptr_array_new_with_free_func((GDestroyNotify)inv_copied_disk_free);
    g_ptr_array_add(full->disks, disk);
    file->target = g_strdup("vda");
    file->block = TRUE;
    file->filesystem = 5;
    file->inode = G_MAXUINT64;
    file->size = 1;
    assert_true(inv_disk_file_set_digest(file, TOKEN TOKEN));
    full->files = g_ptr_array_new_with_free_func((GDestroyNotify)inv_disk_file_free);
    g_ptr_array_add(full->files, file);
    full->boot = g_strdup(HOST);
    full->nbd_host = g_strdup("2001:db8::1");
    full->nbd_port = 10809;
    full->persistent_xml = g_strdup("<domain type='kvm'>\n  <name>guest</name>\t<!-- \"]]>\" -->\r\n</domain>\n");
    json = inv_cpu_record_to_json(full->record);
    full->persistent_record = inv_json_format(json, FALSE);
    full->statistics = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_hash_table_insert(full->statistics, g_strdup("downtime"), g_strdup("17"));
    g_hash_table_insert(full->statistics, g_strdup("memory_total"), g_strdup("18446744073709551615"));
    full->sent_us = G_GINT64_CONSTANT(1795254961000001);
    full->capabilities = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(full->capabilities, g_strdup("postcopy-ram"));
    g_ptr_array_add(full->capabilities, g_strdup("x-colo"));
    return full;
}

static InvMigrationCookie *
parse_bytes(void)
{
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);

    return inv_migration_cookie_parse(data, size, &error);
}

/* As large as one may be, and a byte larger. */
static void
sealed(void **state)
{
    gsize rest;

    cookie = new_cookie();
    g_free(cookie->persistent_xml);
    cookie->persistent_xml = g_strdup("x");
    bytes = inv_migration_cookie_seal(cookie, &error);
    assert_non_null(bytes);
    rest = INV_COOKIE_MAX_BYTES - g_bytes_get_size(bytes);
    g_free(cookie->persistent_xml);
    cookie->persistent_xml = g_strnfill(rest + 1, 'x');
    g_bytes_unref(bytes);
    bytes = inv_migration_cookie_seal(cookie, &error);
    assert_non_null(bytes);
    assert_int_equal(g_bytes_get_size(bytes), INV_COOKIE_MAX_BYTES);
    g_free(cookie->persistent_xml);
    cookie->persistent_xml = g_strnfill(rest + 2, 'x');
    assert_null(inv_migration_cookie_seal(cookie, &error));
    assert_int_equal(error->code, VIR_ERR_OPERATION_UNSUPPORTED);
    assert_non_null(strstr(error->message, "<metadata>"));
}

static void
there_and_back(void **state)
{
    g_autoptr(GBytes) again = NULL;
    gsize size;

    cookie = new_cookie();
    bytes = inv_migration_cookie_format(cookie);
    assert_int_equal(((const char *)g_bytes_get_data(bytes, &size))[g_bytes_get_size(bytes) - 1], '\0');
    other = parse_bytes();
    if (!other)
        fail_msg("%s", error->message);
    assert_string_equal(other->name, cookie->name);
    assert_string_equal(other->uuid, UUID);
    assert_string_equal(other->hostname, cookie->hostname);
    assert_string_equal(other->hostuuid, HOST);
    assert_string_equal(other->token, TOKEN);
    assert_string_equal(other->record->fingerprint, cookie->record->fingerprint);
    assert_string_equal(other->emulator_version, "7.2.22");
    assert_true(other->running);
    assert_string_equal(other->contact, cookie->contact);
    assert_int_equal(other->disks->len, 1);
    assert_int_equal(other->files->len, 1);
    assert_string_equal(other->boot, HOST);
    {
        const InvDiskFile *file = g_ptr_array_index(other->files, 0);

        assert_string_equal(file->target, "vda");
        assert_true(file->block);
        assert_int_equal(file->filesystem, 5);
        assert_true(file->inode == G_MAXUINT64);
        assert_int_equal(file->size, 1);
        assert_string_equal(file->digest, TOKEN TOKEN);
    }
    assert_string_equal(((InvCopiedDisk *)g_ptr_array_index(other->disks, 0))->target, "vda");
    assert_true(((InvCopiedDisk *)g_ptr_array_index(other->disks, 0))->capacity == INV_COPY_MAX_CAPACITY);
    /* What a disk is called in one QEMU is nothing to the other. */
    assert_null(((InvCopiedDisk *)g_ptr_array_index(other->disks, 0))->alias);
    assert_string_equal(other->nbd_host, "2001:db8::1");
    assert_int_equal(other->nbd_port, 10809);
    assert_null(other->nbd_path);
    assert_string_equal(other->persistent_xml, cookie->persistent_xml);
    assert_string_equal(other->persistent_record, cookie->persistent_record);
    assert_int_equal(g_hash_table_size(other->statistics), 2);
    assert_string_equal(g_hash_table_lookup(other->statistics, "memory_total"), "18446744073709551615");
    assert_true(other->sent_us == cookie->sent_us);
    assert_int_equal(other->capabilities->len, 2);
    assert_string_equal(g_ptr_array_index(other->capabilities, 1), "x-colo");
    again = inv_migration_cookie_format(other);
    assert_true(g_bytes_equal(bytes, again));
}

static void
the_least(void **state)
{
    const char text[] = COOKIE("");

    /* With the NUL at its end, and without. */
    cookie = inv_migration_cookie_parse(text, sizeof(text), &error);
    assert_non_null(cookie);
    other = inv_migration_cookie_parse(text, sizeof(text) - 1, &error);
    assert_non_null(other);
    assert_string_equal(cookie->name, "guest");
    assert_false(cookie->running);
    assert_null(cookie->record);
    assert_null(cookie->disks);
    assert_null(cookie->statistics);
    assert_null(cookie->capabilities);
    assert_int_equal(cookie->nbd_port, 0);
}

/* A cookie that ends anywhere is refused, and says so; nothing but the last newline and the NUL can be missed. */
static void
truncated_at_every_byte(void **state)
{
    gsize size;
    const char *data;

    cookie = new_cookie();
    bytes = inv_migration_cookie_format(cookie);
    data = g_bytes_get_data(bytes, &size);
    for (gsize length = 0; length < size - 2; length++) {
        /* A copy of its own, so that a byte read behind it is seen. */
        g_autofree char *part = g_memdup2(data, length ? length : 1);

        other = inv_migration_cookie_parse(part, length, &error);
        assert_null(other);
        assert_non_null(error);
        assert_true(strstr(error->message, "cookie") != NULL);
        g_clear_error(&error);
    }
    other = inv_migration_cookie_parse(data, size - 2, &error);
    assert_non_null(other);
}

typedef struct {
    const char *name;
    const char *xml;
    const char *message;
    virErrorNumber code; /* 0: VIR_ERR_XML_ERROR */
} RefusedCase;

static const RefusedCase refused_cases[] = {
    { "empty", "", "empty: the other side is not Invar", VIR_ERR_INVALID_ARG },
    { "no XML", "hello", "malformed", 0 },
    { "another document", "<domain/>", "root must be <qemu-migration>", 0 },
    { "libvirt's own",
      "<qemu-migration>\n  <name>guest</name>\n  <uuid>" UUID "</uuid>\n  <hostname>there</hostname>\n  <hostuuid>" HOST "</hostuuid>\n"
      "  <feature name='lockstate'/>\n  <lockstate driver='sanlock'>\n    <leases>x</leases>\n  </lockstate>\n"
      "  <graphics type='spice' port='5900' listen='0.0.0.0' tlsPort='-1'/>\n"
      "  <network>\n    <interface index='0' vporttype='802.1Qbg'/>\n  </network>\n"
      "  <statistics>\n    <started>1</started>\n    <downtime>0</downtime>\n  </statistics>\n"
      "  <capabilities>\n    <cap name='xbzrle' auto='no'/>\n  </capabilities>\n  <allowReboot value='yes'/>\n</qemu-migration>\n",
      "the other side is not Invar", VIR_ERR_INVALID_ARG },
    { "another version", "<qemu-migration>" IDENTITY "<invar version='2'><future/></invar></qemu-migration>", "another version of Invar",
      VIR_ERR_INVALID_ARG },
    { "no version", "<qemu-migration>" IDENTITY "<invar/></qemu-migration>", "version", 0 },
    { "two <invar>", "<qemu-migration>" IDENTITY "<invar version='1'/><invar version='1'/></qemu-migration>", "given twice", 0 },
    { "no name", "<qemu-migration><invar version='1'/></qemu-migration>", "a <name> is missing", 0 },
    { "two names", "<qemu-migration><name>other</name>" IDENTITY "<invar version='1'/></qemu-migration>", "given twice", 0 },
    { "a name of elements", "<qemu-migration><name><b>x</b></name><invar version='1'/></qemu-migration>", "no such element", 0 },
    { "a name of two lines", "<qemu-migration><name>a\nb</name><invar version='1'/></qemu-migration>", "cannot be printed", 0 },
    { "no uuid", "<qemu-migration><name>n</name><uuid>" UUID "0</uuid><invar version='1'/></qemu-migration>", "is no uuid", 0 },
    { "no token", "<qemu-migration>" IDENTITY "<invar version='1'/></qemu-migration>", "a <token> is missing", 0 },
    { "a short token", "<qemu-migration>" IDENTITY "<invar version='1'><token>0123</token></invar></qemu-migration>",
      "not 32 hexadecimal digits", 0 },
    { "a token of other digits", "<qemu-migration>" IDENTITY "<invar version='1'><token>0123456789abcdef0123456789abcdeg</token></invar></qemu-migration>",
      "not 32 hexadecimal digits", 0 },
    { "a long token", "<qemu-migration>" IDENTITY "<invar version='1'><token>" TOKEN TOKEN "</token></invar></qemu-migration>",
      "at most 32 are accepted", 0 },
    { "an entity", "<!DOCTYPE qemu-migration [<!ENTITY a 'aaaaaaaaaa'>]>" COOKIE("&a;"), "not accepted", 0 },
    { "an unknown element", COOKIE("<command>rm</command>"), "no such element is known in <invar>", 0 },
    { "an element of a namespace", COOKIE("<x:record xmlns:x='urn:x'>{}</x:record>"), "no such element", 0 },
    { "an unknown attribute", COOKIE("<running now='yes'/>"), "no such attribute", 0 },
    { "a cookie in a cookie", COOKIE("<invar version='1'/>"), "no such element", 0 },
    { "an emulator of blanks", COOKIE("<emulator></emulator>"), "it is empty", 0 },
    { "a record that is no JSON", COOKIE("<record>{</record>"), "JSON", VIR_ERR_INVALID_ARG },
    { "a record of nothing", COOKIE("<record>{}</record>"), "not a CPU record", VIR_ERR_INVALID_ARG },
    { "a record without its fingerprint",
      COOKIE("<record>{\"version\":1,\"arch\":\"x86_64\",\"machine\":\"pc-q35-7.2\",\"cpu\":\"Nehalem-v1\"}</record>"), "fingerprint",
      VIR_ERR_INVALID_ARG },
    { "a record with a property in a name",
      COOKIE("<record>{\"version\":1,\"arch\":\"x86_64\",\"machine\":\"pc-q35-7.2\",\"on\":[\"aes=on,kvm\"]}</record>"), "that no QEMU gives",
      VIR_ERR_INVALID_ARG },
    { "two records", COOKIE("<record>{}</record><record>{}</record>"), "given twice", 0 },
    { "a record of a definition that is not there", COOKIE("<definition-record>{}</definition-record>"), "without its <definition>", 0 },
    { "a disk without a target", COOKIE("<disks><disk capacity='1'/></disks>"), "'target' is missing", 0 },
    { "a disk without a capacity", COOKIE("<disks><disk target='vda'/></disks>"), "'capacity' is missing", 0 },
    { "a disk named as an option", COOKIE("<disks><disk target='vda,file=/etc/shadow' capacity='1'/></disks>"), "no name of a disk", 0 },
    { "a disk twice", COOKIE("<disks><disk target='vda' capacity='1'/><disk target='vda' capacity='1'/></disks>"), "there twice", 0 },
    { "a disk of more than 64 bits", COOKIE("<disks><disk target='vda' capacity='18446744073709551616'/></disks>"), "not a decimal number", 0 },
    { "a disk that nobody has", COOKIE("<disks><disk target='vda' capacity='70368744177665'/></disks>"), "not a decimal number", 0 },
    { "a disk of less than nothing", COOKIE("<disks><disk target='vda' capacity='-1'/></disks>"), "not a decimal number", 0 },
    { "a file without a number", COOKIE("<files><file target='vda' inode='1' size='1'/></files>"), "'filesystem' is missing", 0 },
    { "a file of another digest", COOKIE("<files><file target='vda' filesystem='1' inode='1' size='1' digest='abc'/></files>"), "64 hexadecimal", 0 },
    { "a file named as a path", COOKIE("<files><file target='../vda' filesystem='1' inode='1' size='1'/></files>"), "no name of a disk", 0 },
    { "a file with more to it", COOKIE("<files><file target='vda' filesystem='1' inode='1' size='1' path='/x'/></files>"), "no such attribute", 0 },
    { "a boot that is no word", COOKIE("<files boot='a b'/>"), "no id of a boot", 0 },
    { "a port out of range", COOKIE("<nbd host='h' port='65536'/>"), "out of range", 0 },
    { "a port and a path", COOKIE("<nbd port='1' path='/x'/>"), "either a port or a path", 0 },
    { "neither port nor path", COOKIE("<nbd host='h'/>"), "either a port or a path", 0 },
    { "a host named as an option", COOKIE("<nbd host='h,server=on' port='1'/>"), "no host's name", 0 },
    { "a path from elsewhere", COOKIE("<nbd path='../x'/>"), "no absolute path", 0 },
    { "a figure that is no number", COOKIE("<statistics><value name='downtime'>1e9</value></statistics>"), "no decimal number", 0 },
    { "a figure of more than 64 bits", COOKIE("<statistics><value name='downtime'>99999999999999999999</value></statistics>"),
      "no decimal number", 0 },
    { "a figure twice", COOKIE("<statistics><value name='a'>1</value><value name='a'>1</value></statistics>"), "twice", 0 },
    { "sent in the far future", COOKIE("<statistics sent='9223372036854775808'/>"), "not a decimal number", 0 },
    { "a capability with a blank", COOKIE("<settings><capability>x-rdma pin</capability></settings>"), "no name of a capability", 0 },
    { "a capability twice", COOKIE("<settings><capability>a</capability><capability>a</capability></settings>"), "there already", 0 },
};

static void
refused(void **state)
{
    const RefusedCase *row = *state;

    cookie = inv_migration_cookie_parse(row->xml, strlen(row->xml), &error);
    assert_null(cookie);
    assert_non_null(error);
    if (!strstr(error->message, row->message))
        fail_msg("'%s' does not say '%s'", error->message, row->message);
    assert_int_equal(inv_error_code(error), row->code ? row->code : VIR_ERR_XML_ERROR);
}

static void
a_nul_within(void **state)
{
    static const char text[] = "<qemu-migration>\0</qemu-migration>";

    cookie = inv_migration_cookie_parse(text, sizeof(text), &error);
    assert_null(cookie);
    assert_non_null(strstr(error->message, "NUL"));
}

typedef struct {
    const char *name;
    const char *before, *repeated, *after; /* "%u" in what is repeated counts */
    guint accepted;                        /* so many, and not one more */
    const char *message;
} CountCase;

static const CountCase count_cases[] = {
    { "disks", "<disks>", "<disk target='v%u' capacity='1'/>", "</disks>", INV_COOKIE_MAX_DISKS, "more than 256 disks" },
    { "figures", "<statistics>", "<value name='v%u'>1</value>", "</statistics>", INV_COOKIE_MAX_STATISTICS, "more than 128 figures" },
    { "capabilities", "<settings>", "<capability>c%u</capability>", "</settings>", INV_COOKIE_MAX_CAPABILITIES, "more than 64 capabilities" },
};

static void
counted(void **state)
{
    const CountCase *row = *state;

    for (guint more = 0; more < 2; more++) {
        g_autoptr(GString) text = g_string_new("<qemu-migration>" IDENTITY "<invar version='1'><token>" TOKEN "</token>");

        g_string_append(text, row->before);
        for (guint i = 0; i < row->accepted + more; i++) {
            g_auto(GStrv) halves = g_strsplit(row->repeated, "%u", 2);

            g_string_append_printf(text, "%s%u%s", halves[0], i, halves[1]);
        }
        g_string_append(text, row->after);
        g_string_append(text, "</invar></qemu-migration>");
        g_clear_pointer(&cookie, inv_migration_cookie_free);
        cookie = inv_migration_cookie_parse(text->str, text->len, &error);
        assert_int_equal(cookie == NULL, more);
    }
    assert_non_null(strstr(error->message, row->message));
}

static void
too_large(void **state)
{
    g_autofree char *large = g_strnfill(INV_COOKIE_MAX_BYTES, ' ');

    cookie = inv_migration_cookie_parse(large, INV_COOKIE_MAX_BYTES, &error);
    assert_null(cookie);
    assert_int_equal(inv_error_code(error), VIR_ERR_INVALID_ARG);
    assert_non_null(strstr(error->message, "less than 4194304 are accepted"));
}

static void
nested(void **state)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < 100000; i++)
        g_string_append(text, "<qemu-migration>");
    cookie = inv_migration_cookie_parse(text->str, text->len, &error);
    assert_null(cookie);
    assert_non_null(strstr(error->message, "nested"));
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(refused_cases) + G_N_ELEMENTS(count_cases) + 7];
    gsize n = 0;

    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(there_and_back, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(sealed, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(the_least, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(truncated_at_every_byte, teardown);
    for (gsize i = 0; i < G_N_ELEMENTS(refused_cases); i++)
        tests[n++] = (struct CMUnitTest){ refused_cases[i].name, refused, NULL, teardown, (void *)&refused_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(count_cases); i++)
        tests[n++] = (struct CMUnitTest){ count_cases[i].name, counted, NULL, teardown, (void *)&count_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(a_nul_within, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(too_large, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(nested, teardown);
    return cmocka_run_group_tests_name("migration cookie", tests, NULL, NULL);
}
