/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/capabilities.h"
#include "daemon/domain_capabilities.h"
#include "daemon/host.h"
#include "daemon/host_cpu.h"
#include "tests/unit/schema_check.h"
#include "tests/unit/test_table.h"
#include "util/error.h"

#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/*
 * The emulators of these tests: an x86_64 one and one of an architecture that libvirt has no name
 * for. They stand in for qemu/, whose functions are defined here, so that every answer is known.
 */
struct InvEmulator {
    const char *path, *arch;
    gboolean has_tcg;
    const char *const *devices;
};

struct InvEmulators {
    gboolean kvm_works;
    gboolean hardware_known;
};

static const char *const x86_devices[] = { "virtio-blk-pci", "virtio-rng-pci", "ide-hd", "ich9-ahci", "VGA", "qxl-vga",
                                          "ramfb", "floppy", "virtio-gpu-device", "virtio-scsi-device", "scsi-hd", "virtio-gpu-pci", NULL };
static InvEmulator x86 = { "/usr/bin/qemu-system-<x86>", "x86_64", TRUE, x86_devices };
static InvEmulator avr = { "/usr/bin/qemu-system-avr", "avr", TRUE, (const char *const[]){ NULL } };
static InvEmulators emulators;

static InvMachine machines[] = {
    { .name = (char *)"none", .max_cpus = 1 },
    { .name = (char *)"pc-i440fx-7.2", .alias = (char *)"pc", .max_cpus = 255 },
    { .name = (char *)"pc-q35-7.2", .alias = (char *)"q35", .is_default = TRUE, .max_cpus = 288 },
    { .name = (char *)"microvm", .max_cpus = 288 },
    { .name = (char *)"isapc", .max_cpus = 1 },
    { .name = (char *)"pc-i440fx-1.4", .deprecated = TRUE, .max_cpus = 255 },
};

static InvCpuMap *map;
static InvFeatureNames *names;
static InvCpuTable *table;
static InvFeatureSet *hardware;
static char *text;
static GError *error;
static xmlDocPtr document;

static const char definitions[] =
    "[{\"name\":\"max\",\"typename\":\"max-x86_64-cpu\",\"static\":false,\"migration-safe\":false,\"unavailable-features\":[]},"
    "{\"name\":\"Tiny\",\"typename\":\"Tiny-x86_64-cpu\",\"alias-of\":\"Tiny-v1\",\"static\":false,\"migration-safe\":true,"
    "\"unavailable-features\":[]},"
    "{\"name\":\"Tiny-v1\",\"typename\":\"Tiny-v1-x86_64-cpu\",\"static\":false,\"migration-safe\":true,"
    "\"unavailable-features\":[]},"
    "{\"name\":\"Small\",\"typename\":\"Small-x86_64-cpu\",\"static\":false,\"migration-safe\":true,"
    "\"unavailable-features\":[]},"
    "{\"name\":\"Other\",\"typename\":\"Other-x86_64-cpu\",\"static\":false,\"migration-safe\":true,\"deprecated\":true,"
    "\"unavailable-features\":[]},"
    "{\"name\":\"Big\",\"typename\":\"Big-x86_64-cpu\",\"static\":false,\"migration-safe\":true,"
    "\"unavailable-features\":[\"rtm\",\"hle\"]}]";

static const struct {
    const char *model;
    const char *props;
} expansions[] = {
    { "Tiny-v1", "{\"sse2\":true,\"aes\":false,\"rtm\":false,\"vendor\":\"AuthenticAMD\"}" },
    { "Small", "{\"sse2\":true,\"aes\":true,\"rtm\":false,\"hypervisor\":true,\"vendor\":\"AuthenticAMD\"}" },
    { "Other", "{\"sse2\":true,\"aes\":true,\"avx\":true,\"vendor\":\"GenuineIntel\"}" },
    { "Big", "{\"sse2\":true,\"aes\":true,\"avx\":true,\"rtm\":true,\"hle\":true,\"vendor\":\"AuthenticAMD\"}" },
    { "max", "{\"sse2\":true,\"aes\":true,\"avx\":true,\"rtm\":false,\"hle\":false,\"vendor\":\"AuthenticAMD\"}" },
};

GPtrArray *
inv_emulators_probe_all(InvEmulators *all, guint deadline_ms, gboolean *complete)
{
    GPtrArray *list = g_ptr_array_new();

    g_ptr_array_add(list, &x86);
    g_ptr_array_add(list, &avr);
    return list;
}

InvEmulator *
inv_emulators_get(InvEmulators *all, const char *path, const char *arch, guint deadline_ms, GError **get_error)
{
    if ((!path || g_str_equal(path, x86.path)) && (!arch || g_str_equal(arch, x86.arch)))
        return &x86;
    inv_error_set(get_error, VIR_ERR_CONFIG_UNSUPPORTED, "no emulator for '%s'", arch ? arch : path);
    return NULL;
}

void
inv_emulators_watch(InvEmulators *all, const char *path, InvFreshness *freshness)
{
}

char **
inv_emulators_list(InvEmulators *all)
{
    return g_new0(char *, 1);
}

char *
inv_host_cpu_fingerprint(void)
{
    return g_strdup("cpu of a test");
}

void
inv_kvm_watch(InvFreshness *freshness, gboolean kvm)
{
}

InvEmulator *
inv_emulator_ref(InvEmulator *emulator)
{
    return emulator;
}

void
inv_emulator_unref(InvEmulator *emulator)
{
}

const char *
inv_emulator_path(const InvEmulator *emulator)
{
    return emulator->path;
}

const char *
inv_emulator_arch(const InvEmulator *emulator)
{
    return emulator->arch;
}

guint
inv_emulator_version(const InvEmulator *emulator)
{
    return 7002000;
}

gboolean
inv_emulator_has_tcg(const InvEmulator *emulator)
{
    return emulator->has_tcg;
}

gboolean
inv_emulator_check_accelerator(InvEmulator *emulator, InvVirtType accelerator, GError **check_error)
{
    if (accelerator == INV_VIRT_QEMU || emulators.kvm_works)
        return TRUE;
    return inv_error_set(check_error, VIR_ERR_CONFIG_UNSUPPORTED, "KVM does not work here");
}

guint
inv_emulator_n_machines(const InvEmulator *emulator)
{
    return G_N_ELEMENTS(machines);
}

const InvMachine *
inv_emulator_machine_at(const InvEmulator *emulator, guint index)
{
    return &machines[index];
}

const InvMachine *
inv_emulator_find_machine(const InvEmulator *emulator, const char *name, GError **find_error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(machines); i++) {
        if (name ? g_str_equal(machines[i].name, name) || g_strcmp0(machines[i].alias, name) == 0 : machines[i].is_default)
            return &machines[i];
    }
    inv_error_set(find_error, VIR_ERR_CONFIG_UNSUPPORTED, "no machine type '%s'", name);
    return NULL;
}

const InvMachine *
inv_emulator_usual_machine(const InvEmulator *emulator, const char *name, GError **find_error)
{
    return inv_emulator_find_machine(emulator, name, find_error);
}

gboolean
inv_emulator_has_device(const InvEmulator *emulator, const char *type)
{
    return g_strv_contains(emulator->devices, type);
}

gboolean
inv_emulator_cpu_facts(InvEmulator *emulator, InvVirtType accelerator, const char *machine, InvExpansions wanted, guint deadline_ms,
                       InvCpuFacts *facts, GError **facts_error)
{
    *facts = (InvCpuFacts){
        .map = map, .table = table, .arch = emulator->arch, .emulator = "QEMU 7.2.0", .accelerator = accelerator,
        .machine = machine, .default_model = "Small", .host = inv_cpu_table_find(table, "max")->expansion,
        .hardware = emulators.hardware_known ? hardware : NULL, .host_vendor = "AuthenticAMD",
    };
    return TRUE;
}

static int
group_setup(void **state)
{
    g_autoptr(InvJson) list = inv_json_parse(definitions, strlen(definitions), NULL);

    map = inv_cpu_map_load(inv_cpu_map_default_folder(), "x86_64", NULL);
    names = inv_feature_names_new();
    table = inv_cpu_table_new("x86_64", "pc-q35-7.2", names);
    if (!map || !list || !inv_cpu_table_set_definitions(table, map, list, NULL))
        return -1;
    for (gsize i = 0; i < G_N_ELEMENTS(expansions); i++) {
        g_autoptr(InvJson) props = inv_json_parse(expansions[i].props, strlen(expansions[i].props), NULL);

        if (!inv_cpu_table_set_expansion(table, expansions[i].model, inv_cpu_expansion_new(map, names, props)))
            return -1;
    }
    hardware = inv_feature_set_new(names);
    inv_feature_set_add(hardware, "sse2");
    inv_feature_set_add(hardware, "aes");
    inv_feature_set_add(hardware, "avx");
    return 0;
}

static int
group_teardown(void **state)
{
    inv_feature_set_free(hardware);
    inv_cpu_table_unref(table);
    inv_feature_names_free(names);
    inv_cpu_map_free(map);
    return 0;
}

static int
teardown(void **state)
{
    g_clear_pointer(&document, xmlFreeDoc);
    g_clear_pointer(&text, g_free);
    g_clear_error(&error);
    return 0;
}

/* What the XPath expression @path finds, the texts of it joined by blanks; owned by the caller. */
static char *
find(const char *path)
{
    xmlXPathContextPtr context = xmlXPathNewContext(document);
    xmlXPathObjectPtr result = xmlXPathEvalExpression(BAD_CAST path, context);
    GString *found = g_string_new(NULL);

    for (int i = 0; result && result->nodesetval && i < result->nodesetval->nodeNr; i++) {
        xmlChar *content = xmlNodeGetContent(result->nodesetval->nodeTab[i]);

        g_string_append_printf(found, "%s%s", i ? " " : "", (const char *)content);
        xmlFree(content);
    }
    xmlXPathFreeObject(result);
    xmlXPathFreeContext(context);
    return g_string_free(found, FALSE);
}

static void
assert_found(const char *path, const char *expected)
{
    g_autofree char *found = find(path);

    if (!g_str_equal(found, expected))
        print_error("%s gave '%s' and not '%s' in:\n%s\n", path, found, expected, text);
    assert_true(g_str_equal(found, expected));
}

static void
assert_valid(const char *schema)
{
    g_autofree char *path = g_strconcat(LIBVIRT_SCHEMAS, schema, NULL);
    g_autofree char *complaint = NULL;

    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        print_message("%s is not here: not validated\n", path);
        return;
    }
    complaint = schema_check(document, path);
    if (complaint)
        print_error("%s\n%s", complaint, text);
    assert_true(complaint == NULL);
}

typedef struct {
    const char *name;
    gboolean kvm_works;
    const char *path, *expected;
} CapabilitiesCase;

#define GUEST "/capabilities/guest"

static const CapabilitiesCase capabilities_cases[] = {
    { .name = "KVM is listed where it works", .kvm_works = TRUE, .path = GUEST "/arch/domain/@type", .expected = "qemu kvm" },
    { .name = "KVM is not listed where it does not", .path = GUEST "/arch/domain/@type", .expected = "qemu" },
    { .name = "a guest per architecture of libvirt's", .path = GUEST "/arch/@name", .expected = "x86_64" },
    { .name = "the default machine first, aliases behind", .path = GUEST "/arch/machine",
      .expected = "pc-q35-7.2 q35 pc-i440fx-7.2 pc microvm isapc pc-i440fx-1.4" },
    { .name = "aliases say what they mean", .path = GUEST "/arch/machine/@canonical", .expected = "pc-q35-7.2 pc-i440fx-7.2" },
    { .name = "deprecated machines", .path = GUEST "/arch/machine[@deprecated='yes']", .expected = "pc-i440fx-1.4" },
    { .name = "a path is escaped", .path = GUEST "/arch/emulator", .expected = "/usr/bin/qemu-system-<x86>" },
    { .name = "the security model is told", .path = "/capabilities/host/secmodel", .expected = "\n      none\n      0\n    " },
};

static void
capabilities_say(void **state)
{
    const CapabilitiesCase *row = *state;

    emulators = (InvEmulators){ row->kvm_works, TRUE };
    text = inv_capabilities_format(&emulators, 5000, NULL, &error);
    assert_non_null(text);
    document = xmlReadMemory(text, (int)strlen(text), NULL, NULL, XML_PARSE_NONET);
    assert_non_null(document);
    assert_found(row->path, row->expected);
    schema_drop_dotted_features(xmlDocGetRootElement(document));
    assert_valid("capability.rng");
}

typedef struct {
    const char *name;
    const char *base, *vendor; /* what the processor is, but for the next two */
    const char *more, *less;
    const char *model, *features; /* NULL: any that fits */
} HostCase;

static const HostCase host_cases[] = {
    { "a model as it is, by the name without version", "EPYC-v2", "AuthenticAMD", NULL, NULL, "EPYC-IBPB", "" },
    { "what is beyond the model is named", "Nehalem-v1", "GenuineIntel", "erms", NULL, "Nehalem", "erms" },
    { "nothing is claimed that is not there", "Haswell-v4", "GenuineIntel", NULL, "aes", NULL, NULL },
    { "nothing is claimed, and what is beyond is named", "EPYC-v1", "AuthenticAMD", "avx512f", "sse4a", NULL, NULL },
    { "a vendor of whom no model is known", "Nehalem-v1", "CentaurHauls", NULL, NULL, NULL, NULL },
};

/* Whatever the words, model and features together are the processor. */
static void
host_is_described(void **state)
{
    const HostCase *row = *state;
    g_autoptr(InvCpuModels) models = inv_cpu_models_load(inv_cpu_map_default_folder(), "x86_64", NULL);
    g_autoptr(InvCpuDecoder) decoder = inv_cpu_decoder_new(inv_cpu_map_default_folder(), map, models, names, NULL);
    g_autoptr(InvHostCpuDescription) description = NULL;
    g_autoptr(InvFeatureSet) features = inv_feature_set_copy(inv_cpu_decoder_model(decoder, row->base, FALSE));
    g_autoptr(InvFeatureSet) said = inv_feature_set_new(names);
    g_autofree char *list = NULL;
    InvCpuSeen seen = { .vendor = (char *)row->vendor, .features = features, .msrs_known = TRUE };

    if (row->more)
        inv_feature_set_add(features, row->more);
    if (row->less)
        inv_feature_set_remove(features, row->less);
    description = inv_host_cpu_describe_seen(decoder, &seen);
    assert_non_null(description);
    if (row->model)
        assert_string_equal(description->model, row->model);
    list = g_strjoinv(" ", description->features);
    if (row->features)
        assert_string_equal(list, row->features);
    if (g_str_equal(row->vendor, "CentaurHauls"))
        assert_null(description->model);
    else
        inv_feature_set_unite(said, inv_cpu_decoder_model(decoder, description->model, FALSE));
    assert_true(inv_feature_set_is_subset(said, features));
    inv_feature_set_add_list(said, (const char *const *)description->features);
    assert_int_equal(inv_feature_set_distance(said, features), 0);
}

/* The host's own: made once, and the same again. */
static void
host_of_this_test(void **state)
{
    g_autoptr(InvHostCpuDescription) description = inv_host_cpu_describe_host();
    g_autoptr(InvHostCpuDescription) again = inv_host_cpu_describe_host();

    if (!g_str_equal(inv_host_arch(), "x86_64"))
        skip();
    assert_non_null(description);
    assert_non_null(again);
    assert_true(g_strcmp0(description->model, again->model) == 0);
    assert_true(g_strv_equal((const char *const *)description->features, (const char *const *)again->features));
    assert_true(description->model || description->features[0]);
}

typedef struct {
    const char *name;
    gboolean kvm_works, blockers;
    const char *emulator, *arch, *machine, *virttype;
    const char *path, *expected;
    virErrorNumber code;
    const char *message; /* part of it */
} DomainCase;

#define CPU_MODE "/domainCapabilities/cpu/mode"
#define DEVICE "/domainCapabilities/devices/"

static const DomainCase domain_cases[] = {
    { .name = "defaults: the first emulator, its default machine, no KVM here", .arch = "x86_64",
      .path = "/domainCapabilities/machine | /domainCapabilities/domain", .expected = "qemu pc-q35-7.2" },
    { .name = "defaults: KVM where it works", .arch = "x86_64", .kvm_works = TRUE, .path = "/domainCapabilities/domain",
      .expected = "kvm" },
    { .name = "an alias becomes canonical", .arch = "x86_64", .machine = "pc", .path = "/domainCapabilities/machine",
      .expected = "pc-i440fx-7.2" },
    { .name = "the machine's limit", .arch = "x86_64", .machine = "pc", .path = "/domainCapabilities/vcpu/@max", .expected = "255" },
    { .name = "the emulator's architecture", .emulator = "/usr/bin/qemu-system-<x86>", .path = "/domainCapabilities/arch",
      .expected = "x86_64" },
    { .name = "host-passthrough needs KVM", .arch = "x86_64", .path = CPU_MODE "[@name='host-passthrough']/@supported",
      .expected = "no" },
    { .name = "host-passthrough under KVM", .arch = "x86_64", .kvm_works = TRUE, .virttype = "kvm",
      .path = CPU_MODE "[@name='host-passthrough']/@supported", .expected = "yes" },
    { .name = "usable models", .arch = "x86_64", .path = CPU_MODE "[@name='custom']/model[@usable='yes']",
      .expected = "Other Small Tiny Tiny-v1" },
    { .name = "unusable models", .arch = "x86_64", .path = CPU_MODE "[@name='custom']/model[@usable='no']", .expected = "Big" },
    { .name = "an alias has its model's vendor", .arch = "x86_64", .path = CPU_MODE "/model[.='Tiny']/@vendor", .expected = "AMD" },
    { .name = "deprecated models", .arch = "x86_64", .path = CPU_MODE "/model[@deprecated='yes']", .expected = "Other" },
    { .name = "blockers", .arch = "x86_64", .blockers = TRUE, .path = CPU_MODE "/blockers[@model='Big']/feature/@name",
      .expected = "hle rtm" },
    { .name = "canonical models", .arch = "x86_64", .blockers = TRUE, .path = CPU_MODE "/model[.='Tiny']/@canonical",
      .expected = "Tiny-v1" },
    { .name = "q35 has no IDE", .arch = "x86_64", .path = DEVICE "disk/enum[@name='bus']/value", .expected = "virtio sata" },
    { .name = "i440fx has IDE and a floppy controller", .arch = "x86_64", .machine = "pc", .path = DEVICE "disk/enum[@name='bus']/value",
      .expected = "ide fdc virtio sata" },
    { .name = "microvm has no PCI", .arch = "x86_64", .machine = "microvm", .path = DEVICE "disk/enum[@name='bus']/value",
      .expected = "scsi" },
    { .name = "isapc has no virtio", .arch = "x86_64", .machine = "isapc", .path = DEVICE "disk/enum[@name='bus']/value",
      .expected = "ide fdc" },
    { .name = "floppies only where there is a controller", .arch = "x86_64", .path = DEVICE "disk/enum[@name='diskDevice']/value",
      .expected = "disk cdrom" },
    { .name = "floppies on i440fx", .arch = "x86_64", .machine = "pc", .path = DEVICE "disk/enum[@name='diskDevice']/value",
      .expected = "disk cdrom floppy" },
    { .name = "only the video that this QEMU has", .arch = "x86_64", .path = DEVICE "video/enum/value", .expected = "vga qxl none ramfb" },
    { .name = "only the video that the board takes", .arch = "x86_64", .machine = "microvm", .path = DEVICE "video/enum/value",
      .expected = "virtio none ramfb" },
    { .name = "no video on isapc", .arch = "x86_64", .machine = "isapc", .path = DEVICE "video/enum/value", .expected = "none" },
    { .name = "flash on q35", .arch = "x86_64", .path = "/domainCapabilities/os/loader/enum[@name='type']/value", .expected = "rom pflash" },
    { .name = "no flash on microvm", .arch = "x86_64", .machine = "microvm",
      .path = "/domainCapabilities/os/loader/enum[@name='type']/value", .expected = "rom" },
    { .name = "no rng without a bus for it", .arch = "x86_64", .machine = "isapc", .path = DEVICE "rng/@supported", .expected = "no" },
    { .name = "rng", .arch = "x86_64", .path = DEVICE "rng/enum[@name='model']/value", .expected = "virtio" },
    { .name = "no channel without virtio-serial", .arch = "x86_64", .path = DEVICE "channel/@supported", .expected = "no" },
    { .name = "unknown architecture", .arch = "x86-64", .code = VIR_ERR_INVALID_ARG, .message = "did you mean 'x86_64'?" },
    { .name = "unknown virttype", .arch = "x86_64", .virttype = "xen", .code = VIR_ERR_INVALID_ARG, .message = "'xen'" },
    { .name = "KVM that does not work", .arch = "x86_64", .virttype = "kvm", .code = VIR_ERR_CONFIG_UNSUPPORTED,
      .message = "KVM does not work here" },
    { .name = "unknown machine", .arch = "x86_64", .machine = "q53", .code = VIR_ERR_CONFIG_UNSUPPORTED, .message = "'q53'" },
    { .name = "no emulator", .arch = "s390x", .code = VIR_ERR_CONFIG_UNSUPPORTED, .message = "s390x" },
};

static void
domain_capabilities_say(void **state)
{
    const DomainCase *row = *state;

    emulators = (InvEmulators){ row->kvm_works, TRUE };
    text = inv_domain_capabilities_format_full(&emulators, row->emulator, row->arch, row->machine, row->virttype, row->blockers,
                                               5000, &error);
    if (row->message) {
        assert_null(text);
        assert_int_equal(inv_error_code(error), row->code);
        assert_non_null(strstr(error->message, row->message));
        return;
    }
    assert_non_null(text);
    document = xmlReadMemory(text, (int)strlen(text), NULL, NULL, XML_PARSE_NONET);
    assert_non_null(document);
    assert_found(row->path, row->expected);
    if (!row->blockers)
        assert_valid("domaincaps.rng");
}

static void
model_names_are_qemus(void **state)
{
    g_auto(GStrv) models = inv_cpu_model_names(&emulators, "x86_64", 5000, &error);

    assert_non_null(models);
    text = g_strjoinv(" ", models);
    assert_string_equal(text, "Big Other Small Tiny Tiny-v1");
}

int
main(void)
{
    const struct CMUnitTest single[] = { cmocka_unit_test_teardown(model_names_are_qemus, teardown), cmocka_unit_test(host_of_this_test) };
    TestTable *rows = test_table_new(NULL, teardown);
    int failed;

    test_table_add_all(rows, single, G_N_ELEMENTS(single));
    TEST_TABLE_ADD_ROWS(rows, host_cases, host_is_described);
    TEST_TABLE_ADD_ROWS(rows, capabilities_cases, capabilities_say);
    TEST_TABLE_ADD_ROWS(rows, domain_cases, domain_capabilities_say);
    failed = test_table_run(rows, "capabilities", group_setup, group_teardown);
    xmlCleanupParser();
    return failed;
}
