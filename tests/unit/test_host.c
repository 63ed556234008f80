/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guest_arch.h"
#include "daemon/host.h"
#include "daemon/host_cache.h"
#include "daemon/host_topology.h"
#include "daemon/xml_out.h"
#include "tests/unit/test_folder.h"
#include "tests/unit/test_table.h"
#include "util/error.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A host that is not at hand: files below a folder that stands for "/". */
typedef struct {
    const char *path;
    const char *text;
} HostFile;

#define MAX_FILES 32

#define CPU "/sys/devices/system/cpu/"
#define NODE "/sys/devices/system/node/"
#define DMI "/sys/class/dmi/id/"
#define PLACE(n, socket, core, siblings) \
    { CPU "cpu" n "/topology/physical_package_id", socket "\n" }, { CPU "cpu" n "/topology/core_id", core "\n" }, \
        { CPU "cpu" n "/topology/thread_siblings_list", siblings "\n" }
#define MEMORY { "/proc/meminfo", "MemTotal:        8000000 kB\nMemFree:         1000 kB\nBuffers: 7 kB\nCached: 9 kB\nSwapCached: 5 kB\n" }

static char *root;
static char *text;
static GError *error;

static void
make_root(const HostFile *files)
{
    root = g_dir_make_tmp("invar-host-XXXXXX", NULL);
    assert_non_null(root);
    for (; files->path; files++) {
        g_autofree char *path = g_build_filename(root, files->path, NULL);
        g_autofree char *folder = g_path_get_dirname(path);

        assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
        assert_true(g_file_set_contents(path, files->text, -1, NULL));
    }
}

static int
teardown(void **state)
{
    if (root)
        test_folder_remove(root);
    g_clear_pointer(&root, g_free);
    g_clear_pointer(&text, g_free);
    g_clear_error(&error);
    return 0;
}

typedef struct {
    const char *name;
    HostFile files[MAX_FILES];
    const char *shape; /* "cpus nodes sockets cores threads mhz", or NULL: an error */
    const char *message; /* part of the error */
} NodeCase;

static const NodeCase node_cases[] = {
    { .name = "two sockets, two threads, one node",
      .files = { MEMORY, { CPU "online", "0-7\n" }, { CPU "present", "0-7\n" },
                 PLACE("0", "0", "0", "0,4"), PLACE("1", "0", "1", "1,5"), PLACE("2", "1", "0", "2,6"), PLACE("3", "1", "1", "3,7"),
                 PLACE("4", "0", "0", "0,4"), PLACE("5", "0", "1", "1,5"), PLACE("6", "1", "0", "2,6"), PLACE("7", "1", "1", "3,7"),
                 { "/proc/cpuinfo", "processor\t: 0\ncpu MHz\t\t: 2596.140\n\nprocessor\t: 1\ncpu MHz\t\t: 1.0\n" } },
      .shape = "8 1 2 2 2 2596" },
    { .name = "a socket per node",
      .files = { MEMORY, { CPU "online", "0-3\n" }, { CPU "present", "0-3\n" }, { NODE "online", "0-1\n" },
                 { NODE "node0/cpulist", "0-1\n" }, { NODE "node1/cpulist", "2-3\n" },
                 PLACE("0", "0", "0", "0"), PLACE("1", "0", "1", "1"), PLACE("2", "1", "0", "2"), PLACE("3", "1", "1", "3") },
      .shape = "4 2 1 2 1 0" },
    { .name = "a node of memory only is not counted",
      .files = { MEMORY, { CPU "online", "0-1\n" }, { CPU "present", "0-1\n" }, { NODE "online", "0-1\n" },
                 { NODE "node0/cpulist", "0-1\n" }, { NODE "node1/cpulist", "\n" },
                 PLACE("0", "0", "0", "0"), PLACE("1", "0", "1", "1") },
      .shape = "2 1 1 2 1 0" },
    { .name = "sockets of different size",
      .files = { MEMORY, { CPU "online", "0-2\n" }, { CPU "present", "0-2\n" },
                 PLACE("0", "0", "0", "0"), PLACE("1", "0", "1", "1"), PLACE("2", "1", "0", "2") },
      .shape = "3 1 1 3 1 0" },
    { .name = "an offline processor is still there",
      .files = { MEMORY, { CPU "online", "0\n" }, { CPU "present", "0-1\n" }, PLACE("0", "0", "0", "0") },
      .shape = "1 1 1 2 1 0" },
    { .name = "a guest without topology files",
      .files = { MEMORY, { CPU "online", "0-3\n" }, { CPU "cpu0/cpufreq/cpuinfo_max_freq", "1800000\n" } },
      .shape = "4 1 1 4 1 1800" },
    { .name = "nodes that lack processors are not believed",
      .files = { MEMORY, { CPU "online", "0-3\n" }, { NODE "online", "0\n" }, { NODE "node0/cpulist", "0-1\n" } },
      .shape = "4 1 1 4 1 0" },
    { .name = "package -1 is no package",
      .files = { MEMORY, { CPU "online", "0-1\n" }, PLACE("0", "-1", "0", "0"), PLACE("1", "-1", "1", "1") },
      .shape = "2 1 1 2 1 0" },
    { .name = "no list of processors", .files = { MEMORY }, .message = "/sys/devices/system/cpu/online" },
    { .name = "a list beyond every limit", .files = { MEMORY, { CPU "online", "0-4294967295\n" } },
      .message = "/sys/devices/system/cpu/online" },
    { .name = "no meminfo", .files = { { CPU "online", "0\n" } }, .message = "/proc/meminfo" },
    { .name = "meminfo without a total", .files = { { CPU "online", "0\n" }, { "/proc/meminfo", "MemFree: 3 kB\n" } },
      .message = "MemTotal" },
};

static void
node_info_is_libvirts(void **state)
{
    const NodeCase *row = *state;
    InvNodeInfo info;
    gboolean good;

    make_root(row->files);
    good = inv_host_node_info_at(root, &info, &error);
    if (!row->shape) {
        assert_false(good);
        assert_non_null(strstr(error->message, row->message));
        assert_int_not_equal(inv_error_code(error), VIR_ERR_INTERNAL_ERROR);
        return;
    }
    assert_true(good);
    text = g_strdup_printf("%u %u %u %u %u %u", info.cpus, info.nodes, info.sockets, info.cores, info.threads, info.mhz);
    assert_string_equal(text, row->shape);
    assert_int_equal(info.memory_kib, 8000000);
    assert_string_equal(info.model, inv_host_arch());
}

typedef struct {
    const char *name;
    const char *list;
    const char *numbers; /* NULL: refused */
} ListCase;

static const ListCase list_cases[] = {
    { .name = "empty list", .list = "\n", .numbers = "" },
    { .name = "ranges and numbers", .list = "0-3,8", .numbers = "0 1 2 3 8" },
    { .name = "unordered and twice", .list = "5,1-2,2-3", .numbers = "1 2 3 5" },
    { .name = "backwards", .list = "3-1", .numbers = NULL },
    { .name = "words", .list = "all", .numbers = NULL },
    { .name = "an empty part", .list = "1,,2", .numbers = NULL },
    { .name = "three ends", .list = "1-2-3", .numbers = NULL },
    { .name = "at the limit", .list = "16", .numbers = NULL },
    { .name = "negative", .list = "-1", .numbers = NULL },
    { .name = "ranges over and over", .list = "0-15,0-15,0-15", .numbers = NULL },
};

static void
lists_are_checked(void **state)
{
    const ListCase *row = *state;
    g_autoptr(GArray) numbers = NULL;
    g_autoptr(GString) found = g_string_new(NULL);
    gboolean good = inv_host_parse_list(row->list, 16, &numbers);

    for (guint i = 0; good && i < numbers->len; i++)
        g_string_append_printf(found, "%s%u", i ? " " : "", g_array_index(numbers, guint, i));
    text = g_strdup(found->str);
    assert_int_equal(good, row->numbers != NULL);
    if (good)
        assert_string_equal(text, row->numbers);
}

typedef struct {
    const char *name;
    HostFile files[MAX_FILES];
    const char *uuid;    /* whole, or NULL */
    const char *pattern; /* a derived one: where the version and variant digits stand */
} UuidCase;

static const UuidCase uuid_cases[] = {
    { .name = "the firmware's", .files = { { DMI "product_uuid", "34E956A0-2469-4CDD-BC05-80EDB074CE57\n" } },
      .uuid = "34e956a0-2469-4cdd-bc05-80edb074ce57" },
    { .name = "all digits the same: derived",
      .files = { { DMI "product_uuid", "ffffffff-ffff-ffff-ffff-ffffffffffff\n" },
                 { "/etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n" } },
      .pattern = "*-*-4*-*-*" },
    { .name = "none of the firmware: derived", .files = { { "/etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n" } },
      .pattern = "*-*-4*-*-*" },
    { .name = "not yet initialised", .files = { { "/etc/machine-id", "uninitialized\n" } } },
};

static void
uuid_is_stable(void **state)
{
    const UuidCase *row = *state;
    g_autofree char *again = NULL;

    make_root(row->files);
    text = inv_host_uuid_at(root, &error);
    if (!row->uuid && !row->pattern) {
        assert_null(text);
        assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_UNSUPPORTED);
        return;
    }
    assert_non_null(text);
    if (row->uuid)
        assert_string_equal(text, row->uuid);
    if (row->pattern) {
        assert_true(g_pattern_match_simple(row->pattern, text));
        assert_null(strstr(text, "3d1219c7"));
    }
    again = inv_host_uuid_at(root, NULL);
    assert_string_equal(again, text);
}

typedef struct {
    const char *name;
    HostFile files[MAX_FILES];
    const char *xml; /* NULL: not supported */
} SysinfoCase;

static const SysinfoCase sysinfo_cases[] = {
    { .name = "what can be read, escaped",
      .files = { { DMI "bios_vendor", "SeaBIOS & <friends>\n" }, { DMI "sys_vendor", "QEMU\n" }, { DMI "product_name", "Standard\x01 PC\n" },
                 { DMI "product_serial", "  \n" }, { CPU "online", "0\n" },
                 { "/proc/cpuinfo", "vendor_id : AuthenticAMD\nmodel name : AMD 'EPYC'\n" } },
      .xml = "<sysinfo type='smbios'>\n"
             "  <bios>\n"
             "    <entry name='vendor'>SeaBIOS &amp; &lt;friends&gt;</entry>\n"
             "  </bios>\n"
             "  <system>\n"
             "    <entry name='manufacturer'>QEMU</entry>\n"
             "    <entry name='product'>Standard\xef\xbf\xbd PC</entry>\n"
             "  </system>\n"
             "  <processor>\n"
             "    <entry name='manufacturer'>AuthenticAMD</entry>\n"
             "    <entry name='version'>AMD &apos;EPYC&apos;</entry>\n"
             "  </processor>\n"
             "</sysinfo>\n" },
    { .name = "no firmware", .files = { { "/proc/cpuinfo", "vendor_id : AuthenticAMD\n" } } },
};

static void
sysinfo_is_virshs(void **state)
{
    const SysinfoCase *row = *state;

    make_root(row->files);
    text = inv_host_sysinfo_at(root, &error);
    if (row->xml) {
        assert_non_null(text);
        assert_string_equal(text, row->xml);
    } else {
        assert_null(text);
        assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_UNSUPPORTED);
    }
}

static const HostFile numa_host[] = {
    MEMORY,
    { CPU "online", "0-1\n" },
    { NODE "online", "0,2\n" },
    { NODE "node0/cpulist", "0\n" },
    { NODE "node2/cpulist", "1\n" },
    { NODE "node0/meminfo", "\nNode 0 MemTotal:  4096 kB\nNode 0 MemFree:  40 kB\n" },
    { NODE "node2/meminfo", "\nNode 2 MemTotal:  8192 kB\nNode 2 MemFree:  80 kB\n" },
    { NODE "node0/distance", "10 21\n" },
    { NODE "node2/distance", "21 zero\n" },
    { NODE "node0/hugepages/hugepages-2048kB/nr_hugepages", "1\n" },
    { "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "1\n" },
    { NULL, NULL },
};

static void
cells_are_read(void **state)
{
    g_autoptr(InvHostTopology) topology = NULL;
    const InvHostCell *first, *second;

    make_root(numa_host);
    topology = inv_host_topology_at(root, &error);
    assert_non_null(topology);
    assert_int_equal(topology->cells->len, 2);
    first = g_ptr_array_index(topology->cells, 0);
    second = g_ptr_array_index(topology->cells, 1);
    assert_int_equal(second->id, 2);
    assert_int_equal(first->memory_kib, 4096);
    assert_int_equal(second->free_kib, 80);
    assert_int_equal(first->distances->len, 2);
    assert_int_equal(g_array_index(first->distances, InvHostDistance, 1).cell, 2);
    assert_int_equal(g_array_index(first->distances, InvHostDistance, 1).value, 21);
    assert_int_equal(second->distances->len, 0);
    assert_int_equal(first->pages->len, 2);
    assert_int_equal(g_array_index(first->pages, InvHostPages, 1).count, 1);
    assert_int_equal(g_array_index(first->pages, InvHostPages, 0).count,
                     2048 / g_array_index(first->pages, InvHostPages, 0).size_kib);
    assert_int_equal(((const InvHostCpu *)g_ptr_array_index(second->cpus, 0))->id, 1);
}

#define CACHE(cpu, index, level, type, size, cpus) \
    { CPU "cpu" cpu "/cache/index" index "/level", level "\n" }, { CPU "cpu" cpu "/cache/index" index "/type", type "\n" }, \
        { CPU "cpu" cpu "/cache/index" index "/size", size "\n" }, { CPU "cpu" cpu "/cache/index" index "/shared_cpu_list", cpus "\n" }

static const struct {
    const char *name;
    HostFile files[MAX_FILES];
    const char *expected; /* "level type id size cpus; …" */
} cache_cases[] = {
    { .name = "a cache that all share is one", .files = { { CPU "online", "0-1\n" },
        CACHE("0", "0", "1", "Data", "32K", "0"), CACHE("0", "1", "3", "Unified", "32768K", "0-1"), { CPU "cpu0/cache/index1/id", "7\n" },
        CACHE("1", "0", "1", "Data", "32K", "1"), CACHE("1", "1", "3", "Unified", "32768K", "0-1"), { CPU "cpu1/cache/index1/id", "7\n" } },
      .expected = "3 both 7 32768 0-1" },
    { .name = "caches without numbers", .files = { { CPU "online", "0-2\n" },
        CACHE("0", "0", "3", "Unified", "8K", "0"), CACHE("1", "0", "3", "Unified", "8K", "1-2"), CACHE("2", "0", "3", "Unified", "8K", "1-2") },
      .expected = "3 both 0 8 0; 3 both 1 8 1-2" },
    { .name = "levels and types in order", .files = { { CPU "online", "0\n" }, CACHE("0", "0", "4", "Unified", "9K", "0"),
        CACHE("0", "1", "3", "Instruction", "1K", "0"), CACHE("0", "2", "3", "Data", "2K", "0") },
      .expected = "3 code 0 1 0; 3 data 0 2 0; 4 both 0 9 0" },
    { .name = "what cannot be is left out", .files = { { CPU "online", "0\n" }, CACHE("0", "0", "3", "Other", "9K", "0"),
        CACHE("0", "1", "3", "Unified", "-1K", "0"), CACHE("0", "2", "3", "Unified", "1M", "0"), CACHE("0", "3", "3", "Unified", "9K", "none"),
        CACHE("0", "4", "300", "Unified", "9K", "0"), CACHE("0", "5", "3", "Unified", "5K", "0") },
      .expected = "3 both 0 5 0" },
    { .name = "a kernel that says nothing", .files = { { CPU "online", "0-3\n" } }, .expected = "" },
};

static void
caches_are_listed(void **state)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cache_cases); i++) {
        g_autoptr(InvHostTopology) topology = NULL;
        g_autoptr(GPtrArray) caches = NULL;
        g_autoptr(GString) found = g_string_new(NULL);

        make_root(cache_cases[i].files);
        topology = inv_host_topology_at(root, &error);
        assert_non_null(topology);
        caches = inv_host_caches_at(root, topology->online);
        for (guint j = 0; j < caches->len; j++) {
            const InvHostCache *cache = g_ptr_array_index(caches, j);

            g_string_append_printf(found, "%s%u %s %u %" G_GUINT64_FORMAT " %s", j ? "; " : "", cache->level, cache->type, cache->id,
                                   cache->size_kib, cache->cpus);
        }
        if (strcmp(found->str, cache_cases[i].expected) != 0)
            fail_msg("%s: '%s' and not '%s'", cache_cases[i].name, found->str, cache_cases[i].expected);
        test_folder_remove(root);
        g_clear_pointer(&root, g_free);
    }
}

static void
cpu_map_has_a_bit_per_processor(void **state)
{
    static const HostFile files[] = { { CPU "online", "0,2,9\n" }, { CPU "present", "0-9\n" }, { NULL, NULL } };
    g_autofree guint8 *map = NULL;
    gsize length = 0;
    guint present = 0, online = 0;

    make_root(files);
    assert_true(inv_host_cpu_map_at(root, &map, &length, &present, &online, &error));
    assert_int_equal(length, 2);
    assert_int_equal(map[0], 0x05);
    assert_int_equal(map[1], 0x02);
    assert_int_equal(present, 10);
    assert_int_equal(online, 3);
}

/* Whatever this machine is, its facts agree with each other. */
static void
this_host_is_whole(void **state)
{
    InvNodeInfo info;
    guint64 bytes = 0;
    g_autoptr(InvHostCpuIdentity) identity = inv_host_cpu_identity();

    assert_true(inv_host_node_info(&info, &error));
    assert_true(info.cpus >= 1 && info.memory_kib > 0);
    assert_true(info.nodes * info.sockets * info.cores * info.threads >= info.cpus);
    assert_true(inv_host_free_memory(&bytes, &error));
    assert_true(bytes > 0 && bytes / 1024 <= info.memory_kib);
    text = inv_host_hostname();
    assert_true(*text);
    assert_true(inv_guest_arch_word_size(inv_host_arch()) > 0);
    if (inv_guest_arch_is_x86(inv_host_arch()))
        assert_true(identity->vendor_id && identity->family > 0);
}

typedef struct {
    const char *name;
    const char *word;
    const char *nearest;
} ArchCase;

static const ArchCase arch_cases[] = {
    { .name = "a letter short", .word = "x86_6", .nearest = "x86_64" },
    { .name = "with a hyphen", .word = "x86-64", .nearest = "x86_64" },
    { .name = "the kernel's word", .word = "arm64", .nearest = "aarch64" },
    { .name = "nothing like it", .word = "zzzzzzzzz", .nearest = NULL },
    { .name = "too long to be one", .word = "x86_64x86_64x86_64x86_64x86_64x86_64", .nearest = NULL },
};

static void
nearest_architecture_is_named(void **state)
{
    const ArchCase *row = *state;
    const char *nearest = inv_guest_arch_nearest(row->word);

    assert_int_equal(nearest != NULL, row->nearest != NULL);
    if (nearest)
        assert_string_equal(nearest, row->nearest);
}

int
main(void)
{
    const struct CMUnitTest single[] = {
        cmocka_unit_test_teardown(cells_are_read, teardown),
        cmocka_unit_test_teardown(caches_are_listed, teardown),
        cmocka_unit_test_teardown(cpu_map_has_a_bit_per_processor, teardown),
        cmocka_unit_test_teardown(this_host_is_whole, teardown),
    };
    TestTable *table = test_table_new(NULL, teardown);

    test_table_add_all(table, single, G_N_ELEMENTS(single));
    TEST_TABLE_ADD_ROWS(table, node_cases, node_info_is_libvirts);
    TEST_TABLE_ADD_ROWS(table, list_cases, lists_are_checked);
    TEST_TABLE_ADD_ROWS(table, uuid_cases, uuid_is_stable);
    TEST_TABLE_ADD_ROWS(table, sysinfo_cases, sysinfo_is_virshs);
    TEST_TABLE_ADD_ROWS(table, arch_cases, nearest_architecture_is_named);
    return test_table_run(table, "host", NULL, NULL);
}
