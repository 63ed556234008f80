/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cpu_map/cpu_limits.h"
#include "util/error.h"

static InvCpuLimits *limits;
static InvCpuMap *map;
static InvCpuHostLimits *host;
static GError *error;

static int
setup(void **state)
{
    map = inv_cpu_map_load(inv_cpu_map_default_folder(), "x86_64", &error);
    limits = inv_cpu_limits_load(inv_cpu_map_default_folder(), "x86_64", map, &error);
    if (!map || !limits)
        fail_msg("%s", error->message);
    return 0;
}

static int
teardown(void **state)
{
    g_clear_pointer(&host, inv_cpu_host_limits_free);
    g_clear_pointer(&limits, inv_cpu_limits_free);
    g_clear_pointer(&map, inv_cpu_map_free);
    g_clear_error(&error);
    return 0;
}

typedef struct {
    const char *name;
    const char *release, *cmdline, *parameters; /* the last apart by spaces */
    const char *feature;
    const char *setting, *remedy; /* what they contain; NULL: there is none */
    const char *since;
} LimitCase;

static const LimitCase limit_cases[] = {
    { .name = "nothing is set", .release = "6.1.0", .cmdline = "root=/dev/vda quiet", .feature = "smap" },
    { .name = "nothing is known", .feature = "amx-tile" },
    { .name = "a boot option", .cmdline = "quiet nosmap ro", .feature = "smap", .setting = "the boot option nosmap", .remedy = "without nosmap" },
    { .name = "a boot option that only looks like it", .cmdline = "nosmapper x-nosmap nosmap=1", .feature = "smap" },
    { .name = "a boot option of another feature", .cmdline = "nosmap", .feature = "smep" },
    { .name = "an option for the first program", .cmdline = "quiet -- nosmap", .feature = "smap" },
    { .name = "an option with a value", .cmdline = "tsx=off\n", .feature = "rtm", .setting = "the boot option tsx=off", .remedy = "tsx=on" },
    { .name = "an option with another value", .cmdline = "tsx=on", .feature = "rtm" },
    { .name = "an option without the value", .cmdline = "tsx", .feature = "rtm" },
    { .name = "clearcpuid by name", .cmdline = "clearcpuid=smca,avx512_vnni", .feature = "avx512vnni",
      .setting = "the boot option clearcpuid=avx512_vnni", .remedy = "clearcpuid=" },
    { .name = "clearcpuid by Linux's spelling of QEMU's name", .cmdline = "clearcpuid=pclmulqdq", .feature = "pclmuldq", .setting = "clearcpuid=pclmulqdq" },
    { .name = "clearcpuid by a name with a point", .cmdline = "clearcpuid=sse4_2", .feature = "sse4.2", .setting = "clearcpuid=sse4_2" },
    /* Word 18 of Linux's numbers is the leaf 7's EDX, whose bit 23 is AVX512-FP16. */
    { .name = "clearcpuid by number", .cmdline = "clearcpuid=599", .feature = "avx512-fp16", .setting = "clearcpuid=599" },
    { .name = "clearcpuid by the number of another bit", .cmdline = "clearcpuid=598", .feature = "avx512-fp16" },
    { .name = "clearcpuid of nothing", .cmdline = "clearcpuid=", .feature = "avx512-fp16" },
    { .name = "clearcpuid of a name that nobody knows", .cmdline = "clearcpuid=nonsense,99999999999999999999", .feature = "fpu" },
    { .name = "a module's parameter", .parameters = "kvm.enable_pmu=Y kvm_intel.nested=N", .feature = "vmx",
      .setting = "the module parameter kvm_intel.nested=N", .remedy = "kvm_intel with nested=1" },
    { .name = "a module's parameter that allows it", .parameters = "kvm_intel.nested=Y kvm_amd.nested=1", .feature = "vmx" },
    { .name = "a module's parameter is no boot option", .cmdline = "kvm_intel.nested=0", .feature = "vmx" },
    { .name = "a part of what a parameter forbids", .parameters = "kvm_amd.nested=0", .feature = "npt", .setting = "kvm_amd.nested=0" },
    { .name = "the first reason is told", .parameters = "kvm_amd.nested=0 kvm_amd.npt=0", .feature = "npt", .setting = "kvm_amd.nested=0" },
    { .name = "all features that begin so", .parameters = "kvm_intel.nested=N", .feature = "vmx-ept-2mb", .setting = "kvm_intel.nested=N" },
    { .name = "one that does not begin so", .parameters = "kvm_intel.ept=N", .feature = "vmx-vpid" },
    { .name = "one that does", .parameters = "kvm_intel.ept=N", .feature = "vmx-ept-1gb", .setting = "kvm_intel.ept=N", .remedy = "ept=1" },
    { .name = "what only two-dimensional paging can", .parameters = "kvm_amd.npt=0", .feature = "pku", .setting = "kvm_amd.npt=0" },
    { .name = "counters", .parameters = "kvm.enable_pmu=N", .feature = "perfctr_core", .setting = "kvm.enable_pmu=N", .remedy = "enable_pmu=1" },
    { .name = "a part of nested virtualization", .parameters = "kvm_amd.vgif=0", .feature = "vgif", .setting = "kvm_amd.vgif=0" },
    { .name = "all parts of it", .parameters = "kvm_amd.nested=0", .feature = "vmcb-clean", .setting = "kvm_amd.nested=0" },
    { .name = "an option that hides a second thing", .cmdline = "tsx=off", .feature = "taa-no", .setting = "tsx=off", .remedy = "tsx=on" },
    { .name = "random numbers", .cmdline = "nordrand", .feature = "rdseed", .setting = "nordrand" },
    /* KVM makes its own x2APIC, and mitigations are no features. */
    { .name = "an option that keeps nothing from guests", .cmdline = "nox2apic mitigations=off", .feature = "x2apic" },
    { .name = "mitigations are not features", .cmdline = "mitigations=off nospectre_v2", .feature = "spec-ctrl" },
    { .name = "an older kernel", .release = "5.10.0-28-amd64", .feature = "amx-tile", .since = "5.17" },
    { .name = "the kernel that has it", .release = "5.17.0", .feature = "amx-tile" },
    { .name = "a newer kernel", .release = "6.18.44-fc", .feature = "amx-tile" },
    { .name = "an older kernel, and nothing is written", .release = "5.10.0", .feature = "avx2" },
};

static void
limit_of(void **state)
{
    const LimitCase *row = *state;
    g_auto(GStrv) parameters = g_strsplit(row->parameters ? row->parameters : "", " ", -1);
    InvCpuLimit limit;

    host = inv_cpu_host_limits_new(limits, map,
                                   &(InvCpuHostSettings){ .release = row->release,
                                                          .cmdline = row->cmdline,
                                                          .parameters = (const char *const *)parameters });
    limit = inv_cpu_host_limits_find(host, row->feature);
    if (!row->setting) {
        assert_null(limit.setting);
        assert_null(limit.remedy);
    } else {
        assert_non_null(limit.setting);
        assert_non_null(strstr(limit.setting, row->setting));
        assert_non_null(limit.remedy);
        assert_non_null(strstr(limit.remedy, row->remedy ? row->remedy : ""));
    }
    if (row->since)
        assert_string_equal(limit.linux_since, row->since);
    else
        assert_null(limit.linux_since);
}

typedef struct {
    const char *a, *b;
    int order;
} VersionCase;

static void
versions(void **state)
{
    static const VersionCase cases[] = {
        { "6.1", "6.2", -1 },         { "6.10", "6.9", 1 },          { "6.1.0-18-amd64", "6.1", 0 }, { "5.17", "5.17.0", 0 },
        { "6.18.44-fc-v669", "6.13", 1 }, { "4.18.0-553.el8", "4.18", 0 }, { "7.0-rc1", "6.99", 1 },  { "", "4.10", -1 },
        { "6.", "6", 0 },             { "6.1.2", "6.1.10", -1 },
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        assert_int_equal(inv_linux_version_compare(cases[i].a, cases[i].b), cases[i].order);
        assert_int_equal(inv_linux_version_compare(cases[i].b, cases[i].a), -cases[i].order);
    }
}

/* Names in the data that no CPU has would never be found. */
static void
the_data_names_features(void **state)
{
    static const char *const settings[] = { "nosmap", "nosmep", "nopku", "nofsgsbase", "nopcid", "noxsave", "nosgx", NULL };
    static const char *const features[] = { "smap", "smep", "pku", "fsgsbase", "pcid", "xsave", "sgx", NULL };

    for (guint i = 0; settings[i]; i++) {
        InvCpuLimit limit;

        host = inv_cpu_host_limits_new(limits, map, &(InvCpuHostSettings){ .cmdline = settings[i] });
        limit = inv_cpu_host_limits_find(host, features[i]);
        assert_non_null(inv_cpu_map_find(map, features[i]));
        assert_non_null(limit.setting);
        g_clear_pointer(&host, inv_cpu_host_limits_free);
    }
    host = inv_cpu_host_limits_new(limits, map, &(InvCpuHostSettings){ 0 });
    assert_non_null(inv_cpu_host_limits_find(host, "rtm").microcode);
    assert_null(inv_cpu_host_limits_find(host, "avx").microcode);
    assert_null(inv_cpu_host_limits_find(NULL, "rtm").microcode);
    assert_null(inv_cpu_host_limits_kernel(host));
}

static void
another_architecture_has_none(void **state)
{
    g_clear_pointer(&limits, inv_cpu_limits_free);
    limits = inv_cpu_limits_load(inv_cpu_map_default_folder(), "s390x", map, &error);
    assert_non_null(limits);
    host = inv_cpu_host_limits_new(limits, map, &(InvCpuHostSettings){ .release = "4.4", .cmdline = "nosmap" });
    assert_null(inv_cpu_host_limits_find(host, "smap").setting);
    assert_null(inv_cpu_host_limits_find(host, "amx-tile").linux_since);
    assert_string_equal(inv_cpu_host_limits_kernel(host), "Linux 4.4");
}

static void
no_folder_is_an_error(void **state)
{
    assert_null(inv_cpu_limits_load("/nonexistent", "x86_64", map, &error));
    assert_non_null(error);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(limit_cases) + 4];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(limit_cases); i++)
        tests[n++] = (struct CMUnitTest){ limit_cases[i].name, limit_of, setup, teardown, (void *)&limit_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(versions, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(the_data_names_features, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(another_architecture_has_none, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(no_folder_is_an_error, setup, teardown);
    return cmocka_run_group_tests_name("cpu limits", tests, NULL, NULL);
}
