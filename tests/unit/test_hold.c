/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cpu_driver/hold.h"
#include "cpu_driver/migration_check.h"
#include "cpu_driver/request.h"
#include "tests/unit/cpu_facts.h"
#include "util/error.h"

#define OLD "x86_64"
#define NEW "x86_64-next"

/* Recorded answers of two real QEMUs, 7.2 and 10.0, on the machine type that both have. */
static CpuFacts *from, *to;
static InvCpu *cpu, *pinned;
static InvCpuRequest *request;
static InvCpuRecord *record, *after;
static InvVerdict *verdict;
static GError *error;
static char *text;

static int
teardown(void **state)
{
    g_clear_pointer(&text, g_free);
    g_clear_pointer(&verdict, inv_verdict_free);
    g_clear_pointer(&record, inv_cpu_record_free);
    g_clear_pointer(&after, inv_cpu_record_free);
    g_clear_pointer(&request, inv_cpu_request_free);
    g_clear_pointer(&pinned, inv_cpu_free);
    g_clear_pointer(&cpu, inv_cpu_free);
    g_clear_pointer(&from, cpu_facts_free);
    g_clear_pointer(&to, cpu_facts_free);
    g_clear_error(&error);
    return 0;
}

/* What QEMU filters of the request: from the table, else of the guest that was recorded with this argument. */
static char **
filtered(const CpuFacts *facts)
{
    g_autofree char *argument = inv_cpu_request_argument(request, FALSE);
    g_autoptr(InvGuestCpu) guest = NULL;
    const char *const *known;

    if (inv_cpu_request_known_unavailable(&facts->facts, request, &known))
        return g_strdupv((char **)known);
    guest = cpu_facts_guest(facts, argument);
    assert_non_null(guest);
    return g_strdupv(guest->unavailable);
}

static InvCpuRecord *
made(const CpuFacts *facts)
{
    g_autofree char *argument = inv_cpu_request_argument(request, TRUE);
    g_autoptr(InvGuestCpu) guest = cpu_facts_guest(facts, argument);

    assert_non_null(guest);
    return inv_cpu_record_new(facts->facts.arch, guest);
}

/* The first start: `record` and `pinned` are what it leaves. */
static void
start(const char *file, const char *xml)
{
    g_auto(GStrv) unavailable = NULL;

    from = cpu_facts_load(file);
    cpu = inv_cpu_parse(xml, &error);
    request = cpu ? inv_cpu_resolve(&from->facts, cpu, &error) : NULL;
    if (!request)
        fail_msg("%s", error->message);
    unavailable = filtered(from);
    inv_cpu_settle(&from->facts, request, (const char *const *)unavailable);
    pinned = inv_cpu_pin(&from->facts, cpu, request);
    record = made(from);
}

static void
resolve_pinned(const char *file)
{
    to = cpu_facts_load(file);
    g_clear_pointer(&request, inv_cpu_request_free);
    request = inv_cpu_resolve(&to->facts, pinned, &error);
    if (!request)
        fail_msg("%s", error->message);
}

static char *
blocked(const InvVerdict *of)
{
    g_autoptr(GString) list = g_string_new(NULL);

    for (guint i = 0; i < of->blockers->len; i++) {
        const InvBlocker *blocker = g_ptr_array_index(of->blockers, i);

        g_string_append_printf(list, "%s%s:%s", i ? " " : "", blocker->feature, inv_layer_to_string(blocker->layer));
    }
    return g_string_free(g_steal_pointer(&list), FALSE);
}

typedef struct {
    const char *name;
    const char *from, *to;
    const char *xml;
    const char *argument; /* what the second QEMU is started with, or NULL: refused */
    const char *blockers; /* "feature:layer feature:layer" */
} HeldCase;

#define DISABLE(name) "<feature name='" name "' policy='disable'/>"
#define NO_NEW DISABLE("rdseed") DISABLE("x2apic") DISABLE("3dnowprefetch")
#define SKYLAKE_OFF "3dnowprefetch=off,hle=off,invpcid=off,pcid=off,rdseed=off,rtm=off,tsc-deadline=off,x2apic=off,xsavec=off"

static const HeldCase held_cases[] = {
    { .name = "7.2 to 10.0, a model of Intel's", .from = OLD, .to = NEW, .xml = "<cpu><model>Skylake-Client</model></cpu>",
      .argument = "Skylake-Client-v1," SKYLAKE_OFF },
    { .name = "7.2 to 10.0, a model of AMD's", .from = OLD, .to = NEW, .xml = "<cpu><model>EPYC</model></cpu>",
      .argument = "EPYC-v1,3dnowprefetch=off,fxsr-opt=off,misalignsse=off,nrip-save=off,osvw=off,rdseed=off,sha-ni=off,topoext=off,"
                  "xsavec=off" },
    { .name = "7.2 to 10.0, a model that both give whole", .from = OLD, .to = NEW, .xml = "<cpu><model>Nehalem</model></cpu>",
      .argument = "Nehalem-v1" },
    { .name = "7.2 to 10.0, all that there is", .from = OLD, .to = NEW, .xml = "<cpu mode='maximum'>" DISABLE("pcommit") "</cpu>",
      .argument = "max,family=15,model=107,stepping=1,level-func7=0,3dnowprefetch=off,cmp-legacy=off,cmpccxadd=off,fsrc=off,fsrm=off,"
                  "fsrs=off,fzrm=off,pcommit=off,rdpid=off,rdseed=off,sha-ni=off,wbnoinvd=off,x2apic=off,xsaveerptr=off" },
    { .name = "7.2 to 10.0, an instruction that is no more", .from = OLD, .to = NEW, .xml = "<cpu mode='maximum'/>",
      .blockers = "pcommit:QEMU" },
    { .name = "7.2 to 10.0, xsave off and what belongs to it left on", .from = OLD, .to = NEW,
      .xml = "<cpu><model>Haswell-noTSX</model>" DISABLE("xsave") "</cpu>",
      .argument = "Haswell-v2,invpcid=off,pcid=off,tsc-deadline=off,x2apic=off,xsave=off" },
    { .name = "10.0 to 7.2, a model of Intel's", .from = NEW, .to = OLD, .xml = "<cpu><model>Skylake-Client</model></cpu>",
      .blockers = "3dnowprefetch:QEMU rdseed:QEMU x2apic:QEMU" },
    { .name = "10.0 to 7.2, a model of AMD's", .from = NEW, .to = OLD, .xml = "<cpu><model>EPYC</model></cpu>",
      .blockers = "3dnowprefetch:QEMU rdseed:QEMU sha-ni:QEMU" },
    { .name = "10.0 to 7.2, without what 7.2 lacks", .from = NEW, .to = OLD, .xml = "<cpu><model>Skylake-Client</model>" NO_NEW "</cpu>",
      .argument = "Skylake-Client-v1," SKYLAKE_OFF },
    { .name = "10.0 to 7.2, a feature that 7.2 has no name for", .from = NEW, .to = OLD,
      .xml = "<cpu><model>Nehalem</model><feature name='fsrs' policy='require'/></cpu>", .blockers = "fsrs:QEMU" },
    { .name = "the same QEMU", .from = OLD, .to = OLD, .xml = "<cpu><model>Skylake-Client</model></cpu>",
      .argument = "Skylake-Client-v1," SKYLAKE_OFF },
};

static void
held(void **state)
{
    const HeldCase *row = *state;
    g_autoptr(InvVerdict) asked = NULL;
    g_auto(GStrv) unavailable = NULL, changes = NULL;
    g_autofree char *argument = NULL, *list = NULL;

    start(row->from, row->xml);
    resolve_pinned(row->to);
    verdict = inv_cpu_hold(&to->facts, request, record);
    assert_true(request->held);
    assert_int_equal(verdict->outcome, verdict->blockers->len ? INV_OUTCOME_REFUSED : INV_OUTCOME_EXACT);
    unavailable = filtered(to);
    asked = inv_cpu_verdict(&to->facts, pinned, request, (const char *const *)unavailable);
    text = blocked(asked);
    assert_string_equal(text, row->blockers ? row->blockers : "");
    assert_int_equal(asked->outcome, row->blockers ? INV_OUTCOME_REFUSED : INV_OUTCOME_EXACT);
    if (row->blockers)
        return;
    inv_cpu_settle(&to->facts, request, (const char *const *)unavailable);
    argument = inv_cpu_request_argument(request, TRUE);
    assert_string_equal(argument, row->argument);
    after = made(to);
    changes = inv_cpu_record_compare(record, after);
    list = g_strjoinv("; ", changes);
    assert_string_equal(list, "");
    assert_string_equal(after->fingerprint, record->fingerprint);
}

/* Every blocker says what helps: another QEMU, or to give the CPU up. */
static void
remedies(void **state)
{
    g_auto(GStrv) unavailable = NULL;

    start(NEW, "<cpu><model>Skylake-Client</model></cpu>");
    resolve_pinned(OLD);
    verdict = inv_cpu_hold(&to->facts, request, record);
    assert_int_equal(verdict->blockers->len, 0);
    unavailable = filtered(to);
    g_clear_pointer(&verdict, inv_verdict_free);
    verdict = inv_cpu_verdict(&to->facts, pinned, request, (const char *const *)unavailable);
    for (guint i = 0; i < verdict->blockers->len; i++) {
        const InvBlocker *blocker = g_ptr_array_index(verdict->blockers, i);

        assert_non_null(strstr(blocker->reason, "QEMU 7.2"));
        assert_non_null(strstr(blocker->reason, blocker->feature));
        assert_non_null(strstr(blocker->remedy, "a QEMU that emulates it"));
        assert_non_null(strstr(blocker->remedy, "invar cpu-reopen"));
        assert_null(strstr(blocker->remedy, "relaxed"));
    }
}

typedef struct {
    const char *name;
    const char *changes;  /* of the record of a Nehalem-v1 with aes, before it is held: as in edit() */
    const char *xml;      /* the definition now; NULL: as it was */
    gboolean kvm;
    const char *argument; /* unsettled */
    const char *blockers;
} EditedCase;

#define NEHALEM(inside) "<cpu mode='custom' match='exact'><model check='strict'>Nehalem-v1</model>" inside "</cpu>"
#define AES "<feature name='aes' policy='require'/>"

static const EditedCase edited_cases[] = {
    { .name = "nothing", .argument = "Nehalem-v1,aes=on" },
    { .name = "a feature that the model has not", .changes = "+avx", .argument = "Nehalem-v1,aes=on,avx=on" },
    { .name = "a feature that the model has", .changes = "-sse4.2", .argument = "Nehalem-v1,aes=on,sse4.2=off" },
    { .name = "a paravirtual feature", .changes = "+kvm_pv_eoi", .argument = "Nehalem-v1,aes=on,kvm-pv-eoi=on" },
    { .name = "a feature of an MSR", .changes = "+rdctl-no", .argument = "Nehalem-v1,aes=on,rdctl-no=on" },
    { .name = "threads", .changes = "+ht +cmp_legacy", .argument = "Nehalem-v1,aes=on" },
    { .name = "a feature that nobody knows", .changes = "+quantum", .argument = "Nehalem-v1,aes=on", .blockers = "quantum:QEMU" },
    { .name = "a feature that the guest's system sets", .changes = "+osxsave", .argument = "Nehalem-v1,aes=on" },
    { .name = "family, model and stepping", .changes = "family=15 model=1 stepping=9",
      .argument = "Nehalem-v1,family=15,model=1,stepping=9,aes=on" },
    { .name = "the highest leaves", .changes = "level=2 xlevel=2147483658 xlevel2=3221225476 level-func7=1",
      .argument = "Nehalem-v1,level=2,xlevel=2147483658,xlevel2=3221225476,level-func7=1,aes=on" },
    { .name = "another vendor under TCG", .changes = "vendor=AuthenticAMD", .argument = "Nehalem-v1,vendor=AuthenticAMD,aes=on" },
    { .name = "another vendor under KVM", .changes = "vendor=AuthenticAMD", .kvm = TRUE, .argument = "Nehalem-v1,aes=on",
      .blockers = "vendor:hardware" },
    { .name = "a vendor that would add a property", .changes = "vendor=Genui,kvm=on", .argument = "Nehalem-v1,aes=on",
      .blockers = "vendor:configuration" },
    { .name = "another brand", .changes = "model-id=Some|CPU", .argument = "Nehalem-v1,model-id=Some CPU,aes=on" },
    { .name = "a brand that would add a property", .changes = "model-id=x,kvm=off", .argument = "Nehalem-v1,aes=on",
      .blockers = "brand:configuration" },
    { .name = "addresses that TCG has not", .changes = "phys-bits=46", .argument = "Nehalem-v1,aes=on", .blockers = "maxphysaddr:QEMU" },
    { .name = "addresses of KVM", .changes = "phys-bits=39", .kvm = TRUE, .argument = "Nehalem-v1,host-phys-bits=off,phys-bits=39,aes=on" },
    { .name = "addresses of the host before", .changes = "phys-bits=39", .kvm = TRUE, .xml = NEHALEM("<maxphysaddr mode='passthrough'/>" AES),
      .argument = "Nehalem-v1,host-phys-bits=off,phys-bits=39,aes=on" },
    { .name = "addresses that were edited", .changes = "phys-bits=39", .kvm = TRUE,
      .xml = NEHALEM("<maxphysaddr mode='emulate' bits='42'/>" AES), .argument = "Nehalem-v1,phys-bits=42,aes=on",
      .blockers = "maxphysaddr:configuration" },
    { .name = "addresses of a 32-bit CPU", .changes = "-lm phys-bits=36", .argument = "Nehalem-v1,aes=on,lm=off" },
    { .name = "a feature that was taken out of the definition", .xml = NEHALEM(""), .argument = "Nehalem-v1,aes=on" },
    { .name = "a feature that the definition disables now", .xml = NEHALEM(DISABLE("aes")), .argument = "Nehalem-v1,aes=off",
      .blockers = "aes:configuration" },
    { .name = "a feature that the definition requires now", .xml = NEHALEM(AES "<feature name='avx' policy='require'/>"),
      .argument = "Nehalem-v1,aes=on,avx=on", .blockers = "avx:configuration" },
    { .name = "an optional feature", .xml = NEHALEM("<feature name='aes' policy='optional'/><feature name='avx' policy='optional'/>"),
      .argument = "Nehalem-v1,aes=on,avx=off" },
    { .name = "a cache that the definition switches off now", .xml = NEHALEM("<cache mode='disable'/>" AES),
      .argument = "Nehalem-v1,l3-cache=off,aes=on", .blockers = "l3-cache:configuration" },
    { .name = "a vendor of the definition's", .xml = "<cpu><model vendor_id='KVMKVMKVMKVM'>Nehalem-v1</model>" AES "</cpu>",
      .argument = "Nehalem-v1,vendor=KVMKVMKVMKVM,aes=on", .blockers = "vendor:configuration" },
    { .name = "another model", .xml = "<cpu><model>Westmere-v1</model></cpu>", .argument = "Westmere-v1", .blockers = "model:configuration" },
    { .name = "another machine", .changes = "machine:pc-q35-8.0", .argument = "Nehalem-v1,aes=on", .blockers = "machine:configuration" },
};

static void
edit_one(InvGuestCpu *guest, char *change)
{
    char *equals = strchr(change, '=');

    g_strdelimit(change, "|", ' ');
    if (*change == '+') {
        inv_feature_set_add(guest->cpu->on, change + 1);
    } else if (*change == '-') {
        inv_feature_set_remove(guest->cpu->on, change + 1);
    } else if (g_str_has_prefix(change, "machine:")) {
        g_free(guest->machine);
        guest->machine = g_strdup(change + strlen("machine:"));
    } else {
        g_assert_nonnull(equals);
        *equals = '\0';
        if (g_ascii_isdigit(equals[1]))
            inv_json_object_set_int(guest->cpu->others, change, g_ascii_strtoll(equals + 1, NULL, 10));
        else
            inv_json_object_set_string(guest->cpu->others, change, equals + 1);
    }
}

/* A guest as Nehalem-v1 with aes, without words: its names tell. */
static InvCpuRecord *
edited_record(const char *changes)
{
    g_auto(GStrv) parts = g_strsplit(changes ? changes : "", " ", -1);
    g_autoptr(InvGuestCpu) guest = g_new0(InvGuestCpu, 1);

    guest->machine = g_strdup("pc-q35-7.2");
    guest->model = g_strdup("Nehalem-v1");
    guest->type_name = g_strdup("Nehalem-v1-x86_64-cpu");
    guest->cpu = inv_cpu_expansion_copy(inv_cpu_table_find(to->table, "Nehalem-v1")->expansion);
    inv_feature_set_add(guest->cpu->on, "aes");
    for (char **part = parts; *part; part++)
        edit_one(guest, *part);
    return inv_cpu_record_new("x86_64", guest);
}

static void
edited(void **state)
{
    const EditedCase *row = *state;

    to = cpu_facts_load(OLD);
    if (row->kvm)
        to->facts.accelerator = INV_VIRT_KVM;
    record = edited_record(row->changes);
    pinned = inv_cpu_parse(row->xml ? row->xml : NEHALEM(AES), &error);
    request = pinned ? inv_cpu_resolve(&to->facts, pinned, &error) : NULL;
    if (!request)
        fail_msg("%s", error->message);
    verdict = inv_cpu_hold(&to->facts, request, record);
    text = blocked(verdict);
    assert_string_equal(text, row->blockers ? row->blockers : "");
    assert_string_equal(verdict->argument, row->argument);
    /* The request carries the same: who asks it later is told, too. */
    assert_int_equal(request->refusals->blockers->len, verdict->blockers->len);
}

/* What stands for the host here is another model than what stood for it there: the guest keeps that one. */
static void
a_model_that_stood_for_the_host(void **state)
{
    to = cpu_facts_load(OLD);
    record = edited_record(NULL);
    pinned = inv_cpu_parse("<cpu mode='host-model'/>", &error);
    request = inv_cpu_resolve(&to->facts, pinned, &error);
    assert_non_null(request);
    assert_string_not_equal(inv_cpu_request_model(request), "Nehalem-v1");
    verdict = inv_cpu_hold(&to->facts, request, record);
    assert_int_equal(verdict->outcome, INV_OUTCOME_EXACT);
    assert_string_equal(inv_cpu_request_model(request), "Nehalem-v1");
    text = g_strdup_printf("%s,", verdict->argument);
    assert_non_null(strstr(text, ",aes=on,"));
    /* Nothing is left on of what this host would have been given. */
    assert_non_null(strstr(text, ",avx2=off,"));
    assert_null(strstr(text, ",avx2=on,"));
}

/* Held twice is held once. */
static void
twice(void **state)
{
    g_autoptr(InvVerdict) again = NULL;

    to = cpu_facts_load(OLD);
    record = edited_record("+avx family=15 -sse4.2 vendor=AuthenticAMD");
    pinned = inv_cpu_parse(NEHALEM(AES), &error);
    request = inv_cpu_resolve(&to->facts, pinned, &error);
    verdict = inv_cpu_hold(&to->facts, request, record);
    again = inv_cpu_hold(&to->facts, request, record);
    assert_string_equal(again->argument, verdict->argument);
    assert_int_equal(again->outcome, INV_OUTCOME_EXACT);
}

typedef struct {
    const char *name, *arch, *xml, *model, *machine, *argument, *blockers;
} ElsewhereCase;

static const ElsewhereCase elsewhere_cases[] = {
    { "aarch64", "aarch64", "<cpu><model>cortex-a57</model></cpu>", "cortex-a57", "virt-7.2", "cortex-a57", "" },
    { "aarch64, another model", "aarch64", "<cpu><model>cortex-a57</model></cpu>", "cortex-a72", "virt-7.2", "cortex-a57", "model:configuration" },
    { "ppc64", "ppc64", "<cpu><model>power9</model></cpu>", "power9_v2.0", "pseries-7.2", "power9", "" },
    { "s390x, another machine", "s390x", "<cpu><model>z14</model></cpu>", "z14", "s390-ccw-virtio-8.0", "z14", "machine:configuration" },
    { "another architecture", "aarch64", "<cpu><model>max</model></cpu>", "max", NULL, "max", "architecture:configuration" },
};

static void
elsewhere(void **state)
{
    const ElsewhereCase *row = *state;
    g_autoptr(InvGuestCpu) guest = g_new0(InvGuestCpu, 1);

    to = cpu_facts_load(row->arch);
    guest->machine = g_strdup(row->machine ? row->machine : to->facts.machine);
    guest->model = g_strdup(row->model);
    record = inv_cpu_record_new(row->machine ? row->arch : "armv7l", guest);
    pinned = inv_cpu_parse(row->xml, &error);
    request = inv_cpu_resolve(&to->facts, pinned, &error);
    assert_non_null(request);
    verdict = inv_cpu_hold(&to->facts, request, record);
    text = blocked(verdict);
    assert_string_equal(text, row->blockers);
    assert_string_equal(verdict->argument, row->argument);
}

/* A guest that has its host's own processor, and a host that it would move to. */
typedef struct {
    const char *name, *model, *changes, *blocked;
    gboolean tcg;
} ProcessorCase;

static const ProcessorCase processor_cases[] = {
    { .name = "the same processor", .model = "host", .blocked = "" },
    { .name = "another family", .model = "host", .changes = "family=77", .blocked = "processor:hardware" },
    { .name = "another model", .model = "host", .changes = "model=77", .blocked = "processor:hardware" },
    { .name = "another stepping", .model = "host", .changes = "stepping=13", .blocked = "processor:hardware" },
    { .name = "another vendor", .model = "host", .changes = "vendor=HygonGenuine", .blocked = "processor:hardware" },
    { .name = "another product of one signature", .model = "host", .changes = "model-id=Xeon", .blocked = "processor:hardware" },
    { .name = "maximum under KVM", .model = "max", .changes = "stepping=13", .blocked = "processor:hardware" },
    { .name = "a named model", .model = "Nehalem-v1", .changes = "stepping=13", .blocked = "" },
    { .name = "TCG has no processor of a host", .model = "max", .changes = "stepping=13", .blocked = "", .tcg = TRUE },
};

static void
processor(void **state)
{
    const ProcessorCase *row = *state;
    g_autoptr(InvGuestCpu) guest = g_new0(InvGuestCpu, 1);
    g_auto(GStrv) parts = g_strsplit(row->changes ? row->changes : "", " ", -1);
    gsize before;

    to = cpu_facts_load(OLD);
    assert_non_null(to->facts.host);
    if (!row->tcg)
        to->facts.accelerator = INV_VIRT_KVM;
    guest->machine = g_strdup("pc-q35-7.2");
    guest->model = g_strdup(row->model);
    guest->cpu = inv_cpu_expansion_copy(to->facts.host);
    for (char **part = parts; *part; part++)
        edit_one(guest, *part);
    record = inv_cpu_record_new("x86_64", guest);
    verdict = inv_verdict_new();
    inv_migration_refuse_immobile(verdict, &to->facts, record);
    text = blocked(verdict);
    assert_string_equal(text, row->blocked);
    assert_int_equal(verdict->outcome, *row->blocked ? INV_OUTCOME_REFUSED : INV_OUTCOME_EXACT);
    /* Told once. */
    before = verdict->blockers->len;
    inv_migration_refuse_immobile(verdict, &to->facts, record);
    assert_int_equal(verdict->blockers->len, before);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(processor_cases) + G_N_ELEMENTS(held_cases) + G_N_ELEMENTS(edited_cases) + G_N_ELEMENTS(elsewhere_cases) + 3];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(held_cases); i++)
        tests[n++] = (struct CMUnitTest){ held_cases[i].name, held, NULL, teardown, (void *)&held_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(edited_cases); i++)
        tests[n++] = (struct CMUnitTest){ edited_cases[i].name, edited, NULL, teardown, (void *)&edited_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(elsewhere_cases); i++)
        tests[n++] = (struct CMUnitTest){ elsewhere_cases[i].name, elsewhere, NULL, teardown, (void *)&elsewhere_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(processor_cases); i++)
        tests[n++] = (struct CMUnitTest){ processor_cases[i].name, processor, NULL, teardown, (void *)&processor_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(remedies, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(a_model_that_stood_for_the_host, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(twice, teardown);
    return cmocka_run_group_tests_name("hold", tests, NULL, NULL);
}
