/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <glib/gstdio.h>

#include "cpu_map/cpu_map.h"
#include "cpu_map/machine_msr.h"
#include "util/error.h"

static InvCpuMap *map;
static GError *error;
static char *folder;

static int
load(void **state)
{
    map = inv_cpu_map_load(inv_cpu_map_default_folder(), "x86_64", NULL);
    return map ? 0 : -1;
}

static int
teardown(void **state)
{
    g_clear_pointer(&map, inv_cpu_map_free);
    g_clear_error(&error);
    if (folder) {
        static const char *const files[] = { "x86/features.tsv", "x86/spelling.tsv", "x86/unpassed.tsv", "x86/signatures.tsv", "x86", "" };

        for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
            g_autofree char *path = g_build_filename(folder, files[i], NULL);

            g_remove(path);
        }
    }
    g_clear_pointer(&folder, g_free);
    return 0;
}

typedef struct {
    const char *name;
    const char *asked;
    const char *libvirt; /* NULL: not known */
    const char *qemu;
    gboolean not_passed, not_migratable;
} NameCase;

static const NameCase name_cases[] = {
    { .name = "spelled alike", .asked = "avx512f", .libvirt = "avx512f", .qemu = "avx512f" },
    { .name = "by libvirt's name", .asked = "pclmuldq", .libvirt = "pclmuldq", .qemu = "pclmulqdq" },
    { .name = "by QEMU's name", .asked = "pclmulqdq", .libvirt = "pclmuldq", .qemu = "pclmulqdq" },
    { .name = "by an alias of QEMU's", .asked = "sse4_1", .libvirt = "sse4.1", .qemu = "sse4.1" },
    { .name = "by an old name of QEMU's", .asked = "ffxsr", .libvirt = "fxsr_opt", .qemu = "fxsr-opt" },
    { .name = "nx is QEMU's xd", .asked = "xd", .libvirt = "nx", .qemu = "nx" },
    { .name = "dash for underscore", .asked = "cmp_legacy", .libvirt = "cmp_legacy", .qemu = "cmp-legacy" },
    { .name = "without a bit", .asked = "hv-vendor-id", .libvirt = "hv-vendor_id", .qemu = "hv-vendor-id" },
    { .name = "invvpid is misspelled in QEMU", .asked = "vmx-invept-single-context-noglobals",
      .libvirt = "vmx-invvpid-single-context-noglobals", .qemu = "vmx-invept-single-context-noglobals" },
    { .name = "set by the guest's system", .asked = "osxsave", .libvirt = "osxsave", .qemu = "osxsave", .not_passed = TRUE },
    { .name = "in no QEMU", .asked = "mbm_total", .libvirt = "mbm_total", .qemu = "mbm_total", .not_passed = TRUE },
    { .name = "bound to the host", .asked = "invtsc", .libvirt = "invtsc", .qemu = "invtsc", .not_migratable = TRUE },
    { .name = "not known", .asked = "avx512xyz" },
    { .name = "empty", .asked = "" },
};

static void
find_by_name(void **state)
{
    const NameCase *row = *state;
    const InvCpuMapFeature *feature = inv_cpu_map_find(map, row->asked);

    if (!row->libvirt) {
        assert_null(feature);
        assert_string_equal(inv_cpu_map_to_libvirt(map, row->asked), row->asked);
        assert_string_equal(inv_cpu_map_to_qemu(map, row->asked), row->asked);
        return;
    }
    assert_non_null(feature);
    assert_string_equal(feature->name, row->libvirt);
    assert_string_equal(feature->qemu, row->qemu);
    assert_int_equal(feature->passed, !row->not_passed);
    assert_int_equal(feature->migratable, !row->not_migratable);
    assert_string_equal(inv_cpu_map_to_libvirt(map, row->qemu), row->libvirt);
    assert_string_equal(inv_cpu_map_to_qemu(map, row->libvirt), row->qemu);
}

static void
bits_are_those_of_the_data(void **state)
{
    const InvCpuMapFeature *rtm = inv_cpu_map_find(map, "rtm");
    const InvCpuMapFeature *true_ctls = inv_cpu_map_find(map, "vmx-true-ctls");
    const InvCpuMapFeature *rdctl_no = inv_cpu_map_find(map, "rdctl-no");
    guint unpassed = 0;

    assert_false(rtm->is_msr);
    assert_int_equal(rtm->leaf, 7);
    assert_int_equal(rtm->reg, INV_CPU_REGISTER_EBX);
    assert_int_equal(rtm->mask, 1u << 11);
    assert_true(true_ctls->is_msr);
    assert_int_equal(true_ctls->leaf, 0x480);
    assert_true(true_ctls->mask == G_GUINT64_CONSTANT(0x0080000000000000));
    assert_true(rdctl_no->is_msr && rdctl_no->mask == 1);
    for (guint i = 0; i < inv_cpu_map_size(map); i++) {
        const InvCpuMapFeature *feature = inv_cpu_map_at(map, i);

        unpassed += !feature->passed;
        assert_ptr_equal(inv_cpu_map_find(map, feature->name), feature);
        assert_ptr_equal(inv_cpu_map_find(map, feature->qemu), feature);
    }
    assert_int_equal(unpassed, 8);
    assert_null(inv_cpu_map_at(map, inv_cpu_map_size(map)));
}

static void
vendors_both_ways(void **state)
{
    assert_string_equal(inv_cpu_vendor_to_id("Intel"), "GenuineIntel");
    assert_string_equal(inv_cpu_vendor_from_id("AuthenticAMD"), "AMD");
    assert_string_equal(inv_cpu_vendor_to_id("Hygon"), "HygonGenuine");
    assert_string_equal(inv_cpu_vendor_to_id("Acme"), "Acme");
    assert_string_equal(inv_cpu_vendor_from_id("AcmeAcmeAcme"), "AcmeAcmeAcme");
}

static void
topology_is_no_feature_of_the_model(void **state)
{
    assert_true(inv_cpu_map_follows_topology("ht"));
    assert_true(inv_cpu_map_follows_topology("cmp_legacy"));
    assert_true(inv_cpu_map_follows_topology("cmp-legacy"));
    assert_false(inv_cpu_map_follows_topology("htt"));
}

static void
signatures_tell_steppings_apart(void **state)
{
    assert_true(inv_cpu_map_has_signature(map, "Cascadelake-Server", "GenuineIntel", 6, 85, 7));
    assert_false(inv_cpu_map_has_signature(map, "Cascadelake-Server", "GenuineIntel", 6, 85, 4));
    assert_true(inv_cpu_map_has_signature(map, "Skylake-Server", "Intel", 6, 85, 4));
    assert_false(inv_cpu_map_has_signature(map, "Skylake-Server", "AMD", 6, 85, 4));
    assert_false(inv_cpu_map_has_signature(map, "no such model", "Intel", 6, 85, 4));
}

static void
other_architectures_spell_alike(void **state)
{
    g_clear_pointer(&map, inv_cpu_map_free);
    map = inv_cpu_map_load("/nonexistent", "s390x", &error);
    assert_non_null(map);
    assert_int_equal(inv_cpu_map_size(map), 0);
    assert_string_equal(inv_cpu_map_to_qemu(map, "msa-base"), "msa-base");
}

static void
i686_shares_the_map(void **state)
{
    guint size = inv_cpu_map_size(map);

    g_clear_pointer(&map, inv_cpu_map_free);
    map = inv_cpu_map_load(inv_cpu_map_default_folder(), "i686", &error);
    assert_non_null(map);
    assert_int_equal(inv_cpu_map_size(map), size);
}

/* A file of zeroes but for one register stands for the driver: the register's index is the offset. */
static void
machine_msrs_are_read_at_their_offset(void **state)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("invar-msr-XXXXXX", &path, &error);
    InvMachineMsrs *msrs;
    const guint64 content = G_GUINT64_CONSTANT(0x8000000000000021);
    guint64 value = 0;

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &content, sizeof(content), 0x10a), sizeof(content));
    close(fd);
    msrs = inv_machine_msrs_open(path);
    g_remove(path);
    assert_non_null(msrs);
    assert_true(inv_machine_msrs_read(msrs, 0x10a, &value));
    assert_true(value == content);
    assert_false(inv_machine_msrs_read(msrs, 0x480, &value));
    assert_true(value == content);
    inv_machine_msrs_close(msrs);
    assert_null(inv_machine_msrs_open("/nonexistent/msr"));
}

#define HEADER "name\tsource\tleaf_or_msr\tsubleaf\tregister\tmask\tmigratable\taliases\n"

typedef struct {
    const char *name;
    const char *features; /* content of features.tsv, NULL: no file */
    const char *message;
    virErrorNumber code;
} FileCase;

static const FileCase file_cases[] = {
    { .name = "no file", .message = "features.tsv", .code = VIR_ERR_SYSTEM_ERROR },
    { .name = "empty file", .features = "", .message = "has no rows", .code = VIR_ERR_CONF_SYNTAX },
    { .name = "another header", .features = "# x\na\tb\n", .message = "features.tsv:2: the columns", .code = VIR_ERR_CONF_SYNTAX },
    { .name = "a column less", .features = HEADER "x\tcpuid\t1\n", .message = ":2: 3 columns instead of 8", .code = VIR_ERR_CONF_SYNTAX },
    { .name = "no number", .features = HEADER "x\tcpuid\tzz\t0\teax\t1\tyes\t\n", .message = ":2: 'zz' is not a number",
      .code = VIR_ERR_CONF_SYNTAX },
    { .name = "no register", .features = HEADER "x\tcpuid\t1\t0\teex\t1\tyes\t\n", .message = "'eex' is not a register",
      .code = VIR_ERR_CONF_SYNTAX },
    { .name = "a feature twice", .features = HEADER "x\tcpuid\t1\t0\teax\t1\tyes\t\nx\tcpuid\t1\t0\teax\t2\tyes\t\n",
      .message = ":3: feature 'x' is there twice", .code = VIR_ERR_CONF_SYNTAX },
};

static void
bad_files_are_refused(void **state)
{
    const FileCase *row = *state;
    g_autofree char *sub = NULL;
    g_autofree char *path = NULL;

    folder = g_dir_make_tmp("invar-map-XXXXXX", NULL);
    sub = g_build_filename(folder, "x86", NULL);
    path = g_build_filename(sub, "features.tsv", NULL);
    g_mkdir(sub, 0700);
    if (row->features)
        g_file_set_contents(path, row->features, -1, NULL);
    assert_null(inv_cpu_map_load(folder, "x86_64", &error));
    assert_non_null(strstr(error->message, row->message));
    assert_int_equal(inv_error_code(error), row->code);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(name_cases) + G_N_ELEMENTS(file_cases) + 7];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(name_cases); i++)
        tests[n++] = (struct CMUnitTest){ name_cases[i].name, find_by_name, load, teardown, (void *)&name_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(file_cases); i++)
        tests[n++] = (struct CMUnitTest){ file_cases[i].name, bad_files_are_refused, NULL, teardown, (void *)&file_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(bits_are_those_of_the_data, load, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(vendors_both_ways, load, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(topology_is_no_feature_of_the_model, load, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(signatures_tell_steppings_apart, load, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(other_architectures_spell_alike, load, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(machine_msrs_are_read_at_their_offset, NULL, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(i686_shares_the_map, load, teardown);
    g_assert(n == G_N_ELEMENTS(tests));
    return cmocka_run_group_tests_name("cpu map", tests, NULL, NULL);
}
