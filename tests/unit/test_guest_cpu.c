/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "qemu/guest_cpu.h"
#include "qemu/probe_process.h"

#define REAL_QEMU "/usr/bin/qemu-system-x86_64"
#define DEADLINE_MS 20000u

static InvIoThread *io;
static InvCpuMap *map;
static InvFeatureNames *names;
static InvProbeProcess *process;
static InvGuestCpu *guest;
static InvJson *json;
static char *words;
static GError *error;

static int
setup(void **state)
{
    io = inv_io_thread_new();
    names = inv_feature_names_new();
    map = inv_cpu_map_load(inv_cpu_map_default_folder(), "x86_64", &error);
    return map ? 0 : -1;
}

static int
teardown(void **state)
{
    g_clear_pointer(&guest, inv_guest_cpu_free);
    g_clear_pointer(&process, inv_probe_process_free);
    g_clear_pointer(&json, inv_json_free);
    g_clear_pointer(&words, g_free);
    g_clear_pointer(&map, inv_cpu_map_free);
    g_clear_pointer(&names, inv_feature_names_free);
    g_clear_pointer(&io, inv_io_thread_free);
    g_clear_error(&error);
    return 0;
}

typedef struct {
    const char *name;
    const char *argument; /* of -cpu; NULL: none */
    const char *type_name;
    const char *model;
    const char *on, *off;    /* a feature that the guest sees, and one that it does not */
    const char *filtered;    /* one that QEMU filtered, or NULL */
    const char *vendor;      /* NULL: any */
} LiveCase;

static const LiveCase live_cases[] = {
    { .name = "a model", .argument = "Skylake-Client-v1", .type_name = "Skylake-Client-v1-x86_64-cpu", .model = "Skylake-Client-v1",
      .on = "avx2", .off = "pcid", .filtered = "pcid", .vendor = "GenuineIntel" },
    { .name = "a model with properties", .argument = "Skylake-Client-v1,avx2=off,pcid=off,sse4a=on,vendor=AuthenticAMD,level=0xd",
      .type_name = "Skylake-Client-v1-x86_64-cpu", .model = "Skylake-Client-v1", .on = "sse4a", .off = "avx2",
      .filtered = "rtm", .vendor = "AuthenticAMD" },
    { .name = "forced features stay", .argument = "Skylake-Client-v1,x-force-features=on",
      .type_name = "Skylake-Client-v1-x86_64-cpu", .model = "Skylake-Client-v1", .on = "pcid", .off = "avx512f", .filtered = "pcid" },
    { .name = "the machine's default", .type_name = "qemu64-x86_64-cpu", .model = "qemu64", .on = "sse2", .off = "avx2" },
};

static void
live_cpu_is_read(void **state)
{
    const LiveCase *row = *state;
    const char *const arguments[] = { "-machine", "q35", "-accel", "tcg", row->argument ? "-cpu" : NULL, row->argument, NULL };
    g_autofree char *again = NULL;
    gint64 level = 0;

    if (access(REAL_QEMU, X_OK) != 0)
        skip();
    process = inv_probe_process_start(io, REAL_QEMU, arguments, inv_deadline_end(DEADLINE_MS), &error);
    assert_non_null(process);
    guest = inv_guest_cpu_read(inv_probe_process_qmp(process), "x86_64", map, names, "pc-q35", row->argument, DEADLINE_MS, &error);
    assert_null(error);
    assert_string_equal(guest->machine, "pc-q35");
    assert_string_equal(guest->type_name, row->type_name);
    /* A second look at the same CPU shows the same, and shows something. */
    again = inv_guest_cpu_read_live(inv_probe_process_qmp(process), "x86_64", guest->path, DEADLINE_MS, &error);
    assert_null(error);
    assert_string_equal(again, guest->live);
    assert_non_null(strstr(again, row->type_name));
    assert_non_null(strstr(again, "\"cpuid-register\""));
    assert_string_equal(guest->model, row->model);
    assert_true(inv_feature_set_has(guest->cpu->on, row->on));
    assert_false(inv_feature_set_has(guest->cpu->on, row->off));
    assert_true(inv_feature_set_has(guest->cpu->known, row->off));
    if (row->filtered)
        assert_true(g_strv_contains((const char *const *)guest->unavailable, row->filtered));
    if (row->vendor)
        assert_string_equal(inv_json_get_string(guest->cpu->others, "vendor"), row->vendor);
    assert_true(inv_json_int(inv_json_get(guest->cpu->others, "level"), &level));
    assert_true(level > 0);
    assert_non_null(strstr(guest->words, "00000001.0.edx="));
}

static void
words_are_canonical(void **state)
{
    static const char text[] =
        "[{\"cpuid-register\":\"ECX\",\"cpuid-input-eax\":2147483649,\"features\":3},"
        "{\"cpuid-register\":\"EDX\",\"cpuid-input-eax\":1,\"features\":268435457},"
        "{\"cpuid-register\":\"EBX\",\"cpuid-input-ecx\":1,\"cpuid-input-eax\":7,\"features\":4294967295},"
        "{\"cpuid-register\":\"EBX\",\"cpuid-input-ecx\":0,\"cpuid-input-eax\":7,\"features\":0},"
        "{\"cpuid-register\":\"far too long\",\"cpuid-input-eax\":7,\"features\":0}]";

    json = inv_json_parse(text, strlen(text), &error);
    words = inv_guest_cpu_words(json);
    assert_string_equal(words, "00000001.0.edx=00000001 00000007.0.ebx=00000000 00000007.1.ebx=ffffffff 80000001.0.ecx=00000001");
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(live_cases) + 1];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(live_cases); i++)
        tests[n++] = (struct CMUnitTest){ live_cases[i].name, live_cpu_is_read, setup, teardown, (void *)&live_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(words_are_canonical, setup, teardown);
    return cmocka_run_group_tests_name("guest CPU", tests, NULL, NULL);
}
