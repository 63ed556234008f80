/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/cpu.h"
#include "xml/cpu_scan.h"
#include "xml/cpu_words.h"

#include <string.h>

/* QEMU's largest guest has 4096 vCPUs; no level of a topology can have more. */
#define MAX_TOPOLOGY 4096
/* Every architecture together has fewer names; a document's duplicates are looked for in this many. */
#define MAX_FEATURES 4096
/* QEMU's MAX_NODES. */
#define MAX_CELLS 128
#define VENDOR_ID_LENGTH 12

static gboolean
parse_attributes(InvCpu *cpu, xmlNodePtr node, GError **error)
{
    if (!inv_node_words(node, "mode", &inv_cpu_modes, (guint *)&cpu->mode, error)
        || !inv_node_words(node, "match", &inv_cpu_matches, (guint *)&cpu->match, error)
        || !inv_node_words(node, "check", &inv_cpu_checks, (guint *)&cpu->check, error)
        || !inv_node_words(node, "migratable", &inv_on_off, (guint *)&cpu->migratable, error)
        || !inv_node_words(node, "deprecated_features", &inv_on_off, (guint *)&cpu->deprecated_features, error))
        return FALSE;
    if (cpu->migratable && cpu->mode != INV_CPU_MODE_HOST_PASSTHROUGH && cpu->mode != INV_CPU_MODE_MAXIMUM)
        return inv_node_fail(node, "migratable", VIR_ERR_XML_ERROR, error,
                             "only mode='host-passthrough' and mode='maximum' can have it");
    return TRUE;
}

static gboolean
parse_model(InvCpu *cpu, xmlNodePtr node, GError **error)
{
    xmlNodePtr model;
    xmlNodePtr vendor;

    if (!inv_node_only_child(node, "model", &model, error) || !inv_node_only_child(node, "vendor", &vendor, error))
        return FALSE;
    cpu->arch = inv_node_child_token(node, "arch");
    if (model) {
        cpu->model = inv_node_token(model);
        cpu->vendor_id = inv_node_attr(model, "vendor_id");
        if (!inv_node_words(model, "check", &inv_cpu_model_checks, (guint *)&cpu->model_check, error)
            || !inv_node_words(model, "fallback", &inv_cpu_fallbacks, (guint *)&cpu->fallback, error))
            return FALSE;
        if (!cpu->model && (cpu->mode == INV_CPU_MODE_UNSET || cpu->mode == INV_CPU_MODE_CUSTOM))
            return inv_node_fail(model, NULL, VIR_ERR_XML_ERROR, error, "the name of a CPU model is missing");
    }
    if (cpu->vendor_id && strlen(cpu->vendor_id) != VENDOR_ID_LENGTH)
        return inv_node_fail(model, "vendor_id", VIR_ERR_XML_ERROR, error, "must be exactly %d characters long",
                             VENDOR_ID_LENGTH);
    if (cpu->vendor_id && strchr(cpu->vendor_id, ','))
        return inv_node_fail(model, "vendor_id", VIR_ERR_XML_ERROR, error, "must not contain a comma");
    if (vendor && !(cpu->vendor = inv_node_token(vendor)))
        return inv_node_fail(vendor, NULL, VIR_ERR_XML_ERROR, error, "the name of a vendor is missing");
    if (cpu->vendor && !cpu->model)
        return inv_node_fail(vendor, NULL, VIR_ERR_XML_ERROR, error, "a vendor needs a <model> beside it");
    return TRUE;
}

static gboolean
parse_topology(InvCpu *cpu, xmlNodePtr node, GError **error)
{
    static const char *const mandatory[] = { "sockets", "cores", "threads", NULL };
    xmlNodePtr topology;

    if (!inv_node_only_child(node, "topology", &topology, error))
        return FALSE;
    if (!topology)
        return TRUE;
    for (const char *const *name = mandatory; *name; name++) {
        g_autofree char *value = inv_node_required(topology, *name, error);

        if (!value)
            return FALSE;
    }
    cpu->dies = 1;
    cpu->clusters = 1;
    return inv_node_uint(topology, "sockets", 1, MAX_TOPOLOGY, &cpu->sockets, error)
           && inv_node_uint(topology, "dies", 1, MAX_TOPOLOGY, &cpu->dies, error)
           && inv_node_uint(topology, "clusters", 1, MAX_TOPOLOGY, &cpu->clusters, error)
           && inv_node_uint(topology, "cores", 1, MAX_TOPOLOGY, &cpu->cores, error)
           && inv_node_uint(topology, "threads", 1, MAX_TOPOLOGY, &cpu->threads, error);
}

static gboolean
parse_cache(InvCpu *cpu, xmlNodePtr node, GError **error)
{
    xmlNodePtr cache;
    guint level = 0;
    g_autofree char *mode = NULL;

    if (!inv_node_only_child(node, "cache", &cache, error))
        return FALSE;
    if (!cache)
        return TRUE;
    if (!(mode = inv_node_required(cache, "mode", error))
        || !inv_node_words(cache, "mode", &inv_cpu_caches, (guint *)&cpu->cache, error)
        || !inv_node_uint(cache, "level", 1, 3, &level, error))
        return FALSE;
    if (level)
        cpu->cache_level = (int)level;
    if (cpu->cache == INV_CPU_CACHE_EMULATE && cpu->cache_level != 3)
        return inv_node_fail(cache, "mode", VIR_ERR_CONFIG_UNSUPPORTED, error, "is possible for level='3' only");
    if (cpu->cache != INV_CPU_CACHE_EMULATE && cpu->cache_level != -1)
        return inv_node_fail(cache, "level", VIR_ERR_CONFIG_UNSUPPORTED, error, "mode='%s' takes no level", mode);
    if (cpu->cache == INV_CPU_CACHE_PASSTHROUGH && cpu->mode != INV_CPU_MODE_HOST_PASSTHROUGH
        && cpu->mode != INV_CPU_MODE_MAXIMUM)
        return inv_node_fail(cache, "mode", VIR_ERR_CONFIG_UNSUPPORTED, error,
                             "needs <cpu mode='host-passthrough'> or <cpu mode='maximum'>");
    return TRUE;
}

static gboolean
parse_maxphysaddr(InvCpu *cpu, xmlNodePtr node, GError **error)
{
    xmlNodePtr address;
    g_autofree char *mode = NULL;

    if (!inv_node_only_child(node, "maxphysaddr", &address, error))
        return FALSE;
    if (!address)
        return TRUE;
    if (!(mode = inv_node_required(address, "mode", error))
        || !inv_node_words(address, "mode", &inv_cpu_maxphysaddrs, (guint *)&cpu->maxphysaddr, error)
        || !inv_node_uint(address, "bits", 1, 64, &cpu->maxphysaddr_bits, error)
        || !inv_node_uint(address, "limit", 1, 64, &cpu->maxphysaddr_limit, error))
        return FALSE;
    if (cpu->maxphysaddr == INV_CPU_MAXPHYSADDR_EMULATE && !cpu->maxphysaddr_bits)
        return inv_node_fail(address, "mode", VIR_ERR_XML_ERROR, error, "attribute 'bits' is missing");
    if (cpu->maxphysaddr == INV_CPU_MAXPHYSADDR_EMULATE && cpu->maxphysaddr_limit)
        return inv_node_fail(address, "limit", VIR_ERR_CONFIG_UNSUPPORTED, error, "is for mode='passthrough' only");
    if (cpu->maxphysaddr == INV_CPU_MAXPHYSADDR_PASSTHROUGH && cpu->maxphysaddr_bits)
        return inv_node_fail(address, "bits", VIR_ERR_CONFIG_UNSUPPORTED, error, "is for mode='emulate' only");
    return TRUE;
}

static gboolean
parse_feature(InvCpu *cpu, xmlNodePtr node, GHashTable *lines, GError **error)
{
    g_autofree char *name = inv_node_required(node, "name", error);
    InvCpuFeature *feature;
    gpointer first;

    if (!name)
        return FALSE;
    first = g_hash_table_lookup(lines, name);
    if (first)
        return inv_node_fail(node, "name", VIR_ERR_XML_ERROR, error, " is given twice, first in line %d",
                             GPOINTER_TO_INT(first));
    if (cpu->features->len >= MAX_FEATURES)
        return inv_node_fail(node, "name", VIR_ERR_XML_ERROR, error, "more than %d features", MAX_FEATURES);
    feature = g_new0(InvCpuFeature, 1);
    feature->name = g_strdup(name);
    g_ptr_array_add(cpu->features, feature);
    g_hash_table_insert(lines, feature->name, GINT_TO_POINTER((int)xmlGetLineNo(node) ?: 1));
    return inv_node_words(node, "policy", &inv_cpu_policies, (guint *)&feature->policy, error);
}

static gboolean
parse_features(InvCpu *cpu, xmlNodePtr node, GError **error)
{
    g_autoptr(GHashTable) lines = g_hash_table_new(g_str_hash, g_str_equal); /* borrowed name → line */

    INV_NODE_FOREACH(child, node)
    {
        if (!inv_node_is(child, "feature"))
            continue;
        if (!parse_feature(cpu, child, lines, error))
            return FALSE;
        if (!cpu->model && (cpu->mode == INV_CPU_MODE_UNSET || cpu->mode == INV_CPU_MODE_CUSTOM))
            return inv_node_fail(child, "name", VIR_ERR_XML_ERROR, error, "features need a <model> beside them");
    }
    return TRUE;
}

static gboolean
parse_distances(InvNumaCell *cell, xmlNodePtr node, GError **error)
{
    xmlNodePtr distances = inv_node_child(node, "distances");

    if (!distances)
        return TRUE;
    cell->distances = g_array_new(FALSE, TRUE, sizeof(InvNumaDistance));
    INV_NODE_FOREACH(sibling, distances)
    {
        InvNumaDistance distance = { 0 };
        g_autofree char *id = NULL;
        g_autofree char *value = NULL;

        if (!inv_node_is(sibling, "sibling"))
            continue;
        if (!(id = inv_node_required(sibling, "id", error)) || !(value = inv_node_required(sibling, "value", error))
            || !inv_node_uint(sibling, "id", 0, MAX_CELLS - 1, &distance.cell, error)
            || !inv_node_uint(sibling, "value", 10, 255, &distance.value, error))
            return FALSE;
        for (guint i = 0; i < cell->distances->len; i++) {
            if (g_array_index(cell->distances, InvNumaDistance, i).cell == distance.cell)
                return inv_node_fail(sibling, "id", VIR_ERR_XML_ERROR, error, " is given twice");
        }
        if (distance.cell == cell->id && distance.value != 10)
            return inv_node_fail(sibling, "value", VIR_ERR_XML_ERROR, error, "the distance of a cell to itself is 10");
        g_array_append_val(cell->distances, distance);
    }
    return TRUE;
}

static gboolean
parse_cell(InvCpu *cpu, xmlNodePtr node, GError **error)
{
    InvNumaCell *cell;

    if (cpu->cells->len >= MAX_CELLS)
        return inv_node_fail(node, "id", VIR_ERR_XML_ERROR, error, "more than %d cells", MAX_CELLS);
    cell = g_new0(InvNumaCell, 1);
    cell->id = cpu->cells->len;
    g_ptr_array_add(cpu->cells, cell);
    cell->cpus = inv_node_attr(node, "cpus");
    cell->mem_access = inv_node_attr(node, "memAccess");
    if (cell->mem_access && strcmp(cell->mem_access, "shared") != 0 && strcmp(cell->mem_access, "private") != 0)
        return inv_node_fail(node, "memAccess", VIR_ERR_XML_ERROR, error, "unknown value; known: shared, private");
    if (!inv_node_uint(node, "id", 0, MAX_CELLS - 1, &cell->id, error)
        || !inv_node_words(node, "discard", &inv_yes_no, (guint *)&cell->discard, error)
        || !inv_node_memory(node, "memory", &cell->memory_kib, error))
        return FALSE;
    for (guint i = 0; i + 1 < cpu->cells->len; i++) {
        if (((InvNumaCell *)g_ptr_array_index(cpu->cells, i))->id == cell->id)
            return inv_node_fail(node, NULL, VIR_ERR_XML_ERROR, error, "cell %u is given twice", cell->id);
    }
    return parse_distances(cell, node, error);
}

static gboolean
parse_numa(InvCpu *cpu, xmlNodePtr node, GError **error)
{
    xmlNodePtr numa;

    if (!inv_node_only_child(node, "numa", &numa, error))
        return FALSE;
    if (!numa)
        return TRUE;
    INV_NODE_FOREACH(child, numa)
    {
        if (inv_node_is(child, "cell") && !parse_cell(cpu, child, error))
            return FALSE;
    }
    return TRUE;
}

InvCpu *
inv_cpu_read_node(xmlNodePtr node, GError **error)
{
    g_autoptr(InvCpu) cpu = inv_cpu_new();

    if (!inv_node_is(node, "cpu")) {
        inv_node_fail(node, NULL, VIR_ERR_XML_ERROR, error, "a <cpu> is expected here");
        return NULL;
    }
    if (!parse_attributes(cpu, node, error) || !parse_model(cpu, node, error) || !parse_topology(cpu, node, error)
        || !parse_cache(cpu, node, error) || !parse_maxphysaddr(cpu, node, error) || !parse_features(cpu, node, error)
        || !parse_numa(cpu, node, error))
        return NULL;
    return g_steal_pointer(&cpu);
}

InvCpu *
inv_cpu_parse_node(xmlNodePtr node, GError **error)
{
    InvCpu *cpu = inv_cpu_read_node(node, error);

    if (cpu)
        cpu->source = xmlDocCopyNode(node, NULL, 1);
    return cpu;
}

InvCpu *
inv_cpu_parse(const char *xml, GError **error)
{
    g_autoptr(InvXmlDoc) doc = inv_xml_parse(xml, "cpu", error);

    return doc ? inv_cpu_parse_node(xmlDocGetRootElement(doc), error) : NULL;
}

InvCpu *
inv_cpu_read(const char *xml, GError **error)
{
    InvCpu *plain = inv_cpu_scan(xml);
    g_autoptr(InvXmlDoc) doc = NULL;

    if (plain)
        return plain;
    doc = inv_xml_parse(xml, "cpu", error);
    return doc ? inv_cpu_read_node(xmlDocGetRootElement(doc), error) : NULL;
}
