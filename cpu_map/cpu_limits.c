/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_map/cpu_limits.h"

#include "cpu_map/table_file.h"
#include "util/error.h"

#include <stdlib.h>
#include <string.h>

#define KERNELS_HEADER "feature\tlinux\tsource"
#define CONFIGURATION_HEADER "kind\toption\tvalues\tfeatures\thides\tremedy\tsource"
#define MICROCODE_HEADER "feature\twhy"
/* Linux's own numbers of features: a word of 32 bits is a register of CPUID. */
#define BITS_PER_WORD 32u

typedef enum { KIND_BOOT, KIND_MODULE, KIND_MACHINE } Kind;

/* Words of the data, and of people. */
static const struct {
    const char *name, *called;
} kinds[] = {
    [KIND_BOOT] = { "boot", "the boot option" },
    [KIND_MODULE] = { "module", "the module parameter" },
    [KIND_MACHINE] = { "machine", "the machine's setting" },
};

typedef struct {
    Kind kind;
    char *option;
    char **values;   /* those that do it; "-": the bare word; "*": any */
    char **features; /* "=" alone: the value names them */
    gboolean hides_cpuid;
    char *remedy;
} Switch;

struct InvCpuLimits {
    GPtrArray *switches;   /* of Switch, owned */
    GHashTable *kernels;   /* feature → version */
    GHashTable *microcode; /* feature → why */
    InvCpuErrata *errata;  /* or NULL: another architecture's */
};

typedef struct {
    char *setting;
    const Switch *entry; /* of the limits */
} Forbidden;

struct InvCpuHostLimits {
    const InvCpuLimits *limits; /* borrowed */
    GHashTable *forbidden;      /* feature → Forbidden */
    char *kernel;               /* or NULL */
    char *release;              /* or NULL */
    char *vendor;               /* NULL: the chip is not known */
    InvCpuSignature chip;       /* its vendor is that above */
};

static const char *const x86_arches[] = { "x86_64", "i686", NULL };

static void
switch_free(gpointer data)
{
    Switch *entry = data;

    g_free(entry->option);
    g_strfreev(entry->values);
    g_strfreev(entry->features);
    g_free(entry->remedy);
    g_free(entry);
}

static void
forbidden_free(gpointer data)
{
    Forbidden *forbidden = data;

    g_free(forbidden->setting);
    g_free(forbidden);
}

static gboolean
add_switch(char **columns, gpointer opaque, GError **error)
{
    InvCpuLimits *limits = opaque;
    Switch *entry;
    guint kind = 0;

    while (kind < G_N_ELEMENTS(kinds) && strcmp(columns[0], kinds[kind].name) != 0)
        kind++;
    if (kind == G_N_ELEMENTS(kinds))
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "'%s' is none of 'boot', 'module', 'machine'", columns[0]);
    for (guint i = 1; i <= 6; i++) {
        if (!*columns[i])
            return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "column %u of the option '%s' is empty", i + 1, columns[1]);
    }
    if (strcmp(columns[4], "kvm") != 0 && strcmp(columns[4], "cpuid") != 0)
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "the option '%s' hides from '%s', which is neither 'kvm' nor 'cpuid'", columns[1],
                             columns[4]);
    entry = g_new0(Switch, 1);
    entry->hides_cpuid = strcmp(columns[4], "cpuid") == 0;
    entry->kind = (Kind)kind;
    entry->option = g_strdup(columns[1]);
    entry->values = g_strsplit(columns[2], ",", -1);
    entry->features = g_strsplit(columns[3], " ", -1);
    entry->remedy = g_strdup(columns[5]);
    g_ptr_array_add(limits->switches, entry);
    return TRUE;
}

static gboolean
add_kernel(char **columns, gpointer opaque, GError **error)
{
    InvCpuLimits *limits = opaque;

    if (!*columns[0] || !g_ascii_isdigit(*columns[1]) || !*columns[2])
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "feature '%s' lacks its version of Linux, or the source that says so", columns[0]);
    if (!g_hash_table_insert(limits->kernels, g_strdup(columns[0]), g_strdup(columns[1])))
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "feature '%s' is there twice", columns[0]);
    return TRUE;
}

static gboolean
add_microcode(char **columns, gpointer opaque, GError **error)
{
    InvCpuLimits *limits = opaque;

    g_hash_table_insert(limits->microcode, g_strdup(columns[0]), g_strdup(columns[1]));
    return TRUE;
}

InvCpuLimits *
inv_cpu_limits_load(const char *folder, const char *arch, const InvCpuMap *map, GError **error)
{
    g_autoptr(InvCpuLimits) limits = g_new0(InvCpuLimits, 1);
    g_autofree char *x86 = g_build_filename(folder, "x86", NULL);

    limits->switches = g_ptr_array_new_with_free_func(switch_free);
    limits->kernels = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    limits->microcode = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    if (g_strv_contains(x86_arches, arch) &&
        (!inv_table_file_read(x86, "kernels.tsv", KERNELS_HEADER, add_kernel, limits, error) ||
         !inv_table_file_read(x86, "configuration.tsv", CONFIGURATION_HEADER, add_switch, limits, error) ||
         !inv_table_file_read(x86, "microcode.tsv", MICROCODE_HEADER, add_microcode, limits, error) ||
         !(limits->errata = inv_cpu_errata_load(x86, map, error))))
        return NULL;
    return g_steal_pointer(&limits);
}

void
inv_cpu_limits_free(InvCpuLimits *limits)
{
    if (!limits)
        return;
    g_ptr_array_unref(limits->switches);
    g_hash_table_unref(limits->kernels);
    g_hash_table_unref(limits->microcode);
    inv_cpu_errata_free(limits->errata);
    g_free(limits);
}

int
inv_linux_version_compare(const char *a, const char *b)
{
    for (;;) {
        char *end_a, *end_b;
        guint64 left = g_ascii_strtoull(a, &end_a, 10);
        guint64 right = g_ascii_strtoull(b, &end_b, 10);

        if (left != right)
            return left < right ? -1 : 1;
        /* "6.1" and "6.1.0" are the same: what is missing counts as 0. */
        a = *end_a == '.' && g_ascii_isdigit(end_a[1]) ? end_a + 1 : "";
        b = *end_b == '.' && g_ascii_isdigit(end_b[1]) ? end_b + 1 : "";
        if (!*a && !*b)
            return 0;
    }
}

/* Letters and digits only, small: Linux writes avx512_vnni and sse4_1 where others have none or another mark. */
static char *
plain(const char *name)
{
    GString *letters = g_string_new(NULL);

    for (; *name; name++) {
        if (g_ascii_isalnum(*name))
            g_string_append_c(letters, g_ascii_tolower(*name));
    }
    return g_string_free(letters, FALSE);
}

static void
forbid(InvCpuHostLimits *host, const Switch *entry, const char *feature, const char *setting)
{
    Forbidden *forbidden;

    /* The first that forbids it is the one that is told. */
    if (g_hash_table_contains(host->forbidden, feature))
        return;
    forbidden = g_new0(Forbidden, 1);
    forbidden->setting = g_strdup_printf("%s %s", kinds[entry->kind].called, setting);
    forbidden->entry = entry;
    g_hash_table_insert(host->forbidden, g_strdup(feature), forbidden);
}

/* The register of CPUID that a word of Linux's numbers stands for: arch/x86/include/asm/cpufeatures.h. */
static gboolean
has_number(const InvCpuMapFeature *feature, guint64 number)
{
    static const struct {
        guint word;
        guint32 leaf, subleaf;
        InvCpuRegister reg;
    } words[] = {
        { 0, 0x1, 0, INV_CPU_REGISTER_EDX },         { 1, 0x80000001, 0, INV_CPU_REGISTER_EDX },
        { 4, 0x1, 0, INV_CPU_REGISTER_ECX },         { 6, 0x80000001, 0, INV_CPU_REGISTER_ECX },
        { 9, 0x7, 0, INV_CPU_REGISTER_EBX },         { 10, 0xd, 1, INV_CPU_REGISTER_EAX },
        { 12, 0x7, 1, INV_CPU_REGISTER_EAX },        { 13, 0x80000008, 0, INV_CPU_REGISTER_EBX },
        { 14, 0x6, 0, INV_CPU_REGISTER_EAX },        { 15, 0x8000000a, 0, INV_CPU_REGISTER_EDX },
        { 16, 0x7, 0, INV_CPU_REGISTER_ECX },        { 17, 0x80000007, 0, INV_CPU_REGISTER_EBX },
        { 18, 0x7, 0, INV_CPU_REGISTER_EDX },
    };

    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        if (words[i].word == number / BITS_PER_WORD)
            return !feature->is_msr && feature->leaf == words[i].leaf && feature->subleaf == words[i].subleaf &&
                feature->reg == words[i].reg && feature->mask == G_GUINT64_CONSTANT(1) << number % BITS_PER_WORD;
    }
    return FALSE;
}

static void
forbid_named(InvCpuHostLimits *host, const Switch *entry, const InvCpuMap *map, const char *value)
{
    g_auto(GStrv) wanted = g_strsplit(value, ",", -1);

    for (char **name = wanted; *name; name++) {
        g_autofree char *setting = g_strdup_printf("%s=%s", entry->option, *name);
        g_autofree char *letters = plain(*name);
        char *end;
        guint64 number = g_ascii_strtoull(*name, &end, 10);
        gboolean is_number = end != *name && !*end;

        for (guint i = 0; i < inv_cpu_map_size(map) && *letters; i++) {
            const InvCpuMapFeature *feature = inv_cpu_map_at(map, i);
            g_autofree char *own = plain(feature->name);
            g_autofree char *of_qemu = plain(feature->qemu);

            if (is_number ? has_number(feature, number) : strcmp(own, letters) == 0 || strcmp(of_qemu, letters) == 0)
                forbid(host, entry, feature->name, setting);
        }
    }
}

/* All features of a pattern such as "vmx-*". */
static void
forbid_all(InvCpuHostLimits *host, const Switch *entry, const InvCpuMap *map, const char *pattern, const char *setting)
{
    for (guint i = 0; i < inv_cpu_map_size(map); i++) {
        const InvCpuMapFeature *feature = inv_cpu_map_at(map, i);

        if (g_pattern_match_simple(pattern, feature->name))
            forbid(host, entry, feature->name, setting);
    }
}

/* @word: "nosmap", "tsx=off", "kvm_intel.nested=0". */
static void
apply(InvCpuHostLimits *host, const InvCpuMap *map, const char *word, Kind kind)
{
    g_auto(GStrv) parts = g_strsplit(word, "=", 2);
    const char *value = parts[0] ? parts[1] : NULL;

    for (guint i = 0; parts[0] && i < host->limits->switches->len; i++) {
        const Switch *entry = g_ptr_array_index(host->limits->switches, i);
        const char *const *values = (const char *const *)entry->values;

        if (entry->kind != kind || strcmp(entry->option, parts[0]) != 0)
            continue;
        if (!g_strv_contains(values, value ? value : "-") && !(value && g_strv_contains(values, "*")))
            continue;
        if (strcmp(entry->features[0], "=") == 0) {
            forbid_named(host, entry, map, value ? value : "");
            continue;
        }
        for (char **feature = entry->features; *feature; feature++) {
            if (g_str_has_suffix(*feature, "*"))
                forbid_all(host, entry, map, *feature, word);
            else
                forbid(host, entry, *feature, word);
        }
    }
}

InvCpuHostLimits *
inv_cpu_host_limits_new(const InvCpuLimits *limits, const InvCpuMap *map, const InvCpuHostSettings *settings)
{
    InvCpuHostLimits *host = g_new0(InvCpuHostLimits, 1);
    g_auto(GStrv) words = g_strsplit_set(settings->cmdline ? settings->cmdline : "", " \t\n", -1);

    host->limits = limits;
    host->forbidden = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, forbidden_free);
    host->release = g_strdup(settings->release);
    if (settings->chip) {
        host->chip = *settings->chip;
        host->chip.vendor = host->vendor = g_strdup(settings->chip->vendor);
    }
    host->kernel = settings->release ? g_strdup_printf("Linux %s", settings->release) : NULL;
    for (char **word = words; *word; word++) {
        /* What follows is for the first program, not for the kernel. */
        if (strcmp(*word, "--") == 0)
            break;
        apply(host, map, *word, KIND_BOOT);
    }
    for (const char *const *parameter = settings->parameters; parameter && *parameter; parameter++)
        apply(host, map, *parameter, KIND_MODULE);
    return host;
}

void
inv_cpu_host_limits_free(InvCpuHostLimits *host)
{
    if (!host)
        return;
    g_hash_table_unref(host->forbidden);
    g_free(host->kernel);
    g_free(host->release);
    g_free(host->vendor);
    g_free(host);
}

static const Switch *
find_machine_setting(const InvCpuLimits *limits, const char *feature)
{
    for (guint i = 0; i < limits->switches->len; i++) {
        const Switch *entry = g_ptr_array_index(limits->switches, i);

        if (entry->kind == KIND_MACHINE && g_strv_contains((const char *const *)entry->features, feature))
            return entry;
    }
    return NULL;
}

InvCpuLimit
inv_cpu_host_limits_find(const InvCpuHostLimits *host, const char *feature)
{
    const Forbidden *forbidden = host ? g_hash_table_lookup(host->forbidden, feature) : NULL;
    const char *since = host ? g_hash_table_lookup(host->limits->kernels, feature) : NULL;

    const Switch *machine = host ? find_machine_setting(host->limits, feature) : NULL;

    return (InvCpuLimit){
        .setting = forbidden ? forbidden->setting : NULL,
        .remedy = forbidden ? forbidden->entry->remedy : NULL,
        .hides_cpuid = forbidden && forbidden->entry->hides_cpuid,
        .machine_setting = machine ? machine->option : NULL,
        .machine_values = machine ? (const char *const *)machine->values : NULL,
        .machine_remedy = machine ? machine->remedy : NULL,
        .linux_since = since && host->release && inv_linux_version_compare(host->release, since) < 0 ? since : NULL,
        .erratum = host && host->vendor ? inv_cpu_errata_find(host->limits->errata, &host->chip, feature) : NULL,
        .microcode = host ? g_hash_table_lookup(host->limits->microcode, feature) : NULL,
    };
}

const char *
inv_cpu_host_limits_kernel(const InvCpuHostLimits *host)
{
    return host ? host->kernel : NULL;
}
