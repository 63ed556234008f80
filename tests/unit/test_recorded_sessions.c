/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions that were recorded with QEMUs of other machines, replayed by the fake one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "emulator_fixture.h"
#include "qemu/emulator_private.h"
#include "tests/unit/decode_checks.h"
#include "tests/unit/test_table.h"
#include "util/error.h"

#define DEADLINE_MS 20000u

typedef struct {
    const char *name;
    const char *recording;
    const char *binary;
    const char *arch;
    InvVirtType accelerator;
    const char *machine;
    const char *host;   /* the model that stands for all that can be given; NULL: it cannot be expanded */
    gboolean decodes;   /* its expansion can be decoded by the map */
    guint usable;       /* models that can be had there; 0: this architecture does not say */
} Session;

static const Session sessions[] = {
    { .name = "x86_64 7.2, KVM", .recording = "caps_7.2.0_x86_64.replies.xz", .binary = "qemu-system-x86_64", .arch = "x86_64",
      .accelerator = INV_VIRT_KVM, .machine = "pc-q35-7.2", .host = "host", .decodes = TRUE, .usable = 45 },
    { .name = "x86_64 7.2, TCG", .recording = "caps_7.2.0_x86_64.replies.xz", .binary = "qemu-system-x86_64", .arch = "x86_64",
      .accelerator = INV_VIRT_QEMU, .machine = "pc-i440fx-7.2", .host = "max", .decodes = TRUE, .usable = 38 },
    { .name = "x86_64 10.0, KVM", .recording = "caps_10.0.0_x86_64.replies.xz", .binary = "qemu-system-x86_64", .arch = "x86_64",
      .accelerator = INV_VIRT_KVM, .machine = "pc-q35-10.0", .host = "host", .decodes = TRUE, .usable = 41 },
    { .name = "x86_64 10.0, TCG", .recording = "caps_10.0.0_x86_64.replies.xz", .binary = "qemu-system-x86_64", .arch = "x86_64",
      .accelerator = INV_VIRT_QEMU, .machine = "pc-q35-10.0", .host = "max", .decodes = TRUE, .usable = 38 },
    { .name = "s390x 9.2, KVM", .recording = "caps_9.2.0_s390x.replies.xz", .binary = "qemu-system-s390x", .arch = "s390x",
      .accelerator = INV_VIRT_KVM, .machine = "s390-ccw-virtio-9.2", .host = "host", .usable = 1 },
    { .name = "s390x 9.2, TCG", .recording = "caps_9.2.0_s390x.replies.xz", .binary = "qemu-system-s390x", .arch = "s390x",
      .accelerator = INV_VIRT_QEMU, .machine = "s390-ccw-virtio-9.2", .host = "max", .usable = 1 },
    { .name = "aarch64 8.2, KVM", .recording = "caps_8.2.0_aarch64.replies.xz", .binary = "qemu-system-aarch64", .arch = "aarch64",
      .accelerator = INV_VIRT_KVM, .machine = "virt-8.2", .host = "host" },
    { .name = "aarch64 8.2, TCG", .recording = "caps_8.2.0_aarch64.replies.xz", .binary = "qemu-system-aarch64", .arch = "aarch64",
      .accelerator = INV_VIRT_QEMU, .machine = "virt-8.2", .host = "max" },
    { .name = "ppc64 7.1, KVM", .recording = "caps_7.1.0_ppc64.replies.xz", .binary = "qemu-system-ppc64", .arch = "ppc64",
      .accelerator = INV_VIRT_KVM, .machine = "pseries-7.1" },
    { .name = "ppc64 7.1, TCG", .recording = "caps_7.1.0_ppc64.replies.xz", .binary = "qemu-system-ppc64", .arch = "ppc64",
      .accelerator = INV_VIRT_QEMU, .machine = "pseries-7.1" },
};

static EmulatorFixture *fixture;
static InvEmulator *emulator;
static InvProbeProcess *process; /* the same QEMU, asked by the test itself */
static InvCpuFacts facts;
static gboolean absent;
static const Session *current;

static int
forget(void **state)
{
    g_clear_pointer(&process, inv_probe_process_free);
    g_clear_pointer(&emulator, inv_emulator_unref);
    g_clear_pointer(&fixture, emulator_fixture_free);
    current = NULL;
    return 0;
}

/* Once for all tests of a session: nothing in it changes. */
static int
setup(void **state)
{
    const Session *session = *state;
    g_autofree char *recording = emulator_fixture_recording(session->recording);
    g_autofree char *config = NULL;
    g_autofree char *path = NULL;
    const char *const arguments[] = { "-machine", session->machine, "-accel", session->accelerator == INV_VIRT_KVM ? "kvm" : "tcg", NULL };
    GError *error = NULL;

    if (current == session)
        return 0;
    forget(NULL);
    current = session;
    fixture = emulator_fixture_new();
    absent = !recording;
    if (absent)
        return 0;
    /* The recordings lack what libvirt does not ask: the list of accelerators. */
    config = g_strdup_printf("{\"session\":\"%s\",\"answers\":{\"qom-list-types\":["
                             "{\"arguments\":{\"implements\":\"accel\"},\"return\":[{\"name\":\"tcg-accel\"},{\"name\":\"kvm-accel\"}]},"
                             "{\"arguments\":{\"implements\":\"device\"},\"return\":[{\"name\":\"virtio-rng-pci\"}]}]}}",
                             recording);
    path = emulator_fixture_fake(fixture, session->binary, config);
    emulator = inv_emulators_get(fixture->emulators, path, session->arch, DEADLINE_MS, &error);
    if (emulator && inv_emulator_probed_cpu_facts(emulator, session->accelerator, session->machine, INV_EXPANSIONS_ALL, DEADLINE_MS, &facts, &error))
        process = inv_probe_process_start(fixture->io, path, arguments, inv_deadline_end(DEADLINE_MS), &error);
    if (error)
        print_error("%s\n", error->message);
    return process ? 0 : -1;
}

/* Which models can be had, what an alias means, and what is missing: in QEMU's own words. */
static void
models_are_qemus(void **state)
{
    const Session *session = *state;
    g_autoptr(InvJson) definitions = absent ? NULL : emulator_fixture_ask(process, "query-cpu-definitions", NULL);
    guint usable = 0;

    if (absent)
        skip();
    assert_int_equal(inv_json_size(definitions), inv_cpu_table_size(facts.table));
    for (guint i = 0; i < inv_json_size(definitions); i++) {
        const InvJson *definition = inv_json_at(definitions, i);
        const InvCpuModel *model = inv_cpu_table_find(facts.table, inv_json_get_string(definition, "name"));
        const InvJson *unavailable = inv_json_get(definition, "unavailable-features");
        g_auto(GStrv) list = inv_cpu_names_to_libvirt(facts.map, unavailable);

        assert_non_null(model);
        assert_int_equal(model->has_usable, unavailable != NULL);
        assert_int_equal(model->deprecated, inv_json_get_boolean(definition, "deprecated", FALSE));
        if (inv_json_get(definition, "alias-of"))
            assert_string_equal(model->alias_of, inv_json_get_string(definition, "alias-of"));
        if (unavailable) {
            assert_true(g_strv_equal((const char *const *)list, (const char *const *)model->unavailable));
            assert_int_equal(*list == NULL, inv_json_size(unavailable) == 0);
            usable += *list == NULL;
        }
    }
    assert_true(session->usable ? usable >= session->usable : usable == 0);
}

/* What is true in the answer, with libvirt's names, counted here anew. @known: and has a bit in the map. */
static InvFeatureSet *
true_of(const InvJson *props, gboolean known)
{
    InvFeatureSet *set = inv_feature_set_new(inv_cpu_table_names(facts.table));

    for (guint i = 0; i < inv_json_size(props); i++) {
        const InvJson *value;
        const char *qemu = inv_json_member(props, i, &value);
        const char *name = inv_cpu_map_to_libvirt(facts.map, qemu);
        const InvCpuMapFeature *feature = inv_cpu_map_find(facts.map, name);
        gboolean on;

        if (inv_json_boolean(value, &on) && on && (!known || (feature && feature->mask)))
            inv_feature_set_add(set, name);
    }
    return set;
}

/* Described by a model of the map and expanded again, the host has what QEMU says that it has. */
static void
host_is_described_exactly(void **state)
{
    const Session *session = *state;
    g_autoptr(InvJson) answer = absent ? NULL : emulator_fixture_expansion(process, "full", session->host);
    g_autoptr(InvFeatureSet) wanted = NULL;
    g_autoptr(InvCpuSeen) seen = NULL;
    g_autoptr(InvCpu) cpu = NULL;
    DecodeTools tools;

    if (!answer)
        skip();
    assert_true(decode_tools_load(&tools, NULL, NULL));
    seen = inv_cpu_seen_from_expansion(tools.decoder, answer, NULL);
    assert_non_null(seen);
    wanted = true_of(inv_json_get(inv_json_get(answer, "model"), "props"), TRUE);
    /* Two tables of names: the same names. */
    {
        g_autofree const char **list = inv_feature_set_list(wanted);
        g_autoptr(InvFeatureSet) same = inv_feature_set_new(tools.names);

        inv_feature_set_add_list(same, list);
        cpu = assert_round_trip(&tools, seen, same);
    }
    print_message("# %s: %s and %u features\n", session->name, cpu->model, inv_cpu_count_deltas(cpu));
    g_clear_pointer(&seen, inv_cpu_seen_free);
    decode_tools_clear(&tools);
}

/* The host's features as verdicts use them are those of the answer, whatever the architecture. */
static void
host_gives_what_qemu_says(void **state)
{
    const Session *session = *state;
    g_autoptr(InvJson) answer = absent || !session->host ? NULL : emulator_fixture_expansion(process, "full", session->host);
    g_autoptr(InvFeatureSet) wanted = NULL;
    g_autoptr(InvFeatureSet) given = NULL;

    if (absent)
        skip();
    if (!session->host) {
        assert_null(facts.host);
        return;
    }
    assert_non_null(facts.host);
    given = inv_feature_set_copy(facts.host->on);
    wanted = true_of(inv_json_get(inv_json_get(answer, "model"), "props"), session->decodes);
    if (session->decodes) {
        g_autofree const char **list = inv_feature_set_list(given);

        for (guint i = 0; list[i]; i++) {
            const InvCpuMapFeature *feature = inv_cpu_map_find(facts.map, list[i]);

            if (!feature || !feature->mask)
                inv_feature_set_remove(given, list[i]);
        }
    }
    assert_same_features(session->name, given, wanted);
}

/* s390x: QEMU itself describes a CPU as a static model and what differs (type=static). */
static void
static_description_is_exact(void **state)
{
    const Session *session = *state;
    g_autoptr(InvJson) described = absent ? NULL : emulator_fixture_expansion(process, "static", session->host);
    g_autoptr(InvJson) full = NULL;

    if (!described)
        skip();
    full = emulator_fixture_expansion(process, "full", session->host);
    assert_static_description("s390x", described, full);
}

int
main(void)
{
    TestTable *table = test_table_new(setup, NULL);

    for (guint i = 0; i < G_N_ELEMENTS(sessions); i++) {
        const Session *session = &sessions[i];

        test_table_add(table, models_are_qemus, session, "%s: models", session->name);
        if (session->decodes)
            test_table_add(table, host_is_described_exactly, session, "%s: host described", session->name);
        test_table_add(table, host_gives_what_qemu_says, session, "%s: host given", session->name);
        if (strcmp(session->arch, "s390x") == 0)
            test_table_add(table, static_description_is_exact, session, "%s: static description", session->name);
    }
    return test_table_run(table, "recorded_sessions", NULL, forget);
}
