/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cpu_driver/invar-cpu.h"
#include "tests/unit/test_table.h"

#include <glib.h>
#include <string.h>
#include <time.h>

/* Through the public header alone, as another program would. */
static InvarCpuContext *context;

static char *
data_file(const char *folder, const char *name, gsize *length)
{
    const char *top = g_getenv("INVAR_TOP_SRCDIR");
    g_autofree char *path = g_build_filename(top ? top : ".", folder, name, NULL);
    char *text = NULL;

    return g_file_get_contents(path, &text, length, NULL) ? text : NULL;
}

static char *
sample(const char *name, gsize *length)
{
    char *text = data_file("tests/data/fuzz/cpu_input", name, length);

    assert_non_null(text);
    return text;
}

static InvarCpu *
read_text(const char *text, const char *arch)
{
    InvarCpu *cpu = NULL;
    char *error = NULL;
    InvarCpuStatus status = invar_cpu_read(context, text, strlen(text), INVAR_CPU_FORMAT_AUTO, arch, &cpu, &error);

    if (error)
        print_error("%s\n", error);
    assert_int_equal(status, INVAR_CPU_OK);
    assert_null(error);
    return cpu;
}

#define LEAF0 "0x0 0x0: eax=0x1 ebx=0x756e6547 ecx=0x6c65746e edx=0x49656e69\n"
#define LEAF1 "0x1 0x0: eax=0x506e3 ebx=0x0 ecx=0x1 edx=0x1\n"
#define HASWELL                                                                                                              \
    "0x0 0x0: eax=0x7 ebx=0x756e6547 ecx=0x6c65746e edx=0x49656e69\n0x1 0x0: eax=0x306c3 ebx=0x0 ecx=0x1 edx=0x1\n"          \
    "0x2 0x0: eax=0x0 ebx=0x0 ecx=0x0 edx=0x0\n0x5 0x0: eax=0x0 ebx=0x0 ecx=0x0 edx=0x0\n"                                   \
    "0x6 0x0: eax=0x0 ebx=0x0 ecx=0x0 edx=0x0\n0x7 0x0: eax=0x0 ebx=0x820 ecx=0x0 edx=0x0\n"

typedef struct {
    const char *name;
    const char *text;   /* the document, or NULL: */
    const char *file;   /* the sample */
    const char *arch;   /* default; NULL: none */
    InvarCpuFormat format;
    const char *model, *vendor, *vendor_id, *wanted_arch;
    guint signature[3]; /* family 0: not told */
    guint phys_bits, level, xlevel;
    const char *has, *lacks;
    guint deltas;
    const char *delta, *policy; /* one of them */
    const char *note;   /* part of one; NULL: there is none */
} GoodCase;

static const GoodCase good_cases[] = {
    { .name = "domain XML", .file = "domain.xml", .format = INVAR_CPU_FORMAT_DOMAIN, .model = "Skylake-Client-v2", .vendor = "Intel",
      .vendor_id = "GenuineIntel", .wanted_arch = "x86_64", .signature = { 6, 94, 3 }, .phys_bits = 40, .level = 0xd, .xlevel = 0x80000008,
      .has = "vmx", .lacks = "vmx-ept", .deltas = 5, .delta = "avx512f", .policy = "forbid" },
    { .name = "domain that follows its host", .file = "domain_passthrough.xml", .format = INVAR_CPU_FORMAT_DOMAIN, .wanted_arch = "x86_64",
      .lacks = "fpu", .note = "host-passthrough" },
    { .name = "a bare <cpu>", .text = "<cpu><model>Nehalem</model><feature policy='require' name='sse4_1'/><feature policy='disable' name='nx'/></cpu>",
      .format = INVAR_CPU_FORMAT_CPU, .model = "Nehalem-v1", .vendor = "Intel", .vendor_id = "GenuineIntel", .wanted_arch = "x86_64",
      .signature = { 6, 26, 3 }, .level = 11, .xlevel = 0x80000008, .has = "sse4.1", .lacks = "nx", .deltas = 2, .delta = "nx", .policy = "disable" },
    { .name = "a host's <cpu>", .file = "host_cpu.xml", .format = INVAR_CPU_FORMAT_CPU, .model = "Nehalem-v1", .vendor = "Intel",
      .vendor_id = "GenuineIntel", .wanted_arch = "x86_64", .signature = { 6, 26, 5 }, .level = 11, .xlevel = 0x80000008, .has = "vme", .lacks = "avx",
      .deltas = 2, .delta = "ss", .policy = "require" },
    { .name = "capabilities", .file = "capabilities.xml", .format = INVAR_CPU_FORMAT_CAPABILITIES, .model = "kvm64-v1", .vendor = "AMD",
      .vendor_id = "AuthenticAMD", .wanted_arch = "x86_64", .signature = { 25, 17, 1 }, .phys_bits = 48, .has = "avx2", .lacks = "vmx", .deltas = G_MAXUINT },
    { .name = "domain capabilities", .file = "domcapabilities.xml", .format = INVAR_CPU_FORMAT_DOMCAPABILITIES, .model = "kvm64-v1", .vendor = "AMD",
      .vendor_id = "AuthenticAMD", .wanted_arch = "x86_64", .signature = { 15, 6, 1 }, .phys_bits = G_MAXUINT, .level = 13, .xlevel = 0x80000008, .has = "x2apic",
      .lacks = "vmx", .deltas = G_MAXUINT },
    { .name = "<cpudata> of features alone", .text = "<cpudata arch='x86'><cpuid eax_in='1' eax='0' ebx='0' ecx='0x2000000' edx='1'/></cpudata>",
      .format = INVAR_CPU_FORMAT_CPUDATA, .wanted_arch = "x86_64", .has = "aes", .lacks = "sse2", .deltas = 2, .delta = "fpu", .policy = "require",
      .note = "neither vendor nor model" },
    { .name = "<cpudata>", .file = "cpudata.xml", .format = INVAR_CPU_FORMAT_CPUDATA, .model = "KnightsMill-v1", .vendor = "Intel", .vendor_id = "GenuineIntel",
      .wanted_arch = "x86_64", .signature = { G_MAXUINT }, .has = "fpu", .deltas = G_MAXUINT },
    { .name = "cpuid -r", .file = "own.dump", .format = INVAR_CPU_FORMAT_CPUID, .model = "Skylake-Client-v2", .vendor = "Intel", .vendor_id = "GenuineIntel",
      .wanted_arch = "x86_64", .signature = { G_MAXUINT }, .has = "fpu", .deltas = G_MAXUINT, .note = "vmx-*" },
    { .name = "the witness guest", .file = "witness.txt", .format = INVAR_CPU_FORMAT_CPUID, .model = "Broadwell-v2", .vendor = "Intel",
      .vendor_id = "GenuineIntel", .wanted_arch = "x86_64", .signature = { 6, 94, 3 }, .phys_bits = G_MAXUINT, .level = 13, .xlevel = 0x80000008,
      .has = "avx2", .lacks = "x2apic", .deltas = G_MAXUINT, .delta = "x2apic", .policy = "disable" },
    { .name = "vmx without its MSRs", .text = LEAF0 "0x1 0x0: eax=0x506e3 ebx=0x0 ecx=0x21 edx=0x1\n", .format = INVAR_CPU_FORMAT_CPUID,
      .model = "486-v1", .vendor = "Intel", .vendor_id = "GenuineIntel", .wanted_arch = "x86_64", .signature = { 6, 94, 3 }, .level = 1, .has = "vmx",
      .lacks = "vmx-ept", .deltas = G_MAXUINT, .delta = "vmx", .policy = "require", .note = "the MSRs of vmx-* are not in the dump" },
    { .name = "broken on its chip", .text = HASWELL, .format = INVAR_CPU_FORMAT_CPUID, .model = "486-v1", .vendor = "Intel", .vendor_id = "GenuineIntel",
      .wanted_arch = "x86_64", .signature = { 6, 60, 3 }, .level = 7, .has = "avx2", .lacks = "rtm", .deltas = G_MAXUINT, .delta = "avx2",
      .policy = "require", .note = "CPUID shows rtm, which is broken on this chip and left out: Haswell" },
    { .name = "QMP of x86", .file = "qmp_x86.json", .format = INVAR_CPU_FORMAT_QMP, .model = "EPYC-Rome-v2", .vendor = "AMD", .vendor_id = "AuthenticAMD",
      .wanted_arch = "x86_64", .signature = { G_MAXUINT }, .has = "fpu", .deltas = G_MAXUINT },
    { .name = "QMP of s390x", .file = "qmp_s390x.json", .format = INVAR_CPU_FORMAT_QMP, .model = "gen16a-base", .wanted_arch = "s390x", .has = "vx",
      .deltas = G_MAXUINT },
    { .name = "QMP of aarch64", .file = "qmp_aarch64.json", .format = INVAR_CPU_FORMAT_QMP, .model = "host", .wanted_arch = "aarch64", .has = "aarch64",
      .lacks = "x2apic", .deltas = G_MAXUINT },
    { .name = "bare properties", .text = "{\"vendor\": \"AuthenticAMD\", \"family\": 15, \"model\": 107, \"stepping\": 1, \"fpu\": true, \"sse3\": true}",
      .format = INVAR_CPU_FORMAT_QMP, .model = "Opteron_G1-v1", .vendor = "AMD", .vendor_id = "AuthenticAMD", .wanted_arch = "x86_64",
      .signature = { 15, 107, 1 }, .has = "pni", .lacks = "svm", .deltas = G_MAXUINT },
    { .name = "riscv64 by its properties", .text = "{\"return\": {\"model\": {\"name\": \"rv64\", \"props\": {\"zicsr\": true, \"v\": false}}}}",
      .format = INVAR_CPU_FORMAT_QMP, .model = "rv64", .wanted_arch = "riscv64", .has = "zicsr", .lacks = "v", .deltas = 2, .delta = "v", .policy = "disable" },
    { .name = "ppc64 by the caller", .text = "<cpu mode='custom' match='exact'><model>POWER9</model></cpu>", .arch = "ppc64", .format = INVAR_CPU_FORMAT_CPU,
      .model = "POWER9", .wanted_arch = "ppc64", .lacks = "vsx", .note = "only QEMU knows" },
    { .name = "s390x by itself", .file = "s390x_cpu.xml", .format = INVAR_CPU_FORMAT_CPU, .model = "gen15a-base", .wanted_arch = "s390x", .has = "vx",
      .lacks = "te", .deltas = 1, .delta = "vx", .policy = "require" },
    { .name = "a guest of 32 bits", .text = "<domain><os><type arch='i686'>hvm</type></os><cpu><model>qemu32</model></cpu></domain>",
      .format = INVAR_CPU_FORMAT_DOMAIN, .model = "qemu32-v1", .wanted_arch = "i686",
      .signature = { 6, 6, 3 }, .level = 4, .xlevel = 0x80000004, .has = "fpu", .lacks = "lm" },
    { .name = "a byte order mark", .file = "bom.xml", .format = INVAR_CPU_FORMAT_CPU, .model = "qemu64-v1", .wanted_arch = "x86_64", .signature = { 15, 107, 1 }, .level = 13, .xlevel = 0x8000000a, .has = "lm", .lacks = "vmx" },
};

static void
check_deltas(const GoodCase *row, const InvarCpu *cpu)
{
    const char *policy, *name, *before = "";
    gboolean found = !row->delta;
    guint n = 0;

    for (; (name = invar_cpu_delta(cpu, n, &policy)); n++) {
        assert_true(strcmp(before, name) < 0);
        before = name;
        if (g_strcmp0(name, row->delta) == 0) {
            assert_string_equal(policy, row->policy);
            found = TRUE;
        }
    }
    assert_true(found);
    if (row->deltas != G_MAXUINT)
        assert_int_equal(n, row->deltas);
    assert_null(invar_cpu_delta(cpu, n + 100, NULL));
}

static void
check_numbers(const GoodCase *row, const InvarCpu *cpu)
{
    unsigned family = 0, model = 0, stepping = 0;
    int told = invar_cpu_signature(cpu, &family, &model, &stepping);

    assert_int_equal(told, row->signature[0] ? 0 : -1);
    if (row->signature[0] && row->signature[0] != G_MAXUINT) {
        assert_int_equal(family, row->signature[0]);
        assert_int_equal(model, row->signature[1]);
        assert_int_equal(stepping, row->signature[2]);
    }
    if (row->signature[0] == G_MAXUINT)
        return;
    if (row->phys_bits != G_MAXUINT)
        assert_int_equal(invar_cpu_phys_bits(cpu), row->phys_bits);
    assert_int_equal(invar_cpu_level(cpu), row->level);
    assert_int_equal(invar_cpu_xlevel(cpu), row->xlevel);
}

static void
check_text(const char *is, const char *wanted)
{
    if (!wanted)
        assert_null(is);
    else
        assert_string_equal(is ? is : "(none)", wanted);
}

static void
documents_are_read(void **state)
{
    const GoodCase *row = *state;
    gsize length = row->text ? strlen(row->text) : 0;
    g_autofree char *text = row->text ? g_strdup(row->text) : sample(row->file, &length);
    const char *const *notes, *const *list;
    InvarCpu *cpu = NULL;
    char *error = NULL;
    InvarCpuStatus status = invar_cpu_read(context, text, length, INVAR_CPU_FORMAT_AUTO, row->arch, &cpu, &error);
    gboolean noted = FALSE;

    if (error)
        print_error("%s\n", error);
    assert_int_equal(status, INVAR_CPU_OK);
    assert_int_equal(invar_cpu_format(cpu), row->format);
    check_text(invar_cpu_model(cpu), row->model);
    check_text(invar_cpu_vendor(cpu), row->vendor);
    check_text(invar_cpu_vendor_id(cpu), row->vendor_id);
    check_text(invar_cpu_arch(cpu), row->wanted_arch);
    check_numbers(row, cpu);
    assert_true(!row->has || invar_cpu_has(cpu, row->has));
    assert_false(row->lacks && invar_cpu_has(cpu, row->lacks));
    check_deltas(row, cpu);
    for (list = invar_cpu_expanded(cpu); *list; list++) {
        assert_true(invar_cpu_has(cpu, *list));
        assert_true(!list[1] || strcmp(list[0], list[1]) < 0);
    }
    for (notes = invar_cpu_notes(cpu); *notes; notes++)
        noted = noted || !row->note || strstr(*notes, row->note);
    assert_int_equal(noted, row->note != NULL);
    invar_cpu_unref(cpu);
    /* Said to be what it is, it is read the same; said to be something else, it is refused. */
    assert_int_equal(invar_cpu_read(context, text, length, row->format, row->arch, &cpu, NULL), INVAR_CPU_OK);
    invar_cpu_unref(cpu);
    assert_int_equal(invar_cpu_read(context, text, length, row->format == INVAR_CPU_FORMAT_QMP ? INVAR_CPU_FORMAT_CPU : INVAR_CPU_FORMAT_QMP, row->arch,
                                    &cpu, NULL),
                     INVAR_CPU_ERROR_INPUT);
    assert_null(cpu);
}

typedef struct {
    const char *name;
    const char *text;
    const char *file;
    const char *arch;
    InvarCpuFormat format;
    InvarCpuStatus status;
    const char *message;
} BadCase;

static const BadCase bad_cases[] = {
    { .name = "nothing", .text = "", .status = INVAR_CPU_ERROR_INPUT, .message = "empty" },
    { .name = "blanks", .text = " \n\t\n", .status = INVAR_CPU_ERROR_INPUT, .message = "empty" },
    { .name = "binary", .file = "binary", .status = INVAR_CPU_ERROR_INPUT, .message = "not text: byte 7 is 0x00" },
    { .name = "prose", .text = "Dear sir,\n", .status = INVAR_CPU_ERROR_INPUT, .message = "begins with 'Dear sir,' and is none of what can be read" },
    { .name = "other XML", .text = "<pool><name/></pool>", .status = INVAR_CPU_ERROR_INPUT, .message = "describes no CPU" },
    { .name = "XML cut off", .text = "<cpu><model>Penryn</mod", .status = INVAR_CPU_ERROR_INPUT, .message = "line 1: a tag that begins here has no end" },
    { .name = "XML cut off between tags", .text = "\n<cpu><model>Penryn", .status = INVAR_CPU_ERROR_INPUT, .message = "line 2: <cpu> that begins here has no end" },
    { .name = "XML without its beginning", .text = "</cpu>", .status = INVAR_CPU_ERROR_INPUT, .message = "</cpu> ends no element" },
    { .name = "text behind XML", .text = "<cpu><model>Penryn</model></cpu>\nmore", .status = INVAR_CPU_ERROR_INPUT, .message = "line 2: text outside" },
    { .name = "elements that do not match", .text = "<cpu><model>Penryn</cpu></model>", .status = INVAR_CPU_ERROR_INPUT, .message = "malformed XML" },
    { .name = "a list that does not end", .text = "<hosts><cpu><model>Penryn</model></cpu>", .status = INVAR_CPU_ERROR_INPUT, .message = "<hosts> has no end" },
    { .name = "document type", .file = "doctype.xml", .status = INVAR_CPU_ERROR_INPUT, .message = "document type" },
    { .name = "deep nesting around", .file = "nested", .status = INVAR_CPU_ERROR_INPUT, .message = "within 16 elements" },
    { .name = "a second CPU", .text = "<cpu><model>Penryn</model></cpu>\n<cpu><model>Penryn</model></cpu>", .status = INVAR_CPU_ERROR_INPUT,
      .message = "line 2: a second CPU begins here" },
    { .name = "an error in the third line", .text = "<cpu>\n<model>Penryn</model>\n<feature policy='perhaps' name='nx'/></cpu>",
      .status = INVAR_CPU_ERROR_INPUT, .message = "line 3: <feature policy='perhaps'>" },
    { .name = "feature twice", .text = "<cpu><model>Penryn</model><feature name='nx'/><feature name='nx'/></cpu>", .status = INVAR_CPU_ERROR_INPUT,
      .message = "given twice" },
    { .name = "feature twice by two spellings", .file = "spellings.xml", .status = INVAR_CPU_ERROR_INPUT, .message = "'sse4.1' is given twice, by different spellings" },
    { .name = "unknown feature", .text = "<cpu><model>Penryn</model><feature name='avx513f'/></cpu>", .status = INVAR_CPU_ERROR_UNKNOWN, .message = "avx512f" },
    { .name = "unknown model", .text = "<cpu><model>Penrin</model></cpu>", .status = INVAR_CPU_ERROR_UNKNOWN, .message = "Penryn" },
    { .name = "model of another architecture", .text = "<cpu><model>gen15a</model></cpu>", .status = INVAR_CPU_ERROR_UNKNOWN,
      .message = "is of s390x, and the CPU is taken for one of x86_64" },
    { .name = "unknown vendor", .text = "<cpu><model>Penryn</model><vendor>Acme</vendor></cpu>", .status = INVAR_CPU_ERROR_UNKNOWN, .message = "'Acme' is not known" },
    { .name = "unknown architecture", .text = "<cpu><arch>vax</arch><model>780</model></cpu>", .status = INVAR_CPU_ERROR_UNKNOWN, .message = "'vax' is not known" },
    { .name = "unknown default architecture", .text = "<cpu><model>780</model></cpu>", .arch = "vax", .status = INVAR_CPU_ERROR_UNKNOWN, .message = "'vax'" },
    { .name = "no model", .text = "<cpu/>", .status = INVAR_CPU_ERROR_INPUT, .message = "no <model>" },
    { .name = "domain without <cpu>", .text = "<domain><name>a</name></domain>", .status = INVAR_CPU_ERROR_UNSUPPORTED, .message = "only QEMU knows" },
    { .name = "capabilities without a CPU", .text = "<capabilities><host/></capabilities>", .status = INVAR_CPU_ERROR_INPUT, .message = "nothing of the host's CPU" },
    { .name = "domain capabilities without a host-model",
      .text = "<domainCapabilities><cpu><mode name='host-model' supported='no'/></cpu></domainCapabilities>", .status = INVAR_CPU_ERROR_INPUT,
      .message = "no host-model" },
    { .name = "not what was said", .text = "<cpu><model>Penryn</model></cpu>", .format = INVAR_CPU_FORMAT_DOMAIN, .status = INVAR_CPU_ERROR_INPUT,
      .message = "this is <cpu>, and domain XML was expected" },
    { .name = "dump without leaf 1", .text = LEAF0, .status = INVAR_CPU_ERROR_INPUT, .message = "leaf 1 is missing" },
    { .name = "dump cut off", .text = LEAF0 "0x1 0x0: eax=0x506", .status = INVAR_CPU_ERROR_INPUT, .message = "line 2: " },
    { .name = "dump of only comments", .text = "# nothing\n", .format = INVAR_CPU_FORMAT_CPUID, .status = INVAR_CPU_ERROR_INPUT, .message = "begins with '# nothing'" },
    { .name = "contradictory leaves", .text = LEAF0 LEAF1 "0x1 0x0: eax=0x1 ebx=0x0 ecx=0x1 edx=0x1\n", .status = INVAR_CPU_ERROR_INPUT,
      .message = "line 3: CPUID leaf 0x00000001, subleaf 0x0 is there twice" },
    { .name = "dump of an unknown vendor", .text = "0x0 0x0: eax=0x1 ebx=0x656d6341 ecx=0x656d6341 edx=0x656d6341\n" LEAF1, .status = INVAR_CPU_ERROR_UNKNOWN,
      .message = "'AcmeAcmeAcme'" },
    { .name = "witness cut off", .file = "witness_cut.txt", .status = INVAR_CPU_ERROR_INPUT, .message = "is it cut off?" },
    { .name = "witness twice, not the same", .text = "00000000 00000000 00000001 00000000 00000000 00000000\n00000000 00000000 00000002 00000000 00000000 00000000\n",
      .status = INVAR_CPU_ERROR_INPUT, .message = "line 2: CPUID leaf 0x00000000" },
    { .name = "JSON cut off", .file = "qmp_cut.json", .status = INVAR_CPU_ERROR_INPUT, .message = "line 1: the JSON document that begins here has no end" },
    { .name = "a JSON list cut off", .text = "[{\"return\": {}},\n", .status = INVAR_CPU_ERROR_INPUT, .message = "line 2: the JSON list has no end" },
    { .name = "a JSON list without its beginning", .text = "{\"return\": {}}]", .status = INVAR_CPU_ERROR_INPUT, .message = "ends no list" },
    { .name = "JSON of plain values", .text = "[17]", .status = INVAR_CPU_ERROR_INPUT, .message = "'17]' begins no JSON document" },
    { .name = "JSON that is none", .text = "{\"return\": nothing}", .status = INVAR_CPU_ERROR_INPUT, .message = "" },
    { .name = "JSON without an expansion", .text = "{\"return\": {}}\n[{\"return\": []}]", .status = INVAR_CPU_ERROR_INPUT, .message = "of 2 JSON documents none" },
    { .name = "QEMU's error", .file = "qmp_error.json", .status = INVAR_CPU_ERROR_INPUT, .message = "not a recognized CPU" },
    { .name = "expansion of nowhere", .text = "{\"return\": {\"model\": {\"name\": \"x\", \"props\": {\"a\": true}}}}", .status = INVAR_CPU_ERROR_INPUT,
      .message = "tells the architecture" },
    { .name = "expansion with a short vendor", .text = "{\"vendor\": \"Intel\", \"fpu\": true}", .status = INVAR_CPU_ERROR_INPUT, .message = "no usable 'vendor'" },
    { .name = "a format that is none", .text = "<cpu/>", .format = (InvarCpuFormat)77, .status = INVAR_CPU_ERROR_INPUT, .message = "is not a document" },
};

static void
bad_documents_are_refused(void **state)
{
    const BadCase *row = *state;
    gsize length = row->text ? strlen(row->text) : 0;
    /* Without an end of its own, so that reading beyond it is seen. */
    g_autofree char *text = row->text ? g_memdup2(row->text, length) : sample(row->file, &length);
    InvarCpu *cpu = NULL;
    char *error = NULL;
    InvarCpuStatus status = invar_cpu_read(context, text, length, row->format, row->arch, &cpu, &error);

    assert_null(cpu);
    assert_non_null(error);
    if (!strstr(error, row->message) || status != row->status)
        print_error("%s\n", error);
    assert_non_null(strstr(error, row->message));
    assert_int_equal(status, row->status);
    invar_cpu_free(error);
    assert_int_equal(invar_cpu_read(context, text, length, row->format, row->arch, &cpu, NULL), row->status);
}

typedef struct {
    GString *models;
    guint count;
    InvarCpuStatus stop; /* after the second */
} Visits;

static InvarCpuStatus
note_visit(InvarCpu *cpu, void *user_data, char **error)
{
    Visits *visits = user_data;

    g_string_append_printf(visits->models, "%s%s", visits->count++ ? " " : "", invar_cpu_model(cpu) ? invar_cpu_model(cpu) : "-");
    invar_cpu_unref(cpu);
    if (visits->count < 2 || visits->stop == INVAR_CPU_OK)
        return INVAR_CPU_OK;
    *error = g_strdup("enough");
    return visits->stop;
}

static const struct {
    const char *name, *text, *file, *models;
    InvarCpuStatus status;
} many_cases[] = {
    { .name = "in elements of other names", .file = "many.xml", .models = "Penryn-v1 Nehalem-v2 486-v1 z14" },
    { .name = "one after another", .text = "<cpu><model>Penryn</model></cpu><?xml version='1.0'?>\n<domain><cpu><model>qemu64</model></cpu></domain>\n",
      .models = "Penryn-v1 qemu64-v1" },
    { .name = "dumps of two machines", .file = "machines.dump", .models = "Skylake-Client-v2 Skylake-Client-v2" },
    { .name = "a list of replies", .file = "qmp_list.json", .models = "athlon-v1 486-v1" },
    { .name = "the second is wrong", .text = "<cpu><model>Penryn</model></cpu><cpu><model>Penrin</model></cpu>", .models = "Penryn-v1",
      .status = INVAR_CPU_ERROR_UNKNOWN },
    { .name = "none", .text = "<hosts/>", .models = "", .status = INVAR_CPU_ERROR_INPUT },
};

static void
many_are_read(void **state)
{
    for (guint i = 0; i < G_N_ELEMENTS(many_cases); i++) {
        gsize length = many_cases[i].text ? strlen(many_cases[i].text) : 0;
        g_autofree char *text = many_cases[i].text ? g_strdup(many_cases[i].text) : sample(many_cases[i].file, &length);
        Visits visits = { .models = g_string_new(NULL) };
        char *error = NULL;
        InvarCpuStatus status = invar_cpu_read_all(context, text, length, INVAR_CPU_FORMAT_AUTO, NULL, note_visit, &visits, &error);

        if (strcmp(visits.models->str, many_cases[i].models) != 0 || status != many_cases[i].status)
            print_error("%s: %s: %s\n", many_cases[i].name, visits.models->str, error ? error : "");
        assert_string_equal(visits.models->str, many_cases[i].models);
        assert_int_equal(status, many_cases[i].status);
        assert_int_equal(error != NULL, status != INVAR_CPU_OK);
        invar_cpu_free(error);
        g_string_free(visits.models, TRUE);
    }
}

static void
a_visitor_can_stop(void **state)
{
    gsize length;
    g_autofree char *text = sample("many.xml", &length);
    Visits visits = { .models = g_string_new(NULL), .stop = INVAR_CPU_ERROR_NO_ANSWER };
    char *error = NULL;

    assert_int_equal(invar_cpu_read_all(context, text, length, INVAR_CPU_FORMAT_AUTO, NULL, note_visit, &visits, &error), INVAR_CPU_ERROR_NO_ANSWER);
    assert_string_equal(error, "enough");
    assert_int_equal(visits.count, 2);
    invar_cpu_free(error);
    assert_int_equal(invar_cpu_read_all(context, text, length, INVAR_CPU_FORMAT_AUTO, NULL, note_visit, &visits, NULL), INVAR_CPU_ERROR_NO_ANSWER);
    g_string_free(visits.models, TRUE);
}

/* Written and read again it has the same features, named in full or by its model. */
static void
xml_means_the_same(void **state)
{
    static const char *const documents[] = {
        "<cpu><model>EPYC-Milan</model><feature policy='disable' name='svm'/></cpu>",
        "<cpu><model>Skylake-Server-noTSX-IBRS</model><feature policy='require' name='vmx'/><feature policy='disable' name='vmx-ept'/></cpu>",
        "<cpu match='strict'><model>486</model><vendor>Intel</vendor><feature policy='optional' name='nx'/></cpu>",
        "{\"vendor\": \"GenuineIntel\", \"family\": 6, \"model\": 94, \"stepping\": 3, \"fpu\": true, \"vmx\": true, \"vmx-ept\": true}",
    };

    for (guint i = 0; i < G_N_ELEMENTS(documents); i++) {
        InvarCpu *cpu = read_text(documents[i], NULL);

        for (int expand = 0; expand < 2; expand++) {
            char *xml = invar_cpu_to_xml(cpu, expand);
            InvarCpu *again = read_text(xml, NULL);

            assert_true(g_strv_equal(invar_cpu_expanded(cpu), invar_cpu_expanded(again)));
            assert_string_equal(invar_cpu_model(cpu), invar_cpu_model(again));
            assert_true(!expand || strstr(xml, "name='fpu'"));
            invar_cpu_unref(again);
            invar_cpu_free(xml);
        }
        invar_cpu_unref(cpu);
    }
}

typedef struct {
    const char *name, *host, *cpu;
    const char *host_arch, *cpu_arch;
    InvarCpuRelation relation;
    const char *reasons; /* kind:feature, those that block with a ! */
    const char *layer;   /* of the first */
} CompareCase;

static const CompareCase compare_cases[] = {
    { .name = "the same", .host = "<cpu><model>Penryn</model></cpu>", .cpu = "<cpu><model>Penryn</model></cpu>", .relation = INVAR_CPU_IDENTICAL, .reasons = "" },
    { .name = "more", .host = "<cpu><model>Penryn</model><feature name='aes'/></cpu>", .cpu = "<cpu><model>Penryn</model></cpu>",
      .relation = INVAR_CPU_SUPERSET, .reasons = "extra:aes" },
    { .name = "less", .host = "<cpu><model>Penryn</model></cpu>", .cpu = "<cpu><model>Penryn</model><feature name='aes'/></cpu>",
      .relation = INVAR_CPU_INCOMPATIBLE, .reasons = "!missing:aes" },
    { .name = "forbidden", .host = "<cpu><model>Penryn</model><feature name='aes'/></cpu>",
      .cpu = "<cpu><model>Penryn</model><feature policy='forbid' name='aes'/></cpu>", .relation = INVAR_CPU_INCOMPATIBLE, .reasons = "!forbidden:aes",
      .layer = "configuration" },
    { .name = "strict", .host = "<cpu><model>Penryn</model><feature name='aes'/></cpu>", .cpu = "<cpu match='strict'><model>Penryn</model></cpu>",
      .relation = INVAR_CPU_INCOMPATIBLE, .reasons = "!extra:aes", .layer = "configuration" },
    { .name = "disabled is said", .host = "<cpu><model>Penryn</model><feature name='aes'/></cpu>",
      .cpu = "<cpu match='strict'><model>Penryn</model><feature policy='disable' name='aes'/></cpu>", .relation = INVAR_CPU_IDENTICAL, .reasons = "" },
    { .name = "vendor", .host = "<cpu><model>Opteron_G1</model></cpu>", .cpu = "<cpu><model>qemu64</model><vendor>Intel</vendor><feature policy='disable' name='svm'/></cpu>",
      .relation = INVAR_CPU_INCOMPATIBLE, .reasons = NULL, .layer = NULL },
    { .name = "follows the host", .host = "<cpu><model>Penryn</model></cpu>", .cpu = "<cpu mode='host-passthrough'/>", .relation = INVAR_CPU_IDENTICAL, .reasons = "" },
    { .name = "architecture", .host = "<cpu><model>Penryn</model></cpu>", .cpu = "<cpu><arch>s390x</arch><model>gen15a</model></cpu>",
      .relation = INVAR_CPU_INCOMPATIBLE, .reasons = "!arch:-", .layer = "hardware" },
    { .name = "32 bits on 64", .host = "<cpu><model>qemu32</model></cpu>", .cpu = "<cpu><arch>i686</arch><model>qemu32</model></cpu>",
      .relation = INVAR_CPU_IDENTICAL, .reasons = "" },
    { .name = "64 bits on 32", .host = "<cpu><arch>i686</arch><model>qemu32</model></cpu>", .cpu = "<cpu><model>qemu32</model></cpu>",
      .relation = INVAR_CPU_INCOMPATIBLE, .reasons = "!arch:-", .layer = "hardware" },
    { .name = "width", .host = "{\"vendor\": \"GenuineIntel\", \"family\": 6, \"model\": 15, \"stepping\": 3, \"phys-bits\": 36, \"fpu\": true, \"pse\": true, \"vme\": true}",
      .cpu = "<cpu><model>486</model><maxphysaddr mode='emulate' bits='40'/></cpu>", .relation = INVAR_CPU_INCOMPATIBLE, .reasons = "!phys-bits:-", .layer = "hardware" },
    { .name = "hardware lacks it", .host = LEAF0 LEAF1, .cpu = "<cpu><model>486</model></cpu>", .relation = INVAR_CPU_INCOMPATIBLE, .reasons = NULL, .layer = "hardware" },
};

static void
comparisons_tell_why(void **state)
{
    const CompareCase *row = *state;
    InvarCpu *host = read_text(row->host, row->host_arch);
    InvarCpu *cpu = read_text(row->cpu, row->cpu_arch);
    g_autoptr(GString) reasons = g_string_new(NULL);
    InvarCpuComparison *comparison = NULL;
    const InvarCpuReason *reason;
    char *error = NULL;
    gboolean vendor = FALSE, blocks = FALSE;

    assert_int_equal(invar_cpu_compare(context, host, cpu, &comparison, &error), INVAR_CPU_OK);
    assert_null(error);
    for (guint i = 0; (reason = invar_cpu_comparison_reason(comparison, i)); i++) {
        assert_true(reason->text && *reason->text && !g_str_has_suffix(reason->text, "."));
        vendor = vendor || reason->kind == INVAR_CPU_REASON_VENDOR;
        blocks = blocks || reason->blocks;
        if (i == 0)
            check_text(reason->layer, row->layer);
        if (reason->kind != INVAR_CPU_REASON_LEVEL)
            g_string_append_printf(reasons, "%s%s%s:%s", reasons->len ? " " : "", reason->blocks ? "!" : "", invar_cpu_reason_kind_name(reason->kind),
                                   reason->feature ? reason->feature : "-");
    }
    if (row->reasons)
        assert_string_equal(reasons->str, row->reasons);
    assert_int_equal(invar_cpu_comparison_relation(comparison), row->relation);
    assert_int_equal(blocks, row->relation == INVAR_CPU_INCOMPATIBLE);
    assert_int_equal(vendor, strcmp(row->name, "vendor") == 0);
    invar_cpu_comparison_free(comparison);
    invar_cpu_unref(host);
    invar_cpu_unref(cpu);
}

static void
some_cannot_be_compared(void **state)
{
    InvarCpu *s390x = read_text("<cpu><arch>s390x</arch><model>gen15a</model></cpu>", NULL);
    InvarCpu *follows = read_text("<cpu mode='host-model'/>", NULL);
    InvarCpu *plain = read_text("<cpu><model>Penryn</model></cpu>", NULL);
    InvarCpuComparison *comparison = NULL;
    InvarCpuBaseline *baseline = NULL;
    InvarCpuContext *other = NULL;
    char *error = NULL;

    assert_int_equal(invar_cpu_compare(context, s390x, s390x, &comparison, &error), INVAR_CPU_ERROR_UNSUPPORTED);
    assert_non_null(strstr(error, "s390x"));
    invar_cpu_free(error);
    assert_int_equal(invar_cpu_compare(context, follows, plain, &comparison, NULL), INVAR_CPU_ERROR_INPUT);
    assert_int_equal(invar_cpu_baseline_new(context, "s390x", &baseline, NULL), INVAR_CPU_ERROR_UNSUPPORTED);
    assert_int_equal(invar_cpu_baseline_new(context, "vax", &baseline, NULL), INVAR_CPU_ERROR_UNKNOWN);
    assert_int_equal(invar_cpu_context_new(NULL, &other, NULL), INVAR_CPU_OK);
    assert_int_equal(invar_cpu_compare(other, plain, plain, &comparison, NULL), INVAR_CPU_ERROR_INPUT);
    assert_null(comparison);
    assert_null(baseline);
    /* What was read with a context outlives it. */
    invar_cpu_context_free(other);
    invar_cpu_unref(s390x);
    invar_cpu_unref(follows);
    invar_cpu_unref(plain);
    invar_cpu_comparison_free(NULL);
    invar_cpu_baseline_free(NULL);
    invar_cpu_context_free(NULL);
    invar_cpu_unref(NULL);
}

static void
baselines_are_common_to_all(void **state)
{
    InvarCpu *penryn = read_text("<cpu><model>Penryn</model><feature name='invtsc'/></cpu>", NULL);
    InvarCpu *nehalem = read_text("<cpu><model>Nehalem</model><feature name='invtsc'/></cpu>", NULL);
    InvarCpu *amd = read_text("<cpu><model>EPYC</model></cpu>", NULL);
    InvarCpu *s390x = read_text("<cpu><arch>s390x</arch><model>gen15a</model></cpu>", NULL);
    InvarCpuBaseline *baseline = NULL;
    InvarCpu *common = NULL;
    char *error = NULL;

    assert_int_equal(invar_cpu_baseline_new(context, NULL, &baseline, &error), INVAR_CPU_OK);
    assert_int_equal(invar_cpu_baseline_result(baseline, 0, &common, &error), INVAR_CPU_ERROR_INPUT);
    invar_cpu_free(error);
    assert_int_equal(invar_cpu_baseline_add(baseline, nehalem, "nehalem.xml", NULL), INVAR_CPU_OK);
    assert_int_equal(invar_cpu_baseline_add(baseline, amd, "amd.xml", &error), INVAR_CPU_ERROR_NO_ANSWER);
    assert_non_null(strstr(error, "amd.xml"));
    assert_non_null(strstr(error, "nehalem.xml"));
    invar_cpu_free(error);
    assert_int_equal(invar_cpu_baseline_add(baseline, s390x, NULL, &error), INVAR_CPU_ERROR_INPUT);
    assert_non_null(strstr(error, "CPU 2 is of s390x"));
    invar_cpu_free(error);
    assert_int_equal(invar_cpu_baseline_result(baseline, 0, &common, NULL), INVAR_CPU_OK);
    assert_string_equal(invar_cpu_model(common), "Nehalem-v1");
    invar_cpu_unref(common);
    assert_int_equal(invar_cpu_baseline_add(baseline, penryn, NULL, NULL), INVAR_CPU_OK);
    for (int migratable = 0; migratable < 2; migratable++) {
        assert_int_equal(invar_cpu_baseline_result(baseline, migratable, &common, NULL), INVAR_CPU_OK);
        assert_string_equal(invar_cpu_model(common), "Penryn-v1");
        assert_int_equal(invar_cpu_has(common, "invtsc"), !migratable);
        assert_false(invar_cpu_has(common, "popcnt"));
        invar_cpu_unref(common);
    }
    invar_cpu_baseline_free(baseline);
    invar_cpu_unref(penryn);
    invar_cpu_unref(nehalem);
    invar_cpu_unref(amd);
    invar_cpu_unref(s390x);
}

static void
explanations_are_complete(void **state)
{
    const InvarCpuFeatureFacts *facts = NULL, *again = NULL;
    char *error = NULL;

    assert_int_equal(invar_cpu_explain(context, NULL, "sse3", &facts, NULL), INVAR_CPU_OK);
    assert_string_equal(facts->name, "pni");
    assert_string_equal(facts->source, "CPUID");
    assert_int_equal(facts->leaf, 1);
    assert_string_equal(facts->reg, "ecx");
    assert_int_equal(facts->mask, 1);
    assert_true(facts->migratable && facts->passed);
    assert_true(g_strv_contains(facts->aliases, "sse3"));
    assert_true(g_strv_contains(facts->models, "Penryn-v1"));
    assert_false(g_strv_contains(facts->models, "486-v1"));
    assert_non_null(facts->about);
    assert_int_equal(invar_cpu_explain(context, "i686", "pni", &again, NULL), INVAR_CPU_OK);
    assert_ptr_equal(again, facts);
    assert_int_equal(invar_cpu_explain(context, NULL, "avx2", &facts, NULL), INVAR_CPU_OK);
    assert_non_null(facts->cost);
    assert_null(facts->needs[0]);
    assert_int_equal(invar_cpu_explain(context, NULL, "sgx1", &facts, NULL), INVAR_CPU_OK);
    assert_true(g_strv_contains(facts->needs, "sgx"));
    assert_int_equal(invar_cpu_explain(context, NULL, "sgx", &facts, NULL), INVAR_CPU_OK);
    assert_true(g_strv_contains(facts->needed_by, "sgx1"));
    assert_int_equal(invar_cpu_explain(context, NULL, "vmx-ept", &facts, NULL), INVAR_CPU_OK);
    assert_string_equal(facts->source, "MSR");
    assert_null(facts->reg);
    assert_non_null(facts->layers[0]);
    assert_true(g_strv_contains(facts->models, "Skylake-Client-v1"));
    assert_false(g_strv_contains(facts->models, "EPYC-v1"));
    assert_int_equal(invar_cpu_explain(context, NULL, "invtsc", &facts, NULL), INVAR_CPU_OK);
    assert_false(facts->migratable);
    assert_int_equal(invar_cpu_explain(context, NULL, "cmt", &facts, NULL), INVAR_CPU_OK);
    assert_false(facts->passed);
    assert_string_equal(facts->layers[0], "no QEMU can give it to a guest");
    assert_int_equal(invar_cpu_explain(context, NULL, "vme", &facts, NULL), INVAR_CPU_OK);
    assert_non_null(strstr(facts->layers[0], "TCG"));
    assert_int_equal(invar_cpu_explain(context, NULL, "avxx", &facts, &error), INVAR_CPU_ERROR_UNKNOWN);
    assert_non_null(strstr(error, "avx"));
    assert_null(facts);
    invar_cpu_free(error);
    assert_int_equal(invar_cpu_explain(context, "s390x", "vx", &facts, NULL), INVAR_CPU_ERROR_UNSUPPORTED);
    assert_int_equal(invar_cpu_explain(context, "vax", "vx", &facts, NULL), INVAR_CPU_ERROR_UNKNOWN);
}

static void
names_are_words(void **state)
{
    for (int i = 0; i <= INVAR_CPU_FORMAT_HOST + 1; i++)
        assert_true(strlen(invar_cpu_format_name((InvarCpuFormat)i)) > 3);
    assert_string_equal(invar_cpu_format_name(INVAR_CPU_FORMAT_HOST), "this machine");
    assert_string_equal(invar_cpu_relation_name(INVAR_CPU_INCOMPATIBLE), "incompatible");
    assert_string_equal(invar_cpu_relation_name(INVAR_CPU_IDENTICAL), "identical");
    assert_string_equal(invar_cpu_relation_name(INVAR_CPU_SUPERSET), "superset");
    assert_string_equal(invar_cpu_relation_name((InvarCpuRelation)9), "unknown");
    for (int i = 0; i <= INVAR_CPU_REASON_PHYS_BITS; i++)
        assert_string_not_equal(invar_cpu_reason_kind_name((InvarCpuReasonKind)i), "unknown");
    assert_string_equal(invar_cpu_reason_kind_name((InvarCpuReasonKind)99), "unknown");
    assert_true(g_ascii_isdigit(*invar_cpu_library_version()));
}

static void
missing_files_are_told(void **state)
{
    InvarCpuContext *none = NULL;
    char *error = NULL;

    assert_int_equal(invar_cpu_context_new("/nonexistent/cpu_map", &none, &error), INVAR_CPU_ERROR_DATA);
    assert_non_null(strstr(error, "/nonexistent/cpu_map"));
    assert_null(none);
    invar_cpu_free(error);
    assert_int_equal(invar_cpu_context_new("/nonexistent/cpu_map", &none, NULL), INVAR_CPU_ERROR_DATA);
}

static void
this_machine_is_read(void **state)
{
    InvarCpu *cpu = NULL;
    char *error = NULL;
    InvarCpuStatus status = invar_cpu_read_host(context, &cpu, &error);

    if (status == INVAR_CPU_ERROR_UNSUPPORTED || status == INVAR_CPU_ERROR_UNKNOWN) {
        assert_non_null(error);
        invar_cpu_free(error);
        skip();
    }
    assert_int_equal(status, INVAR_CPU_OK);
    assert_int_equal(invar_cpu_format(cpu), INVAR_CPU_FORMAT_HOST);
    assert_true(invar_cpu_has(cpu, "fpu"));
    invar_cpu_unref(cpu);
    assert_int_equal(invar_cpu_read(context, NULL, 0, INVAR_CPU_FORMAT_HOST, NULL, &cpu, NULL), INVAR_CPU_OK);
    invar_cpu_unref(cpu);
}

/* Each with other features, and all of them with a common core. */
static GString *
ten_thousand(void)
{
    GString *text = g_string_new("<hosts>\n");
    InvarCpu *cpu = read_text("<cpu><model>Cascadelake-Server</model></cpu>", NULL);
    const char *const *list = invar_cpu_expanded(cpu);

    for (guint i = 0; i < 10000; i++) {
        g_string_append(text, "<cpu>\n  <arch>x86_64</arch>\n  <model>Penryn</model>\n  <vendor>Intel</vendor>\n");
        for (guint k = 0; list[k]; k++) {
            if ((i >> k % 14 & 1) || k % 3 == 0)
                g_string_append_printf(text, "  <feature policy='require' name='%s'/>\n", list[k]);
        }
        g_string_append(text, "</cpu>\n");
    }
    invar_cpu_unref(cpu);
    g_string_append(text, "</hosts>\n");
    return text;
}

static InvarCpuStatus
add_visit(InvarCpu *cpu, void *user_data, char **error)
{
    InvarCpuStatus status = invar_cpu_baseline_add(user_data, cpu, NULL, error);

    invar_cpu_unref(cpu);
    return status;
}

/* Generous, since under the sanitizers all is slow: what it guards against is time that grows with the square. */
static void
ten_thousand_are_streamed(void **state)
{
    g_autoptr(GString) text = ten_thousand();
    InvarCpuBaseline *baseline = NULL;
    InvarCpu *common = NULL;
    char *error = NULL;
    clock_t begin = clock();
    double seconds;

    assert_int_equal(invar_cpu_baseline_new(context, NULL, &baseline, NULL), INVAR_CPU_OK);
    invar_cpu_read_all(context, text->str, text->len, INVAR_CPU_FORMAT_AUTO, NULL, add_visit, baseline, &error);
    assert_null(error);
    assert_int_equal(invar_cpu_baseline_result(baseline, 0, &common, NULL), INVAR_CPU_OK);
    seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    print_message("# %" G_GSIZE_FORMAT " bytes of 10000 CPUs in %.2f s: %s\n", text->len, seconds, invar_cpu_model(common));
    assert_true(seconds < 30);
    invar_cpu_unref(common);
    invar_cpu_baseline_free(baseline);
}

static void
a_hundred_thousand_features_are_refused(void **state)
{
    g_autoptr(GString) xml = g_string_new("<cpu><model>Penryn</model>");
    g_autoptr(GString) json = g_string_new("{\"return\": {\"model\": {\"name\": \"x\", \"props\": {\"vendor\": \"GenuineIntel\"");
    InvarCpu *cpu = NULL;
    char *error = NULL;

    for (guint i = 0; i < 100000; i++) {
        g_string_append_printf(xml, "<feature name='f%u'/>", i);
        g_string_append_printf(json, ", \"f%u\": true", i);
    }
    g_string_append(xml, "</cpu>");
    g_string_append(json, "}}}}");
    assert_int_equal(invar_cpu_read(context, xml->str, xml->len, INVAR_CPU_FORMAT_AUTO, NULL, &cpu, NULL), INVAR_CPU_ERROR_INPUT);
    assert_int_equal(invar_cpu_read(context, json->str, json->len, INVAR_CPU_FORMAT_AUTO, NULL, &cpu, &error), INVAR_CPU_ERROR_INPUT);
    assert_non_null(strstr(error, "properties"));
    invar_cpu_free(error);
    assert_int_equal(invar_cpu_read(context, json->str, json->len, INVAR_CPU_FORMAT_AUTO, "aarch64", &cpu, &error), INVAR_CPU_ERROR_INPUT);
    assert_non_null(strstr(error, "properties"));
    invar_cpu_free(error);
}

static void
a_long_json_is_refused(void **state)
{
    g_autoptr(GString) json = g_string_new("{\"a\": \"");
    InvarCpu *cpu = NULL;
    char *error = NULL;

    for (guint i = 0; i < 5 * 1024; i++)
        g_string_append_printf(json, "%01024u", i);
    g_string_append(json, "\"}");
    assert_int_equal(invar_cpu_read(context, json->str, json->len, INVAR_CPU_FORMAT_AUTO, NULL, &cpu, &error), INVAR_CPU_ERROR_INPUT);
    assert_non_null(strstr(error, "no reply of QEMU has more than"));
    invar_cpu_free(error);
}

static gpointer
use_context(gpointer opaque)
{
    for (guint i = 0; i < 20; i++) {
        InvarCpu *cpu = read_text("<cpu><model>EPYC</model></cpu>", NULL);
        InvarCpu *other = read_text("<cpu><arch>s390x</arch><model>gen15a</model></cpu>", NULL);
        const InvarCpuFeatureFacts *facts = NULL;

        assert_int_equal(invar_cpu_explain(context, NULL, i % 2 ? "avx" : "aes", &facts, NULL), INVAR_CPU_OK);
        invar_cpu_unref(cpu);
        invar_cpu_unref(other);
    }
    return NULL;
}

static void
threads_share_a_context(void **state)
{
    GThread *threads[4];

    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("reader", use_context, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
}

/* The machines of the collection, where it is: each document is read as what it is. */
static void
machines_are_read(void **state)
{
    const char *top = g_getenv("INVAR_TOP_SRCDIR");
    g_autofree char *path = g_build_filename(top ? top : ".", "..", "shared", "data", "machines", NULL);
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    const char *name;
    guint read = 0;

    while (folder && (name = g_dir_read_name(folder))) {
        gboolean json = g_str_has_suffix(name, ".qmp.json");
        g_autofree char *text = json || g_str_has_suffix(name, ".cpuid.xml") ? data_file("../shared/data/machines", name, NULL) : NULL;
        InvarCpu *cpu;

        if (!text)
            continue;
        cpu = read_text(text, NULL);
        assert_int_equal(invar_cpu_format(cpu), json ? INVAR_CPU_FORMAT_QMP : INVAR_CPU_FORMAT_CPUDATA);
        assert_non_null(invar_cpu_model(cpu));
        invar_cpu_unref(cpu);
        read++;
    }
    /* It leaves by a jump, past what would free them. */
    g_clear_pointer(&folder, g_dir_close);
    g_clear_pointer(&path, g_free);
    if (!read)
        skip();
    print_message("# %u documents\n", read);
}

static int
load(void **state)
{
    char *error = NULL;

    if (invar_cpu_context_new(NULL, &context, &error) == INVAR_CPU_OK)
        return 0;
    print_error("%s\n", error);
    return -1;
}

static int
unload(void **state)
{
    invar_cpu_context_free(context);
    return 0;
}

int
main(void)
{
    TestTable *table = test_table_new(NULL, NULL);

    TEST_TABLE_ADD_ROWS(table, good_cases, documents_are_read);
    TEST_TABLE_ADD_ROWS(table, bad_cases, bad_documents_are_refused);
    TEST_TABLE_ADD_ROWS(table, compare_cases, comparisons_tell_why);
    test_table_add(table, many_are_read, NULL, "many in one text");
    test_table_add(table, a_visitor_can_stop, NULL, "a visitor can stop");
    test_table_add(table, xml_means_the_same, NULL, "XML means the same");
    test_table_add(table, some_cannot_be_compared, NULL, "some cannot be compared");
    test_table_add(table, baselines_are_common_to_all, NULL, "baselines");
    test_table_add(table, explanations_are_complete, NULL, "explanations");
    test_table_add(table, names_are_words, NULL, "names");
    test_table_add(table, missing_files_are_told, NULL, "missing files");
    test_table_add(table, this_machine_is_read, NULL, "this machine");
    test_table_add(table, ten_thousand_are_streamed, NULL, "ten thousand");
    test_table_add(table, a_hundred_thousand_features_are_refused, NULL, "a hundred thousand features");
    test_table_add(table, a_long_json_is_refused, NULL, "a long JSON document");
    test_table_add(table, threads_share_a_context, NULL, "threads");
    test_table_add(table, machines_are_read, NULL, "the collection of machines");
    return test_table_run(table, "library", load, unload);
}
