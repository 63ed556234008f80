/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A host that answers for itself and its exported description come to the same verdicts, and no file brings the reader down. */
#include "tests/unit/host_files.h"
#include "tests/unit/test_table.h"
#include "util/error.h"

#include <string.h>

#define MANY_DAMAGES 600u

static CpuFacts *all;
static InvHostExportReader *reader;

static int
teardown(void **state)
{
    g_clear_pointer(&reader, inv_host_export_reader_free);
    g_clear_pointer(&all, cpu_facts_free);
    return 0;
}

static const char *const devices[] = { "virtio-blk-pci", "virtio-net-pci", NULL };

/* The host of the facts as it answers for itself. */

static gboolean
own_emulator(gpointer data, const char *path, const char *arch, GError **error)
{
    return strcmp(arch, all->facts.arch) == 0 || inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "no emulator for %s", arch);
}

static gboolean
own_accelerator(gpointer data, InvVirtType accelerator, GError **error)
{
    return accelerator == all->facts.accelerator || inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "not here");
}

static gboolean
own_machine(gpointer data, const char *name, const char **canonical, guint *max_vcpus, GError **error)
{
    *canonical = all->facts.machine;
    *max_vcpus = 288;
    return TRUE;
}

static gboolean
own_facts(gpointer data, const char *const *models, InvCpuFacts *facts, GError **error)
{
    *facts = all->facts;
    return TRUE;
}

static gboolean
own_device(gpointer data, const char *type)
{
    return g_strv_contains(devices, type);
}

static InvMigrationVerdict *
ask_host(const InvMigrationSubject *subject)
{
    const InvMigrationHost host = { .hostname = "here", .as_of = 1, .emulator = own_emulator, .accelerator = own_accelerator, .machine = own_machine,
                                    .facts = own_facts, .has_device = own_device };

    return inv_migration_check(subject, &host);
}

/* The same host as a file. Owned by the caller. */
static char *
export_host(void)
{
    const InvHostExportHead head = { .hostname = "here", .uuid = "u", .arch = "x86_64", .exported = 1, .hardware = all->facts.hardware };
    gboolean kvm = all->facts.accelerator == INV_VIRT_KVM;
    InvHostExportWriter *writer = inv_host_export_writer_new(&head);

    inv_host_export_writer_add_emulator(writer, &(InvHostExportEmulator){ .path = "/usr/bin/qemu", .arch = all->facts.arch, .version = "7.2.22",
                                                                          .devices = devices, .is_usual = TRUE });
    inv_host_export_writer_add_machine(writer, &(InvHostExportMachine){ .name = "another", .max_vcpus = 1, .is_default = TRUE });
    inv_host_export_writer_add_machine(writer, &(InvHostExportMachine){ .name = all->facts.machine, .alias = "usual", .max_vcpus = 288,
                                                                        .tcg = kvm ? NULL : &all->facts, .kvm = kvm ? &all->facts : NULL });
    return inv_host_export_writer_end(writer);
}

static char *
text_of(const InvMigrationVerdict *verdict)
{
    g_autoptr(InvJson) json = inv_verdict_to_json(verdict->verdict);

    return inv_json_format(json, TRUE);
}

/* Both say the same of @subject. */
static void
compare(InvHostExport *host, const InvMigrationSubject *subject)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvMigrationVerdict) own = ask_host(subject);
    g_autoptr(InvMigrationVerdict) file = inv_host_export_check(host, subject, &error);
    g_autofree char *own_text = text_of(own);
    g_autofree char *file_text = NULL;

    if (!file)
        fail_msg("%s", error->message);
    file_text = text_of(file);
    assert_string_equal(own_text, file_text);
    assert_int_equal(own->outcome, file->outcome);
}

typedef struct {
    const char *name;
    const char *arch;
    guint least; /* models that are compared at least */
} Architecture;

static const Architecture architectures[] = {
    { "x86_64", "x86_64", 50 },
    { "s390x", "s390x", 1 },
    { "aarch64", "aarch64", 1 },
    { "ppc64", "ppc64", 1 },
};

/* Every model: as it is, with a feature less than it has, and never started. */
static void
test_same_verdict(void **state)
{
    const Architecture *row = *state;
    g_autofree char *text = NULL;
    HostFile file;
    g_autoptr(InvHostExport) host = NULL;
    guint compared = 0;

    all = cpu_facts_load(row->arch);
    all->facts.emulator = "QEMU 7.2.22";
    reader = inv_host_export_reader_new(NULL);
    text = export_host();
    file = (HostFile){ text, strlen(text) };
    host = inv_host_export_open(reader, host_file_read, &file, NULL);
    assert_non_null(host);
    for (guint i = 0; i < inv_cpu_table_size(all->table); i++) {
        const InvCpuModel *model = inv_cpu_table_at(all->table, i);
        g_autofree char *cpu = g_strdup_printf("<cpu mode='custom'><model fallback='forbid' check='relaxed'>%s</model></cpu>", model->name);
        g_autoptr(InvMigrationSubject) never = host_file_subject(&all->facts, cpu, NULL);
        g_autoptr(InvMigrationSubject) started = host_file_subject(&all->facts, cpu, host_file_record(&all->facts, model, NULL));
        g_autoptr(InvMigrationSubject) less = host_file_subject(&all->facts, cpu, host_file_record(&all->facts, model, "sse2"));

        compare(host, never);
        if (!started->record)
            continue;
        compare(host, started);
        compare(host, less);
        compared++;
    }
    assert_true(compared >= row->least || g_strcmp0(row->arch, "x86_64") != 0);
}

static InvMigrationSubject *
westmere(void)
{
    return host_file_subject(&all->facts, "<cpu mode='custom'><model fallback='forbid' check='relaxed'>Westmere-v1</model></cpu>",
                             host_file_record(&all->facts, inv_cpu_table_find(all->table, "Westmere-v1"), NULL));
}

/* What is behind right sums and is none: an error or a verdict, never more. */
static void
test_behind_the_sums(void **state)
{
    g_autofree char *text = NULL;
    g_autoptr(InvMigrationSubject) subject = NULL;
    g_autoptr(GRand) chance = g_rand_new_with_seed(7);
    gsize length;

    all = cpu_facts_load("x86_64");
    reader = inv_host_export_reader_new(NULL);
    text = export_host();
    length = strlen(text);
    subject = westmere();
    for (guint i = 0; i < MANY_DAMAGES; i++) {
        g_autofree char *wrong = g_memdup2(text, length);
        HostFile file = { wrong, length };
        g_autoptr(GError) error = NULL;
        g_autoptr(InvHostExport) host = NULL;
        /* The first line leads to all others. */
        gsize area = i % 3 ? length : (gsize)(strchr(text, '\n') - text);

        for (gint32 k = g_rand_int_range(chance, 1, 6); k; k--)
            wrong[g_rand_int_range(chance, 0, (gint32)area)] = "0123456789abcdef\"{}[],:-nt \n"[g_rand_int_range(chance, 0, 28)];
        host_file_fix_sums(wrong, length);
        host = inv_host_export_open(reader, host_file_read, &file, &error);
        if (host) {
            g_autoptr(InvMigrationVerdict) verdict = inv_host_export_check(host, subject, &error);

            assert_true(!verdict == !!error);
        } else {
            assert_non_null(error);
        }
    }
}

/* The same list of features under another sum, and another list under the same, are no way to mix two hosts up. */
static void
test_lists_are_told_apart(void **state)
{
    g_autofree char *text = NULL;
    g_autofree char *other = NULL;
    g_autoptr(InvMigrationSubject) subject = NULL;
    char *name;

    all = cpu_facts_load("x86_64");
    reader = inv_host_export_reader_new(NULL);
    text = export_host();
    other = g_strdup(text);
    subject = westmere();
    /* Two names trade their places: every set means something else. */
    name = strstr(strstr(other, "{\"names\""), "\"aes\"");
    assert_non_null(name);
    memcpy(name, "\"sea\"", 5);
    for (guint i = 0; i < 2; i++) {
        HostFile file = { i ? other : text, strlen(text) };
        g_autoptr(GError) error = NULL;
        g_autoptr(InvHostExport) host = inv_host_export_open(reader, host_file_read, &file, &error);
        g_autoptr(InvMigrationVerdict) verdict = inv_host_export_check(host, subject, &error);

        assert_true(i ? verdict == NULL : verdict != NULL);
        assert_true(!i || strstr(error->message, "damaged"));
    }
    host_file_fix_sums(other, strlen(other));
    {
        HostFile file = { other, strlen(other) };
        g_autoptr(GError) error = NULL;
        g_autoptr(InvHostExport) host = inv_host_export_open(reader, host_file_read, &file, &error);
        g_autoptr(InvMigrationVerdict) verdict = inv_host_export_check(host, subject, &error);

        /* A host that knows no aes cannot have the guest. */
        assert_non_null(verdict);
        assert_int_equal(verdict->outcome, INV_MIGRATION_CANNOT);
    }
}

static void
test_documents(void **state)
{
    g_autoptr(InvMigrationSubject) subject = NULL;
    g_autoptr(InvMigrationSubject) again = NULL;
    g_autoptr(InvMigrationVerdict) verdict = NULL;
    g_autoptr(InvMigrationVerdict) same = NULL;
    g_autoptr(InvJson) json = NULL;
    g_autoptr(InvJson) told = NULL;
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    g_autofree char *xml = NULL;

    all = cpu_facts_load("x86_64");
    subject = westmere();
    subject->hostname = g_strdup("there");
    xml = inv_domain_format(subject->domain, INV_FORMAT_INACTIVE);
    json = inv_migration_subject_to_json(subject, xml);
    again = inv_migration_subject_from_json(json, NULL);
    assert_non_null(again);
    assert_string_equal(again->record->fingerprint, subject->record->fingerprint);
    assert_true(again->active);
    assert_string_equal(again->hostname, "there");
    assert_string_equal(again->devices[0], "virtio-blk-pci");
    verdict = ask_host(again);
    inv_migration_verdict_need(verdict, "--x");
    inv_migration_verdict_need(verdict, "--x");
    assert_int_equal(verdict->arguments->len, 1);
    inv_migration_verdict_refuse(verdict, "thing", INV_LAYER_KERNEL, "reason", "remedy");
    told = inv_migration_verdict_to_json(verdict);
    before = inv_json_format(told, TRUE);
    same = inv_migration_verdict_from_json(told, NULL);
    assert_non_null(same);
    assert_int_equal(same->outcome, INV_MIGRATION_CANNOT);
    inv_json_free(told);
    told = inv_migration_verdict_to_json(same);
    after = inv_json_format(told, TRUE);
    assert_string_equal(before, after);
}

int
main(void)
{
    TestTable *table = test_table_new(NULL, teardown);

    TEST_TABLE_ADD_ROWS(table, architectures, test_same_verdict);
    test_table_add(table, test_behind_the_sums, NULL, "what is wrong behind right sums is an error or a verdict");
    test_table_add(table, test_lists_are_told_apart, NULL, "a list of features is known by all of it");
    test_table_add(table, test_documents, NULL, "a domain and a verdict come back from their documents");
    return test_table_run(table, "host_export", NULL, NULL);
}
