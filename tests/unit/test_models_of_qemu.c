/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every CPU model of the QEMUs of this machine: described and expanded again it has what QEMU says that it has. */
/* (aarch64, riscv64 and ppc64 have no description by a model that could be expanded.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "emulator_fixture.h"
#include "tests/unit/decode_checks.h"
#include "util/error.h"

#define DEADLINE_MS 30000u

static EmulatorFixture *fixture;
static DecodeTools tools;

static int
setup(void **state)
{
    fixture = emulator_fixture_new();
    return decode_tools_load(&tools, NULL, NULL) ? 0 : -1;
}

static int
teardown(void **state)
{
    decode_tools_clear(&tools);
    g_clear_pointer(&fixture, emulator_fixture_free);
    return 0;
}

static InvProbeProcess *
start(const char *path, const char *machine)
{
    const char *const arguments[] = { "-machine", machine, "-accel", "tcg", NULL };

    return access(path, X_OK) == 0 ? inv_probe_process_start(fixture->io, path, arguments, inv_deadline_end(DEADLINE_MS), NULL) : NULL;
}

/* What is true and the map has a bit of, in libvirt's spelling: counted here anew. */
static InvFeatureSet *
true_features(const InvJson *props)
{
    InvFeatureSet *set = inv_feature_set_new(tools.names);

    for (guint i = 0; i < inv_json_size(props); i++) {
        const InvJson *value;
        const char *qemu = inv_json_member(props, i, &value);
        const InvCpuMapFeature *feature = inv_cpu_map_find(tools.map, inv_cpu_map_to_libvirt(tools.map, qemu));
        gboolean on;

        if (inv_json_boolean(value, &on) && on && feature && feature->mask)
            inv_feature_set_add(set, feature->name);
    }
    return set;
}

static void
model_is_described_exactly(const InvJson *props, guint *deltas)
{
    g_autoptr(InvCpuSeen) seen = inv_cpu_seen_from_expansion(tools.decoder, props, NULL);
    g_autoptr(InvFeatureSet) wanted = true_features(props);
    g_autoptr(InvCpu) cpu = NULL;

    assert_non_null(seen);
    cpu = assert_round_trip(&tools, seen, wanted);
    assert_int_equal(inv_cpu_count_deltas(cpu), inv_cpu_least_deltas(tools.decoder, seen));
    *deltas += inv_cpu_count_deltas(cpu);
}

static void
x86_models(void **state)
{
    const char *machine = *state;
    g_autoptr(InvProbeProcess) process = start("/usr/bin/qemu-system-x86_64", machine);
    g_autoptr(InvJson) definitions = process ? emulator_fixture_ask(process, "query-cpu-definitions", NULL) : NULL;
    guint models = 0, deltas = 0;

    if (!definitions)
        skip();
    for (guint i = 0; i < inv_json_size(definitions); i++) {
        const char *name = inv_json_get_string(inv_json_at(definitions, i), "name");
        g_autoptr(InvJson) reply = emulator_fixture_expansion(process, "full", name);
        const InvJson *props = inv_json_get(inv_json_get(reply, "model"), "props");

        /* `base` is nobody's CPU: it has no vendor. */
        if (!props || strcmp(name, "base") == 0)
            continue;
        print_message("# %s\n", name);
        model_is_described_exactly(props, &deltas);
        models++;
    }
    print_message("# %s: %u models, %u features named in all\n", machine, models, deltas);
    assert_true(models > 100);
}

static void
s390_models(void **state)
{
    g_autoptr(InvProbeProcess) process = start("/usr/bin/qemu-system-s390x", "s390-ccw-virtio");
    g_autoptr(InvJson) definitions = process ? emulator_fixture_ask(process, "query-cpu-definitions", NULL) : NULL;
    guint models = 0;

    if (!definitions)
        skip();
    for (guint i = 0; i < inv_json_size(definitions); i++) {
        const char *name = inv_json_get_string(inv_json_at(definitions, i), "name");
        g_autoptr(InvJson) described = emulator_fixture_expansion(process, "static", name);
        g_autoptr(InvJson) full = emulator_fixture_expansion(process, "full", name);

        if (!described || !full)
            continue;
        print_message("# %s\n", name);
        assert_static_description("s390x", described, full);
        models++;
    }
    assert_true(models > 40);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        { "every model on q35", x86_models, NULL, NULL, (void *)"q35" },
        { "every model on pc", x86_models, NULL, NULL, (void *)"pc" },
        { "every model of s390x", s390_models, NULL, NULL, NULL },
        { "every model on microvm", x86_models, NULL, NULL, (void *)"microvm" },
    };

    return cmocka_run_group_tests_name("models_of_qemu", tests, setup, teardown);
}
