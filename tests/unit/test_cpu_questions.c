/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Documents that are remembered, comparisons from memory, baselines of connections, and <cpu> in QEMU's words. */
#include "cpu_driver/baseline.h"
#include "cpu_driver/compare.h"
#include "daemon/baselines.h"
#include "daemon/cpu_model_info.h"
#include "tests/unit/cpu_facts.h"
#include "util/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static CpuFacts *all;
static InvCpuSubject *subject;
static GError *error;

static int
setup(void **state)
{
    all = cpu_facts_load("x86_64");
    subject = g_new0(InvCpuSubject, 1);
    g_atomic_ref_count_init(&subject->references);
    g_mutex_init(&subject->lock);
    subject->choice.facts = all->facts;
    subject->documents = inv_cpu_documents_new();
    subject->basis = inv_cpu_basis_of_facts(&subject->choice.facts);
    subject->difference = inv_cpu_difference_new(subject->basis);
    subject->gives = inv_cpu_describe_here(subject->basis, NULL);
    subject->followed = inv_feature_set_copy(all->host->on);
    return 0;
}

static int
teardown(void **state)
{
    g_clear_error(&error);
    g_clear_pointer(&subject, inv_cpu_subject_unref);
    g_clear_pointer(&all, cpu_facts_free);
    return 0;
}

/* --- documents --- */

static InvCpuDescription *
any_description(void)
{
    InvCpuDescription *description = g_new0(InvCpuDescription, 1);

    description->model = "any";
    return description;
}

static void
documents_are_found_by_their_text(void **state)
{
    g_autoptr(InvCpuDocuments) documents = inv_cpu_documents_new();
    g_autoptr(InvCpuDocument) one = inv_cpu_documents_add(documents, "<cpu>one</cpu>", any_description());
    g_autoptr(InvCpuDocument) same = inv_cpu_documents_add(documents, "<cpu>one</cpu>", any_description());
    g_autoptr(InvCpuDocument) found = inv_cpu_documents_find(documents, "<cpu>one</cpu>");
    g_autofree char *large = g_strnfill(INV_DOCUMENT_MAX + 1, 'x');
    g_autoptr(InvCpuDocument) unkept = inv_cpu_documents_add(documents, large, any_description());
    g_autoptr(InvCpuDocument) alone = inv_cpu_documents_add(NULL, "<cpu>two</cpu>", any_description());

    assert_ptr_equal(same, one);
    assert_ptr_equal(found, one);
    assert_null(inv_cpu_documents_find(documents, "<cpu>one</cpu> "));
    assert_null(inv_cpu_documents_find(documents, "<cpu>ona</cpu>"));
    assert_null(inv_cpu_documents_find(documents, ""));
    assert_null(inv_cpu_documents_find(documents, large));
    assert_null(inv_cpu_documents_find(documents, "<cpu>two</cpu>"));
    assert_non_null(unkept->description);
    assert_non_null(alone->description);
    assert_int_equal(inv_cpu_documents_bytes(documents), strlen("<cpu>one</cpu>"));
}

static void
documents_are_bounded(void **state)
{
    const guint count = 6000, size = 3000;
    g_autoptr(InvCpuDocuments) documents = inv_cpu_documents_new();
    g_autofree char *text = g_strnfill(size, 'x');
    guint kept = 0;

    for (guint i = 0; i < count; i++) {
        g_autoptr(InvCpuDocument) document = NULL;

        memcpy(text, &i, sizeof(i));
        text[0] |= 0x40;
        text[1] |= 0x40;
        text[2] = text[3] = '-';
        document = inv_cpu_documents_add(documents, text, any_description());
        assert_true(inv_cpu_documents_bytes(documents) <= INV_DOCUMENTS_BYTES);
        assert_string_equal(document->text, text);
        {
            g_autoptr(InvCpuDocument) again = inv_cpu_documents_find(documents, text);

            kept += again == document;
        }
    }
    /* What came last is there, whatever gave way. */
    assert_int_equal(kept, count);
}

/* --- comparisons --- */

typedef struct {
    const char *name, *host, *wanted;
} Pair;

static const Pair pairs[] = {
    { "a part", "<cpu><arch>x86_64</arch><model>Skylake-Server</model></cpu>", "<cpu><model>Nehalem</model></cpu>" },
    { "the same", "<cpu><arch>x86_64</arch><model>Nehalem</model></cpu>", "<cpu><model>Nehalem</model></cpu>" },
    { "more", "<cpu><arch>x86_64</arch><model>Nehalem</model></cpu>", "<cpu><model>Skylake-Server</model></cpu>" },
    { "another vendor", "<cpu><arch>x86_64</arch><model>EPYC</model></cpu>", "<cpu><model>Nehalem</model><vendor>Intel</vendor></cpu>" },
    { "another architecture", "<cpu><arch>x86_64</arch><model>EPYC</model></cpu>", "<cpu><arch>s390x</arch><model>z13</model></cpu>" },
    { "forbidden", "<cpu><arch>x86_64</arch><model>Nehalem</model><feature name='aes'/></cpu>",
      "<cpu><model>Nehalem</model><feature policy='forbid' name='aes'/></cpu>" },
    { "disabled", "<cpu><arch>x86_64</arch><model>Nehalem</model><feature name='aes'/></cpu>",
      "<cpu><model>Nehalem</model><feature policy='disable' name='aes'/></cpu>" },
    { "strict", "<cpu><arch>x86_64</arch><model>Nehalem</model><feature name='aes'/></cpu>",
      "<cpu match='strict'><model>Nehalem</model></cpu>" },
    { "what TCG gives", NULL, "<cpu><model>Nehalem</model></cpu>" },
    { "what TCG does not give", NULL, "<cpu><model>Skylake-Server</model></cpu>" },
};

static void
compare_as_with_all_reasons(void **state)
{
    const Pair *pair = *state;
    g_autoptr(InvCpu) host = pair->host ? inv_cpu_parse(pair->host, &error) : NULL;
    g_autoptr(InvCpu) cpu = inv_cpu_parse(pair->wanted, &error);
    g_autoptr(InvCpuDescription) has = host ? inv_cpu_describe(subject->basis, host, subject->followed, &error) : NULL;
    g_autoptr(InvCpuDocument) first = inv_cpu_subject_read(subject, pair->wanted, TRUE, &error);
    g_autoptr(InvCpuDocument) second = inv_cpu_subject_read(subject, pair->wanted, TRUE, &error);
    virCPUCompareResult expected;

    assert_null(error);
    assert_ptr_equal(first, second);
    assert_true(inv_cpu_compare_on(subject->basis, host, cpu, &expected, NULL, &error));
    assert_int_equal(inv_cpu_subject_compare(subject, has ? has : subject->gives, first->description), expected);
}

static void
what_follows_the_host_is_not_kept(void **state)
{
    static const char *const documents[] = { "<cpu mode='host-model'/>", "<cpu mode='maximum'/>", "<cpu mode='host-passthrough'/>" };

    for (guint i = 0; i < G_N_ELEMENTS(documents); i++) {
        g_autoptr(InvCpuDocument) read = inv_cpu_subject_read(subject, documents[i], TRUE, &error);

        assert_non_null(read);
        assert_null(inv_cpu_documents_find(subject->documents, documents[i]));
    }
}

/* --- baselines --- */

static char nehalem[] = "<cpu><model>Nehalem</model><feature policy='require' name='aes'/></cpu>";
static char westmere[] = "<cpu><model>Westmere</model></cpu>";
static char epyc[] = "<cpu><model>EPYC</model></cpu>";
static char bogus[] = "<cpu><model>Bogus</model></cpu>";

static InvCpuCommon *
new_common(void)
{
    InvCpuCommon *common = inv_cpu_common_new(NULL, subject, &error);

    assert_non_null(common);
    return common;
}

static void
known_documents_have_the_same_baseline(void **state)
{
    char *const documents[] = { nehalem, westmere, nehalem };
    const guint n = G_N_ELEMENTS(documents);

    assert_null(inv_cpu_common_of_known(subject, documents, n, 0));
    for (unsigned int flags = 0; flags < 4; flags++) {
        g_autoptr(InvCpuCommon) common = new_common();
        g_autofree char *whole = NULL;
        g_autofree char *known = NULL;

        assert_true(inv_cpu_common_add(common, documents, n, TRUE, &error));
        assert_int_equal(inv_cpu_common_count(common), n);
        whole = inv_cpu_common_result(common, flags, &error);
        known = inv_cpu_common_of_known(subject, documents, n, flags);
        assert_non_null(whole);
        assert_string_equal(whole, known);
    }
    assert_null(inv_cpu_common_of_known(subject, documents, 0, 0));
    assert_null(inv_cpu_common_of_known(subject, documents, n, 1u << 9));
}

static void
baseline_stays_as_it_was_after_an_error(void **state)
{
    g_autoptr(InvCpuCommon) common = new_common();
    char *const with_bogus[] = { nehalem, bogus, westmere };
    char *const other_vendor[] = { epyc };
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;

    assert_null(inv_cpu_common_result(common, 0, &error));
    assert_int_equal(error->code, VIR_ERR_INVALID_ARG);
    g_clear_error(&error);
    assert_false(inv_cpu_common_add(common, with_bogus, G_N_ELEMENTS(with_bogus), FALSE, &error));
    assert_true(g_str_has_prefix(error->message, "CPU 2: "));
    assert_int_equal(error->code, VIR_ERR_CONFIG_UNSUPPORTED);
    g_clear_error(&error);
    assert_int_equal(inv_cpu_common_count(common), 1);
    before = inv_cpu_common_result(common, 0, &error);
    assert_false(inv_cpu_common_add(common, other_vendor, 1, FALSE, &error));
    assert_non_null(strstr(error->message, "AMD"));
    g_clear_error(&error);
    assert_int_equal(inv_cpu_common_count(common), 1);
    after = inv_cpu_common_result(common, 0, &error);
    assert_string_equal(before, after);
    /* Not asked to be kept. */
    assert_null(inv_cpu_documents_find(subject->documents, nehalem));
}

static void
connection_has_so_many_baselines(void **state)
{
    g_autoptr(InvBaselines) baselines = inv_baselines_new();
    char *const documents[] = { nehalem, westmere };
    g_autofree char *cpu = NULL;
    guint64 count = 0;

    for (guint i = 0; i < INV_BASELINES_MAX; i++)
        assert_int_equal(inv_baselines_open(baselines, new_common(), &error), i + 1);
    assert_int_equal(inv_baselines_open(baselines, new_common(), &error), 0);
    assert_int_equal(error->code, VIR_ERR_OPERATION_INVALID);
    g_clear_error(&error);
    assert_true(inv_baselines_close(baselines, 3, &error));
    assert_false(inv_baselines_close(baselines, 3, &error));
    assert_int_equal(error->code, VIR_ERR_INVALID_ARG);
    g_clear_error(&error);
    /* Numbers are not given again: who closed one too early does not meet another's. */
    assert_int_equal(inv_baselines_open(baselines, new_common(), &error), INV_BASELINES_MAX + 1);
    assert_true(inv_baselines_add(baselines, 5, documents, 2, &count, &error));
    assert_true(inv_baselines_add(baselines, 5, documents, 2, &count, &error));
    assert_int_equal(count, 4);
    cpu = inv_baselines_result(baselines, 5, 0, &count, &error);
    assert_non_null(cpu);
    assert_int_equal(count, 4);
    assert_false(inv_baselines_add(baselines, 3, documents, 2, &count, &error));
    g_clear_error(&error);
    assert_null(inv_baselines_result(baselines, -1, 0, &count, &error));
}

static void
no_baseline_without_features(void **state)
{
    g_clear_pointer(&subject->difference, inv_cpu_difference_free);
    g_clear_pointer(&subject->basis, inv_cpu_basis_free);
    subject->choice.facts.arch = "ppc64";
    assert_null(inv_cpu_common_new(NULL, subject, &error));
    assert_int_equal(error->code, VIR_ERR_NO_SUPPORT);
    assert_non_null(strstr(error->message, "not supported by the ppc64 CPU driver"));
    assert_true(inv_cpu_arch_asks_qemu("s390x"));
    assert_false(inv_cpu_arch_asks_qemu("ppc64"));
}

/* --- KVM --- */

/* As under KVM on AMD's processors: whatever a model's chips are, QEMU gives it the host's vendor. */
static void
hide_vendors(const char *vendor)
{
    for (guint i = 0; i < inv_cpu_table_size(all->table); i++) {
        const InvCpuModel *model = inv_cpu_table_at(all->table, i);

        if (model->expansion)
            inv_json_object_set_string(model->expansion->others, "vendor", vendor);
    }
    all->facts.accelerator = INV_VIRT_KVM;
    all->facts.host_vendor = vendor;
}

static void
models_keep_their_vendor_under_kvm(void **state)
{
    static const char *const vendors[] = { "AuthenticAMD", "GenuineIntel" };
    g_autoptr(InvCpuModels) models = inv_cpu_models_load(inv_cpu_map_default_folder(), "x86_64", &error);
    g_autoptr(InvCpu) one = inv_cpu_parse("<cpu><model>Nehalem</model></cpu>", &error);
    g_autoptr(InvCpu) other = inv_cpu_parse("<cpu><model>Skylake-Client</model><vendor>Intel</vendor></cpu>", &error);
    g_autoptr(InvCpu) follows = inv_cpu_parse("<cpu mode='host-model'/>", &error);
    const InvCpu *const cpus[] = { one, other };

    assert_null(error);
    all->facts.models = models;
    for (guint i = 0; i < G_N_ELEMENTS(vendors); i++) {
        g_autoptr(InvCpu) common = NULL;
        g_autoptr(InvCpuRequest) request = NULL;
        const InvCpuModelEntry *entry;

        hide_vendors(vendors[i]);
        common = inv_cpu_baseline(&all->facts, cpus, G_N_ELEMENTS(cpus), FALSE, FALSE, &error);
        assert_null(error);
        assert_string_equal(common->model, "Nehalem-v1");
        request = inv_cpu_resolve(&all->facts, follows, &error);
        assert_null(error);
        entry = inv_cpu_models_find(models, inv_cpu_request_model(request));
        assert_non_null(entry);
        assert_string_equal(entry->vendor, vendors[i]);
    }
    all->facts.models = NULL;
}

/* --- QEMU's words --- */

typedef struct {
    const char *name, *cpu;
    const char *expected; /* NULL: refused */
    int code;
    const char *message;
} WordsCase;

static const WordsCase words_cases[] = {
    { "a model", "<cpu><model>Nehalem-v1</model></cpu>", "{\"name\":\"Nehalem-v1\"}" },
    { "features in any order, by QEMU's names",
      "<cpu><model>Nehalem-v1</model><feature policy='require' name='sse4.2'/><feature policy='disable' name='aes'/></cpu>",
      "{\"name\":\"Nehalem-v1\",\"props\":{\"aes\":false,\"sse4.2\":true}}" },
    { "all policies",
      "<cpu><model>Nehalem-v1</model><feature policy='force' name='aes'/><feature policy='forbid' name='avx'/>"
      "<feature policy='optional' name='fma'/><feature name='ht'/></cpu>",
      "{\"name\":\"Nehalem-v1\",\"props\":{\"aes\":true,\"avx\":false,\"ht\":true}}" },
    { "host-model", "<cpu mode='host-model'/>", "{\"name\":\"max\"}" },
    { "the machine's default", "<cpu><topology sockets='1' cores='1' threads='1'/></cpu>", "{\"name\":\"qemu64\"}" },
    { "an unknown model", "<cpu><model>Nehalen</model></cpu>", .code = VIR_ERR_CONFIG_UNSUPPORTED, .message = "nearest are: Nehalem" },
    { "a host without a model", "<cpu><arch>x86_64</arch></cpu>", .code = VIR_ERR_XML_ERROR, .message = "<model>" },
    { "a vendor", "<cpu><model>Nehalem-v1</model><vendor>Intel</vendor></cpu>", .code = VIR_ERR_NO_SUPPORT, .message = "<vendor>" },
    { "the vendor", "<cpu><model>Nehalem-v1</model><vendor>IBM</vendor></cpu>", "{\"name\":\"Nehalem-v1\"}" },
    { "a cache", "<cpu><model>Nehalem-v1</model><cache mode='disable'/></cpu>", .code = VIR_ERR_NO_SUPPORT, .message = "<cache>" },
    { "a width", "<cpu><model>Nehalem-v1</model><maxphysaddr mode='passthrough'/></cpu>", .code = VIR_ERR_NO_SUPPORT,
      .message = "<maxphysaddr>" },
};

static void
cpu_in_qemus_words(void **state)
{
    const WordsCase *row = *state;
    g_autoptr(InvCpu) cpu = inv_cpu_parse(row->cpu, &error);
    g_autoptr(InvJson) model = NULL;
    g_autofree char *text = NULL;

    assert_null(error);
    model = inv_cpu_to_model_info(&all->facts, cpu, &error);
    if (!row->expected) {
        assert_null(model);
        assert_int_equal(error->code, row->code);
        assert_non_null(strstr(error->message, row->message));
        return;
    }
    assert_null(error);
    text = inv_json_format(model, FALSE);
    assert_string_equal(text, row->expected);
    if (strstr(row->cpu, "<model>")) {
        g_autoptr(InvCpu) back = inv_cpu_from_model_info(&all->facts, model, FALSE, &error);
        g_autoptr(InvJson) again = inv_cpu_to_model_info(&all->facts, back, &error);
        g_autofree char *same = inv_json_format(again, FALSE);

        assert_string_equal(same, text);
    }
}

static void
model_without_a_name_is_refused(void **state)
{
    g_autoptr(InvJson) model = inv_json_parse("{\"props\":{}}", 12, NULL);

    assert_null(inv_cpu_from_model_info(&all->facts, model, TRUE, &error));
    assert_int_equal(error->code, VIR_ERR_OPERATION_FAILED);
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));
    const struct CMUnitTest single[] = {
        cmocka_unit_test_setup_teardown(documents_are_found_by_their_text, setup, teardown),
        cmocka_unit_test_setup_teardown(documents_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(what_follows_the_host_is_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(known_documents_have_the_same_baseline, setup, teardown),
        cmocka_unit_test_setup_teardown(baseline_stays_as_it_was_after_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(connection_has_so_many_baselines, setup, teardown),
        cmocka_unit_test_setup_teardown(models_keep_their_vendor_under_kvm, setup, teardown),
        cmocka_unit_test_setup_teardown(no_baseline_without_features, setup, teardown),
        cmocka_unit_test_setup_teardown(model_without_a_name_is_refused, setup, teardown),
    };

    g_array_append_vals(tests, single, G_N_ELEMENTS(single));
    for (guint i = 0; i < G_N_ELEMENTS(pairs); i++) {
        struct CMUnitTest test = { pairs[i].name, compare_as_with_all_reasons, setup, teardown, (void *)&pairs[i] };

        g_array_append_val(tests, test);
    }
    for (guint i = 0; i < G_N_ELEMENTS(words_cases); i++) {
        struct CMUnitTest test = { words_cases[i].name, cpu_in_qemus_words, setup, teardown, (void *)&words_cases[i] };

        g_array_append_val(tests, test);
    }
    return _cmocka_run_group_tests("cpu_questions", (const struct CMUnitTest *)(void *)tests->data, tests->len, NULL, NULL);
}
