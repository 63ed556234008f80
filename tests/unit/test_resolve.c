/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cpu_facts.h"
#include "util/error.h"

#define FLOOD 100000u

static CpuFacts *all;
static InvCpu *cpu;
static InvCpuRequest *request;
static GError *error;
static char *text, *other;

static int
teardown(void **state)
{
    g_clear_pointer(&text, g_free);
    g_clear_pointer(&other, g_free);
    g_clear_pointer(&request, inv_cpu_request_free);
    g_clear_pointer(&cpu, inv_cpu_free);
    g_clear_pointer(&all, cpu_facts_free);
    g_clear_error(&error);
    return 0;
}

typedef struct {
    const char *name;
    const char *arch; /* NULL: x86_64 */
    const char *xml;  /* NULL: no <cpu> */
    const char *argument; /* "" for QEMU's default; NULL: an error */
    const char *message;
    virErrorNumber code;
    gboolean kvm;
} ResolveCase;

#define MODEL(attributes, inside) "<cpu mode='custom' " attributes ">" inside "</cpu>"

static const ResolveCase resolve_cases[] = {
    { .name = "no cpu", .argument = "qemu64-v1" },
    { .name = "topology only", .xml = "<cpu><topology sockets='1' cores='2' threads='1'/></cpu>", .argument = "qemu64-v1" },
    { .name = "alias", .xml = "<cpu><model>Skylake-Client</model></cpu>", .argument = "Skylake-Client-v1" },
    { .name = "alias with a meaning", .xml = "<cpu><model>EPYC-IBPB</model></cpu>", .argument = "EPYC-v2" },
    { .name = "versioned", .xml = "<cpu><model>Nehalem-v2</model></cpu>", .argument = "Nehalem-v2" },
    { .name = "a model that libvirt's table has not", .xml = "<cpu><model>Dhyana-v2</model></cpu>", .argument = "Dhyana-v2" },
    { .name = "unknown model", .xml = "<cpu><model>Nehalm</model></cpu>", .message = "did you mean Nehalem, Nehalem-IBRS or Nehalem-v1?",
      .code = VIR_ERR_CONFIG_UNSUPPORTED },
    { .name = "a model of another case", .xml = "<cpu><model>nehalem</model></cpu>", .message = "did you mean Nehalem, Nehalem-IBRS",
      .code = VIR_ERR_CONFIG_UNSUPPORTED },
    { .name = "a model that would add properties", .xml = "<cpu><model>Nehalem,check=off</model></cpu>",
      .message = "no CPU model 'Nehalem,check=off'", .code = VIR_ERR_CONFIG_UNSUPPORTED },
    { .name = "maximum", .xml = "<cpu mode='maximum'/>", .argument = "max" },
    { .name = "maximum, migratable", .xml = "<cpu mode='maximum' migratable='off'/>", .argument = "max,migratable=off" },
    { .name = "host-passthrough under KVM", .xml = "<cpu mode='host-passthrough' migratable='on'/>", .argument = "host,migratable=on",
      .kvm = TRUE },

    { .name = "require, libvirt's spelling", .xml = "<cpu><model>Nehalem</model><feature name='pclmuldq' policy='require'/></cpu>",
      .argument = "Nehalem-v1,pclmulqdq=on" },
    { .name = "require, QEMU's spelling", .xml = "<cpu><model>Nehalem</model><feature name='pclmulqdq' policy='require'/></cpu>",
      .argument = "Nehalem-v1,pclmulqdq=on" },
    { .name = "require, QEMU's old spelling", .xml = "<cpu><model>Nehalem</model><feature name='lahf-lm' policy='require'/></cpu>",
      .argument = "Nehalem-v1,lahf-lm=on" },
    { .name = "QEMU's own feature with an underscore", .xml = "<cpu><model>Nehalem</model><feature name='kvm_steal_time' policy='disable'/></cpu>",
      .argument = "Nehalem-v1,kvm-steal-time=off" },
    { .name = "every policy",
      .xml = "<cpu><model>Nehalem</model><feature name='aes' policy='force'/><feature name='avx' policy='require'/>"
             "<feature name='f16c' policy='optional'/><feature name='sse4.2' policy='disable'/><feature name='rtm' policy='forbid'/></cpu>",
      .argument = "Nehalem-v1,aes=on,avx=on,f16c=on,rtm=off,sse4.2=off" },
    { .name = "never passed", .xml = "<cpu><model>Nehalem</model><feature name='osxsave' policy='require'/>"
                                     "<feature name='cmt' policy='disable'/></cpu>",
      .argument = "Nehalem-v1" },
    { .name = "known to the map, not to this QEMU, disabled", .xml = "<cpu><model>Nehalem</model><feature name='fred' policy='disable'/></cpu>",
      .argument = "Nehalem-v1" },
    { .name = "unknown feature", .xml = "<cpu><model>Nehalem</model><feature name='avx513f' policy='require'/></cpu>",
      .message = "CPU feature 'avx513f' is not known; did you mean avx512f", .code = VIR_ERR_CONFIG_UNSUPPORTED },
    { .name = "housekeeping is no feature", .xml = "<cpu><model>Nehalem</model><feature name='enforce' policy='require'/></cpu>",
      .message = "CPU feature 'enforce' is not known", .code = VIR_ERR_CONFIG_UNSUPPORTED },
    { .name = "one feature in two spellings", .xml = "<cpu><model>Nehalem</model><feature name='sse4.1' policy='require'/>"
                                                     "<feature name='sse4_1' policy='disable'/></cpu>",
      .message = "CPU feature 'sse4.1' is given twice, once as 'sse4_1'", .code = VIR_ERR_CONFIG_UNSUPPORTED },

    { .name = "vendor_id", .xml = "<cpu><model vendor_id='KVMKVMKVMKVM'>Nehalem</model></cpu>", .argument = "Nehalem-v1,vendor=KVMKVMKVMKVM" },
    { .name = "cache emulated", .xml = "<cpu><model>Nehalem</model><cache mode='emulate' level='3'/></cpu>", .argument = "Nehalem-v1,l3-cache=on" },
    { .name = "cache disabled", .xml = "<cpu><model>Nehalem</model><cache mode='disable'/></cpu>", .argument = "Nehalem-v1,l3-cache=off" },
    { .name = "cache passed on", .xml = "<cpu mode='maximum'><cache mode='passthrough'/></cpu>",
      .argument = "max,host-cache-info=on,l3-cache=off" },
    { .name = "physical bits of TCG", .xml = "<cpu><model>Nehalem</model><maxphysaddr mode='emulate' bits='40'/></cpu>",
      .argument = "Nehalem-v1,phys-bits=40" },
    { .name = "physical bits", .xml = "<cpu><model>Nehalem</model><maxphysaddr mode='emulate' bits='42'/></cpu>",
      .argument = "Nehalem-v1,phys-bits=42", .kvm = TRUE },
    { .name = "physical bits of the host", .xml = "<cpu><model>Nehalem</model><maxphysaddr mode='passthrough' limit='46'/></cpu>",
      .argument = "Nehalem-v1,host-phys-bits=on,host-phys-bits-limit=46", .kvm = TRUE },
    { .name = "physical bits of a model that follows the host", .xml = "<cpu mode='host-passthrough'><maxphysaddr mode='emulate' bits='42'/></cpu>",
      .argument = "host,host-phys-bits=off,phys-bits=42", .kvm = TRUE },
    { .name = "properties before features", .xml = "<cpu><model vendor_id='KVMKVMKVMKVM'>Nehalem</model><cache mode='disable'/>"
                                                   "<feature name='aes' policy='require'/></cpu>",
      .argument = "Nehalem-v1,vendor=KVMKVMKVMKVM,l3-cache=off,aes=on" },

    { .name = "s390x model", .arch = "s390x", .xml = "<cpu><model>z14</model></cpu>", .argument = "z14" },
    { .name = "s390x feature", .arch = "s390x", .xml = "<cpu><model>max</model><feature name='vx' policy='disable'/></cpu>", .argument = "max,vx=off" },
    { .name = "s390x host-model", .arch = "s390x", .xml = "<cpu mode='host-model'/>", .message = "mode='host-model' is not supported by the s390x CPU driver",
      .code = VIR_ERR_NO_SUPPORT },
    { .name = "s390x force", .arch = "s390x", .xml = "<cpu><model>max</model><feature name='vx' policy='force'/></cpu>",
      .message = "feature policy 'force' is not supported by the s390x CPU driver", .code = VIR_ERR_NO_SUPPORT },
    { .name = "s390x deprecated features before 9.1", .arch = "s390x", .xml = "<cpu deprecated_features='off'><model>max</model></cpu>",
      .message = "deprecated_features=> is not supported by QEMU 7.2", .code = VIR_ERR_NO_SUPPORT },
    { .name = "aarch64 model", .arch = "aarch64", .xml = "<cpu><model>cortex-a57</model></cpu>", .argument = "cortex-a57" },
    { .name = "aarch64 feature", .arch = "aarch64", .xml = "<cpu><model>max</model><feature name='sve' policy='disable'/></cpu>", .argument = "max,sve=off" },
    { .name = "aarch64 unknown feature", .arch = "aarch64", .xml = "<cpu><model>max</model><feature name='svee' policy='require'/></cpu>",
      .message = "did you mean sve", .code = VIR_ERR_CONFIG_UNSUPPORTED },
    { .name = "aarch64 minimum", .arch = "aarch64", .xml = "<cpu match='minimum'><model>max</model></cpu>",
      .message = "match='minimum' is not supported by the aarch64 CPU driver", .code = VIR_ERR_NO_SUPPORT },
    { .name = "aarch64 vendor", .arch = "aarch64", .xml = "<cpu><model>max</model><vendor>ARM</vendor></cpu>",
      .message = "<vendor> is not supported by the aarch64 CPU driver", .code = VIR_ERR_NO_SUPPORT },
    { .name = "aarch64 no cpu and no default", .arch = "aarch64", .argument = "" },
    { .name = "ppc64 model", .arch = "ppc64", .xml = "<cpu><model>power9</model></cpu>", .argument = "power9" },
    { .name = "ppc64 feature", .arch = "ppc64", .xml = "<cpu><model>power9</model><feature name='htm' policy='disable'/></cpu>",
      .message = "<feature> is not supported by the ppc64 CPU driver", .code = VIR_ERR_NO_SUPPORT },
};

static void
resolve(void **state)
{
    const ResolveCase *row = *state;

    all = cpu_facts_load(row->arch ? row->arch : "x86_64");
    if (row->kvm)
        all->facts.accelerator = INV_VIRT_KVM;
    if (row->xml) {
        cpu = inv_cpu_parse(row->xml, &error);
        if (!cpu)
            fail_msg("%s", error->message);
    }
    request = inv_cpu_resolve(&all->facts, cpu, &error);
    if (!row->argument) {
        assert_null(request);
        if (!strstr(error->message, row->message))
            fail_msg("'%s' is not in '%s'", row->message, error->message);
        assert_int_equal(inv_error_code(error), row->code);
        return;
    }
    if (!request)
        fail_msg("%s", error->message);
    text = inv_cpu_request_argument(request, FALSE);
    assert_string_equal(text ? text : "", row->argument);
}

/* The same features, turned round at every place, are the same argument. */
static void
the_order_of_features_never_matters(void **state)
{
    static const char *const names[] = { "rtm", "aes", "sse4.1", "pclmuldq", "hle", "avx", "x2apic" };

    all = cpu_facts_load("x86_64");
    for (gsize first = 0; first < G_N_ELEMENTS(names); first++) {
        g_clear_pointer(&cpu, inv_cpu_free);
        g_clear_pointer(&request, inv_cpu_request_free);
        g_clear_pointer(&other, g_free);
        cpu = inv_cpu_new();
        cpu->model = g_strdup("Skylake-Client");
        for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
            gsize at = (first * 3 + i * (1 + first % 2 * 2)) % G_N_ELEMENTS(names);

            inv_cpu_set_feature(cpu, names[at], at % 2 ? INV_CPU_POLICY_DISABLE : INV_CPU_POLICY_REQUIRE);
        }
        request = inv_cpu_resolve(&all->facts, cpu, &error);
        assert_non_null(request);
        other = inv_cpu_request_argument(request, FALSE);
        if (!text)
            text = g_steal_pointer(&other);
        else
            assert_string_equal(other, text);
    }
    assert_string_equal(text, "Skylake-Client-v1,aes=off,avx=off,hle=on,pclmulqdq=off,rtm=on,sse4.1=on,x2apic=on");
}

static void
add_feature(const char *name)
{
    InvCpuFeature *feature = g_new0(InvCpuFeature, 1);

    feature->name = g_strdup(name);
    feature->policy = INV_CPU_POLICY_REQUIRE;
    g_ptr_array_add(cpu->features, feature);
}

static void
a_flood_of_features_is_one_error(void **state)
{
    gboolean same_name = *state != NULL;

    all = cpu_facts_load("x86_64");
    cpu = inv_cpu_new();
    cpu->model = g_strdup("Nehalem");
    for (guint i = 0; i < FLOOD; i++) {
        char name[32];

        g_snprintf(name, sizeof(name), "no-such-%u", i);
        add_feature(same_name ? "aes" : name);
    }
    request = inv_cpu_resolve(&all->facts, cpu, &error);
    assert_null(request);
    assert_int_equal(inv_error_code(error), VIR_ERR_CONFIG_UNSUPPORTED);
    assert_non_null(strstr(error->message, same_name ? "'aes' is given twice" : "'no-such-0' is not known"));
}

static void
a_long_name_is_shown_short(void **state)
{
    g_autofree char *name = g_strnfill(1000000, 'x');

    all = cpu_facts_load("x86_64");
    cpu = inv_cpu_new();
    cpu->model = g_strdup(name);
    request = inv_cpu_resolve(&all->facts, cpu, &error);
    assert_null(request);
    assert_true(strlen(error->message) < 1000);
}

static void
an_unknown_architecture(void **state)
{
    all = cpu_facts_load("x86_64");
    all->facts.arch = "sparc";
    request = inv_cpu_resolve(&all->facts, NULL, &error);
    assert_null(request);
    assert_int_equal(inv_error_code(error), VIR_ERR_NO_SUPPORT);
}

static void
minimum_needs_expansions(void **state)
{
    InvCpuTable *bare;

    all = cpu_facts_load("x86_64");
    bare = inv_cpu_table_new("x86_64", all->facts.machine, all->names);
    inv_cpu_table_set_definitions(bare, all->map, inv_json_get(all->json, "definitions"), NULL);
    inv_cpu_table_unref(all->table);
    all->facts.table = all->table = bare;
    cpu = inv_cpu_new();
    assert_false(inv_cpu_needs_expansions(NULL));
    assert_false(inv_cpu_needs_expansions(cpu));
    cpu->model = g_strdup("Nehalem");
    cpu->match = INV_CPU_MATCH_MINIMUM;
    assert_true(inv_cpu_needs_expansions(cpu));
    request = inv_cpu_resolve(&all->facts, cpu, &error);
    assert_null(request);
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_FAILED);
}

static void
the_table_answers_for_a_bare_model_only(void **state)
{
    const char *const *unavailable;

    all = cpu_facts_load("x86_64");
    cpu = inv_cpu_new();
    cpu->model = g_strdup("Skylake-Client");
    request = inv_cpu_resolve(&all->facts, cpu, &error);
    assert_true(inv_cpu_request_known_unavailable(&all->facts, request, &unavailable));
    assert_int_equal(g_strv_length((char **)unavailable), 9);
    g_clear_pointer(&request, inv_cpu_request_free);
    inv_cpu_set_feature(cpu, "rtm", INV_CPU_POLICY_DISABLE);
    request = inv_cpu_resolve(&all->facts, cpu, &error);
    assert_false(inv_cpu_request_known_unavailable(&all->facts, request, &unavailable));
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(resolve_cases) + 7];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(resolve_cases); i++)
        tests[n++] = (struct CMUnitTest){ resolve_cases[i].name, resolve, NULL, teardown, (void *)&resolve_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(the_order_of_features_never_matters, teardown);
    tests[n++] = (struct CMUnitTest){ "100,000 unknown features", a_flood_of_features_is_one_error, NULL, teardown, NULL };
    tests[n++] = (struct CMUnitTest){ "a feature 100,000 times", a_flood_of_features_is_one_error, NULL, teardown, (void *)"aes" };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(a_long_name_is_shown_short, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(an_unknown_architecture, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(minimum_needs_expansions, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(the_table_answers_for_a_bare_model_only, teardown);
    return cmocka_run_group_tests_name("cpu resolve", tests, NULL, NULL);
}
