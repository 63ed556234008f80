/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/cpu_table.h"

#include <string.h>

/*
 * Booleans of QEMU's CPU objects that say nothing of what a guest sees in its CPU. They are kept
 * out of the features: two QEMUs that differ in them only make the same CPU.
 *
 * Left in on purpose, since CPUID shows them: kvm and tcg-cpuid (the hypervisor's leaves),
 * l3-cache, legacy-cache and host-cache-info (the cache leaves), pmu, cpuid-0xb, vmware-cpuid-freq.
 */
static const struct {
    const char *name;
    const char *why;
} housekeeping[] = {
    { "realized", "state of the device object" },
    { "hotplugged", "how the device came" },
    { "hotpluggable", "whether the device could go" },
    { "start-powered-off", "state at reset, set by the machine" },
    { "check", "whether QEMU warns of what it filters" },
    { "enforce", "whether QEMU refuses what it would filter" },
    { "force-features", "whether QEMU filters at all" },
    { "migratable", "which features host and max start from; those are listed themselves" },
    { "host-phys-bits", "where phys-bits comes from; the number is recorded itself" },
    { "fill-mtrr-mask", "form of a value in the migration stream" },
    { "full-cpuid-auto-level", "where level comes from; the number is recorded itself" },
    { "kvm-no-smi-migration", "content of the migration stream" },
    { "legacy-multi-node", "a leaf as older machine types have it; QEMU before 9.0 has no property for that and no other leaf" },
};

/* Numbers and links of one vCPU's place in the machine, the same for no two vCPUs. */
static const char *const placement[] = {
    "apic-id", "core-id", "cluster-id", "module-id", "die-id", "socket-id", "book-id", "drawer-id",
    "thread-id", "node-id", "memory", "unnamed-gpio-in", NULL,
};

static gboolean
is_housekeeping(const char *name)
{
    /* "x-": what QEMU keeps for its machine types' sake; the canonical machine's name stands for it. */
    if (g_str_has_prefix(name, "x-"))
        return TRUE;
    for (guint i = 0; i < G_N_ELEMENTS(housekeeping); i++) {
        if (strcmp(name, housekeeping[i].name) == 0)
            return TRUE;
    }
    return FALSE;
}

/* Is this another spelling of a property that is there under the name that QEMU goes by? */
static gboolean
is_stale_spelling(const InvCpuMap *map, const InvJson *props, const char *name)
{
    const char *qemu = inv_cpu_map_to_qemu(map, inv_cpu_map_to_libvirt(map, name));
    g_autofree char *dashed = NULL;

    if (strcmp(qemu, name) != 0)
        return inv_json_get(props, qemu) != NULL;
    if (!strchr(name, '_'))
        return FALSE;
    dashed = g_strdelimit(g_strdup(name), "_", '-');
    return inv_json_get(props, dashed) != NULL;
}

InvCpuExpansion *
inv_cpu_expansion_new(const InvCpuMap *map, InvFeatureNames *names, const InvJson *props)
{
    InvCpuExpansion *expansion = g_new0(InvCpuExpansion, 1);

    expansion->on = inv_feature_set_new(names);
    expansion->known = inv_feature_set_new(names);
    expansion->others = inv_json_new_object();
    for (guint i = 0; i < inv_json_size(props); i++) {
        const InvJson *value = NULL;
        const char *name = inv_json_member(props, i, &value);
        gboolean on;

        /* A name that would end a property on the command line is none of QEMU's. */
        if (!name || !*name || strpbrk(name, ",=") || is_housekeeping(name) || is_stale_spelling(map, props, name))
            continue;
        if (inv_json_boolean(value, &on)) {
            const char *libvirt = inv_cpu_map_to_libvirt(map, name);

            inv_feature_set_add(expansion->known, libvirt);
            if (on)
                inv_feature_set_add(expansion->on, libvirt);
        } else if (!g_strv_contains(placement, name)) {
            inv_json_object_set(expansion->others, name, inv_json_copy(value));
        }
    }
    return expansion;
}

InvCpuExpansion *
inv_cpu_expansion_copy(const InvCpuExpansion *expansion)
{
    InvCpuExpansion *copy;

    if (!expansion)
        return NULL;
    copy = g_new0(InvCpuExpansion, 1);
    copy->on = inv_feature_set_copy(expansion->on);
    copy->known = inv_feature_set_copy(expansion->known);
    copy->others = inv_json_copy(expansion->others);
    copy->deprecated = g_strdupv(expansion->deprecated);
    return copy;
}

void
inv_cpu_expansion_free(InvCpuExpansion *expansion)
{
    if (!expansion)
        return;
    inv_feature_set_free(expansion->on);
    inv_feature_set_free(expansion->known);
    inv_json_free(expansion->others);
    g_strfreev(expansion->deprecated);
    g_free(expansion);
}
