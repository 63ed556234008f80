/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who keeps a feature from guests: what KVM and processors said, as tests/data/kvm/record.py recorded it, and variants by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cpu_driver/cpuid_data.h"
#include "cpu_driver/layers.h"
#include "tests/unit/cpu_facts.h"
#include "util/error.h"

/* A host: recorded files, and its settings. */
typedef struct {
    const char *cpu, *kvm; /* of tests/data/kvm; NULL: not known */
    const char *vendor;
    const char *release, *cmdline, *parameter;
    InvCpuSignature chip; /* vendor NULL: not known */
} HostCase;

static const HostCase sapphire_515 = { "sapphire.cpu.txt", "sapphire-5.15.kvm.txt", "GenuineIntel", "5.15.0-91-generic", "quiet nosmap tsx=off",
                                       "kvm_intel.nested=N", { 0 } };
static const HostCase sapphire_517 = { "sapphire.cpu.txt", "sapphire-5.17.kvm.txt", "GenuineIntel", "5.17.0", "quiet tsx=off", NULL, { 0 } };
static const HostCase sapphire_unknown = { "sapphire.cpu.txt", NULL, "GenuineIntel", NULL, NULL, NULL, { 0 } };
static const HostCase genoa = { "genoa-pvm-6.18.cpu.txt", "genoa-pvm-6.18.kvm.txt", "AuthenticAMD", "6.18.44", "quiet", NULL, { 0 } };
/* As if it were bare: what KVM does not offer of it would be broken on some chips of family 23. */
static const HostCase zen = { .cpu = "genoa-pvm-6.18.cpu.txt", .kvm = "genoa-pvm-6.18.kvm.txt", .vendor = "AuthenticAMD",
                              .chip = { "AuthenticAMD", 23, 49, 0 } };
static const HostCase nothing = { 0 };

typedef struct {
    const char *name;
    const HostCase *host;
    const char *feature;
    const char *answers; /* hardware, kernel, QEMU, machine, configuration: '+', '-', '?' */
    const char *layer;   /* NULL: a guest can have it, or that is not known */
    const char *reason, *remedy; /* what they contain; NULL: not looked at */
} LayersCase;

static const LayersCase layers_cases[] = {
    { "all have it", &sapphire_515, "avx2", "+++++", NULL, NULL, NULL },
    { "an older kernel, and a fact names the first", &sapphire_515, "amx-tile", "+-+-+", "kernel",
      "its kernel (Linux 5.15.0-91-generic, KVM) does not offer it to guests; Linux 5.17 does", "run Linux 5.17 or newer on this host" },
    { "the kernel of that fact", &sapphire_517, "amx-tile", "+++++", NULL, NULL, NULL },
    { "a boot option hides it from KVM", &sapphire_515, "smap", "+-+--", "configuration", "the boot option nosmap keeps it from guests", "without nosmap" },
    { "without that option", &sapphire_517, "smap", "+++++", NULL, NULL, NULL },
    { "a parameter of a module", &sapphire_515, "vmx", "+-+--", "configuration", "kvm_intel.nested=N keeps it", "nested=1" },
    { "without that parameter", &sapphire_517, "vmx", "+++++", NULL, NULL, NULL },
    { "a boot option takes it from the processor", &sapphire_515, "rtm", "--+--", "configuration", "the boot option tsx=off takes rtm", "tsx=on" },
    { "no guest of KVM has it, and no fact names a kernel", &sapphire_517, "smx", "+-+-+", "kernel", "its kernel (KVM) does not offer it to guests",
      "run a newer kernel" },
    { "the processor lacks it", &sapphire_517, "sse4a", "--+-+", "hardware", "the host's processor does not have sse4a", "whose processor has it" },
    { "no QEMU knows it", &sapphire_517, "mbm_total", "----+", "QEMU", "QEMU does not know mbm_total", "no QEMU" },
    { "the guest's own system sets it", &sapphire_517, "osxsave", "++-++", NULL, NULL, NULL },
    { "it cannot migrate", &sapphire_517, "invtsc", "+++++", NULL, NULL, NULL },
    { "an MSR that was read", &sapphire_517, "taa-no", "+++++", NULL, NULL, NULL },
    { "an MSR that was not read", &genoa, "taa-no", "?-+-+", "hardware", "the host (hardware or kernel) does not give taa-no", NULL },
    { "KVM emulates what the processor lacks", &genoa, "arch-capabilities", "-++++", NULL, NULL, NULL },
    { "KVM on page tables of its own offers no AVX", &genoa, "avx", "+-+-+", "kernel", "its kernel (KVM) does not offer it to guests", NULL },
    { "a newer kernel than the fact's does not offer it", &genoa, "vaes", "+-+-+", "kernel", "its kernel (KVM) does not offer it to guests",
      "run a newer kernel" },
    { "it is broken on this chip", &zen, "xsaves", "+-+-+", "kernel", "does not offer what is broken on it (family 17h", "microcode" },
    { "it is broken on another chip", &genoa, "xsaves", "+-+-+", "kernel", "its kernel (KVM) does not offer it", "newer kernel" },
    { "microcode is Intel's", &genoa, "rtm", "--+-+", "hardware", "the host's processor does not have rtm", "whose processor" },
    { "KVM was not asked", &sapphire_unknown, "avx2", "+?+-+", "kernel", "does not offer it to guests", NULL },
    { "nothing is known", &nothing, "avx2", "??+-+", "hardware", "the host (hardware or kernel) does not give avx2", NULL },
    { "only who names it may have it", &genoa, "topoext", "+++?+", NULL, NULL, NULL },
    { "an enlightenment of Hyper-V", &genoa, "hv-relaxed", "??+?+", NULL, NULL, NULL },
    { "it goes with a split interrupt controller", &genoa, "kvm-msi-ext-dest-id", "??+--", "configuration",
      "kernel-irqchip=split only", "microvm" },
    { "it is no feature of a processor", &genoa, "kvm_pv_eoi", "??+-+", "kernel", "knows kvm_pv_eoi, and does not give it to guests",
      "newer kernel" },
};

static CpuFacts *all;
static InvCpuLimits *limits;
static InvCpuHostLimits *host;
static InvFeatureLayers *layers;
static GError *error;

static int
teardown(void **state)
{
    g_clear_pointer(&layers, inv_feature_layers_free);
    g_clear_pointer(&host, inv_cpu_host_limits_free);
    g_clear_pointer(&limits, inv_cpu_limits_free);
    g_clear_pointer(&all, cpu_facts_free);
    g_clear_error(&error);
    return 0;
}

static InvFeatureSet *
recorded(const char *file)
{
    g_autofree char *path = file ? g_strdup_printf("%s/tests/data/kvm/%s", g_getenv("INVAR_TOP_SRCDIR"), file) : NULL;
    g_autofree char *text = NULL;
    g_autoptr(InvCpuidData) data = NULL;
    gsize length;

    if (!file)
        return NULL;
    if (!g_file_get_contents(path, &text, &length, &error) || !(data = inv_cpuid_data_parse(text, length, &error)))
        fail_msg("%s", error->message);
    return inv_cpuid_data_features(data, all->map, all->names);
}

/* A QEMU that gives all that KVM offers and that it knows, but what cannot migrate or wants to be named. */
static void
load(const HostCase *from)
{
    const char *const parameters[] = { from->parameter, NULL };

    all = cpu_facts_load("x86_64");
    limits = inv_cpu_limits_load(inv_cpu_map_default_folder(), "x86_64", all->map, &error);
    assert_non_null(limits);
    host = inv_cpu_host_limits_new(limits, all->map,
                                   &(InvCpuHostSettings){ .release = from->release, .cmdline = from->cmdline, .parameters = parameters,
                                                          .chip = from->chip.vendor ? &from->chip : NULL });
    all->facts.accelerator = INV_VIRT_KVM;
    all->facts.limits = host;
    all->facts.host_vendor = from->vendor;
    all->facts.hardware = all->hardware = recorded(from->cpu);
    all->facts.kernel = all->kernel = recorded(from->kvm);
    inv_feature_set_clear(all->host->on);
    if (all->kernel)
        inv_feature_set_assign(all->host->on, all->kernel);
    inv_feature_set_intersect(all->host->on, all->host->known);
    inv_feature_set_remove(all->host->on, "invtsc");
    inv_feature_set_remove(all->host->on, "topoext");
}

static void
layers_of_a_feature(void **state)
{
    const LayersCase *row = *state;
    char answers[INV_LAYERS + 1] = "";

    load(row->host);
    layers = inv_cpu_feature_layers(&all->facts, row->feature);
    for (guint i = 0; i < INV_LAYERS; i++) {
        answers[i] = layers->layers[i].answer < 0 ? '?' : layers->layers[i].answer ? '+' : '-';
        assert_true(*layers->layers[i].text);
    }
    if (strcmp(answers, row->answers) != 0)
        fail_msg("%s, not %s", answers, row->answers);
    assert_string_equal(layers->feature, row->feature);
    if (!row->layer) {
        assert_int_not_equal(layers->available, 0);
        assert_null(layers->reason);
        assert_null(layers->remedy);
        return;
    }
    assert_int_equal(layers->available, 0);
    assert_string_equal(inv_layer_to_string(layers->layer), row->layer);
    if (!strstr(layers->reason, row->reason) || !strstr(layers->remedy, row->remedy ? row->remedy : ""))
        fail_msg("%s — %s", layers->reason, layers->remedy);
    assert_true(*layers->remedy);
}

static void
microcode_is_named_on_intel(void **state)
{
    load(&sapphire_unknown);
    inv_feature_set_remove(all->hardware, "tsx-ctrl");
    layers = inv_cpu_feature_layers(&all->facts, "rtm");
    assert_int_equal(layers->layer, INV_LAYER_HARDWARE);
    assert_non_null(strstr(layers->reason, "microcode"));
}

static void
the_whole_table(void **state)
{
    g_autoptr(GPtrArray) table = NULL;
    const char *last = "";
    gboolean paravirtual = FALSE;

    load(&genoa);
    table = inv_cpu_all_feature_layers(&all->facts);
    assert_true(table->len > 350);
    for (guint i = 0; i < table->len; i++) {
        const InvFeatureLayers *row = g_ptr_array_index(table, i);

        assert_true(strcmp(last, row->feature) < 0);
        last = row->feature;
        /* Whoever cannot have it is told why, and what would help; nobody else is. */
        assert_int_equal(row->available == 0, row->reason != NULL);
        assert_int_equal(row->available == 0, row->remedy != NULL && *row->remedy);
        paravirtual = paravirtual || strcmp(row->feature, "kvm_pv_eoi") == 0;
    }
    assert_true(paravirtual);
}

static void
under_tcg_no_kernel_is_asked(void **state)
{
    load(&genoa);
    all->facts.accelerator = INV_VIRT_QEMU;
    layers = inv_cpu_feature_layers(&all->facts, "hv-relaxed");
    assert_int_equal(layers->available, 0);
    g_clear_pointer(&layers, inv_feature_layers_free);
    layers = inv_cpu_feature_layers(&all->facts, "avx512f");
    assert_int_equal(layers->layers[INV_LAYER_KERNEL].answer, -1);
    assert_int_equal(layers->layers[INV_LAYER_CONFIGURATION].answer, -1);
    assert_int_equal(layers->layer, INV_LAYER_QEMU);
    assert_non_null(strstr(layers->reason, "does not emulate avx512f (TCG)"));
}

/* s390x: its dictionary has no bits, and its QEMU knows its features. */
static void
another_architecture(void **state)
{
    g_autoptr(GPtrArray) table = NULL;

    all = cpu_facts_load("s390x");
    table = inv_cpu_all_feature_layers(&all->facts);
    assert_true(table->len > 50);
    for (guint i = 0; i < table->len; i++)
        assert_int_equal(((const InvFeatureLayers *)g_ptr_array_index(table, i))->layers[INV_LAYER_HARDWARE].answer, -1);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(layers_cases) + 4];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(layers_cases); i++)
        tests[n++] = (struct CMUnitTest){ layers_cases[i].name, layers_of_a_feature, NULL, teardown, (void *)&layers_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(microcode_is_named_on_intel, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(the_whole_table, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(under_tcg_no_kernel_is_asked, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(another_architecture, teardown);
    return cmocka_run_group_tests_name("layers", tests, NULL, NULL);
}
