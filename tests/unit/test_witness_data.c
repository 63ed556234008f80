/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CPUs of QEMU as a guest reads them and as QEMU describes them: tests/data/cpu/witness, made by record.py there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cpu_facts.h"
#include "tests/unit/decode_checks.h"
#include "tests/unit/test_table.h"

static DecodeTools tools;
/* One subject; made anew for each test. */
static InvCpuidData *cpuid;
static InvJson *answer;
static char **filtered;
static char **hidden; /* what QEMU does not filter and the guest cannot read */
static InvCpuSeen *guest;     /* by what it reads */
static InvCpuSeen *described; /* by QEMU's expansion, with what QEMU then filters */

static int
load_tools(void **state)
{
    return decode_tools_load(&tools, NULL, NULL) ? 0 : -1;
}

static int
unload_tools(void **state)
{
    decode_tools_clear(&tools);
    return 0;
}

static char *
read_file(const char *subject, const char *suffix, gsize *length)
{
    g_autofree char *path = g_strconcat(g_getenv("INVAR_TOP_SRCDIR"), "/tests/data/cpu/witness/", subject, suffix, NULL);
    char *text = NULL;

    assert_true(g_file_get_contents(path, &text, length, NULL));
    return text;
}

static int
setup(void **state)
{
    const char *subject = *state;
    gsize length;
    g_autofree char *dump = read_file(subject, ".cpuid", &length);
    g_autofree char *json = NULL;

    cpuid = inv_cpuid_data_parse(dump, length, NULL);
    json = read_file(subject, ".json", &length);
    answer = inv_json_parse(json, length, NULL);
    assert_non_null(cpuid);
    assert_non_null(answer);
    filtered = inv_cpu_names_to_libvirt(tools.map, inv_json_get(answer, "unavailable"));
    hidden = inv_cpu_hidden_features(tools.map, inv_json_get(answer, "feature-words"),
                                     inv_json_get(inv_json_get(answer, "model"), "props"));
    guest = inv_cpu_seen_from_cpuid(tools.decoder, cpuid, NULL);
    described = inv_cpu_seen_from_expansion(tools.decoder, inv_json_get(answer, "model"), NULL);
    assert_non_null(guest);
    assert_non_null(described);
    return 0;
}

static int
teardown(void **state)
{
    g_clear_pointer(&cpuid, inv_cpuid_data_free);
    g_clear_pointer(&answer, inv_json_free);
    g_clear_pointer(&filtered, g_strfreev);
    g_clear_pointer(&hidden, g_strfreev);
    g_clear_pointer(&guest, inv_cpu_seen_free);
    g_clear_pointer(&described, inv_cpu_seen_free);
    return 0;
}

/* What a guest can read of them: an MSR is no CPUID, and one thread has no ht. */
static InvFeatureSet *
readable(const InvFeatureSet *set)
{
    InvFeatureSet *copy = inv_feature_set_copy(set);

    for (guint i = 0; i < inv_cpu_map_size(tools.map); i++) {
        const InvCpuMapFeature *feature = inv_cpu_map_at(tools.map, i);

        if (feature->is_msr || inv_cpu_map_follows_topology(feature->name))
            inv_feature_set_remove(copy, feature->name);
    }
    return copy;
}

static InvFeatureSet *
filtered_set(void)
{
    InvFeatureSet *set = inv_feature_set_new(tools.names);

    inv_feature_set_add_list(set, (const char *const *)filtered);
    inv_feature_set_add_list(set, (const char *const *)hidden);
    return set;
}

/* Once as QEMU expands the model, and once less what it filters: each is described exactly. */
static void
answer_is_described_exactly(void **state)
{
    g_autoptr(InvFeatureSet) off = filtered_set();
    g_autoptr(InvCpu) whole = assert_round_trip(&tools, described, described->features);
    g_autoptr(InvCpu) given = NULL;

    inv_feature_set_subtract(described->features, off);
    given = assert_round_trip(&tools, described, described->features);
    print_message("# %s: %s and %u features, given %s and %u\n", (const char *)*state, whole->model, inv_cpu_count_deltas(whole),
                  given->model, inv_cpu_count_deltas(given));
}

/* enabled: what the guest reads. disabled: what QEMU filters, or hides. All that the model has is one of the two, and none is both. */
static void
enabled_and_disabled_agree(void **state)
{
    g_autoptr(InvFeatureSet) all = inv_cpuid_data_features(cpuid, tools.map, tools.names);
    g_autoptr(InvFeatureSet) enabled = readable(all);
    g_autoptr(InvFeatureSet) off = filtered_set();
    g_autoptr(InvFeatureSet) disabled = readable(off);
    g_autoptr(InvFeatureSet) model = readable(described->features);
    g_autoptr(InvFeatureSet) both = inv_feature_set_copy(enabled);
    g_autoptr(InvFeatureSet) given = inv_feature_set_difference(model, disabled);

    assert_same_features(*state, enabled, given);
    inv_feature_set_intersect(both, disabled);
    assert_int_equal(inv_feature_set_count(both), 0);
    inv_feature_set_unite(enabled, disabled);
    assert_true(inv_feature_set_is_subset(model, enabled));
}

/* Nothing is left out as broken: the signature is that of QEMU's model, and no chip's. */
static void
cpuid_is_described_exactly(void **state)
{
    g_autoptr(InvFeatureSet) wanted = inv_cpuid_data_features(cpuid, tools.map, tools.names);
    g_autoptr(InvCpu) cpu = NULL;

    /* What a chip of that signature has broken is QEMU's to show: this is a guest. */
    assert_true(inv_feature_set_has(wanted, "hypervisor"));
    cpu = assert_round_trip(&tools, guest, wanted);
    assert_string_equal(guest->vendor, described->vendor);
    assert_int_equal(guest->family, described->family);
    assert_int_equal(guest->model_number, described->model_number);
    assert_int_equal(guest->stepping, described->stepping);
}

/* The record of such a guest put into a <cpu>: that names its features, and once more changes nothing. */
static void
record_is_applied_once(void **state)
{
    g_autoptr(CpuFacts) all = cpu_facts_load("x86_64");
    const char *model = inv_json_get_string(inv_json_get(answer, "model"), "name");
    const InvCpuModel *known = inv_cpu_table_find(all->table, model);
    const InvJson *props = inv_json_get(inv_json_get(answer, "model"), "props");
    g_autoptr(InvGuestCpu) live = g_new0(InvGuestCpu, 1);
    g_autoptr(InvCpuRecord) record = NULL;
    g_autoptr(InvCpu) first = NULL, second = NULL, parsed = NULL;
    g_autofree char *text = NULL, *again = NULL, *settled = NULL;
    g_autoptr(InvCpuRequest) request = NULL;

    live->machine = g_strdup(inv_json_get_string(answer, "machine"));
    live->model = g_strdup(model);
    live->type_name = g_strconcat(model, "-x86_64-cpu", NULL);
    live->cpu = inv_cpu_expansion_new(all->map, all->names, props);
    for (char **name = filtered; *name; name++)
        inv_feature_set_remove(live->cpu->on, *name);
    for (char **name = hidden; *name; name++)
        inv_feature_set_remove(live->cpu->on, *name);
    record = inv_cpu_record_new("x86_64", live);
    first = inv_cpu_update(&all->facts, NULL, record, NULL);
    text = inv_cpu_format(first);
    parsed = inv_cpu_parse(text, NULL);
    second = inv_cpu_update(&all->facts, parsed, record, NULL);
    again = inv_cpu_format(second);
    assert_string_equal(again, text);

    /* A model of its own, by QEMU's table: what the document asks for is what the record has. */
    if (!known || !known->expansion)
        return;
    request = inv_cpu_resolve(&all->facts, parsed, NULL);
    settled = inv_cpu_request_argument(request, FALSE);
    for (char **name = record->on; *name; name++) {
        const InvCpuMapFeature *feature = inv_cpu_map_find(all->map, *name);
        g_autofree char *asked = g_strdup_printf(",%s=on", feature ? feature->qemu : *name);

        assert_true(!feature || !feature->mask || inv_cpu_map_follows_topology(*name) ||
                    inv_feature_set_has(known->expansion->on, *name) || strstr(settled, asked));
    }
}

/* A guest that was told to have no xsave reads no leaf of it, whatever QEMU's words hold. */
static void
parts_of_xsave_are_hidden(void **state)
{
    g_autofree char *list = g_strjoinv(" ", hidden);

    assert_string_equal(list, strcmp(*state, "intel-icelake-server-without") == 0 ? "xgetbv1 xsaveopt" : "");
}

#define XSAVE_WORD "{\"cpuid-register\":\"ECX\",\"cpuid-input-eax\":1,\"features\":67108864}"
#define XSAVEOPT_WORD "{\"cpuid-register\":\"EAX\",\"cpuid-input-eax\":13,\"cpuid-input-ecx\":1,\"features\":1}"
#define LM_WORD "{\"cpuid-register\":\"EDX\",\"cpuid-input-eax\":2147483649,\"features\":536870912}"

typedef struct {
    const char *name;
    const char *words;
    const char *levels;
    const char *hidden;
} HiddenCase;

static const HiddenCase hidden_cases[] = {
    { "xsaveopt with xsave", "[" XSAVEOPT_WORD "," XSAVE_WORD "]", "{\"level\":13}", "" },
    { "xsaveopt without xsave", "[" XSAVEOPT_WORD "]", "{\"level\":13}", "xsaveopt" },
    { "xsaveopt beyond the highest leaf", "[" XSAVEOPT_WORD "," XSAVE_WORD "]", "{\"level\":7,\"xlevel\":2147483656}", "xsaveopt" },
    { "lm beyond the highest extended leaf", "[" LM_WORD "," XSAVE_WORD "]", "{\"level\":7,\"xlevel\":0}", "lm" },
    { "lm in the highest extended leaf", "[" LM_WORD "]", "{\"level\":0,\"xlevel\":2147483649}", "" },
    { "levels that are not known", "[" LM_WORD "," XSAVE_WORD "]", "{}", "" },
    { "levels that are none", "[" LM_WORD "]", "{\"xlevel\":\"many\"}", "" },
    { "words that are none", "[1,\"a\",null,[],{},{\"cpuid-register\":\"EFX\",\"features\":-1}]", "{}", "" },
    { "no array", "{\"cpuid-register\":\"ECX\"}", "[]", "" },
};

static void
hidden_of_words(void **state)
{
    const HiddenCase *row = *state;
    g_autoptr(InvJson) words = inv_json_parse(row->words, strlen(row->words), NULL);
    g_autoptr(InvJson) levels = inv_json_parse(row->levels, strlen(row->levels), NULL);
    g_auto(GStrv) list = inv_cpu_hidden_features(tools.map, words, levels);
    g_autofree char *text = g_strjoinv(" ", list);

    assert_non_null(words);
    assert_non_null(levels);
    assert_string_equal(text, row->hidden);
}

static const char *const subjects[] = {
    "amd-epyc-rome", "amd-max", "amd-opteron-g2-with", "amd-qemu64", "hygon-dhyana", "hygon-dhyana-without",
    "intel-icelake-server-without", "intel-n270", "intel-nehalem-with-avx2", "intel-skylake-client",
};

int
main(void)
{
    TestTable *table = test_table_new(setup, teardown);

    for (guint i = 0; i < G_N_ELEMENTS(subjects); i++) {
        test_table_add(table, answer_is_described_exactly, subjects[i], "%s, by QEMU", subjects[i]);
        test_table_add(table, enabled_and_disabled_agree, subjects[i], "%s, enabled and disabled", subjects[i]);
        test_table_add(table, cpuid_is_described_exactly, subjects[i], "%s, by CPUID", subjects[i]);
        test_table_add(table, record_is_applied_once, subjects[i], "%s, record applied", subjects[i]);
        test_table_add(table, parts_of_xsave_are_hidden, subjects[i], "%s, hidden features", subjects[i]);
    }
    test_table_set_fixture(table, NULL, NULL);
    TEST_TABLE_ADD_ROWS(table, hidden_cases, hidden_of_words);
    return test_table_run(table, "witness_data", load_tools, unload_tools);
}
