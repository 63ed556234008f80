/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu_driver/baseline.h"
#include "cpu_driver/compare.h"
#include "cpu_driver/difference.h"
#include "tests/unit/cpu_facts.h"
#include "tests/unit/cpu_machines.h"

/*
 * What the algebra of CPUs costs: figures, never a verdict. Time is the processor's for this process:
 * others may work beside it. The machines are those of ../shared;
 * where that is absent, the map's models are taken for machines.
 */

#define HOSTS 10000u
#define TURNS 9u /* of which the fastest counts: the machine does other things too */

typedef struct {
    CpuWorld *world;
    GPtrArray *seen;  /* of InvCpuSeen, borrowed or in `made` */
    GPtrArray *made;  /* of InvCpuSeen, owned */
    GPtrArray *texts; /* of char *: HOSTS documents, all different */
    GPtrArray *hosts; /* of InvCpuDescription: what the texts mean */
} Bench;

static gint64
now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (gint64)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void
fail(const char *what, const GError *error)
{
    fprintf(stderr, "bench_cpu: %s: %s\n", what, error ? error->message : "failed");
    exit(1);
}

static void
say(const char *what, double value, const char *unit)
{
    printf("  %-58s %10.3f %s\n", what, value, unit);
}

/* Machines with an answer of QEMU, else models. */
static void
find_machines(Bench *bench)
{
    for (guint i = 0; i < bench->world->machines->len; i++) {
        const CpuMachine *machine = g_ptr_array_index(bench->world->machines, i);

        if (machine->qemu)
            g_ptr_array_add(bench->seen, machine->qemu);
    }
    for (guint i = 0; !bench->world->machines->len && i < inv_cpu_models_size(bench->world->models); i++) {
        const InvCpuModelEntry *entry = inv_cpu_models_at(bench->world->models, i);
        InvCpuSeen *seen = g_new0(InvCpuSeen, 1);

        seen->vendor = g_strdup(entry->vendor);
        seen->family = (guint)entry->family;
        seen->model_number = (guint)entry->model_number;
        seen->features = inv_feature_set_copy(inv_cpu_decoder_model(bench->world->decoder, entry->name, FALSE));
        g_ptr_array_add(bench->made, seen);
        g_ptr_array_add(bench->seen, seen);
    }
}

/* A machine of Intel's, less and more some features: a document as virsh capabilities prints it. */
static char *
make_text(const Bench *bench, GRand *rand)
{
    const InvCpuSeen *seen;
    g_autoptr(InvCpu) cpu = NULL;

    do
        seen = g_ptr_array_index(bench->seen, (guint)g_rand_int_range(rand, 0, (gint32)bench->seen->len));
    while (strcmp(seen->vendor, "GenuineIntel") != 0);
    cpu = inv_cpu_describe_seen(bench->world->decoder, seen, NULL);
    for (guint i = 0; i < 20; i++) {
        const InvCpuMapFeature *entry = inv_cpu_map_at(bench->world->map, (guint)g_rand_int_range(rand, 0, (gint32)inv_cpu_map_size(bench->world->map)));

        if (entry->mask)
            inv_cpu_set_feature(cpu, entry->name, g_rand_boolean(rand) ? INV_CPU_POLICY_REQUIRE : INV_CPU_POLICY_DISABLE);
    }
    return inv_cpu_format(cpu);
}

static InvCpuDescription *
read_host(const Bench *bench, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvCpu) cpu = inv_cpu_parse(text, &error);
    InvCpuDescription *description = cpu ? inv_cpu_describe(bench->world->basis, cpu, NULL, &error) : NULL;

    if (!description)
        fail("a document of the benchmark's own", error);
    return description;
}

static void
make_hosts(Bench *bench)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    g_autoptr(GHashTable) known = g_hash_table_new(g_str_hash, g_str_equal);
    struct mallinfo2 before, after;

    while (bench->texts->len < HOSTS) {
        char *text = make_text(bench, rand);

        if (g_hash_table_add(known, text))
            g_ptr_array_add(bench->texts, text);
        else
            g_free(text);
    }
    before = mallinfo2();
    for (guint i = 0; i < HOSTS; i++)
        g_ptr_array_add(bench->hosts, read_host(bench, g_ptr_array_index(bench->texts, i)));
    after = mallinfo2();
    say("memory per parsed host", ((double)after.uordblks - (double)before.uordblks) / HOSTS, "bytes");
}

static void
time_compare(const Bench *bench)
{
    g_autoptr(InvCpuDifference) difference = inv_cpu_difference_new(bench->world->basis);
    const guint pairs = 1000000;
    guint compatible = 0;
    gint64 begin;

    begin = now_ns();
    for (guint i = 0; i < pairs; i++) {
        inv_cpu_difference_find(bench->world->basis, g_ptr_array_index(bench->hosts, i % HOSTS),
                                g_ptr_array_index(bench->hosts, (i * 7919u) % HOSTS), difference);
        compatible += difference->result != VIR_CPU_COMPARE_INCOMPATIBLE;
    }
    say("compare a pair of parsed CPUs (order of 1)", (double)(now_ns() - begin) / pairs / 1000, "us");
    /* The answers are used, so that none of it is left out. */
    if (compatible > pairs)
        fail("compare", NULL);
}

/* What a call of a client costs besides the wire: text, a QEMU's models, and the reasons as sentences. */
static void
time_calls(void)
{
    static const char text[] = "<cpu mode='custom' match='exact'><model>Skylake-Client</model>"
                               "<feature name='aes' policy='require'/><feature name='hle' policy='disable'/></cpu>";
    CpuFacts *all = cpu_facts_load("x86_64");
    const guint turns = 2000;
    gint64 begin = now_ns();

    for (guint i = 0; i < turns; i++) {
        g_autoptr(InvCpuBasis) basis = inv_cpu_basis_of_facts(&all->facts);

        if (!basis)
            fail("basis", NULL);
    }
    say("make the ground for a QEMU's models", (double)(now_ns() - begin) / turns / 1000, "us");
    begin = now_ns();
    for (guint i = 0; i < turns; i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(InvCpu) cpu = inv_cpu_parse(text, &error);
        g_autoptr(InvVerdict) why = NULL;
        virCPUCompareResult result;

        if (!cpu || !inv_cpu_compare(&all->facts, NULL, cpu, &result, &why, &error))
            fail("compare", error);
    }
    say("compare a document with this host, with reasons", (double)(now_ns() - begin) / turns / 1000, "us");
    cpu_facts_free(all);
}

static void
time_decode(const Bench *bench)
{
    const guint turns = 20;
    guint64 deltas = 0, least = 0;
    gint64 spent;
    gint64 begin = now_ns();

    for (guint turn = 0; turn < turns; turn++) {
        for (guint i = 0; i < bench->seen->len; i++) {
            g_autoptr(InvCpu) cpu = inv_cpu_describe_seen(bench->world->decoder, g_ptr_array_index(bench->seen, i), NULL);

            deltas += cpu ? inv_cpu_count_deltas(cpu) : 0;
        }
    }
    spent = now_ns() - begin;
    for (guint i = 0; i < bench->seen->len; i++)
        least += inv_cpu_least_deltas(bench->world->decoder, g_ptr_array_index(bench->seen, i));
    say("decode a machine against all models (order of 200)", (double)spent / turns / bench->seen->len / 1000, "us");
    printf("  %-58s %6u machines\n", bench->world->machines->len ? "machines with an answer of QEMU" : "models taken for machines", bench->seen->len);
    printf("  %-58s %6" G_GUINT64_FORMAT "\n", "features named to describe them all", deltas / turns);
    printf("  %-58s %6" G_GUINT64_FORMAT "\n", "the minimum that the models allow", least);
}

static gint64
read_sets_once(const Bench *bench, guint64 *sum)
{
    gint64 begin = now_ns();

    for (guint i = 0; i < HOSTS; i++)
        *sum += inv_feature_set_hash(((const InvCpuDescription *)g_ptr_array_index(bench->hosts, i))->on);
    return now_ns() - begin;
}

static gint64
baseline_of_parsed(const Bench *bench, guint *features)
{
    gint64 begin = now_ns();
    g_autoptr(InvCpuBaseliner) baseliner = inv_cpu_baseliner_new(bench->world->basis);
    g_autoptr(InvCpu) cpu = NULL;
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < HOSTS; i++) {
        if (!inv_cpu_baseliner_add(baseliner, g_ptr_array_index(bench->hosts, i), "a host", &error))
            fail("baseline", error);
    }
    cpu = inv_cpu_baseliner_result(baseliner, FALSE, FALSE, &error);
    if (!cpu)
        fail("baseline", error);
    *features = cpu->features->len;
    return now_ns() - begin;
}

static gint64
baseline_of_texts(const Bench *bench)
{
    gint64 begin = now_ns();
    g_autoptr(InvCpuBaseliner) baseliner = inv_cpu_baseliner_new(bench->world->basis);
    g_autoptr(InvCpu) cpu = NULL;
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < HOSTS; i++) {
        g_autoptr(InvCpuDescription) description = read_host(bench, g_ptr_array_index(bench->texts, i));

        if (!inv_cpu_baseliner_add(baseliner, description, "a host", &error))
            fail("baseline", error);
    }
    cpu = inv_cpu_baseliner_result(baseliner, FALSE, FALSE, &error);
    if (!cpu)
        fail("baseline", error);
    return now_ns() - begin;
}

static void
time_baseline(const Bench *bench)
{
    gint64 read = G_MAXINT64, found = G_MAXINT64;
    guint64 sum = 0;
    guint features = 0;
    gsize bytes = 0;

    for (guint turn = 0; turn < TURNS; turn++) {
        read = MIN(read, read_sets_once(bench, &sum));
        found = MIN(found, baseline_of_parsed(bench, &features));
    }
    for (guint i = 0; i < HOSTS; i++)
        bytes += strlen(g_ptr_array_index(bench->texts, i));
    say("reading the feature sets of 10,000 hosts once", (double)read / 1e6, "ms");
    say("baseline of 10,000 different hosts, parsed (order of 5)", (double)found / 1e6, "ms");
    say("  that is of reading them (within 4)", (double)found / (double)read, "times");
    say("baseline of 10,000 different hosts, from XML (order of 1000)", (double)baseline_of_texts(bench) / 1e6, "ms");
    say("  a document has", (double)bytes / HOSTS, "bytes");
    if (!sum || !features)
        fail("baseline", NULL);
}

int
main(void)
{
    Bench bench = { .world = cpu_world_load(NULL) };

    bench.seen = g_ptr_array_new();
    bench.made = g_ptr_array_new_with_free_func((GDestroyNotify)inv_cpu_seen_free);
    bench.texts = g_ptr_array_new_with_free_func(g_free);
    bench.hosts = g_ptr_array_new_with_free_func((GDestroyNotify)inv_cpu_description_free);
    printf("CPU algebra:\n");
    find_machines(&bench);
    make_hosts(&bench);
    time_compare(&bench);
    time_baseline(&bench);
    time_decode(&bench);
    time_calls();
    g_ptr_array_unref(bench.hosts);
    g_ptr_array_unref(bench.texts);
    g_ptr_array_unref(bench.made);
    g_ptr_array_unref(bench.seen);
    cpu_world_free(bench.world);
    return 0;
}
