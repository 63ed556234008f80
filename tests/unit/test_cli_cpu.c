/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cpu_document.h"
#include "cli/cpu_probe.h"
#include "cli/cpu_view.h"
#include "cli/xml_part.h"
#include "util/error.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <unistd.h>

/* Models of which all can be seen at once. */
#define OLD "<cpu mode='custom'><model>486-v1</model></cpu>"
#define OTHER \
    "<cpu mode='custom'><model>486-v1</model><feature name='vme' policy='disable'/><feature name='avx' policy='require'/></cpu>"

static InvCli cli;
static char *folder;
static char *text;
static char **list;
static InvJson *json;
static InvarCpu *cpu, *host;
static InvarCpuComparison *comparison;
static GError *error;

static int
group_setup(void **state)
{
    folder = g_dir_make_tmp("cli-cpu-XXXXXX", NULL);
    return folder ? 0 : -1;
}

static int
group_teardown(void **state)
{
    inv_cli_clear(&cli);
    if (g_rmdir(folder) < 0)
        return -1;
    g_free(folder);
    return 0;
}

static int
teardown(void **state)
{
    cli.colour = FALSE;
    g_clear_pointer(&text, g_free);
    g_clear_pointer(&list, g_strfreev);
    g_clear_pointer(&json, inv_json_free);
    g_clear_pointer(&comparison, invar_cpu_comparison_free);
    g_clear_pointer(&cpu, invar_cpu_unref);
    g_clear_pointer(&host, invar_cpu_unref);
    g_clear_error(&error);
    return 0;
}

static InvarCpu *
parse(const char *document)
{
    InvarCpuContext *dictionary = inv_cpu_dictionary(&cli, &error);
    InvarCpu *parsed = NULL;
    char *message = NULL;

    assert_null(error);
    inv_cpu_check(invar_cpu_read(dictionary, document, strlen(document), INVAR_CPU_FORMAT_AUTO, NULL, &parsed, &message), &message, NULL,
                  &error);
    if (error)
        fail_msg("%s", error->message);
    return parsed;
}

static void
compare(const char *host_document, const char *cpu_document)
{
    char *message = NULL;

    host = parse(host_document);
    cpu = parse(cpu_document);
    assert_int_equal(invar_cpu_compare(cli.dictionary, host, cpu, &comparison, &message), INVAR_CPU_OK);
}

static void
a_cpu_for_people(void **state)
{
    cpu = parse(OTHER);
    text = inv_cpu_view(&cli, cpu, NULL, 80);
    assert_string_equal(text, "Read from:       <cpu>\n"
                              "Architecture:    x86_64\n"
                              "Model:           486-v1\n"
                              "Vendor:          Intel (GenuineIntel)\n"
                              "Signature:       family 4, model 8, stepping 0\n"
                              "Highest leaf:    0x1\n"
                              "\nrequire (1):\n    avx\n"
                              "\ndisable (1):\n    vme\n"
                              "\nEvery feature that it has (3):\n    avx fpu pse\n");
}

static void
a_cpu_in_colours(void **state)
{
    cli.colour = TRUE;
    cpu = parse(OTHER);
    text = inv_cpu_view(&cli, cpu, NULL, 80);
    assert_non_null(strstr(text, "\033[1mModel:\033[0m           486-v1\n"));
    assert_non_null(strstr(text, "\033[32mrequire (1):\033[0m\n"));
    assert_non_null(strstr(text, "\033[31mdisable (1):\033[0m\n"));
}

static void
a_cpu_as_json(void **state)
{
    cpu = parse(OTHER);
    json = inv_cpu_view_json(cpu);
    text = inv_json_format(json, FALSE);
    assert_true(g_str_has_prefix(text, "{\"arch\":\"x86_64\",\"model\":\"486-v1\",\"vendor\":\"Intel\","
                                       "\"signature\":{\"family\":4,\"model\":8,\"stepping\":0},"
                                       "\"features\":[{\"name\":\"avx\",\"policy\":\"require\"},{\"name\":\"vme\",\"policy\":\"disable\"}],"
                                       "\"expanded\":[\"avx\",\"fpu\",\"pse\"],\"format\":\"<cpu>\","));
}

static void
what_is_not_known_is_null(void **state)
{
    cpu = parse("<cpu mode='host-passthrough'/>");
    json = inv_cpu_view_json(cpu);
    assert_int_equal(inv_json_type(inv_json_get(json, "model")), INV_JSON_NULL);
    assert_int_equal(inv_json_type(inv_json_get(json, "vendor")), INV_JSON_NULL);
    assert_int_equal(inv_json_type(inv_json_get(json, "signature")), INV_JSON_NULL);
    assert_int_equal(inv_json_type(inv_json_get(json, "phys_bits")), INV_JSON_NULL);
    assert_int_equal(inv_json_size(inv_json_get(json, "features")), 0);
}

static void
features_as_a_list(void **state)
{
    cpu = parse(OTHER);
    text = inv_cpu_view_names(cpu);
    assert_string_equal(text, "avx\nfpu\npse\n");
}

static void
features_in_a_table(void **state)
{
    cpu = parse(OTHER);
    cli.colour = TRUE;
    text = inv_cpu_view_features(&cli, cli.dictionary, cpu);
    assert_non_null(strstr(text, "\033[32m avx       require   yes           CPUID leaf 0x1, subleaf 0x0, ecx bit 28\033[0m\n"));
    assert_non_null(strstr(text, "\n fpu       model     yes           CPUID leaf 0x1, subleaf 0x0, edx bit 0\n"));
}

static void
a_comparison_for_people(void **state)
{
    compare(OTHER, OLD);
    text = inv_cpu_view_comparison(&cli, comparison, "a\033.xml", "b.xml", 80);
    assert_string_equal(text, "CPU described in b.xml is incompatible with the host CPU described in a\\x1b.xml\n"
                              "\n missing\n"
                              "   feature:    vme\n"
                              "   reason:     the host lacks vme\n"
                              "   would help: take a host that has it, or do without it: <feature\n"
                              "               policy='disable' name='vme'/>\n"
                              "\n extra\n"
                              "   feature:    avx\n"
                              "   reason:     the host has avx, and the CPU does not say so\n");
}

typedef struct {
    const char *name;
    const char *host, *cpu;
    const char *result;
    const char *headline; /* the text's beginning */
} Relation;

static const Relation relations[] = {
    { "compare: identical", OLD, OLD, "identical", "CPU described in b is identical to the host CPU described in a\n" },
    { "compare: superset", "<cpu><model>pentium-v1</model></cpu>", OLD, "superset", "Host CPU described in a is a superset of CPU described in b\n" },
    { "compare: incompatible", OLD, "<cpu mode='custom'><model>Haswell-v4</model></cpu>", "incompatible",
      "CPU described in b is incompatible with the host CPU described in a\n" },
};

static void
relations_are_told(void **state)
{
    const Relation *row = *state;

    compare(row->host, row->cpu);
    text = inv_cpu_view_comparison(&cli, comparison, "a", "b", 80);
    assert_true(g_str_has_prefix(text, row->headline));
    json = inv_cpu_view_comparison_json(comparison);
    assert_string_equal(inv_json_get_string(json, "result"), row->result);
}

static void
reasons_as_json(void **state)
{
    const InvJson *reason;

    compare(OTHER, OLD);
    json = inv_cpu_view_comparison_json(comparison);
    assert_int_equal(inv_json_size(inv_json_get(json, "reasons")), 2);
    reason = inv_json_at(inv_json_get(json, "reasons"), 0);
    assert_string_equal(inv_json_get_string(reason, "kind"), "missing");
    assert_string_equal(inv_json_get_string(reason, "feature"), "vme");
    assert_true(inv_json_get_boolean(reason, "blocks", FALSE));
    assert_int_equal(inv_json_type(inv_json_get(reason, "layer")), INV_JSON_NULL);
    reason = inv_json_at(inv_json_get(json, "reasons"), 1);
    assert_string_equal(inv_json_get_string(reason, "kind"), "extra");
    assert_false(inv_json_get_boolean(reason, "blocks", TRUE));
}

static void
blockers_are_one_sentence(void **state)
{
    compare(OLD, "<cpu mode='custom'><model>486-v1</model><feature name='avx' policy='require'/></cpu>");
    text = inv_cpu_view_blockers(comparison);
    assert_string_equal(text, "missing features: avx");
}

static void
many_blockers_are_counted(void **state)
{
    compare(OLD, "<cpu mode='custom'><model>Haswell-v4</model></cpu>");
    text = inv_cpu_view_blockers(comparison);
    assert_true(g_str_has_prefix(text, "missing features: abm, "));
    assert_non_null(strstr(text, " more"));
}

static void
no_blockers_no_sentence(void **state)
{
    compare(OLD, OLD);
    assert_null(inv_cpu_view_blockers(comparison));
}

typedef struct {
    const char *name;
    const char *feature;
    const char *bit;
} Bit;

static const Bit bits[] = {
    { "bit: of CPUID", "avx2", "CPUID leaf 0x7, subleaf 0x0, ebx bit 5" },
    { "bit: of an MSR", "rdctl-no", "MSR 0x10a bit 0" },
    { "bit: in QEMU's spelling", "sse4_1", "CPUID leaf 0x1, subleaf 0x0, ecx bit 19" },
};

static void
bits_are_told(void **state)
{
    const Bit *row = *state;
    const InvarCpuFeatureFacts *facts;
    char *message = NULL;

    assert_non_null(inv_cpu_dictionary(&cli, NULL));
    assert_int_equal(invar_cpu_explain(cli.dictionary, NULL, row->feature, &facts, &message), INVAR_CPU_OK);
    text = inv_cpu_view_bit(facts);
    assert_string_equal(text, row->bit);
}

static void
several_bits_and_none(void **state)
{
    InvarCpuFeatureFacts facts = { .source = "MSR", .leaf = 0x480, .mask = G_GUINT64_CONSTANT(0x8000000000000001) };

    text = inv_cpu_view_bit(&facts);
    assert_string_equal(text, "MSR 0x480 bit 0, 63");
    g_clear_pointer(&text, g_free);
    facts.source = NULL;
    text = inv_cpu_view_bit(&facts);
    assert_string_equal(text, "");
}

typedef struct {
    const char *name;
    const char *content; /* NULL: there is no file */
    gsize length;
    gint64 size; /* of a file that is nothing but a hole */
    const char *error;
} Document;

static const Document documents[] = {
    { .name = "document: absent", .error = "No such file or directory; give a file that can be read" },
    { .name = "document: empty", .content = "", .error = "is empty; give a domain's XML" },
    { .name = "document: binary", .content = "a\0b", .length = 3, .error = "is not text: it has a NUL byte at 1; give" },
    { .name = "document: too large", .content = "", .size = (gint64)INV_CLI_CPUS_MAX + 1, .error = "is larger than 134217728 bytes" },
    { .name = "document: none that is known", .content = "once upon a time", .length = 16, .error = "document: the text begins with" },
    { .name = "document: cut off", .content = "<cpu mode='custom'><model>486", .length = 29, .error = "document: " },
    { .name = "document: two CPUs", .content = OLD OLD, .length = sizeof(OLD OLD) - 1, .error = "a second CPU begins here" },
    { .name = "document: an unknown model", .content = "<cpu><model>Haswel</model></cpu>", .length = 32, .error = "Haswel" },
};

static void
documents_are_refused(void **state)
{
    const Document *row = *state;
    g_autofree char *path = g_build_filename(folder, "document", NULL);

    if (row->content)
        assert_true(g_file_set_contents(path, row->content, (gssize)row->length, NULL));
    if (row->size)
        assert_int_equal(truncate(path, row->size), 0);
    cpu = inv_cpu_document_cpu(&cli, path, NULL, &error);
    g_unlink(path);
    assert_null(cpu);
    assert_non_null(error);
    assert_non_null(strstr(error->message, path));
    if (!strstr(error->message, row->error))
        fail_msg("%s", error->message);
    assert_int_not_equal(error->code, VIR_ERR_INTERNAL_ERROR);
}

static void
a_folder_is_no_document(void **state)
{
    assert_null(inv_cpu_document_read(folder, &error));
    assert_non_null(strstr(error->message, "Is a directory; give a file"));
}

static void
the_samples_are_one_cpu(void **state)
{
    static const char *const names[] = { "cpu.xml", "cpudata.xml", "cpuid.txt", "domain.xml", "domcapabilities.xml", "expansion.json",
                                         "witness.txt" };
    const char *top = g_getenv("INVAR_TOP_SRCDIR");
    g_autofree char *expected = NULL;

    if (!top)
        skip();
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(top, "tests/data/cpu_documents", names[i], NULL);
        g_autoptr(InvarCpu) read = inv_cpu_document_cpu(&cli, path, NULL, &error);
        g_autofree char *shown = NULL;

        if (error)
            fail_msg("%s: %s", names[i], error->message);
        assert_string_equal(invar_cpu_model(read), "Skylake-Client-v3");
        shown = inv_cpu_view_names(read);
        if (!expected)
            expected = g_steal_pointer(&shown);
        else
            assert_string_equal(shown, expected);
    }
}

static void
a_model_by_its_name(void **state)
{
    cpu = inv_cpu_of_model(&cli, "486", NULL, &error);
    assert_non_null(cpu);
    assert_string_equal(invar_cpu_model(cpu), "486-v1");
    assert_null(inv_cpu_of_model(&cli, "<486 & more>", NULL, &error));
    assert_non_null(strstr(error->message, "<486 & more>"));
}

typedef struct {
    const char *name;
    const char *path;
    const char *accel;
    const char *error;
} Probe;

static const Probe probes[] = {
    { "probe: a folder", "/", NULL, "the emulator '/' is a folder: give the path of a QEMU" },
    { "probe: no such file", "/nonexistent/qemu", NULL, "cannot be started: there is no such file; give the path of a QEMU" },
    { "probe: not executable", "/etc/passwd", NULL, "cannot be started: it is not executable" },
    { "probe: not QEMU", "/bin/true", "tcg", "the emulator '/bin/true' exited with status 0" },
    { "probe: an accelerator that is none", "/bin/true", "xen", "the accelerator 'xen' is not known: give kvm or tcg" },
};

static void
what_is_no_emulator_is_refused(void **state)
{
    const Probe *row = *state;

    assert_null(inv_cpu_probe_run(row->path, row->accel, 10000, &error));
    assert_non_null(error);
    if (!strstr(error->message, row->error))
        fail_msg("%s", error->message);
}

static void
models_of_domain_capabilities(void **state)
{
    static const char document[] = "<domainCapabilities><cpu><mode name='host-model'><model fallback='forbid'>A-v1</model></mode>"
                                   "<mode name='custom'><model usable='yes'>B</model><model usable='no'>C</model>"
                                   "<blockers model='C'><feature name='x'/></blockers></mode></cpu></domainCapabilities>";

    list = inv_xml_part_models(document, FALSE, &error);
    text = g_strjoinv(" ", list);
    assert_string_equal(text, "B");
    g_strfreev(list);
    g_free(text);
    list = inv_xml_part_models(document, TRUE, &error);
    text = g_strjoinv(" ", list);
    assert_string_equal(text, "B C");
    assert_null(inv_xml_part_models("<a>", TRUE, &error));
    assert_non_null(strstr(error->message, "the domain capabilities"));
}

#define PLAIN(function) cmocka_unit_test_teardown(function, teardown)
#define ROWS(table, function) \
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) \
        tests[n++] = (struct CMUnitTest){ .name = table[i].name, .test_func = function, .teardown_func = teardown, \
                                          .initial_state = (void *)&table[i] }

static const struct CMUnitTest plain[] = {
    PLAIN(a_cpu_for_people),        PLAIN(a_cpu_in_colours),          PLAIN(a_cpu_as_json),
    PLAIN(what_is_not_known_is_null), PLAIN(features_as_a_list),      PLAIN(features_in_a_table),
    PLAIN(a_comparison_for_people), PLAIN(reasons_as_json),           PLAIN(blockers_are_one_sentence),
    PLAIN(many_blockers_are_counted), PLAIN(no_blockers_no_sentence), PLAIN(several_bits_and_none),
    PLAIN(a_folder_is_no_document), PLAIN(the_samples_are_one_cpu),   PLAIN(a_model_by_its_name),
    PLAIN(models_of_domain_capabilities),
};

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(plain) + G_N_ELEMENTS(relations) + G_N_ELEMENTS(bits) + G_N_ELEMENTS(documents) +
                            G_N_ELEMENTS(probes)];
    gsize n = G_N_ELEMENTS(plain);

    memcpy(tests, plain, sizeof(plain));
    ROWS(relations, relations_are_told);
    ROWS(bits, bits_are_told);
    ROWS(documents, documents_are_refused);
    ROWS(probes, what_is_no_emulator_is_refused);
    return cmocka_run_group_tests_name("cli cpu", tests, group_setup, group_teardown);
}
