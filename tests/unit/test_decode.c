/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <glib/gstdio.h>

#include "tests/unit/cpu_machines.h"
#include "tests/unit/test_table.h"
#include "util/error.h"

static DecodeTools tools;
/* The parts of `tools`, for short. */
static InvCpuMap *map;
static InvCpuModels *models;
static InvFeatureNames *names;
static InvCpuDecoder *decoder;
static guint total_deltas, total_least, total_answers;

static int
load(void **state)
{
    gboolean loaded = decode_tools_load(&tools, NULL, NULL);

    map = tools.map;
    models = tools.models;
    names = tools.names;
    decoder = tools.decoder;
    return loaded ? 0 : -1;
}

static int
unload(void **state)
{
    decode_tools_clear(&tools);
    return 0;
}

/* The features that the dump shows, counted here anew: less the broken ones. */
static void
cpuid_is_described_exactly(void **state)
{
    const char *machine = *state;
    g_autoptr(GError) error = NULL;
    g_autoptr(InvCpuidData) data = cpu_machine_words(machine, ".cpuid.xml");
    g_autoptr(InvCpuSeen) seen = NULL;
    g_autoptr(InvFeatureSet) wanted = NULL;
    g_autoptr(InvFeatureSet) broken = NULL;
    g_autoptr(InvCpu) cpu = NULL;
    g_autofree char *signature = NULL;

    if (!data)
        skip();
    seen = inv_cpu_seen_from_cpuid(decoder, data, &error);
    if (error)
        print_error("%s\n", error->message);
    assert_null(error);
    wanted = inv_cpuid_data_features(data, map, names);
    broken = inv_cpu_broken_features(decoder, seen->vendor, seen->family, seen->model_number, seen->stepping);
    inv_feature_set_subtract(wanted, broken);
    cpu = assert_round_trip(&tools, seen, wanted);
    signature = cpu_machine_text(machine, ".sig", NULL);
    assert_non_null(signature);
    /* "family: 6 (0x06)" and so on. */
    assert_int_equal(strtoul(strstr(signature, "family:") + 7, NULL, 10), seen->family);
    assert_int_equal(strtoul(strstr(signature, "model:") + 6, NULL, 10), seen->model_number);
    assert_int_equal(strtoul(strstr(signature, "stepping:") + 9, NULL, 10), seen->stepping);
    print_message("# %s: %s and %u features\n", machine, cpu->model, inv_cpu_count_deltas(cpu));
}

static void
expansion_is_described_exactly(void **state)
{
    const char *machine = *state;
    g_autoptr(GError) error = NULL;
    g_autoptr(InvJson) reply = cpu_machine_expansion(machine);
    g_autoptr(InvCpuSeen) seen = NULL;
    g_autoptr(InvCpu) cpu = NULL;
    guint least;

    if (!reply)
        skip();
    seen = inv_cpu_seen_from_expansion(decoder, reply, &error);
    if (error)
        print_error("%s\n", error->message);
    assert_null(error);
    cpu = assert_round_trip(&tools, seen, seen->features);
    least = inv_cpu_least_deltas(decoder, seen);
    assert_true(inv_cpu_count_deltas(cpu) >= least);
    total_deltas += inv_cpu_count_deltas(cpu);
    total_least += least;
    total_answers++;
    print_message("# %s: %s and %u features (least %u)\n", machine, cpu->model, inv_cpu_count_deltas(cpu), least);
}

/* enabled = what QEMU says is true; nothing is both; all of the CPUID's features are one of the two. */
static void
enabled_and_disabled_agree(void **state)
{
    const char *machine = *state;
    g_autoptr(InvCpuidData) enabled_words = cpu_machine_words(machine, ".enabled.xml");
    g_autoptr(InvCpuidData) disabled_words = cpu_machine_words(machine, ".disabled.xml");
    g_autoptr(InvCpuidData) cpuid = NULL;
    g_autoptr(InvJson) reply = cpu_machine_expansion(machine);
    g_autoptr(InvCpuSeen) seen = NULL;
    g_autoptr(InvFeatureSet) enabled = NULL, disabled = NULL, both = NULL, all = NULL, missed = NULL;

    /* skip() jumps: nothing may be owned by then. */
    if (!enabled_words || !disabled_words || !reply)
        skip();
    cpuid = cpu_machine_words(machine, ".cpuid.xml");
    assert_non_null(cpuid);
    seen = inv_cpu_seen_from_expansion(decoder, reply, NULL);
    enabled = inv_cpuid_data_features(enabled_words, map, names);
    disabled = inv_cpuid_data_features(disabled_words, map, names);
    assert_same_features(machine, enabled, seen->features);
    both = inv_feature_set_copy(enabled);
    inv_feature_set_intersect(both, disabled);
    assert_int_equal(inv_feature_set_count(both), 0);
    all = inv_feature_set_copy(enabled);
    inv_feature_set_unite(all, disabled);
    missed = inv_cpuid_data_features(cpuid, map, names);
    inv_feature_set_subtract(missed, all);
    assert_int_equal(inv_feature_set_count(missed), 0);
}

static void
total_of_deltas(void **state)
{
    if (!total_answers)
        skip();
    print_message("# %u machines with an answer of QEMU: %u features named, least possible %u\n", total_answers, total_deltas, total_least);
    assert_true(total_deltas <= total_least);
}

#define LEAF0 "0x0 0x0: eax=0x1 ebx=0x756e6547 ecx=0x6c65746e edx=0x49656e69\n"
#define LEAF1 "0x1 0x0: eax=0x506e3 ebx=0x0 ecx=0x1 edx=0x1\n"
#define WITNESS0 "00000000 00000000 00000001 756e6547 6c65746e 49656e69\r\n"
#define WITNESS1 "00000001 00000000 000506e3 00000000 80000021 00000001\r\n"

typedef struct {
    const char *name;
    const char *text;
    const char *has, *lacks; /* features */
} DumpCase;

static const DumpCase dump_cases[] = {
    { .name = "one CPU", .text = LEAF0 LEAF1, .has = "pni", .lacks = "vmx" },
    { .name = "MSRs", .text = LEAF0 LEAF1 "MSR:\n0x10a: 0x21\n", .has = "mds-no", .lacks = "ssb-no" },
    { .name = "two CPUs alike", .text = "CPU 0:\n" LEAF0 LEAF1 "CPU 1:\n" LEAF0 LEAF1, .has = "pni", .lacks = "vmx" },
    { .name = "the second CPU lacks one", .text = "CPU 0:\n" LEAF0 LEAF1 "CPU 1:\n" LEAF0 "0x1 0x0: eax=0x506e3 ebx=0x0 ecx=0x0 edx=0x1\n",
      .has = "fpu", .lacks = "pni" },
    { .name = "the second CPU has more", .text = "CPU 0:\n" LEAF0 LEAF1 "CPU 1:\n" LEAF0 "0x1 0x0: eax=0x506e3 ebx=0x0 ecx=0x21 edx=0x1\n",
      .has = "pni", .lacks = "vmx" },
    { .name = "the witness's lines", .text = WITNESS0 WITNESS1, .has = "vmx", .lacks = "ssse3" },
    { .name = "the witness's serial line", .text = "SeaBIOS\r\nINVAR-WITNESS 1\r\n" WITNESS0 WITNESS1 "END\r\nINVAR-WITNESS 1\r\n" WITNESS0 WITNESS1 "END\r\n",
      .has = "hypervisor", .lacks = "ssse3" },
    { .name = "a VMX control without what announces it", .text = LEAF0 LEAF1 "MSR:\n0x48b: 0x200000000\n", .has = "pni", .lacks = "vmx-ept" },
    { .name = "a VMX control that may be 1", .text = LEAF0 LEAF1 "MSR:\n0x480: 0x1\n0x48b: 0x200000000\n", .has = "vmx-ept", .lacks = "vmx-vpid" },
    { .name = "a VMX control that must be 1", .text = LEAF0 LEAF1 "MSR:\n0x480: 0x1\n0x48e: 0x8400000004000000\n", .has = "vmx-secondary-ctls",
      .lacks = "vmx-mtf" },
    { .name = "a VMX control of a chip without true ones", .text = LEAF0 LEAF1 "MSR:\n0x480: 0x1\n0x482: 0x8000000004000000\n", .has = "vmx-secondary-ctls",
      .lacks = "vmx-mtf" },
    { .name = "a VMX control as libvirt gives it", .text = "<cpudata arch='x86'><cpuid eax_in='0' eax='1' ebx='0x756e6547' ecx='0x6c65746e' edx='0x49656e69'/>"
      "<cpuid eax_in='1' eax='0x506e3' ebx='0' ecx='0x21' edx='1'/><msr index='0x480' eax='1' edx='0'/><msr index='0x48b' eax='2' edx='0'/></cpudata>", .has = "vmx-ept", .lacks = "vmx-vpid" },
};

static void
dumps_are_read(void **state)
{
    const DumpCase *row = *state;
    g_autoptr(GError) error = NULL;
    g_autoptr(InvCpuidData) data = inv_cpuid_data_parse(row->text, strlen(row->text), &error);
    g_autoptr(InvCpuSeen) seen = data ? inv_cpu_seen_from_cpuid(decoder, data, &error) : NULL;

    if (error)
        print_error("%s\n", error->message);
    assert_non_null(seen);
    assert_true(inv_feature_set_has(seen->features, row->has));
    assert_false(inv_feature_set_has(seen->features, row->lacks));
    assert_string_equal(seen->vendor, "GenuineIntel");
    assert_int_equal(seen->model_number, 94);
}

typedef struct {
    const char *name;
    const char *feature;
    const char *leaf1; /* EAX, with what else the leaf holds */
    const char *vendor;
    gboolean broken;
} ErrataCase;

#define INTEL "0x0 0x0: eax=0x7 ebx=0x756e6547 ecx=0x6c65746e edx=0x49656e69\n"
#define AMD "0x0 0x0: eax=0x7 ebx=0x68747541 ecx=0x444d4163 edx=0x69746e65\n"
#define ALL_OF_7 "0x7 0x0: eax=0x1 ebx=0xffffffff ecx=0x0 edx=0x0\n"

static const ErrataCase errata_cases[] = {
    { .name = "TSX of Haswell", .feature = "rtm", .vendor = INTEL, .leaf1 = "0x306c3 ebx=0x0 ecx=0x0 edx=0x0", .broken = TRUE },
    { .name = "TSX of Haswell-EX", .feature = "rtm", .vendor = INTEL, .leaf1 = "0x306f4 ebx=0x0 ecx=0x0 edx=0x0" },
    { .name = "TSX of Haswell-EP", .feature = "hle", .vendor = INTEL, .leaf1 = "0x306f2 ebx=0x0 ecx=0x0 edx=0x0", .broken = TRUE },
    { .name = "TSX of a guest that is called Haswell", .feature = "rtm", .vendor = INTEL, .leaf1 = "0x306c3 ebx=0x0 ecx=0x80000000 edx=0x0" },
    { .name = "PAT of Core Duo", .feature = "pat", .vendor = INTEL, .leaf1 = "0x006e8 ebx=0x0 ecx=0x0 edx=0x10000", .broken = TRUE },
    { .name = "PAT of Core 2", .feature = "pat", .vendor = INTEL, .leaf1 = "0x006f6 ebx=0x0 ecx=0x0 edx=0x10000" },
    { .name = "RDSEED of Cyan Skillfish", .feature = "rdseed", .vendor = AMD, .leaf1 = "0x840f70 ebx=0x0 ecx=0x0 edx=0x0", .broken = TRUE },
    { .name = "RDSEED of Rome", .feature = "rdseed", .vendor = AMD, .leaf1 = "0x830f10 ebx=0x0 ecx=0x0 edx=0x0" },
};

static void
errata_are_of_their_steppings(void **state)
{
    const ErrataCase *row = *state;
    g_autofree char *text = g_strdup_printf("%s0x1 0x0: eax=%s\n%s", row->vendor, row->leaf1, ALL_OF_7
                                            "0x2 0x0: eax=0x0 ebx=0x0 ecx=0x0 edx=0x0\n0x6 0x0: eax=0x0 ebx=0x0 ecx=0x0 edx=0x0\n");
    g_autoptr(GError) error = NULL;
    g_autoptr(InvCpuidData) data = inv_cpuid_data_parse(text, strlen(text), &error);
    g_autoptr(InvCpuSeen) seen = data ? inv_cpu_seen_from_cpuid(decoder, data, &error) : NULL;

    if (error)
        print_error("%s\n", error->message);
    assert_non_null(seen);
    assert_int_equal(inv_feature_set_has(seen->features, row->feature), !row->broken);
    assert_int_equal(inv_feature_set_has(seen->broken, row->feature), row->broken);
    if (row->broken)
        assert_non_null(strchr(inv_cpu_broken_reason(decoder, seen, row->feature), ' '));
}

typedef struct {
    const char *name;
    const char *text;
    const char *message;
    virErrorNumber code;
} BadCase;

static const BadCase bad_cases[] = {
    { .name = "nothing", .text = "", .message = "leaf 0 is missing", .code = VIR_ERR_INVALID_ARG },
    { .name = "only leaf 0", .text = LEAF0, .message = "leaf 1 is missing", .code = VIR_ERR_INVALID_ARG },
    { .name = "cut off in a line", .text = LEAF0 "0x1 0x0: eax=0x506", .message = "line 2: ", .code = VIR_ERR_INVALID_ARG },
    { .name = "cut off before leaf 7", .text = "0x0 0x0: eax=0xd ebx=0x756e6547 ecx=0x6c65746e edx=0x49656e69\n" LEAF1,
      .message = "is missing, and the processor has leaves up to 0x0000000d", .code = VIR_ERR_INVALID_ARG },
    { .name = "cut off before the extended leaves", .text = LEAF0 "0x1 0x0: eax=0x506e3 ebx=0x0 ecx=0x1 edx=0x4000001\n",
      .message = "leaf 0x80000000 is missing", .code = VIR_ERR_INVALID_ARG },
    { .name = "a leaf that leaf 0 denies", .text = "0x0 0x0: eax=0x0 ebx=0x756e6547 ecx=0x6c65746e edx=0x49656e69\n" LEAF1,
      .message = "contradicts itself", .code = VIR_ERR_INVALID_ARG },
    { .name = "a leaf twice", .text = LEAF0 LEAF1 "0x1 0x0: eax=0x1 ebx=0x0 ecx=0x1 edx=0x1\n",
      .message = "line 3: CPUID leaf 0x00000001, subleaf 0x0 is there twice", .code = VIR_ERR_INVALID_ARG },
    { .name = "vendor that is no text", .text = "0x0 0x0: eax=0x1 ebx=0x0 ecx=0x0 edx=0x0\n" LEAF1, .message = "holds no vendor",
      .code = VIR_ERR_INVALID_ARG },
    { .name = "vendor that nobody knows", .text = "0x0 0x0: eax=0x1 ebx=0x656d6341 ecx=0x656d6341 edx=0x656d6341\n" LEAF1,
      .message = "no CPU model of vendor 'AcmeAcmeAcme'", .code = VIR_ERR_CONFIG_UNSUPPORTED },
    { .name = "a CPU of another vendor", .text = "CPU 0:\n" LEAF0 LEAF1 "CPU 1:\n0x0 0x0: eax=0x1 ebx=0x68747541 ecx=0x444d4163 edx=0x69746e65\n" LEAF1,
      .message = "CPU 2 of the dump is of another vendor", .code = VIR_ERR_INVALID_ARG },
    { .name = "the last CPU cut off", .text = "CPU 0:\n" LEAF0 LEAF1 "CPU 1:\n" LEAF0, .message = "CPU 2 of the dump lacks leaf 0x00000001",
      .code = VIR_ERR_INVALID_ARG },
    { .name = "witness cut off", .text = "INVAR-WITNESS 1\r\n" WITNESS0 WITNESS1, .message = "END is missing", .code = VIR_ERR_INVALID_ARG },
    { .name = "witness begins anew", .text = "INVAR-WITNESS 1\n" WITNESS0 "INVAR-WITNESS 1\n" WITNESS0 "END\n", .message = "begins anew",
      .code = VIR_ERR_INVALID_ARG },
    { .name = "witness's line cut off", .text = "INVAR-WITNESS 1\n" WITNESS0 "00000001 0000\n", .message = "'00000001 0000' is not of the form",
      .code = VIR_ERR_INVALID_ARG },
    { .name = "control characters", .text = LEAF0 "\033[31m0x1\n", .message = "'?[31m0x1' is not", .code = VIR_ERR_INVALID_ARG },
    { .name = "an MSR twice", .text = LEAF0 LEAF1 "MSR:\n0x10a: 0x1\n0x10a: 0x2\n", .message = "line 5: MSR 0x10a is there twice",
      .code = VIR_ERR_INVALID_ARG },
    { .name = "an MSR that is none", .text = LEAF0 LEAF1 "MSR:\n0x10a=0x1\n", .message = "line 4: '0x10a=0x1' is not of the form",
      .code = VIR_ERR_INVALID_ARG },
    { .name = "other XML", .text = "<cpu/>", .message = "cpudata", .code = VIR_ERR_XML_ERROR },
    { .name = "XML cut off", .text = "<cpudata arch='x86'><cpuid", .message = "line 1", .code = VIR_ERR_XML_ERROR },
    { .name = "XML without a register", .text = "<cpudata arch='x86'>\n<cpuid eax_in='0' eax='0' ebx='0' ecx='0'/></cpudata>",
      .message = "line 2", .code = VIR_ERR_XML_ERROR },
    { .name = "XML with too large a number", .text = "<cpudata arch='x86'>\n<msr index='0x100000000' eax='0' edx='0'/></cpudata>",
      .message = "32 bits", .code = VIR_ERR_XML_ERROR },
    { .name = "XML of another architecture", .text = "<cpudata arch='ppc64'/>", .message = "only CPU data of x86", .code = VIR_ERR_XML_ERROR },
};

static void
bad_dumps_are_refused(void **state)
{
    const BadCase *row = *state;
    g_autoptr(GError) error = NULL;
    g_autoptr(InvCpuidData) data = inv_cpuid_data_parse(row->text, strlen(row->text), &error);
    g_autoptr(InvCpuSeen) seen = data ? inv_cpu_seen_from_cpuid(decoder, data, &error) : NULL;
    g_autoptr(InvCpu) cpu = seen ? inv_cpu_describe_seen(decoder, seen, &error) : NULL;

    assert_null(cpu);
    assert_non_null(error);
    if (!strstr(error->message, row->message))
        print_error("%s\n", error->message);
    assert_non_null(strstr(error->message, row->message));
    assert_int_equal(inv_error_code(error), row->code);
}

static void
a_hundred_thousand_leaves_are_refused(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) text = g_string_new(LEAF0 LEAF1);

    for (guint i = 0; i < 100000; i++)
        g_string_append_printf(text, "0x%x 0x%x: eax=0x0 ebx=0x0 ecx=0x0 edx=0x0\n", 0x4u, i);
    assert_null(inv_cpuid_data_parse(text->str, text->len, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_INVALID_ARG);
    assert_non_null(strstr(error->message, "more than 2048 CPUID leaves"));
    g_clear_error(&error);
    /* As many CPUs are no trouble: none is kept. */
    g_string_truncate(text, 0);
    for (guint i = 0; i < 20000; i++)
        g_string_append(text, "CPU:\n" LEAF0 LEAF1);
    inv_cpuid_data_free(inv_cpuid_data_parse(text->str, text->len, &error));
    assert_null(error);
}

static void
a_hundred_thousand_features_are_refused(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvCpu) cpu = inv_cpu_new();
    g_autoptr(InvJson) props = inv_json_new_object();

    for (guint i = 0; i < 5000; i++) {
        g_autofree char *name = g_strdup_printf("feature-%u", i);

        inv_json_object_set_boolean(props, name, TRUE);
    }
    assert_null(inv_cpu_seen_from_expansion(decoder, props, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_INVALID_ARG);
    g_clear_error(&error);
    for (guint i = 0; i < 100000; i++) {
        InvCpuFeature *feature = g_new0(InvCpuFeature, 1);

        feature->name = g_strdup_printf("feature-%u", i);
        g_ptr_array_add(cpu->features, feature);
    }
    assert_null(inv_cpu_expand(decoder, cpu, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_INVALID_ARG);
    assert_non_null(strstr(error->message, "100000 features"));
}

/* A chip of a generation that has lost TSX keeps its generation's name, with no more differences than any model of it has. */
static void
microcode_does_not_change_the_generation(void **state)
{
    guint tried = 0;

    for (guint i = 0; i < inv_cpu_models_size(models); i++) {
        const InvCpuModelEntry *entry = inv_cpu_models_at(models, i);
        g_autoptr(InvFeatureSet) features = inv_feature_set_copy(inv_cpu_decoder_model(decoder, entry->name, FALSE));
        InvCpuSeen seen = { .vendor = (char *)entry->vendor, .family = 6, .model_number = (guint)entry->model_number, .features = features };
        g_autoptr(InvCpu) cpu = NULL;

        if (!inv_feature_set_has(features, "rtm"))
            continue;
        inv_feature_set_remove(features, "hle");
        inv_feature_set_remove(features, "rtm");
        cpu = inv_cpu_describe_seen(decoder, &seen, NULL);
        if (strcmp(inv_cpu_models_find(models, cpu->model)->stem, entry->stem) != 0)
            print_error("%s became %s\n", entry->name, cpu->model);
        assert_string_equal(inv_cpu_models_find(models, cpu->model)->stem, entry->stem);
        assert_true(inv_cpu_count_deltas(cpu) <= 2);
        tried++;
    }
    assert_true(tried > 10);
}

static void
vmx_brings_its_parts(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvCpu) cpu = inv_cpu_parse("<cpu><model>Penryn</model><feature policy='require' name='vmx'/></cpu>", &error);
    g_autoptr(InvCpu) wrong = inv_cpu_parse("<cpu><model>Penrin</model></cpu>", NULL);
    g_autoptr(InvFeatureSet) without = inv_cpu_expand(decoder, cpu, &error);
    g_autoptr(InvFeatureSet) with = NULL;

    inv_cpu_set_feature(cpu, "vmx-ept", INV_CPU_POLICY_DISABLE);
    inv_cpu_set_feature(cpu, "vmx-hlt-exit", INV_CPU_POLICY_REQUIRE);
    with = inv_cpu_expand(decoder, cpu, &error);
    assert_true(inv_feature_set_has(with, "vmx-flexpriority"));
    assert_false(inv_feature_set_has(with, "vmx-ept"));
    assert_false(inv_feature_set_has(without, "vmx-flexpriority"));
    assert_true(inv_feature_set_has(without, "vmx"));
    assert_null(inv_cpu_expand(decoder, wrong, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_CONFIG_UNSUPPORTED);
    assert_non_null(strstr(error->message, "Penryn"));
}

typedef struct {
    const char *name;
    const char *errata, *microcode; /* rows */
    const char *message;
} TableCase;

static const TableCase table_cases[] = {
    { .name = "an erratum of no feature", .errata = "Intel\t6\t60\t-\trtn\twhy\n", .message = "errata.tsv:2: 'rtn' is not among the features" },
    { .name = "an erratum by QEMU's spelling", .errata = "Intel\t6\t60\t-\txd\twhy\n", .message = "'xd' is not among the features" },
    { .name = "an erratum of no family", .errata = "Intel\tsix\t60\t-\trtm\twhy\n", .message = "'six' is not a number" },
    { .name = "an erratum of no model", .errata = "Intel\t6\t60-\t-\trtm\twhy\n", .message = "'' is not a number" },
    { .name = "microcode of no feature", .microcode = "rtn\twhy\n", .message = "microcode.tsv:2: 'rtn' is not among the features" },
};

static void
bad_tables_are_refused(void **state)
{
    const TableCase *row = *state;
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = g_dir_make_tmp("invar-decode-XXXXXX", NULL);
    g_autofree char *sub = g_build_filename(folder, "x86", NULL);
    g_autofree char *errata = g_build_filename(sub, "errata.tsv", NULL);
    g_autofree char *microcode = g_build_filename(sub, "microcode.tsv", NULL);
    g_autofree char *errata_text = g_strconcat("vendor\tfamily\tmodel_number\tsteppings\tfeature\twhy\n", row->errata, NULL);
    g_autofree char *microcode_text = g_strconcat("feature\twhy\n", row->microcode, NULL);
    InvCpuDecoder *made;

    g_mkdir(sub, 0700);
    g_file_set_contents(errata, errata_text, -1, NULL);
    g_file_set_contents(microcode, microcode_text, -1, NULL);
    made = inv_cpu_decoder_new(folder, map, models, names, &error);
    g_remove(errata);
    g_remove(microcode);
    g_rmdir(sub);
    g_rmdir(folder);
    assert_null(made);
    assert_int_equal(inv_error_code(error), VIR_ERR_CONF_SYNTAX);
    if (!strstr(error->message, row->message))
        print_error("%s\n", error->message);
    assert_non_null(strstr(error->message, row->message));
}

typedef struct {
    const char *name;
    const char *leaf7_edx;
    guint added; /* of a file that holds every MSR */
} MsrFileCase;

static const MsrFileCase msr_file_cases[] = {
    { .name = "MSRs that CPUID tells of", .leaf7_edx = "0x60000000", .added = 2 },
    { .name = "one of the MSRs", .leaf7_edx = "0x20000000", .added = 1 },
    { .name = "no MSR that CPUID tells of", .leaf7_edx = "0x0" },
};

/* A file of zeroes stands for a driver that answers for every MSR, as a hypervisor may. */
static void
msrs_are_read_where_cpuid_tells_of_them(void **state)
{
    const MsrFileCase *row = *state;
    g_autofree char *text = g_strdup_printf(INTEL "0x1 0x0: eax=0x506e3 ebx=0x0 ecx=0x0 edx=0x0\n0x7 0x0: eax=0x0 ebx=0x0 ecx=0x0 edx=%s\n",
                                            row->leaf7_edx);
    g_autoptr(InvCpuidData) data = inv_cpuid_data_parse(text, strlen(text), NULL);
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("invar-msr-XXXXXX", &path, NULL);
    guint added, again;

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 4096), 0);
    close(fd);
    added = inv_cpuid_data_add_msrs_of(data, path);
    again = inv_cpuid_data_add_msrs_of(data, path);
    g_remove(path);
    assert_int_equal(added, row->added);
    assert_int_equal(again, 0);
    assert_int_equal(inv_cpuid_data_add_msrs_of(data, "/nonexistent/msr"), 0);
}

static void
this_machine_decodes(void **state)
{
    g_autoptr(InvCpuidData) data = inv_cpuid_data_of_this_machine();
    g_autoptr(InvCpuSeen) seen = NULL;

    if (!data)
        skip();
    seen = inv_cpu_seen_from_cpuid(decoder, data, NULL);
    assert_non_null(seen);
    assert_true(inv_feature_set_has(seen->features, "fpu"));
}

/* Generous under the sanitizers: what it guards against is a decode that looks names up for each model. */
static void
decoding_is_fast(void **state)
{
    const InvCpuModelEntry *entry = inv_cpu_models_find(models, "EPYC-Milan");
    g_autoptr(InvFeatureSet) features = inv_feature_set_copy(inv_cpu_decoder_model(decoder, entry->name, FALSE));
    InvCpuSeen seen = { .vendor = (char *)entry->vendor, .family = 25, .model_number = 1, .features = features };
    gint64 begin = g_get_monotonic_time();

    for (guint i = 0; i < 200; i++) {
        g_autoptr(InvCpu) cpu = inv_cpu_describe_seen(decoder, &seen, NULL);

        assert_string_equal(cpu->model, entry->name);
        assert_int_equal(inv_cpu_count_deltas(cpu), 0);
    }
    print_message("# %.0f us per description\n", (double)(g_get_monotonic_time() - begin) / 200);
    assert_true(g_get_monotonic_time() - begin < 2 * G_USEC_PER_SEC);
}

int
main(void)
{
    g_autoptr(GPtrArray) machines = cpu_machine_names();
    TestTable *table = test_table_new(NULL, NULL);

    /* One that is not there when the data is absent, so that its tests are seen to be skipped. */
    if (!machines->len)
        g_ptr_array_add(machines, g_strdup("every machine"));
    for (guint i = 0; i < machines->len; i++) {
        const char *machine = g_ptr_array_index(machines, i);

        test_table_add(table, cpuid_is_described_exactly, machine, "%s by CPUID", machine);
        test_table_add(table, expansion_is_described_exactly, machine, "%s by QEMU", machine);
        test_table_add(table, enabled_and_disabled_agree, machine, "%s enabled and disabled", machine);
    }
    TEST_TABLE_ADD_ROWS(table, bad_cases, bad_dumps_are_refused);
    TEST_TABLE_ADD_ROWS(table, dump_cases, dumps_are_read);
    TEST_TABLE_ADD_ROWS(table, errata_cases, errata_are_of_their_steppings);
    TEST_TABLE_ADD_ROWS(table, table_cases, bad_tables_are_refused);
    TEST_TABLE_ADD_ROWS(table, msr_file_cases, msrs_are_read_where_cpuid_tells_of_them);
    test_table_add(table, a_hundred_thousand_leaves_are_refused, NULL, "a hundred thousand leaves");
    test_table_add(table, total_of_deltas, NULL, "total of deltas");
    test_table_add(table, a_hundred_thousand_features_are_refused, NULL, "a hundred thousand features");
    test_table_add(table, microcode_does_not_change_the_generation, NULL, "microcode keeps the generation");
    test_table_add(table, vmx_brings_its_parts, NULL, "vmx brings its parts");
    test_table_add(table, this_machine_decodes, NULL, "this machine");
    test_table_add(table, decoding_is_fast, NULL, "decoding is fast");
    return test_table_run(table, "decode", load, unload);
}
