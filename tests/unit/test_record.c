/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cpu_driver/request.h"
#include "tests/unit/cpu_facts.h"
#include "util/error.h"

static CpuFacts *all;
static InvCpuRecord *record, *other;
static InvJson *json;
static GError *error;
static char *text;

static int
setup(void **state)
{
    all = cpu_facts_load("x86_64");
    return 0;
}

static int
teardown(void **state)
{
    g_clear_pointer(&text, g_free);
    g_clear_pointer(&record, inv_cpu_record_free);
    g_clear_pointer(&other, inv_cpu_record_free);
    g_clear_pointer(&json, inv_json_free);
    g_clear_pointer(&all, cpu_facts_free);
    g_clear_error(&error);
    return 0;
}

/* A guest as Nehalem-v1, changed by @changes: "+name" on, "-name" off, "?name" known and off, "name=number", "machine:…", "words:…". */
static InvCpuRecord *
record_of(const char *changes)
{
    g_auto(GStrv) parts = g_strsplit(changes, " ", -1);
    g_autoptr(InvGuestCpu) guest = g_new0(InvGuestCpu, 1);

    guest->machine = g_strdup("pc-q35-7.2");
    guest->type_name = g_strdup("Nehalem-v1-x86_64-cpu");
    guest->model = g_strdup("Nehalem-v1");
    guest->cpu = inv_cpu_expansion_copy(inv_cpu_table_find(all->table, "Nehalem-v1")->expansion);
    guest->words = g_strdup("1.edx=0f8bfbff 1.ecx=80982201");
    for (char **part = parts; *part; part++) {
        char *equals = strchr(*part, '=');

        if (**part == '+') {
            inv_feature_set_add(guest->cpu->on, *part + 1);
            inv_feature_set_add(guest->cpu->known, *part + 1);
        } else if (**part == '-') {
            inv_feature_set_remove(guest->cpu->on, *part + 1);
        } else if (**part == '?') {
            inv_feature_set_add(guest->cpu->known, *part + 1);
        } else if (g_str_has_prefix(*part, "machine:")) {
            g_free(guest->machine);
            guest->machine = g_strdup(*part + strlen("machine:"));
        } else if (g_str_has_prefix(*part, "words:")) {
            g_free(guest->words);
            guest->words = g_strdelimit(g_strdup(*part + strlen("words:")), ",", ' ');
        } else if (equals) {
            *equals = '\0';
            inv_json_object_set_int(guest->cpu->others, *part, g_ascii_strtoll(equals + 1, NULL, 10));
        }
    }
    return inv_cpu_record_new("x86_64", guest);
}

typedef struct {
    const char *name;
    const char *changes;
    const char *lines; /* joined by "; ", "" when it is the same CPU */
} CompareCase;

static const CompareCase compare_cases[] = {
    { .name = "nothing", .changes = "", .lines = "" },
    { .name = "a feature gone", .changes = "-popcnt", .lines = "feature popcnt: on → off" },
    { .name = "a feature come", .changes = "+rtm", .lines = "feature rtm: off → on" },
    { .name = "several, in order", .changes = "+rtm +aes -sse2", .lines = "feature aes: off → on; feature rtm: off → on; feature sse2: on → off" },
    { .name = "threads are no change of CPU", .changes = "+ht +cmp_legacy", .lines = "" },
    { .name = "a newer QEMU knows more names", .changes = "?fred ?lkgs", .lines = "" },
    { .name = "another family", .changes = "family=15", .lines = "family: 6 → 15" },
    { .name = "another model number and width", .changes = "model=1 phys-bits=46", .lines = "model number: 26 → 1; phys-bits: 0 → 46" },
    { .name = "another machine", .changes = "machine:pc-q35-8.0", .lines = "machine: pc-q35-7.2 → pc-q35-8.0" },
    { .name = "a newer QEMU knows more words", .changes = "words:1.edx=0f8bfbff,1.ecx=80982201,7.2.edx=00000000", .lines = "" },
    { .name = "a word of a newer QEMU with a bit", .changes = "words:1.edx=0f8bfbff,1.ecx=80982201,7.2.edx=00000001",
      .lines = "CPUID words:  → 7.2.edx=00000001" },
    { .name = "another highest sub-leaf", .changes = "level-func7=1", .lines = "level-func7: 0 → 1" },
    { .name = "a CPUID word", .changes = "words:1.edx=0f8bfbff,1.ecx=80982203", .lines = "CPUID words: 1.ecx=80982201 → 1.ecx=80982203" },
};

static void
compare(void **state)
{
    const CompareCase *row = *state;
    g_auto(GStrv) lines = NULL;

    record = record_of("");
    other = record_of(row->changes);
    lines = inv_cpu_record_compare(record, other);
    text = g_strjoinv("; ", lines);
    assert_string_equal(text, row->lines);
    /* The fingerprint says the same in one word. */
    assert_int_equal(strcmp(record->fingerprint, other->fingerprint) == 0, !*row->lines);
}

static void
what_a_record_holds(void **state)
{
    record = record_of("");
    assert_string_equal(record->arch, "x86_64");
    assert_string_equal(record->model, "Nehalem-v1");
    assert_string_equal(record->vendor, "GenuineIntel");
    assert_int_equal(record->family, 6);
    assert_int_equal(record->model_number, 26);
    assert_int_equal(record->stepping, 3);
    assert_true(g_strv_contains((const char *const *)record->on, "sse4.2"));
    assert_false(g_strv_contains((const char *const *)record->off, "sse4.2"));
    assert_true(g_strv_contains((const char *const *)record->off, "rtm"));
    assert_int_equal(strlen(record->fingerprint), 64);
}

/* A change of the form under the fingerprint would make every stored record look damaged. */
static void
the_fingerprint_never_changes(void **state)
{
    g_autoptr(InvGuestCpu) guest = g_new0(InvGuestCpu, 1);

    guest->machine = g_strdup("pc-q35-7.2");
    guest->model = g_strdup("Nehalem-v1");
    record = inv_cpu_record_new("x86_64", guest);
    assert_string_equal(record->fingerprint, "d15324f6471d1f1e789b2fae43b0c78c13fe2d5d60c5e4513e79b33cccf2fd1c");
}

/* As the first Invar wrote it: without brand and level-func7, with words of zero under the fingerprint. */
static void
a_record_of_before(void **state)
{
    static const char old[] =
        "{\"version\":1,\"arch\":\"x86_64\",\"machine\":\"pc-q35-7.2\",\"cpu\":\"Nehalem-v1\",\"vendor\":\"GenuineIntel\","
        "\"family\":6,\"model\":26,\"stepping\":3,\"level\":11,\"xlevel\":2147483656,\"xlevel2\":0,\"phys-bits\":40,"
        "\"on\":[\"aes\"],\"off\":[],\"words\":\"00000001.0.ecx=82982201 00000007.1.eax=00000000\",\"asked\":\"\","
        "\"fingerprint\":\"%s\"}";
    g_autoptr(InvCpuRecord) now = NULL;
    g_auto(GStrv) lines = NULL;

    text = g_strdup_printf(old, "7b98da5a30f9b9a1952525cfc252bdb516b510510e82d8e3c28334a8ee793de9");
    json = inv_json_parse(text, strlen(text), &error);
    record = inv_cpu_record_from_json(json, &error);
    if (!record)
        fail_msg("%s", error->message);
    /* From now on the number is that of the text of now. */
    assert_string_not_equal(record->fingerprint, "7b98da5a30f9b9a1952525cfc252bdb516b510510e82d8e3c28334a8ee793de9");
    g_clear_pointer(&json, inv_json_free);
    json = inv_cpu_record_to_json(record);
    other = inv_cpu_record_from_json(json, &error);
    assert_non_null(other);
    assert_string_equal(other->fingerprint, record->fingerprint);
    /* What it does not know of is no change. */
    now = inv_cpu_record_copy(record);
    now->brand = g_strdup("Intel Core i7 9xx (Nehalem Class Core i7)");
    now->level_func7 = 0;
    lines = inv_cpu_record_compare(record, now);
    assert_null(lines[0]);
    g_free(record->brand);
    record->brand = g_strdup("another");
    g_clear_pointer(&lines, g_strfreev);
    lines = inv_cpu_record_compare(record, now);
    assert_string_equal(lines[0], "brand: another → Intel Core i7 9xx (Nehalem Class Core i7)");
}

static void
json_and_back(void **state)
{
    record = record_of("+rtm");
    g_free(record->asked);
    record->asked = g_strdup("<cpu mode='custom'/>\n");
    record->asked_machine = g_strdup("q35");
    json = inv_cpu_record_to_json(record);
    text = inv_json_format(json, FALSE);
    other = inv_cpu_record_from_json(json, &error);
    assert_non_null(other);
    g_clear_pointer(&json, inv_json_free);
    json = inv_cpu_record_to_json(other);
    {
        g_autofree char *again = inv_json_format(json, FALSE);
        gboolean same = strcmp(again, text) == 0;

        assert_true(same);
    }
    assert_string_equal(other->asked, record->asked);
    assert_string_equal(other->asked_machine, "q35");
}

static void
a_copy_is_the_same_and_its_own(void **state)
{
    g_autofree char *again = NULL;

    record = record_of("+rtm -popcnt");
    g_free(record->asked);
    record->asked = g_strdup("<cpu/>\n");
    other = inv_cpu_record_copy(record);
    json = inv_cpu_record_to_json(record);
    text = inv_json_format(json, FALSE);
    g_clear_pointer(&record, inv_cpu_record_free);
    g_clear_pointer(&json, inv_json_free);
    json = inv_cpu_record_to_json(other);
    again = inv_json_format(json, FALSE);
    assert_string_equal(again, text);
    assert_null(inv_cpu_record_copy(NULL));
}

/* What QEMU makes of a request that it filters nothing of: the model, and what is asked besides. */
static InvGuestCpu *
guest_of(const InvCpuRequest *request)
{
    g_autoptr(GPtrArray) list = inv_cpu_request_list(request);
    InvGuestCpu *guest = g_new0(InvGuestCpu, 1);

    guest->machine = g_strdup("pc-q35-7.2");
    guest->model = g_strdup(inv_cpu_request_model(request));
    guest->type_name = g_strdup_printf("%s-x86_64-cpu", guest->model);
    guest->cpu = inv_cpu_expansion_copy(inv_cpu_table_find(all->table, guest->model)->expansion);
    for (guint i = 0; i < list->len; i++) {
        const InvAsked *asked = g_ptr_array_index(list, i);

        if (asked->on)
            inv_feature_set_add(guest->cpu->on, asked->name);
        else
            inv_feature_set_remove(guest->cpu->on, asked->name);
    }
    return guest;
}

static InvCpuRecord *
start_with(const InvCpu *cpu)
{
    g_autoptr(InvCpuRequest) request = inv_cpu_resolve(&all->facts, cpu, &error);
    g_autoptr(InvGuestCpu) guest = NULL;

    if (!request)
        fail_msg("%s", error->message);
    guest = guest_of(request);
    return inv_cpu_record_new("x86_64", guest);
}

static const char *const applied_cpus[] = {
    "<cpu><model>Nehalem</model></cpu>",
    "<cpu><model>Nehalem</model><feature name='aes' policy='require'/><feature name='sse4-1' policy='disable'/></cpu>",
    "<cpu><model>Nehalem-v2</model><feature name='popcnt' policy='disable'/><feature name='rtm' policy='require'/></cpu>",
    "<cpu match='minimum'><model>Westmere</model><feature name='avx' policy='optional'/></cpu>",
    "<cpu><model>EPYC</model><feature name='svm' policy='require'/><feature name='kvm_pv_eoi' policy='disable'/></cpu>",
    "<cpu mode='host-model'><feature name='la57' policy='disable'/></cpu>",
    "<cpu><model>qemu64</model><feature name='svm' policy='forbid'/></cpu>",
};

/* Guest → record → <cpu> → guest → record: nothing has changed, and a third time neither. */
static void
a_record_applied_twice_changes_nothing(void **state)
{
    const char *xml = *state;
    g_autoptr(InvCpu) cpu = inv_cpu_parse(xml, &error);
    g_autoptr(InvCpu) once = NULL, twice = NULL;
    g_autofree char *once_xml = NULL, *twice_xml = NULL;
    g_auto(GStrv) lines = NULL;

    assert_non_null(cpu);
    record = start_with(cpu);
    once = inv_cpu_update(&all->facts, cpu, record, &error);
    assert_non_null(once);
    other = start_with(once);
    lines = inv_cpu_record_compare(record, other);
    text = g_strjoinv("; ", lines);
    assert_string_equal(text, "");
    assert_string_equal(other->fingerprint, record->fingerprint);
    twice = inv_cpu_update(&all->facts, once, other, &error);
    once_xml = inv_cpu_format(once);
    twice_xml = inv_cpu_format(twice);
    assert_string_equal(twice_xml, once_xml);
}

/* The same for every model there is. */
static void
models_applied_twice_change_nothing(void **state)
{
    guint tried = 0;

    for (guint i = 0; i < inv_cpu_table_size(all->table); i++) {
        const InvCpuModel *model = inv_cpu_table_at(all->table, i);
        g_autofree char *xml = g_strdup_printf("<cpu><model>%s</model></cpu>", model->name);
        void *argument = xml;

        if (!model->expansion || model->alias_of || strcmp(model->name, "max") == 0 || strcmp(model->name, "host") == 0)
            continue;
        a_record_applied_twice_changes_nothing(&argument);
        g_clear_pointer(&text, g_free);
        g_clear_pointer(&record, inv_cpu_record_free);
        g_clear_pointer(&other, inv_cpu_record_free);
        tried++;
    }
    assert_true(tried > 50);
}

typedef struct {
    const char *name;
    const char *member;
    const char *value; /* JSON */
} DamageCase;

static const DamageCase damage_cases[] = {
    { .name = "another model", .member = "cpu", .value = "\"Nehalem-v2\"" },
    { .name = "a feature more", .member = "on", .value = "[\"aes\"]" },
    { .name = "another family", .member = "family", .value = "7" },
    { .name = "no fingerprint", .member = "fingerprint", .value = "null" },
    { .name = "another version", .member = "version", .value = "99" },
    { .name = "a name that would be a property", .member = "on", .value = "[\"aes=on,kvm\"]" },
    { .name = "another machine's name", .member = "machine", .value = "\"q35,accel=kvm\"" },
    { .name = "features out of order", .member = "off", .value = "[\"b\",\"a\"]" },
};

static void
a_damaged_record_is_refused(void **state)
{
    const DamageCase *row = *state;

    record = record_of("");
    json = inv_cpu_record_to_json(record);
    inv_json_object_set(json, row->member, inv_json_parse(row->value, strlen(row->value), NULL));
    other = inv_cpu_record_from_json(json, &error);
    assert_null(other);
    assert_int_equal(inv_error_code(error), VIR_ERR_INVALID_ARG);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(compare_cases) + G_N_ELEMENTS(damage_cases) + G_N_ELEMENTS(applied_cpus) + 6];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(compare_cases); i++)
        tests[n++] = (struct CMUnitTest){ compare_cases[i].name, compare, setup, teardown, (void *)&compare_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(damage_cases); i++)
        tests[n++] = (struct CMUnitTest){ damage_cases[i].name, a_damaged_record_is_refused, setup, teardown, (void *)&damage_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(what_a_record_holds, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(the_fingerprint_never_changes, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(a_record_of_before, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(json_and_back, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(a_copy_is_the_same_and_its_own, setup, teardown);
    for (gsize i = 0; i < G_N_ELEMENTS(applied_cpus); i++)
        tests[n++] = (struct CMUnitTest){ applied_cpus[i], a_record_applied_twice_changes_nothing, setup, teardown, (void *)applied_cpus[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(models_applied_twice_change_nothing, setup, teardown);
    return cmocka_run_group_tests_name("cpu record", tests, NULL, NULL);
}
