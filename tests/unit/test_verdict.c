/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cpu_facts.h"
#include "util/error.h"

static CpuFacts *all;
static InvCpu *cpu, *pinned, *again;
static InvCpuRequest *request, *second;
static InvVerdict *verdict, *other;
static InvGuestCpu *guest;
static InvJson *json;
static GError *error;
static char **unavailable;
static char *text, *more;

static int
teardown(void **state)
{
    g_clear_pointer(&text, g_free);
    g_clear_pointer(&more, g_free);
    g_clear_pointer(&unavailable, g_strfreev);
    g_clear_pointer(&json, inv_json_free);
    g_clear_pointer(&guest, inv_guest_cpu_free);
    g_clear_pointer(&verdict, inv_verdict_free);
    g_clear_pointer(&other, inv_verdict_free);
    g_clear_pointer(&request, inv_cpu_request_free);
    g_clear_pointer(&second, inv_cpu_request_free);
    g_clear_pointer(&cpu, inv_cpu_free);
    g_clear_pointer(&pinned, inv_cpu_free);
    g_clear_pointer(&again, inv_cpu_free);
    g_clear_pointer(&all, cpu_facts_free);
    g_clear_error(&error);
    return 0;
}

typedef struct {
    const char *name;
    const char *xml; /* NULL: no <cpu> */
    InvOutcome outcome;
    const char *blockers; /* "feature/layer" apart by spaces, or a part of that list with '~' before it */
    const char *argument; /* settled; NULL: not looked at */
    InvCpuModelCheck default_check;
} VerdictCase;

#define SKYLAKE_OFF "3dnowprefetch=off,hle=off,invpcid=off,pcid=off,rdseed=off,rtm=off,tsc-deadline=off,x2apic=off,xsavec=off"
#define SKYLAKE_MISSING "3dnowprefetch/QEMU hle/QEMU invpcid/QEMU pcid/QEMU rdseed/QEMU rtm/QEMU tsc-deadline/QEMU x2apic/QEMU xsavec/QEMU"
#define STRICT "<cpu><model check='strict'>"
#define REQUIRE(name) "<feature name='" name "' policy='require'/>"
#define POLICY(name, policy) "<feature name='" name "' policy='" policy "'/>"

static const VerdictCase verdict_cases[] = {
    { .name = "no cpu", .outcome = INV_OUTCOME_EXACT, .blockers = "", .argument = "qemu64-v1" },
    { .name = "a usable model", .xml = STRICT "Nehalem</model></cpu>", .outcome = INV_OUTCOME_EXACT, .blockers = "", .argument = "Nehalem-v1" },
    { .name = "relaxed by default", .xml = "<cpu><model>Skylake-Client</model></cpu>", .outcome = INV_OUTCOME_DROPS, .blockers = SKYLAKE_MISSING,
      .argument = "Skylake-Client-v1," SKYLAKE_OFF },
    { .name = "strict by default", .xml = "<cpu><model>Skylake-Client</model></cpu>", .outcome = INV_OUTCOME_REFUSED, .blockers = SKYLAKE_MISSING,
      .default_check = INV_CPU_MODEL_CHECK_STRICT },
    { .name = "strict", .xml = STRICT "Skylake-Client</model></cpu>", .outcome = INV_OUTCOME_REFUSED, .blockers = SKYLAKE_MISSING },
    { .name = "check=full is strict", .xml = "<cpu check='full'><model>Skylake-Client</model></cpu>", .outcome = INV_OUTCOME_REFUSED,
      .blockers = SKYLAKE_MISSING },
    { .name = "check=full with a bare model", .xml = "<cpu check='full'><model>Nehalem</model></cpu>", .outcome = INV_OUTCOME_EXACT, .blockers = "" },
    { .name = "check=partial is relaxed", .xml = "<cpu check='partial'><model>Skylake-Client</model></cpu>", .outcome = INV_OUTCOME_DROPS,
      .blockers = SKYLAKE_MISSING, .default_check = INV_CPU_MODEL_CHECK_STRICT },
    { .name = "require, default check", .xml = "<cpu><model>Nehalem</model>" REQUIRE("avx512f") "</cpu>", .outcome = INV_OUTCOME_REFUSED,
      .blockers = "avx512f/QEMU" },
    { .name = "require, relaxed", .xml = "<cpu><model check='relaxed'>Nehalem</model>" REQUIRE("avx512f") "</cpu>", .outcome = INV_OUTCOME_REFUSED,
      .blockers = "avx512f/QEMU" },
    { .name = "require what is emulated", .xml = STRICT "Nehalem</model>" REQUIRE("aes") "</cpu>", .outcome = INV_OUTCOME_EXACT, .blockers = "",
      .argument = "Nehalem-v1,aes=on" },
    { .name = "require what this QEMU does not know", .xml = "<cpu><model>Nehalem</model>" REQUIRE("fred") "</cpu>", .outcome = INV_OUTCOME_REFUSED,
      .blockers = "fred/QEMU" },
    { .name = "require what no QEMU knows", .xml = "<cpu><model>Nehalem</model>" REQUIRE("mbm_total") "</cpu>", .outcome = INV_OUTCOME_REFUSED,
      .blockers = "mbm_total/QEMU" },
    { .name = "require a part without its whole", .xml = "<cpu><model>Nehalem</model>" REQUIRE("rdctl-no") "</cpu>",
      .outcome = INV_OUTCOME_REFUSED, .blockers = "rdctl-no/configuration" },
    { .name = "force", .xml = STRICT "Nehalem</model>" POLICY("avx512f", "force") "</cpu>", .outcome = INV_OUTCOME_EXACT, .blockers = "",
      .argument = "Nehalem-v1,x-force-features=on,avx512f=on" },
    { .name = "force what needs no force", .xml = STRICT "Nehalem</model>" POLICY("aes", "force") "</cpu>", .outcome = INV_OUTCOME_EXACT, .blockers = "",
      .argument = "Nehalem-v1,aes=on" },
    { .name = "force puts everything else off", .xml = "<cpu><model>Skylake-Client</model>" POLICY("avx512f", "force") "</cpu>",
      .outcome = INV_OUTCOME_DROPS, .blockers = SKYLAKE_MISSING,
      .argument = "Skylake-Client-v1,x-force-features=on,3dnowprefetch=off,avx512f=on,hle=off,invpcid=off,pcid=off,rdseed=off,rtm=off,"
                  "tsc-deadline=off,x2apic=off,xsavec=off" },
    { .name = "optional", .xml = STRICT "Nehalem</model>" POLICY("avx512f", "optional") POLICY("aes", "optional") "</cpu>",
      .outcome = INV_OUTCOME_EXACT, .blockers = "", .argument = "Nehalem-v1,aes=on,avx512f=off" },
    { .name = "disable", .xml = STRICT "Nehalem</model>" POLICY("popcnt", "disable") "</cpu>", .outcome = INV_OUTCOME_EXACT, .blockers = "",
      .argument = "Nehalem-v1,popcnt=off" },
    { .name = "forbid, alias", .xml = "<cpu><model>Nehalem</model>" POLICY("sse2", "forbid") "</cpu>", .outcome = INV_OUTCOME_REFUSED,
      .blockers = "sse2/configuration" },
    { .name = "forbid, versioned", .xml = "<cpu><model>Nehalem-v1</model>" POLICY("sse2", "forbid") "</cpu>", .outcome = INV_OUTCOME_REFUSED,
      .blockers = "sse2/configuration" },
    { .name = "forbid what the host has not", .xml = STRICT "Nehalem</model>" POLICY("rtm", "forbid") "</cpu>", .outcome = INV_OUTCOME_EXACT,
      .blockers = "", .argument = "Nehalem-v1,rtm=off" },
    { .name = "match=strict", .xml = "<cpu match='strict'><model>Nehalem</model></cpu>", .outcome = INV_OUTCOME_REFUSED, .blockers = "~aes/configuration" },
    { .name = "match=minimum", .xml = "<cpu match='minimum'><model>Nehalem</model></cpu>", .outcome = INV_OUTCOME_EXACT, .blockers = "" },
    { .name = "another vendor", .xml = "<cpu><model>Nehalem</model><vendor>Intel</vendor></cpu>", .outcome = INV_OUTCOME_REFUSED,
      .blockers = "vendor/QEMU" },
    { .name = "another vendor, and a feature that it has", .xml = "<cpu><model>Nehalem</model><vendor>Intel</vendor>" REQUIRE("mmx") "</cpu>",
      .outcome = INV_OUTCOME_REFUSED, .blockers = "vendor/QEMU" },
    { .name = "the vendor of TCG", .xml = "<cpu><model>Opteron_G2</model><vendor>AMD</vendor></cpu>", .outcome = INV_OUTCOME_EXACT, .blockers = "" },
    { .name = "host-passthrough under TCG", .xml = "<cpu mode='host-passthrough'/>", .outcome = INV_OUTCOME_REFUSED, .blockers = "mode/configuration" },
    { .name = "maximum", .xml = "<cpu mode='maximum'/>", .outcome = INV_OUTCOME_EXACT, .blockers = "", .argument = "max" },
    { .name = "host-model", .xml = "<cpu mode='host-model'/>", .outcome = INV_OUTCOME_EXACT, .blockers = "" },
    { .name = "bits that TCG has not", .xml = "<cpu><model>Nehalem</model><maxphysaddr mode='emulate' bits='46'/></cpu>",
      .outcome = INV_OUTCOME_REFUSED, .blockers = "maxphysaddr/QEMU" },
};

static char *
blockers_text(const InvVerdict *of)
{
    GString *list = g_string_new(NULL);

    for (guint i = 0; i < of->blockers->len; i++) {
        const InvBlocker *blocker = g_ptr_array_index(of->blockers, i);

        g_string_append_printf(list, "%s%s/%s", i ? " " : "", blocker->feature, inv_layer_to_string(blocker->layer));
    }
    return g_string_free(list, FALSE);
}

static void
resolve_xml(const char *xml)
{
    if (xml) {
        cpu = inv_cpu_parse(xml, &error);
        if (!cpu)
            fail_msg("%s", error->message);
    }
    request = inv_cpu_resolve(&all->facts, cpu, &error);
    if (!request)
        fail_msg("%s", error->message);
    unavailable = cpu_facts_unavailable(all, request);
    if (!unavailable)
        fail_msg("no dry run was recorded");
}

/* A second start of what the first one wrote asks for the same CPU, is exact, and writes nothing new. */
static void
assert_pin_holds(const char *argument)
{
    g_autofree char *xml = NULL, *xml_again = NULL, *asked = NULL;

    inv_cpu_settle(&all->facts, request, (const char *const *)unavailable);
    pinned = inv_cpu_pin(&all->facts, cpu, request);
    assert_non_null(pinned);
    second = inv_cpu_resolve(&all->facts, pinned, &error);
    assert_non_null(second);
    g_clear_pointer(&unavailable, g_strfreev);
    unavailable = cpu_facts_unavailable(all, second);
    if (!unavailable)
        fail_msg("no dry run of the pinned CPU was recorded");
    other = inv_cpu_verdict(&all->facts, pinned, second, (const char *const *)unavailable);
    assert_int_equal(other->outcome, INV_OUTCOME_EXACT);
    inv_cpu_settle(&all->facts, second, (const char *const *)unavailable);
    asked = inv_cpu_request_argument(second, TRUE);
    assert_string_equal(asked, argument);
    again = inv_cpu_pin(&all->facts, pinned, second);
    xml = inv_cpu_format(pinned);
    xml_again = inv_cpu_format(again);
    assert_string_equal(xml_again, xml);
    assert_int_equal(inv_cpu_effective_check(pinned, INV_CPU_MODEL_CHECK_UNSET),
                     pinned->model ? INV_CPU_MODEL_CHECK_STRICT : INV_CPU_MODEL_CHECK_RELAXED);
}

static void
judge(void **state)
{
    const VerdictCase *row = *state;

    all = cpu_facts_load("x86_64");
    all->facts.default_check = row->default_check;
    resolve_xml(row->xml);
    verdict = inv_cpu_verdict(&all->facts, cpu, request, (const char *const *)unavailable);
    text = blockers_text(verdict);
    if (*row->blockers == '~')
        assert_non_null(strstr(text, row->blockers + 1));
    else
        assert_string_equal(text, row->blockers);
    assert_string_equal(inv_outcome_to_string(verdict->outcome), inv_outcome_to_string(row->outcome));
    assert_string_equal(verdict->machine, "pc-q35-7.2");
    if (row->argument)
        assert_string_equal(verdict->argument, row->argument);

    json = inv_verdict_to_json(verdict);
    more = inv_json_format(json, FALSE);
    other = inv_verdict_from_json(json, &error);
    assert_non_null(other);
    g_clear_pointer(&json, inv_json_free);
    json = inv_verdict_to_json(other);
    g_free(text);
    text = inv_json_format(json, FALSE);
    assert_string_equal(text, more);
    g_clear_pointer(&other, inv_verdict_free);

    g_free(text);
    text = inv_verdict_to_text(verdict);
    for (guint i = 0; i < verdict->blockers->len; i++) {
        const InvBlocker *blocker = g_ptr_array_index(verdict->blockers, i);

        assert_non_null(strstr(text, blocker->reason));
    }
    if (verdict->outcome != INV_OUTCOME_REFUSED)
        assert_pin_holds(verdict->argument);
}

static void
a_pin_keeps_what_was_written(void **state)
{
    all = cpu_facts_load("x86_64");
    resolve_xml("<cpu mode='custom' check='partial'><model check='relaxed'>Skylake-Client</model>"
                "<topology sockets='1' cores='2' threads='1'/>" POLICY("avx512f", "force") "</cpu>");
    inv_cpu_settle(&all->facts, request, (const char *const *)unavailable);
    pinned = inv_cpu_pin(&all->facts, cpu, request);
    text = inv_cpu_format(pinned);
    assert_string_equal(pinned->model, "Skylake-Client-v1");
    assert_int_equal(pinned->check, INV_CPU_CHECK_PARTIAL);
    assert_int_equal(pinned->cores, 2);
    assert_int_equal(pinned->features->len, 10);
    assert_int_equal(inv_cpu_find_feature(pinned, "avx512f")->policy, INV_CPU_POLICY_FORCE);
    assert_int_equal(inv_cpu_find_feature(pinned, "rtm")->policy, INV_CPU_POLICY_DISABLE);
    assert_non_null(strstr(text, "check='strict'") ? strstr(text, "check='strict'") : strstr(text, "check=\"strict\""));
}

typedef struct {
    const char *name;
    const char *hardware; /* NULL: not known */
    const char *kernel;   /* likewise: what KVM offers */
    const char *layer;
    const char *settings; /* of the host: NULL, a boot option, or a release of Linux */
    const char *reason, *remedy; /* what they contain; NULL: not looked at */
    const char *feature;  /* NULL: rtm */
} LayerCase;

static const LayerCase layer_cases[] = {
    { .name = "KVM: the processor lacks it", .hardware = "sse2", .layer = "rtm/hardware" },
    { .name = "KVM: the processor has it", .hardware = "sse2 rtm", .layer = "rtm/kernel" },
    { .name = "KVM: its kernel does not offer it", .hardware = "sse2 rtm", .kernel = "sse2", .layer = "rtm/kernel" },
    { .name = "KVM: the machine type does not give it", .hardware = "sse2 rtm", .kernel = "sse2 rtm", .layer = "rtm/machine type" },
    { .name = "KVM: this QEMU does not know it", .feature = "fred", .hardware = "fred", .kernel = "fred", .layer = "fred/QEMU",
      .remedy = "newer QEMU" },
    { .name = "KVM: a boot option hides it", .feature = "smap", .hardware = "smap", .kernel = "sse2", .settings = "nosmap",
      .layer = "smap/configuration", .reason = "the boot option nosmap keeps it from guests", .remedy = "without nosmap" },
    { .name = "KVM: a boot option of another feature", .feature = "smap", .hardware = "smap", .kernel = "sse2", .settings = "nosmep",
      .layer = "smap/kernel", .reason = "does not offer it to guests" },
    { .name = "KVM: a parameter hides it", .feature = "svm", .hardware = "svm", .kernel = "sse2", .settings = "kvm_amd.nested=0",
      .layer = "svm/configuration", .remedy = "kvm_amd with nested=1" },
    { .name = "KVM: the boot option took what was never there", .hardware = "sse2", .kernel = "sse2", .settings = "tsx=off", .layer = "rtm/hardware" },
    { .name = "KVM: the boot option took it", .hardware = "sse2 tsx-ctrl", .kernel = "sse2", .settings = "tsx=off", .layer = "rtm/configuration",
      .reason = "the boot option tsx=off takes rtm from the host's processor", .remedy = "tsx=on" },
    { .name = "KVM: a fact names the kernel", .feature = "amx-tile", .hardware = "amx-tile", .kernel = "sse2", .settings = "5.10.0-28-amd64",
      .layer = "amx-tile/kernel", .reason = "Linux 5.10.0-28-amd64, KVM) does not offer it to guests; Linux 5.17 does", .remedy = "run Linux 5.17 or newer" },
    { .name = "KVM: the kernel that a fact names does not offer it", .feature = "amx-tile", .hardware = "amx-tile", .kernel = "sse2",
      .settings = "6.1.0", .layer = "amx-tile/kernel", .reason = "its kernel (KVM) does not offer it to guests", .remedy = "run a newer kernel" },
    { .name = "KVM: no fact names a kernel", .feature = "avx2", .hardware = "avx2", .kernel = "sse2", .settings = "4.4.0", .layer = "avx2/kernel",
      .reason = "its kernel (KVM) does not offer it to guests" },
    { .name = "KVM: not known", .layer = "rtm/hardware" },
    { .name = "KVM: CPUID would show it", .hardware = "sse2", .layer = "rtm/hardware", .reason = "the host's processor does not have rtm" },
    { .name = "KVM: an MSR would show it", .hardware = "sse2", .feature = "rdctl-no", .layer = "rdctl-no/hardware",
      .reason = "the host (hardware or kernel) does not give rdctl-no" },
};

/* NULL for NULL: not known. */
static InvFeatureSet *
features_of(const char *words)
{
    g_auto(GStrv) names = words ? g_strsplit(words, " ", -1) : NULL;
    InvFeatureSet *set = names ? inv_feature_set_new(all->names) : NULL;

    if (set)
        inv_feature_set_add_list(set, (const char *const *)names);
    return set;
}

static InvCpuHostLimits *
limits_of(const InvCpuLimits *limits, const char *settings)
{
    const char *parameters[] = { settings, NULL };
    InvCpuHostSettings host = { 0 };

    if (settings && g_ascii_isdigit(*settings))
        host.release = settings;
    else if (settings && strchr(settings, '.'))
        host.parameters = parameters;
    else
        host.cmdline = settings;
    return inv_cpu_host_limits_new(limits, all->map, &host);
}

static void
layers_under_kvm(void **state)
{
    const LayerCase *row = *state;
    const char *feature = row->feature ? row->feature : "rtm";
    const char *const filtered[] = { feature, NULL };
    g_autofree char *named = g_strdup_printf("<feature policy='require' name='arch-capabilities'/><feature policy='require' name='%s'/>", feature);
    g_autofree char *xml = g_strconcat(STRICT "Haswell</model>", row->feature ? named : "", "</cpu>", NULL);
    g_autoptr(InvCpuLimits) limits = NULL;
    g_autoptr(InvCpuHostLimits) host = NULL;
    const InvBlocker *blocker;

    all = cpu_facts_load("x86_64");
    limits = inv_cpu_limits_load(inv_cpu_map_default_folder(), "x86_64", all->map, &error);
    assert_non_null(limits);
    host = limits_of(limits, row->settings);
    all->facts.limits = host;
    inv_feature_set_remove(all->host->on, feature);
    all->facts.accelerator = INV_VIRT_KVM;
    all->facts.hardware = all->hardware = features_of(row->hardware);
    all->facts.kernel = all->kernel = features_of(row->kernel);
    cpu = inv_cpu_parse(xml, &error);
    request = inv_cpu_resolve(&all->facts, cpu, &error);
    verdict = inv_cpu_verdict(&all->facts, cpu, request, filtered);
    text = blockers_text(verdict);
    assert_string_equal(text, row->layer);
    blocker = g_ptr_array_index(verdict->blockers, 0);
    if (!strstr(blocker->reason, row->reason ? row->reason : "") || !strstr(blocker->remedy, row->remedy ? row->remedy : ""))
        fail_msg("%s — %s", blocker->reason, blocker->remedy);
    assert_true(*blocker->remedy);
    assert_false(inv_verdict_set_error(verdict, "vm", &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_CONFIG_UNSUPPORTED);
    assert_non_null(strstr(error->message, "'vm'"));
    assert_non_null(strstr(error->message, feature));
}

typedef struct {
    const char *name;
    const char *xml;
    const char *on, *off; /* of what the guest has beside the model */
    const char *unavailable;
    const char *model;
    const char *blockers; /* NULL: all is well */
} GuestCase;

static const GuestCase guest_cases[] = {
    { .name = "as asked", .xml = "<cpu><model>Nehalem</model>" REQUIRE("aes") "</cpu>", .on = "aes", .model = "Nehalem-v1" },
    { .name = "a forced feature is listed and there", .xml = "<cpu><model>Nehalem</model>" POLICY("avx512f", "force") "</cpu>", .on = "avx512f",
      .unavailable = "avx512f", .model = "Nehalem-v1" },
    { .name = "a forced feature is not there", .xml = "<cpu><model>Nehalem</model>" POLICY("avx512f", "force") "</cpu>", .unavailable = "avx512f",
      .model = "Nehalem-v1", .blockers = "avx512f/QEMU" },
    { .name = "filtered after all", .xml = "<cpu><model>Nehalem</model></cpu>", .unavailable = "popcnt", .model = "Nehalem-v1", .blockers = "popcnt/QEMU" },
    { .name = "required and not there", .xml = "<cpu><model>Nehalem</model>" REQUIRE("aes") "</cpu>", .model = "Nehalem-v1", .blockers = "aes/QEMU" },
    { .name = "disabled and there", .xml = "<cpu><model>Nehalem</model>" POLICY("popcnt", "disable") "</cpu>", .model = "Nehalem-v1",
      .blockers = "popcnt/QEMU" },
    { .name = "another model", .xml = "<cpu><model>Nehalem</model></cpu>", .model = "Nehalem-v2", .blockers = "model/QEMU" },
};

static void
check_guest(void **state)
{
    const GuestCase *row = *state;

    all = cpu_facts_load("x86_64");
    resolve_xml(row->xml);
    inv_cpu_settle(&all->facts, request, (const char *const *)unavailable);
    guest = g_new0(InvGuestCpu, 1);
    guest->machine = g_strdup("pc-q35-7.2");
    guest->model = g_strdup(row->model);
    guest->cpu = inv_cpu_expansion_copy(inv_cpu_table_find(all->table, "Nehalem-v1")->expansion);
    guest->unavailable = g_strsplit(row->unavailable ? row->unavailable : "", " ", -1);
    if (row->on)
        inv_feature_set_add(guest->cpu->on, row->on);
    verdict = inv_cpu_check_guest(&all->facts, cpu, request, guest);
    if (!row->blockers) {
        if (verdict)
            fail_msg("%s", (text = inv_verdict_to_text(verdict)));
        return;
    }
    assert_non_null(verdict);
    assert_int_equal(verdict->outcome, INV_OUTCOME_REFUSED);
    text = blockers_text(verdict);
    assert_string_equal(text, row->blockers);
}

static void
minimum_keeps_the_vendor(void **state)
{
    all = cpu_facts_load("x86_64");
    resolve_xml("<cpu match='minimum'><model>Nehalem</model></cpu>");
    text = inv_cpu_request_argument(request, FALSE);
    assert_true(g_str_has_prefix(text, "Nehalem-v1,"));
    assert_null(strstr(text, "vendor="));
    assert_non_null(strstr(text, ",aes=on"));
    assert_null(strstr(text, "rtm="));
    inv_cpu_settle(&all->facts, request, (const char *const *)unavailable);
    pinned = inv_cpu_pin(&all->facts, cpu, request);
    assert_int_equal(pinned->match, INV_CPU_MATCH_EXACT);
    assert_int_equal(inv_cpu_find_feature(pinned, "aes")->policy, INV_CPU_POLICY_REQUIRE);
}

static void
live_xml_names_the_differences(void **state)
{
    g_autoptr(InvCpuRecord) record = NULL;

    all = cpu_facts_load("x86_64");
    guest = g_new0(InvGuestCpu, 1);
    guest->machine = g_strdup("pc-q35-7.2");
    guest->model = g_strdup("Nehalem-v1");
    guest->cpu = inv_cpu_expansion_copy(inv_cpu_table_find(all->table, "Nehalem-v1")->expansion);
    inv_feature_set_add(guest->cpu->on, "aes");
    inv_feature_set_remove(guest->cpu->on, "popcnt");
    inv_feature_set_add(guest->cpu->on, "ht");
    record = inv_cpu_record_new("x86_64", guest);
    pinned = inv_cpu_update(&all->facts, NULL, record, &error);
    assert_string_equal(pinned->model, "Nehalem-v1");
    assert_int_equal(pinned->features->len, 2);
    assert_int_equal(inv_cpu_find_feature(pinned, "aes")->policy, INV_CPU_POLICY_REQUIRE);
    assert_int_equal(inv_cpu_find_feature(pinned, "popcnt")->policy, INV_CPU_POLICY_DISABLE);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(verdict_cases) + G_N_ELEMENTS(layer_cases) + G_N_ELEMENTS(guest_cases) + 3];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(verdict_cases); i++)
        tests[n++] = (struct CMUnitTest){ verdict_cases[i].name, judge, NULL, teardown, (void *)&verdict_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(layer_cases); i++)
        tests[n++] = (struct CMUnitTest){ layer_cases[i].name, layers_under_kvm, NULL, teardown, (void *)&layer_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(guest_cases); i++)
        tests[n++] = (struct CMUnitTest){ guest_cases[i].name, check_guest, NULL, teardown, (void *)&guest_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(a_pin_keeps_what_was_written, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(minimum_keeps_the_vendor, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(live_xml_names_the_differences, teardown);
    return cmocka_run_group_tests_name("cpu verdict", tests, NULL, NULL);
}
