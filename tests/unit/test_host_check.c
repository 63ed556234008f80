/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <glib/gstdio.h>

#include "qemu/host_check.h"
#include "tests/unit/test_folder.h"

/* A host made of files: paths below a temporary root, and what is in them. */
typedef struct {
    const char *name;
    const char *machine;
    const char *files[8][2];
    const char *expected; /* "check=RESULT", separated by "; ": all that the host is asked for and is not PASS or absent */
} HostCase;

#define INTEL "processor : 0\nflags\t\t: fpu sse2 vmx\nmicrocode : 0x1\nmodel name : X\n"
#define CGROUPS { "/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma\n" }
#define QEMU(arch) { "/usr/bin/qemu-system-" arch, "#!/bin/sh\n" }
#define NET { "/dev/vhost-net", "" }, { "/dev/net/tun", "" }

static const HostCase host_cases[] = {
    { .name = "nothing at all", .machine = "x86_64",
      .expected = "hardware virtualization=WARN; device /dev/kvm=FAIL; emulator qemu-system-x86_64=FAIL; device /dev/vhost-net=WARN; "
                  "device /dev/net/tun=WARN; cgroup v2=WARN; IOMMU=NOTE" },
    { .name = "all but KVM and an IOMMU", .machine = "x86_64", .files = { { "/proc/cpuinfo", INTEL "\n" INTEL }, QEMU("x86_64"), CGROUPS, NET },
      .expected = "device /dev/kvm=FAIL; IOMMU=NOTE" },
    { .name = "an IOMMU", .machine = "x86_64",
      .files = { { "/proc/cpuinfo", INTEL }, QEMU("x86_64"), CGROUPS, NET, { "/sys/kernel/iommu_groups/0/type", "DMA" } },
      .expected = "device /dev/kvm=FAIL" },
    { .name = "a hybrid processor", .machine = "x86_64",
      .files = { { "/proc/cpuinfo", INTEL "\nprocessor : 1\nflags\t\t: fpu sse2 vmx avx512f\n" }, QEMU("x86_64"), CGROUPS, NET },
      .expected = "device /dev/kvm=FAIL; processors are alike=WARN; IOMMU=NOTE" },
    { .name = "two microcodes", .machine = "x86_64",
      .files = { { "/proc/cpuinfo", INTEL "\nflags\t\t: fpu sse2 vmx\nmicrocode : 0x2\n" }, QEMU("x86_64"), CGROUPS, NET },
      .expected = "device /dev/kvm=FAIL; processors are alike=WARN; IOMMU=NOTE" },
    { .name = "no virtualization, in a word that only begins so", .machine = "x86_64",
      .files = { { "/proc/cpuinfo", "flags : fpu vmx_more svm_lock\n" }, QEMU("x86_64"), CGROUPS, NET },
      .expected = "hardware virtualization=WARN; device /dev/kvm=FAIL; IOMMU=NOTE" },
    { .name = "nested off", .machine = "x86_64",
      .files = { { "/proc/cpuinfo", INTEL }, QEMU("x86_64"), CGROUPS, NET, { "/sys/module/kvm_intel/parameters/nested", "N\n" } },
      .expected = "device /dev/kvm=FAIL; nested virtualization=NOTE; IOMMU=NOTE" },
    { .name = "nested on", .machine = "x86_64",
      .files = { { "/proc/cpuinfo", INTEL }, QEMU("x86_64"), CGROUPS, NET, { "/sys/module/kvm_intel/parameters/nested", "Y\n" } },
      .expected = "device /dev/kvm=FAIL; IOMMU=NOTE" },
    { .name = "controllers missing", .machine = "x86_64",
      .files = { { "/proc/cpuinfo", INTEL }, QEMU("x86_64"), NET, { "/sys/fs/cgroup/cgroup.controllers", "cpu pids\n" } },
      .expected = "device /dev/kvm=FAIL; cgroup v2=WARN; IOMMU=NOTE" },
    { .name = "encrypted memory without its device", .machine = "x86_64",
      .files = { { "/proc/cpuinfo", "flags : svm sev\n" }, QEMU("x86_64"), CGROUPS, NET },
      .expected = "device /dev/kvm=FAIL; IOMMU=NOTE; device /dev/sev=NOTE" },
    { .name = "s390x", .machine = "s390x", .files = { { "/proc/cpuinfo", "features\t: esan3 zarch sie\n" }, QEMU("s390x"), CGROUPS, NET },
      .expected = "device /dev/kvm=FAIL; IOMMU=NOTE" },
    { .name = "i686 takes the emulator for i386", .machine = "i686", .files = { { "/proc/cpuinfo", INTEL }, QEMU("i386"), CGROUPS, NET },
      .expected = "device /dev/kvm=FAIL; IOMMU=NOTE" },
};

static char *root;
static GPtrArray *checks;

static int
teardown(void **state)
{
    if (root)
        test_folder_remove(root);
    g_clear_pointer(&root, g_free);
    g_clear_pointer(&checks, g_ptr_array_unref);
    return 0;
}

static void
make_host(const HostCase *row)
{
    root = g_dir_make_tmp("invar-test-XXXXXX", NULL);
    for (guint i = 0; i < G_N_ELEMENTS(row->files) && row->files[i][0]; i++) {
        g_autofree char *path = g_strconcat(root, row->files[i][0], NULL);
        g_autofree char *folder = g_path_get_dirname(path);

        assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
        assert_true(g_file_set_contents(path, row->files[i][1], -1, NULL));
        assert_int_equal(g_chmod(path, 0700), 0);
    }
}

static void
what_is_missing_is_told(void **state)
{
    const HostCase *row = *state;
    g_autofree char *folder = NULL;
    g_autoptr(GString) found = g_string_new(NULL);

    make_host(row);
    folder = g_strconcat(root, "/usr/bin", NULL);
    checks = inv_host_checks(root, row->machine, (const char *const[]){ "/nonexistent", folder, NULL });
    for (guint i = 0; i < checks->len; i++) {
        const InvHostCheck *check = g_ptr_array_index(checks, i);

        if (check->result == INV_CHECK_PASS) {
            assert_null(check->remedy);
            continue;
        }
        assert_non_null(check->detail);
        assert_non_null(check->remedy);
        g_string_append_printf(found, "%s%s=%s", found->len ? "; " : "", check->name, inv_check_result_to_string(check->result));
    }
    assert_string_equal(found->str, row->expected);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(host_cases)];

    for (guint i = 0; i < G_N_ELEMENTS(host_cases); i++)
        tests[i] = (struct CMUnitTest){ host_cases[i].name, what_is_missing_is_told, NULL, teardown, (void *)&host_cases[i] };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
