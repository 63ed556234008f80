/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/cpu.h"
#include "xml/cpu_words.h"

static void
format_model(const InvCpu *cpu, xmlNodePtr node)
{
    xmlNodePtr model;

    inv_node_set_child_text(node, "arch", cpu->arch, inv_cpu_children);
    inv_node_set_child_text(node, "vendor", cpu->vendor, inv_cpu_children);
    model = inv_node_child(node, "model");
    if (!model && !cpu->model && !cpu->model_check && !cpu->fallback && !cpu->vendor_id)
        return;
    model = inv_node_ensure(node, "model", inv_cpu_children);
    inv_node_set(model, "check", inv_words_to_string(&inv_cpu_model_checks, cpu->model_check));
    inv_node_set(model, "fallback", inv_words_to_string(&inv_cpu_fallbacks, cpu->fallback));
    inv_node_set(model, "vendor_id", cpu->vendor_id);
    inv_node_set_text(model, cpu->model ? cpu->model : "");
}

static void
format_topology(const InvCpu *cpu, xmlNodePtr node)
{
    xmlNodePtr topology;

    if (!cpu->sockets) {
        inv_node_remove_child(node, "topology");
        return;
    }
    topology = inv_node_ensure(node, "topology", inv_cpu_children);
    inv_node_setf(topology, "sockets", "%u", cpu->sockets);
    inv_node_setf(topology, "dies", "%u", cpu->dies ? cpu->dies : 1);
    inv_node_setf(topology, "clusters", "%u", cpu->clusters ? cpu->clusters : 1);
    inv_node_setf(topology, "cores", "%u", cpu->cores);
    inv_node_setf(topology, "threads", "%u", cpu->threads);
}

static void
set_number(xmlNodePtr node, const char *attribute, int number, int none)
{
    if (number == none)
        inv_node_set(node, attribute, NULL);
    else
        inv_node_setf(node, attribute, "%d", number);
}

static void
format_cache(const InvCpu *cpu, xmlNodePtr node)
{
    if (cpu->cache == INV_CPU_CACHE_NONE) {
        inv_node_remove_child(node, "cache");
    } else {
        xmlNodePtr cache = inv_node_ensure(node, "cache", inv_cpu_children);

        inv_node_set(cache, "mode", inv_words_to_string(&inv_cpu_caches, cpu->cache));
        set_number(cache, "level", cpu->cache_level, -1);
    }
    if (cpu->maxphysaddr == INV_CPU_MAXPHYSADDR_NONE) {
        /* A host's <maxphysaddr> has a mode as well, so one that is not known here was taken away. */
        inv_node_remove_child(node, "maxphysaddr");
    } else {
        xmlNodePtr address = inv_node_ensure(node, "maxphysaddr", inv_cpu_children);

        inv_node_set(address, "mode", inv_words_to_string(&inv_cpu_maxphysaddrs, cpu->maxphysaddr));
        set_number(address, "bits", (int)cpu->maxphysaddr_bits, 0);
        set_number(address, "limit", (int)cpu->maxphysaddr_limit, 0);
    }
}

/* Elements that stay are changed where they are; new ones follow the last. */
static void
format_features(const InvCpu *cpu, xmlNodePtr node)
{
    g_autoptr(GHashTable) elements = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    xmlNodePtr last = NULL;

    for (xmlNodePtr child = xmlFirstElementChild(node), next; child; child = next) {
        g_autofree char *name = NULL;

        next = xmlNextElementSibling(child);
        if (!inv_node_is(child, "feature"))
            continue;
        name = inv_node_attr(child, "name");
        if (!name || !inv_cpu_find_feature(cpu, name))
            inv_node_remove(child);
        else
            g_hash_table_insert(elements, g_steal_pointer(&name), last = child);
    }
    for (guint i = 0; i < cpu->features->len; i++) {
        const InvCpuFeature *feature = g_ptr_array_index(cpu->features, i);
        xmlNodePtr element = g_hash_table_lookup(elements, feature->name);

        if (!element) {
            element = xmlNewDocNode(node->doc, NULL, (const xmlChar *)"feature", NULL);
            if (last)
                xmlAddNextSibling(last, element);
            else
                inv_node_insert(node, element, inv_cpu_children);
            last = element;
        }
        inv_node_set(element, "policy", inv_words_to_string(&inv_cpu_policies, feature->policy));
        inv_node_set(element, "name", feature->name);
    }
}

static void
format_distances(const InvNumaCell *cell, xmlNodePtr node)
{
    xmlNodePtr distances;

    if (!cell->distances || !cell->distances->len)
        return;
    distances = inv_node_ensure(node, "distances", NULL);
    for (guint i = 0; i < cell->distances->len; i++) {
        const InvNumaDistance *distance = &g_array_index(cell->distances, InvNumaDistance, i);
        g_autofree char *id = g_strdup_printf("%u", distance->cell);
        xmlNodePtr found = NULL;

        INV_NODE_FOREACH(sibling, distances)
        {
            g_autofree char *other = inv_node_attr(sibling, "id");
            guint64 number;

            if (inv_node_is(sibling, "sibling") && other && inv_number_parse(other, &number) && number == distance->cell)
                found = sibling;
        }
        if (!found)
            found = xmlNewChild(distances, NULL, (const xmlChar *)"sibling", NULL);
        inv_node_set(found, "id", id);
        inv_node_setf(found, "value", "%u", distance->value);
    }
}

static void
format_cell(const InvNumaCell *cell, xmlNodePtr node)
{
    inv_node_setf(node, "id", "%u", cell->id);
    inv_node_set(node, "cpus", cell->cpus);
    inv_node_setf(node, "memory", "%" G_GUINT64_FORMAT, cell->memory_kib);
    inv_node_set(node, "unit", "KiB");
    inv_node_set(node, "memAccess", cell->mem_access);
    inv_node_set(node, "discard", inv_words_to_string(&inv_yes_no, cell->discard));
    format_distances(cell, node);
}

/* Cells are matched by their place: the parser made one of each element, in order. */
static void
format_numa(const InvCpu *cpu, xmlNodePtr node)
{
    static const char *const children[] = { "cell", "interconnects", NULL };
    xmlNodePtr numa;
    xmlNodePtr element;

    if (!cpu->cells->len) {
        inv_node_remove_child(node, "numa");
        return;
    }
    numa = inv_node_ensure(node, "numa", inv_cpu_children);
    element = xmlFirstElementChild(numa);
    for (guint i = 0; i < cpu->cells->len; i++) {
        while (element && !inv_node_is(element, "cell"))
            element = xmlNextElementSibling(element);
        if (!element) {
            element = xmlNewDocNode(node->doc, NULL, (const xmlChar *)"cell", NULL);
            inv_node_insert(numa, element, children);
        }
        format_cell(g_ptr_array_index(cpu->cells, i), element);
        element = xmlNextElementSibling(element);
    }
    while (element) {
        xmlNodePtr next = xmlNextElementSibling(element);

        if (inv_node_is(element, "cell"))
            inv_node_remove(element);
        element = next;
    }
}

xmlNodePtr
inv_cpu_format_node(const InvCpu *cpu)
{
    xmlNodePtr node = cpu->source ? xmlDocCopyNode(cpu->source, NULL, 1) : xmlNewNode(NULL, (const xmlChar *)"cpu");

    inv_node_set(node, "mode", inv_cpu_mode_to_string(cpu->mode));
    inv_node_set(node, "match", inv_cpu_match_to_string(cpu->match));
    inv_node_set(node, "check", inv_words_to_string(&inv_cpu_checks, cpu->check));
    inv_node_set(node, "migratable", inv_words_to_string(&inv_on_off, cpu->migratable));
    inv_node_set(node, "deprecated_features", inv_words_to_string(&inv_on_off, cpu->deprecated_features));
    format_model(cpu, node);
    format_topology(cpu, node);
    format_cache(cpu, node);
    format_features(cpu, node);
    format_numa(cpu, node);
    return node;
}

char *
inv_cpu_format(const InvCpu *cpu)
{
    xmlNodePtr node = inv_cpu_format_node(cpu);
    char *text = inv_xml_format_node(node);

    xmlFreeNode(node);
    return text;
}
