/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <glib/gstdio.h>

#include "qemu/emulator_private.h"
#include "qemu/probe_process.h"
#include "tests/unit/emulator_test.h"
#include "util/error.h"

#define REAL_QEMU "/usr/bin/qemu-system-x86_64"
#define DEADLINE_MS 20000u
#define MACHINE "pc-q35-7.2"

/* A small QEMU: what its answers must at least have. */
#define BASIC_ANSWERS \
    "\"query-target\":{\"return\":{\"arch\":\"x86_64\"}}," \
    "\"query-kvm\":{\"return\":{\"enabled\":false,\"present\":true}}," \
    "\"qom-list-types\":[{\"arguments\":{\"implements\":\"accel\"},\"return\":[{\"name\":\"tcg-accel\"},{\"name\":\"kvm-accel\"}]}," \
    "{\"arguments\":{\"implements\":\"device\"},\"return\":[{\"name\":\"virtio-rng-pci\"}]}]," \
    "\"query-machines\":{\"return\":[{\"name\":\"pc-q35-7.2\",\"alias\":\"q35\",\"cpu-max\":288,\"hotpluggable-cpus\":true," \
    "\"default-cpu-type\":\"qemu64-x86_64-cpu\"},{\"name\":\"pc-i440fx-7.2\",\"alias\":\"pc\",\"is-default\":true,\"cpu-max\":255}]}"

static char **list;

static int
teardown(void **state)
{
    g_clear_pointer(&list, g_strfreev);
    return emulator_test_teardown(state);
}

/* Emulators that are none, each with its own message. */
typedef struct {
    const char *name;
    const char *config;  /* of a fake one; else: */
    const char *text;    /* content of a file; NULL: nothing there */
    gboolean is_folder;
    int mode;
    const char *asked_arch;
    guint deadline_ms;   /* 0: enough */
    int code;            /* 0: VIR_ERR_CONFIG_UNSUPPORTED */
    const char *message; /* part of it */
} FailingCase;

static const FailingCase failing_cases[] = {
    { .name = "missing", .message = "does not exist" },
    { .name = "a folder", .is_folder = TRUE, .message = "is a folder" },
    { .name = "a text file", .text = "hello\n", .mode = 0755, .message = "is no program" },
    { .name = "an empty file", .text = "", .mode = 0755, .message = "is no program" },
    { .name = "not executable", .text = "#!/bin/sh\n", .mode = 0644, .message = "not executable" },
    { .name = "an interpreter that is not there", .text = "#!/nonexistent/sh\n", .mode = 0755, .message = "cannot be started" },
    { .name = "a broken ELF file", .text = "\177ELF", .mode = 0755, .message = "exited with status" },
    { .name = "a script that ends well", .text = "#!/bin/sh\nexit 0\n", .mode = 0755, .message = "exited with status 0: it said nothing" },
    { .name = "exits with words", .config = "{\"mode\":\"exit\",\"status\":7,\"stderr\":\"libfoo.so.1: cannot open shared object file\"}",
      .message = "exited with status 7: libfoo.so.1: cannot open shared object file" },
    { .name = "is killed", .config = "{\"mode\":\"kill\"}", .message = "was killed by signal 9" },
    { .name = "hangs", .config = "{\"mode\":\"hang\"}", .deadline_ms = 200, .code = VIR_ERR_OPERATION_TIMEOUT, .message = "did not greet" },
    { .name = "hangs after its greeting", .config = "{\"mode\":\"hang-after-greeting\"}", .deadline_ms = 700,
      .code = VIR_ERR_OPERATION_TIMEOUT, .message = "did not answer 'query-target' within" },
    { .name = "dies in a reply", .config = "{\"mode\":\"die-mid-reply\",\"answers\":{" BASIC_ANSWERS "}}", .message = "exited with status 3" },
    { .name = "garbage", .config = "{\"mode\":\"garbage\"}", .code = VIR_ERR_OPERATION_FAILED, .message = "sent what is no QMP" },
    { .name = "nested too deep", .config = "{\"mode\":\"deep\"}", .code = VIR_ERR_OPERATION_FAILED, .message = "deeper than" },
    { .name = "100 MB", .config = "{\"mode\":\"huge\"}", .code = VIR_ERR_OPERATION_FAILED, .message = "larger than the limit" },
    { .name = "lacks a command", .config = "{\"lacks\":[\"query-machines\"],\"answers\":{" BASIC_ANSWERS "}}",
      .message = "does not answer 'query-machines'" },
    { .name = "of another architecture", .config = "{\"answers\":{" BASIC_ANSWERS "}}", .asked_arch = "s390x",
      .message = "is for x86_64, not for s390x" },
};

static void
failing_emulator_has_its_message(void **state)
{
    const FailingCase *row = *state;

    if (row->config) {
        path = emulator_fixture_fake(fixture, "qemu-system-x86_64", row->config);
    } else if (row->text) {
        path = emulator_fixture_file(fixture, "qemu-system-x86_64", row->text, row->mode);
    } else {
        path = g_build_filename(fixture->folder, "qemu-system-x86_64", NULL);
        if (row->is_folder)
            assert_int_equal(mkdir(path, 0755), 0);
    }
    if (geteuid() == 0 && row->mode == 0644)
        assert_int_equal(access(path, X_OK), -1);
    emulator = inv_emulators_get(fixture->emulators, path, row->asked_arch, row->deadline_ms ? row->deadline_ms : DEADLINE_MS, &error);
    assert_null(emulator);
    assert_non_null(error);
    if (!strstr(error->message, row->message))
        print_message("# message: %s\n", error->message);
    assert_non_null(strstr(error->message, row->message));
    assert_non_null(strstr(error->message, path));
    assert_int_equal(inv_error_code(error), row->code ? row->code : VIR_ERR_CONFIG_UNSUPPORTED);
}

static void
failure_is_remembered_until_the_file_changes(void **state)
{
    g_autofree char *config = g_strdup_printf("{\"mode\":\"exit\",\"log\":\"%s/log\"}", fixture->folder);
    g_autofree char *good = g_strdup_printf("{\"log\":\"%s/log\",\"answers\":{" BASIC_ANSWERS "}}", fixture->folder);

    log_path = g_build_filename(fixture->folder, "log", NULL);
    path = emulator_fixture_fake(fixture, "qemu-system-x86_64", config);
    for (int i = 0; i < 3; i++) {
        assert_null(inv_emulators_get(fixture->emulators, path, NULL, DEADLINE_MS, &error));
        assert_non_null(strstr(error->message, "exited with status 1"));
        g_clear_error(&error);
    }
    assert_int_equal(emulator_fixture_count(log_path), 1);

    g_free(path);
    path = emulator_fixture_fake(fixture, "qemu-system-x86_64", good);
    emulator = inv_emulators_get(fixture->emulators, path, NULL, DEADLINE_MS, &error);
    assert_non_null(emulator);
    assert_int_equal(emulator_fixture_count(log_path), 2);
}

static void
missed_deadline_is_tried_again_with_more_time_only(void **state)
{
    g_autofree char *config = g_strdup_printf("{\"mode\":\"hang\",\"log\":\"%s/log\"}", fixture->folder);

    log_path = g_build_filename(fixture->folder, "log", NULL);
    path = emulator_fixture_fake(fixture, "qemu-system-x86_64", config);
    assert_null(inv_emulators_get(fixture->emulators, path, NULL, 500, NULL));
    assert_null(inv_emulators_get(fixture->emulators, path, NULL, 500, NULL));
    assert_int_equal(emulator_fixture_count(log_path), 1);
    assert_null(inv_emulators_get(fixture->emulators, path, NULL, 600, NULL));
    assert_int_equal(emulator_fixture_count(log_path), 2);
}

static gboolean
have_real_qemu(void)
{
    return access(REAL_QEMU, X_OK) == 0;
}

/* What a daemon that starts again knows of a sick emulator from the one before. */
static void
failures_outlast_the_daemon(void **state)
{
    static const struct {
        const char *name, *script;
        guint again; /* times that the second asks */
    } rows[] = {
        { "an exit status", "echo no such library >&2; exit 3", 0 },
        { "a crash", "kill -SEGV $$", 0 },
        { "garbage", "echo hello >&3; sleep 60", 0 },
        { "a signal from outside", "kill -KILL $$", 1 },
        { "want of memory", "echo 'cannot set up guest memory: Cannot allocate memory' >&2; exit 1", 1 },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *name = g_strdup_printf("qemu-%zu", i);
        g_autofree char *program = emulator_fixture_file(fixture, "program", "", 0755);
        g_autofree char *text = g_strdup_printf("#!/bin/sh\n%s\n", rows[i].script);
        InvEmulators *second = inv_emulators_new(fixture->io, fixture->cache, NULL, fixture->folder);
        g_autofree char *first_words = NULL;

        g_free(path);
        g_free(log_path);
        assert_true(g_file_set_contents(program, text, -1, NULL));
        assert_int_equal(g_chmod(program, 0755), 0);
        path = emulator_fixture_counted(fixture, name, program, &log_path);
        assert_null(inv_emulators_get(fixture->emulators, path, NULL, DEADLINE_MS, &error));
        first_words = g_strdup(error->message);
        g_clear_error(&error);
        assert_int_equal(emulator_fixture_count(log_path), 1);

        assert_int_equal(inv_emulators_is_warm(second, path), rows[i].again == 0);
        assert_int_equal(inv_emulators_peek(second, path, &emulator, &error), rows[i].again ? INV_EMULATOR_UNKNOWN : INV_EMULATOR_FAILED);
        assert_string_equal(error ? error->message : first_words, first_words);
        g_clear_error(&error);
        assert_null(inv_emulators_get(second, path, NULL, DEADLINE_MS, &error));
        assert_string_equal(error->message, first_words);
        g_clear_error(&error);
        if (emulator_fixture_count(log_path) != 1 + rows[i].again)
            fail_msg("%s: asked %u times", rows[i].name, emulator_fixture_count(log_path));

        inv_emulators_refresh(second, path);
        assert_null(inv_emulators_get(second, path, NULL, DEADLINE_MS, NULL));
        assert_int_equal(emulator_fixture_count(log_path), 2 + rows[i].again);
        inv_emulators_free(second);
    }
}

/* The same of one machine type's table: a QEMU that tells what it is, and makes no such machine. */
static void
a_table_s_failure_outlasts_the_daemon(void **state)
{
    g_autofree char *program = NULL;
    InvEmulators *second;
    InvCpuFacts facts;

    if (!have_real_qemu())
        skip();
    program = emulator_fixture_file(fixture, "program",
                                    "#!/bin/sh\ncase \"$*\" in *'-machine none'*) exec " REAL_QEMU " \"$@\" ;; esac\n"
                                    "echo no such machine today >&2\nexit 1\n", 0755);
    path = emulator_fixture_counted(fixture, "qemu-system-x86_64", program, &log_path);
    emulator = inv_emulators_get(fixture->emulators, path, NULL, DEADLINE_MS, &error);
    assert_non_null(emulator);
    assert_false(inv_emulator_cpu_facts(emulator, INV_VIRT_QEMU, NULL, INV_EXPANSIONS_HOST, DEADLINE_MS, &facts, &error));
    assert_non_null(strstr(error->message, "no such machine today"));
    assert_int_equal(emulator_fixture_count(log_path), 2);
    g_clear_error(&error);
    g_clear_pointer(&emulator, inv_emulator_unref);

    second = inv_emulators_new(fixture->io, fixture->cache, NULL, fixture->folder);
    emulator = inv_emulators_get(second, path, NULL, DEADLINE_MS, &error);
    assert_false(inv_emulator_cpu_facts(emulator, INV_VIRT_QEMU, NULL, INV_EXPANSIONS_HOST, DEADLINE_MS, &facts, &error));
    assert_non_null(strstr(error->message, "no such machine today"));
    assert_int_equal(emulator_fixture_count(log_path), 2);
    g_clear_error(&error);
    g_clear_pointer(&emulator, inv_emulator_unref);
    inv_emulators_refresh(second, path);
    emulator = inv_emulators_get(second, path, NULL, DEADLINE_MS, &error);
    assert_false(inv_emulator_cpu_facts(emulator, INV_VIRT_QEMU, NULL, INV_EXPANSIONS_HOST, DEADLINE_MS, &facts, &error));
    assert_int_equal(emulator_fixture_count(log_path), 4);
    g_clear_pointer(&emulator, inv_emulator_unref);
    inv_emulators_free(second);
}

static void
a_missed_deadline_outlasts_the_daemon(void **state)
{
    g_autofree char *config = g_strdup_printf("{\"mode\":\"hang\",\"log\":\"%s/log\"}", fixture->folder);
    InvEmulators *second = inv_emulators_new(fixture->io, fixture->cache, NULL, fixture->folder);

    log_path = g_build_filename(fixture->folder, "log", NULL);
    path = emulator_fixture_fake(fixture, "qemu-system-x86_64", config);
    assert_null(inv_emulators_get(fixture->emulators, path, NULL, 500, NULL));
    assert_null(inv_emulators_get(second, path, NULL, 500, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_TIMEOUT);
    assert_int_equal(emulator_fixture_count(log_path), 1);
    assert_true(inv_emulators_is_warm(second, path));
    /* Who has more time may see what the other did not. */
    assert_null(inv_emulators_get(second, path, NULL, 600, NULL));
    assert_int_equal(emulator_fixture_count(log_path), 2);
    inv_emulators_free(second);
}

static void
basic_facts_of_a_fake(void **state)
{
    const InvMachine *machine;

    path = emulator_fixture_fake(fixture, "qemu-system-x86_64",
                                 "{\"greeting\":{\"major\":9,\"minor\":1,\"micro\":3,\"package\":\"v9\"},\"answers\":{" BASIC_ANSWERS "}}");
    emulator = inv_emulators_get(fixture->emulators, NULL, "x86_64", DEADLINE_MS, &error);
    assert_non_null(emulator);
    assert_string_equal(inv_emulator_path(emulator), path);
    assert_string_equal(inv_emulator_arch(emulator), "x86_64");
    assert_int_equal(inv_emulator_version(emulator), 9001003);
    assert_string_equal(inv_emulator_version_text(emulator), "9.1.3");
    assert_string_equal(inv_emulator_package(emulator), "v9");
    assert_true(inv_emulator_has_kvm(emulator));
    assert_true(inv_emulator_has_tcg(emulator));
    assert_true(inv_emulator_has_device(emulator, "virtio-rng-pci"));
    assert_false(inv_emulator_has_device(emulator, "virtio-rng"));
    assert_int_equal(inv_emulator_n_machines(emulator), 2);
    machine = inv_emulator_find_machine(emulator, "q35", &error);
    assert_string_equal(machine->name, "pc-q35-7.2");
    assert_string_equal(machine->default_cpu, "qemu64");
    assert_int_equal(machine->max_cpus, 288);
    assert_string_equal(inv_emulator_find_machine(emulator, NULL, &error)->name, "pc-i440fx-7.2");
    assert_null(inv_emulator_find_machine(emulator, "pc-q35-7.1", &error));
    assert_non_null(strstr(error->message, "did you mean 'pc-q35-7.2'?"));
    g_clear_error(&error);
    assert_null(inv_emulators_get(fixture->emulators, NULL, "sparc", DEADLINE_MS, &error));
    assert_non_null(strstr(error->message, "no emulator for sparc"));
}

static gpointer
get_in_thread(gpointer data)
{
    return inv_emulators_get(fixture->emulators, path, NULL, DEADLINE_MS, NULL);
}

static void
askers_at_once_share_one_probe(void **state)
{
    g_autofree char *config = g_strdup_printf("{\"mode\":\"slow\",\"delay_ms\":20,\"log\":\"%s/log\",\"answers\":{" BASIC_ANSWERS "}}",
                                              fixture->folder);
    GThread *threads[8];
    guint got = 0;

    log_path = g_build_filename(fixture->folder, "log", NULL);
    path = emulator_fixture_fake(fixture, "qemu-system-x86_64", config);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("asker", get_in_thread, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
        g_autoptr(InvEmulator) each = g_thread_join(threads[i]);

        got += each != NULL;
    }
    assert_int_equal(got, G_N_ELEMENTS(threads));
    assert_int_equal(emulator_fixture_count(log_path), 1);
}

static void
list_finds_executable_files_only(void **state)
{
    g_autofree char *plain = emulator_fixture_file(fixture, "qemu-system-arm", "#!/bin/sh\n", 0644);
    g_autofree char *other = emulator_fixture_file(fixture, "qemu-img", "#!/bin/sh\n", 0755);
    g_autofree char *folder = g_build_filename(fixture->folder, "qemu-system-sparc", NULL);

    path = emulator_fixture_file(fixture, "qemu-system-x86_64", "#!/bin/sh\n", 0755);
    assert_int_equal(mkdir(folder, 0755), 0);
    list = inv_emulators_list(fixture->emulators);
    assert_int_equal(g_strv_length(list), 1);
    assert_string_equal(list[0], path);
}

static void
probe_all_leaves_the_failing_out(void **state)
{
    g_autofree char *bad = emulator_fixture_fake(fixture, "qemu-system-aarch64", "{\"mode\":\"exit\"}");
    GPtrArray *all;

    path = emulator_fixture_fake(fixture, "qemu-system-x86_64", "{\"answers\":{" BASIC_ANSWERS "}}");
    all = inv_emulators_probe_all(fixture->emulators, DEADLINE_MS, NULL);
    assert_int_equal(all->len, 1);
    assert_string_equal(inv_emulator_path(g_ptr_array_index(all, 0)), path);
    g_ptr_array_unref(all);
}

static void
probe_all_waits_for_no_one_who_hangs(void **state)
{
    g_autofree char *hung = emulator_fixture_fake(fixture, "qemu-system-aarch64", "{\"mode\":\"hang\"}");
    const guint deadline_ms = 7000;
    gint64 begun = g_get_monotonic_time();
    gboolean complete = TRUE;
    GPtrArray *all;

    path = emulator_fixture_fake(fixture, "qemu-system-x86_64", "{\"answers\":{" BASIC_ANSWERS "}}");
    for (guint i = 0; i < 2; i++) {
        all = inv_emulators_probe_all(fixture->emulators, deadline_ms, &complete);
        assert_int_equal(all->len, 1);
        assert_string_equal(inv_emulator_path(g_ptr_array_index(all, 0)), path);
        assert_false(complete);
        g_ptr_array_unref(all);
    }
    assert_true(g_get_monotonic_time() - begun < deadline_ms * G_TIME_SPAN_MILLISECOND);
    /* By then it has failed, and that is an answer too. */
    all = inv_emulators_probe_all(fixture->emulators, deadline_ms, NULL);
    g_ptr_array_unref(all);
    all = inv_emulators_probe_all(fixture->emulators, deadline_ms, &complete);
    assert_true(complete);
    assert_int_equal(all->len, 1);
    g_ptr_array_unref(all);
}

/* Architectures that answer less than x86 does, as recorded. */
typedef struct {
    const char *name;
    const char *recording;
    const char *binary;
    const char *arch;
    InvVirtType accelerator;
    const char *machine;
    guint models;           /* at least */
    gboolean has_host;      /* an expansion of host or max */
    gboolean says_unavailable;
    const char *a_model;
} RecordedCase;

static const RecordedCase recorded_cases[] = {
    { .name = "x86_64 under KVM", .recording = "caps_7.2.0_x86_64.replies.xz", .binary = "qemu-system-x86_64", .arch = "x86_64",
      .accelerator = INV_VIRT_KVM, .machine = "pc-q35-7.2", .models = 100, .has_host = TRUE, .says_unavailable = TRUE, .a_model = "Skylake-Client" },
    { .name = "s390x under KVM", .recording = "caps_9.2.0_s390x.replies.xz", .binary = "qemu-system-s390x", .arch = "s390x",
      .accelerator = INV_VIRT_KVM, .machine = "s390-ccw-virtio-9.2", .models = 40, .has_host = TRUE, .says_unavailable = TRUE,
      .a_model = "z14-base" },
    { .name = "aarch64 under TCG", .recording = "caps_8.2.0_aarch64.replies.xz", .binary = "qemu-system-aarch64", .arch = "aarch64",
      .accelerator = INV_VIRT_QEMU, .machine = "virt-8.2", .models = 20, .has_host = TRUE, .a_model = "cortex-a57" },
    { .name = "ppc64 under TCG", .recording = "caps_7.1.0_ppc64.replies.xz", .binary = "qemu-system-ppc64", .arch = "ppc64",
      .accelerator = INV_VIRT_QEMU, .machine = "pseries-7.1", .models = 300, .a_model = "power9" },
};

static void
recorded_sessions_give_facts(void **state)
{
    const RecordedCase *row = *state;
    g_autofree char *recording = emulator_fixture_recording(row->recording);
    g_autofree char *config = NULL;
    const InvCpuModel *model;
    InvCpuFacts facts;

    if (!recording)
        skip();
    /* The recordings lack what libvirt does not ask: the list of accelerators. */
    config = g_strdup_printf("{\"session\":\"%s\",\"log\":\"%s/log\",\"answers\":{\"qom-list-types\":["
                             "{\"arguments\":{\"implements\":\"accel\"},\"return\":[{\"name\":\"tcg-accel\"},{\"name\":\"kvm-accel\"}]},"
                             "{\"arguments\":{\"implements\":\"device\"},\"return\":[{\"name\":\"virtio-rng-pci\"}]}]}}",
                             recording, fixture->folder);
    log_path = g_build_filename(fixture->folder, "log", NULL);
    path = emulator_fixture_fake(fixture, row->binary, config);
    emulator = inv_emulators_get(fixture->emulators, path, row->arch, DEADLINE_MS, &error);
    assert_null(error);
    assert_true(inv_emulator_probed_cpu_facts(emulator, row->accelerator, row->machine, INV_EXPANSIONS_ALL, DEADLINE_MS, &facts, &error));
    assert_true(inv_cpu_table_size(facts.table) >= row->models);
    model = inv_cpu_table_find(facts.table, row->a_model);
    assert_non_null(model);
    assert_int_equal(model->has_usable, row->says_unavailable);
    assert_int_equal(facts.host != NULL, row->has_host);
    assert_int_equal(emulator_fixture_count(log_path), 2);
}

static void
real_qemu_tells_all_models(void **state)
{
    const InvCpuModel *skylake;
    InvCpuFacts facts;
    InvCpuFacts again;

    if (!have_real_qemu())
        skip();
    path = emulator_fixture_counted(fixture, "qemu-system-x86_64", REAL_QEMU, &log_path);
    emulator = inv_emulators_get(fixture->emulators, path, "x86_64", DEADLINE_MS, &error);
    assert_null(error);
    assert_true(inv_emulator_has_tcg(emulator));
    assert_true(inv_emulator_has_device(emulator, "virtio-blk-pci"));
    assert_true(inv_emulator_cpu_facts(emulator, INV_VIRT_QEMU, "q35", INV_EXPANSIONS_ALL, DEADLINE_MS, &facts, &error));
    assert_int_equal(emulator_fixture_count(log_path), 2);

    assert_true(g_str_has_prefix(facts.machine, "pc-q35-"));
    assert_string_equal(facts.default_model, "qemu64");
    assert_non_null(inv_cpu_table_find(facts.table, facts.default_model));
    assert_true(inv_cpu_table_size(facts.table) > 100);
    skylake = inv_cpu_table_find(facts.table, "Skylake-Client-v1");
    assert_non_null(skylake->expansion);
    assert_true(inv_feature_set_has(skylake->expansion->on, "avx2"));
    assert_string_equal(inv_json_get_string(skylake->expansion->others, "vendor"), "GenuineIntel");
    assert_true(g_strv_contains((const char *const *)skylake->unavailable, "pcid"));
    assert_string_equal(facts.host_vendor, "AuthenticAMD");
    assert_true(inv_feature_set_has(facts.host->on, "sse2"));
    assert_non_null(facts.host_unavailable);
#if defined(__x86_64__)
    assert_true(inv_feature_set_has(facts.hardware, "sse2"));
#endif

    /* The smaller question is answered by the larger answer; the same question by the same answer. */
    assert_true(inv_emulator_cpu_facts(emulator, INV_VIRT_QEMU, facts.machine, INV_EXPANSIONS_HOST, DEADLINE_MS, &again, &error));
    assert_true(inv_emulator_cpu_facts(emulator, INV_VIRT_QEMU, facts.machine, INV_EXPANSIONS_ALL, DEADLINE_MS, &again, &error));
    assert_ptr_equal(again.table, facts.table);
    assert_int_equal(emulator_fixture_count(log_path), 2);
}

static void
cache_spares_the_process(void **state)
{
    InvEmulators *second;
    InvCpuFacts facts;

    if (!have_real_qemu())
        skip();
    path = emulator_fixture_counted(fixture, "qemu-system-x86_64", REAL_QEMU, &log_path);
    emulator = inv_emulators_get(fixture->emulators, path, NULL, DEADLINE_MS, &error);
    assert_true(inv_emulator_cpu_facts(emulator, INV_VIRT_QEMU, NULL, INV_EXPANSIONS_HOST, DEADLINE_MS, &facts, &error));
    assert_true(inv_emulator_dry_run(emulator, INV_VIRT_QEMU, NULL, "qemu64,avx=on", DEADLINE_MS, &list, &error));
    assert_int_equal(emulator_fixture_count(log_path), 3);
    g_clear_pointer(&emulator, inv_emulator_unref);
    g_clear_pointer(&list, g_strfreev);

    second = inv_emulators_new(fixture->io, fixture->cache, NULL, fixture->folder);
    emulator = inv_emulators_get(second, path, NULL, DEADLINE_MS, &error);
    assert_true(inv_emulator_cpu_facts(emulator, INV_VIRT_QEMU, NULL, INV_EXPANSIONS_HOST, DEADLINE_MS, &facts, &error));
    assert_true(inv_emulator_dry_run(emulator, INV_VIRT_QEMU, NULL, "qemu64,avx=on", DEADLINE_MS, &list, &error));
    assert_int_equal(emulator_fixture_count(log_path), 3);
    g_clear_pointer(&emulator, inv_emulator_unref);

    inv_emulators_refresh(second, path);
    emulator = inv_emulators_get(second, path, NULL, DEADLINE_MS, &error);
    assert_non_null(emulator);
    assert_int_equal(emulator_fixture_count(log_path), 4);
    g_clear_pointer(&emulator, inv_emulator_unref);
    inv_emulators_free(second);
}

static void
dry_run_agrees_with_the_definitions(void **state)
{
    g_autofree char *told = NULL;
    g_autofree char *found = NULL;
    InvCpuFacts facts;

    if (!have_real_qemu())
        skip();
    emulator = inv_emulators_get(fixture->emulators, REAL_QEMU, NULL, DEADLINE_MS, &error);
    if (!inv_emulator_find_machine(emulator, MACHINE, NULL))
        skip();
    assert_true(inv_emulator_cpu_facts(emulator, INV_VIRT_QEMU, MACHINE, INV_EXPANSIONS_HOST, DEADLINE_MS, &facts, &error));
    assert_true(inv_emulator_dry_run(emulator, INV_VIRT_QEMU, MACHINE, "Skylake-Client-v1", DEADLINE_MS, &list, &error));
    told = g_strjoinv(" ", inv_cpu_table_find(facts.table, "Skylake-Client-v1")->unavailable);
    found = g_strjoinv(" ", list);
    assert_string_equal(found, told);
    assert_true(*found);
}

typedef struct {
    const char *name;
    InvVirtType accelerator;
    const char *machine;
    const char *cpu;
    const char *message;
} RefusedCase;

static const RefusedCase refused_cases[] = {
    { .name = "unknown property", .cpu = "qemu64,wings=on", .message = "Property 'qemu64-x86_64-cpu.wings' not found" },
    { .name = "unknown model", .cpu = "Z80", .message = "exited with status 1: unable to find CPU model 'Z80'" },
    { .name = "unknown machine", .machine = "pc-q35-9999", .cpu = "qemu64", .message = "no machine type 'pc-q35-9999'" },
};

static void
refused_dry_run_has_qemus_words(void **state)
{
    const RefusedCase *row = *state;

    if (!have_real_qemu())
        skip();
    emulator = inv_emulators_get(fixture->emulators, REAL_QEMU, NULL, DEADLINE_MS, &error);
    assert_false(inv_emulator_dry_run(emulator, row->accelerator, row->machine ? row->machine : "q35", row->cpu, DEADLINE_MS, &list, &error));
    if (!strstr(error->message, row->message))
        print_message("# message: %s\n", error->message);
    assert_non_null(strstr(error->message, row->message));
    assert_null(strstr(error->message, "qemu-system-x86_64: "));
    assert_int_equal(inv_error_code(error), VIR_ERR_CONFIG_UNSUPPORTED);
}

static void
kvm_that_does_not_work_is_told(void **state)
{
    InvCpuFacts facts;

    if (!have_real_qemu() || inv_kvm_state(&log_path) == INV_KVM_WORKS)
        skip();
    emulator = inv_emulators_get(fixture->emulators, REAL_QEMU, NULL, DEADLINE_MS, &error);
    assert_false(inv_emulator_cpu_facts(emulator, INV_VIRT_KVM, "q35", INV_EXPANSIONS_HOST, DEADLINE_MS, &facts, &error));
    assert_non_null(strstr(error->message, log_path));
    assert_int_equal(inv_error_code(error), VIR_ERR_CONFIG_UNSUPPORTED);
}

typedef struct {
    const char *name;
    const char *text;
    const char *cleaned;
} WordsCase;

static const WordsCase words_cases[] = {
    { .name = "prefix goes", .text = "qemu-system-x86_64: no\n", .cleaned = "no" },
    { .name = "prefix with a path goes", .text = "/usr/bin/qemu-system-x86_64: no\n", .cleaned = "no" },
    { .name = "lines are joined", .text = "qemu-system-x86_64: a\nqemu-system-x86_64: b\n", .cleaned = "a; b" },
    { .name = "warnings go before an error", .text = "qemu-system-x86_64: warning: w\nqemu-system-x86_64: e\n", .cleaned = "e" },
    { .name = "warnings alone stay", .text = "qemu-system-x86_64: warning: w\n", .cleaned = "warning: w" },
    { .name = "no words", .text = "\n \n", .cleaned = "" },
};

static void
words_are_cleaned(void **state)
{
    const WordsCase *row = *state;

    path = inv_probe_clean_words(row->text, "qemu-system-x86_64");
    assert_string_equal(path, row->cleaned);
}

static void
build_id_of_this_program(void **state)
{
    path = emulator_fixture_file(fixture, "short", "\177ELF", 0644);
    assert_null(inv_build_id_read(path));
    if (!have_real_qemu())
        skip();
    log_path = inv_build_id_read(REAL_QEMU);
    assert_non_null(log_path);
    assert_int_equal(strlen(log_path), 40);
}

#define ADD_ROWS(rows, function)                                                       \
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)                                     \
        tests[n++] = (struct CMUnitTest){ rows[i].name, function, emulator_test_setup, teardown, (void *)&rows[i] }
#define ADD(function) tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(function, emulator_test_setup, teardown)

int
main(void)
{
    struct CMUnitTest tests[64];
    gsize n = 0;

    ADD_ROWS(failing_cases, failing_emulator_has_its_message);
    ADD(failure_is_remembered_until_the_file_changes);
    ADD(missed_deadline_is_tried_again_with_more_time_only);
    ADD(failures_outlast_the_daemon);
    ADD(a_table_s_failure_outlasts_the_daemon);
    ADD(a_missed_deadline_outlasts_the_daemon);
    ADD(basic_facts_of_a_fake);
    ADD(askers_at_once_share_one_probe);
    ADD(list_finds_executable_files_only);
    ADD(probe_all_leaves_the_failing_out);
    ADD(probe_all_waits_for_no_one_who_hangs);
    ADD_ROWS(recorded_cases, recorded_sessions_give_facts);
    ADD(real_qemu_tells_all_models);
    ADD(cache_spares_the_process);
    ADD(dry_run_agrees_with_the_definitions);
    ADD_ROWS(refused_cases, refused_dry_run_has_qemus_words);
    ADD(kvm_that_does_not_work_is_told);
    ADD_ROWS(words_cases, words_are_cleaned);
    ADD(build_id_of_this_program);
    g_assert(n <= G_N_ELEMENTS(tests));
    /* The macro wants an array of its own length. */
    return _cmocka_run_group_tests("emulator", tests, n, NULL, NULL);
}
