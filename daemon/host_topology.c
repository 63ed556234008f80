/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host_topology.h"

#include "daemon/host.h"
#include "daemon/host_file.h"
#include "util/error.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CPU_FOLDER "/sys/devices/system/cpu"
#define NODE_FOLDER "/sys/devices/system/node"
#define HUGE_FOLDER "/sys/kernel/mm/hugepages"
#define MAX_PAGE_SIZES 32u

static void
cpu_free(gpointer data)
{
    InvHostCpu *cpu = data;

    g_free(cpu->siblings);
    g_free(cpu);
}

static void
cell_free(gpointer data)
{
    InvHostCell *cell = data;

    g_array_unref(cell->pages);
    g_array_unref(cell->distances);
    g_ptr_array_unref(cell->cpus);
    g_free(cell);
}

void
inv_host_topology_free(InvHostTopology *topology)
{
    if (!topology)
        return;
    g_clear_pointer(&topology->present, g_array_unref);
    g_clear_pointer(&topology->online, g_array_unref);
    g_clear_pointer(&topology->cells, g_ptr_array_unref);
    g_clear_pointer(&topology->huge_pages_kib, g_array_unref);
    g_free(topology);
}

static int
compare_numbers(const void *a, const void *b)
{
    guint first = *(const guint *)a, second = *(const guint *)b;

    return first < second ? -1 : first > second;
}

static void
sort_and_unify(GArray *numbers)
{
    guint kept = 0;

    g_array_sort(numbers, compare_numbers);
    for (guint i = 0; i < numbers->len; i++) {
        guint number = g_array_index(numbers, guint, i);

        if (!kept || g_array_index(numbers, guint, kept - 1) != number)
            g_array_index(numbers, guint, kept++) = number;
    }
    g_array_set_size(numbers, kept);
}

gboolean
inv_host_parse_list(const char *text, guint limit, GArray **numbers)
{
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(guint));
    g_auto(GStrv) parts = NULL;

    text += strspn(text, " \t\n");
    parts = *text ? g_strsplit(text, ",", -1) : g_new0(char *, 1);
    for (char **part = parts; *part; part++) {
        g_auto(GStrv) ends = g_strsplit(g_strstrip(*part), "-", 3);
        guint n = g_strv_length(ends);
        guint64 first, last;

        if (n < 1 || n > 2 || !g_ascii_string_to_unsigned(ends[0], 10, 0, (guint64)limit - 1, &first, NULL) ||
            !g_ascii_string_to_unsigned(ends[n - 1], 10, first, (guint64)limit - 1, &last, NULL))
            return FALSE;
        /* Ranges that overlap again and again must not cost more than the limit allows. */
        if (list->len + (last - first) >= 2 * (guint64)limit)
            return FALSE;
        for (guint number = (guint)first; number <= last; number++)
            g_array_append_val(list, number);
    }
    sort_and_unify(list);
    g_clear_pointer(numbers, g_array_unref);
    *numbers = g_steal_pointer(&list);
    return TRUE;
}

static gboolean
read_list(const char *root, const char *path, guint limit, GArray **numbers)
{
    g_autofree char *full = inv_host_path(root, "%s", path);
    g_autofree char *text = inv_host_read_text(full);

    return text && inv_host_parse_list(text, limit, numbers);
}

/* @numbers: ascending. */
static gboolean
has_number(const GArray *numbers, guint number)
{
    return bsearch(&number, numbers->data, numbers->len, sizeof(guint), compare_numbers) != NULL;
}

/* Without the lists: what the C library counts, numbered from 0. */
static gboolean
find_cpus(InvHostTopology *topology, const char *root, GError **error)
{
    if (!read_list(root, CPU_FOLDER "/online", INV_HOST_MAX_CPUS, &topology->online) || !topology->online->len) {
        long count = root ? -1 : sysconf(_SC_NPROCESSORS_ONLN);

        if (count < 1 || count > (long)INV_HOST_MAX_CPUS)
            return inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                                 "the number of this host's processors is not known: '%s" CPU_FOLDER
                                 "/online' cannot be read or is no list of processors",
                                 root ? root : "");
        g_clear_pointer(&topology->online, g_array_unref);
        topology->online = g_array_new(FALSE, FALSE, sizeof(guint));
        for (guint i = 0; i < (guint)count; i++)
            g_array_append_val(topology->online, i);
    }
    if (!read_list(root, CPU_FOLDER "/present", INV_HOST_MAX_CPUS, &topology->present))
        topology->present = g_array_ref(topology->online);
    return TRUE;
}

static gboolean
read_placement(const char *root, guint id, const char *file, guint *value)
{
    g_autofree char *path = inv_host_path(root, CPU_FOLDER "/cpu%u/topology/%s", id, file);
    guint64 number;

    /* The kernel writes -1 where the firmware says nothing: that is no number here. */
    if (!inv_host_read_number(path, &number) || number > G_MAXINT)
        return FALSE;
    *value = (guint)number;
    return TRUE;
}

static InvHostCpu *
read_cpu(const char *root, guint id)
{
    InvHostCpu *cpu = g_new0(InvHostCpu, 1);
    g_autofree char *path = inv_host_path(root, CPU_FOLDER "/cpu%u/topology/thread_siblings_list", id);
    g_autoptr(GArray) siblings = NULL;

    cpu->id = id;
    cpu->siblings = inv_host_read_text(path);
    if (!cpu->siblings || !inv_host_parse_list(cpu->siblings, INV_HOST_MAX_CPUS, &siblings) || !has_number(siblings, id)) {
        g_free(cpu->siblings);
        cpu->siblings = g_strdup_printf("%u", id);
    }
    cpu->placed = read_placement(root, id, "core_id", &cpu->core);
    /* Some firmware (Arm, guests) numbers no packages: then it is one. Dies are newer than the rest. */
    if (!read_placement(root, id, "physical_package_id", &cpu->socket))
        cpu->socket = 0;
    if (!read_placement(root, id, "die_id", &cpu->die))
        cpu->die = 0;
    return cpu;
}

static InvHostCell *
cell_new(guint id)
{
    InvHostCell *cell = g_new0(InvHostCell, 1);

    cell->id = id;
    cell->pages = g_array_new(FALSE, FALSE, sizeof(InvHostPages));
    cell->distances = g_array_new(FALSE, FALSE, sizeof(InvHostDistance));
    cell->cpus = g_ptr_array_new_with_free_func(cpu_free);
    return cell;
}

static guint64
meminfo_kib(const char *text, const char *key)
{
    g_autofree char *value = inv_host_field(text, key);

    return value ? g_ascii_strtoull(value, NULL, 10) : 0;
}

/* @prefix: what stands before each key in the file of a node ("Node 0 "). */
static void
read_memory(InvHostCell *cell, const char *path, const char *prefix)
{
    g_autofree char *text = inv_host_read_file(path, NULL);
    g_autofree char *total = g_strconcat(prefix, "MemTotal", NULL);
    g_autofree char *available = g_strconcat(prefix, "MemFree", NULL);

    if (!text)
        return;
    cell->memory_kib = meminfo_kib(text, total);
    cell->free_kib = meminfo_kib(text, available);
}

/* @folder: "/sys/devices/system/node/node0/hugepages", or the whole host's. */
static void
read_pages(InvHostCell *cell, const char *root, const char *folder, const GArray *sizes)
{
    InvHostPages ordinary = { .size_kib = (guint)(sysconf(_SC_PAGESIZE) / 1024) };
    guint64 huge_kib = 0;

    g_array_append_val(cell->pages, ordinary);
    for (guint i = 0; i < sizes->len; i++) {
        InvHostPages pages = { .size_kib = g_array_index(sizes, guint, i) };
        g_autofree char *path = inv_host_path(root, "%s/hugepages-%ukB/nr_hugepages", folder, pages.size_kib);
        guint64 all;

        if (!inv_host_read_number(path, &pages.count) || __builtin_mul_overflow(pages.count, pages.size_kib, &all) ||
            __builtin_add_overflow(huge_kib, all, &huge_kib))
            continue;
        g_array_append_val(cell->pages, pages);
    }
    if (huge_kib < cell->memory_kib)
        g_array_index(cell->pages, InvHostPages, 0).count = (cell->memory_kib - huge_kib) / ordinary.size_kib;
}

/* One number per node that is online, in their order. */
static void
read_distances(InvHostCell *cell, const char *root, const GArray *nodes)
{
    g_autofree char *path = inv_host_path(root, NODE_FOLDER "/node%u/distance", cell->id);
    g_autofree char *text = inv_host_read_text(path);
    g_auto(GStrv) words = text ? g_strsplit_set(text, " \t", -1) : NULL;
    guint index = 0;

    for (char **word = words; word && *word; word++) {
        InvHostDistance distance;
        guint64 value;

        if (!**word)
            continue;
        if (index >= nodes->len || !g_ascii_string_to_unsigned(*word, 10, 10, 255, &value, NULL))
            break;
        distance = (InvHostDistance){ g_array_index(nodes, guint, index++), (guint)value };
        g_array_append_val(cell->distances, distance);
    }
    if (index != nodes->len)
        g_array_set_size(cell->distances, 0);
}

static InvHostCell *
read_cell(const InvHostTopology *topology, const char *root, guint id, const GArray *nodes, GHashTable *seen)
{
    InvHostCell *cell = cell_new(id);
    g_autoptr(GArray) cpus = NULL;
    g_autofree char *list = g_strdup_printf(NODE_FOLDER "/node%u/cpulist", id);
    g_autofree char *memory = inv_host_path(root, NODE_FOLDER "/node%u/meminfo", id);
    g_autofree char *prefix = g_strdup_printf("Node %u ", id);
    g_autofree char *pages = g_strdup_printf(NODE_FOLDER "/node%u/hugepages", id);

    read_memory(cell, memory, prefix);
    read_pages(cell, root, pages, topology->huge_pages_kib);
    read_distances(cell, root, nodes);
    if (!read_list(root, list, INV_HOST_MAX_CPUS, &cpus))
        return cell;
    for (guint i = 0; i < cpus->len; i++) {
        guint cpu = g_array_index(cpus, guint, i);

        if (has_number(topology->online, cpu) && g_hash_table_add(seen, GUINT_TO_POINTER(cpu)))
            g_ptr_array_add(cell->cpus, read_cpu(root, cpu));
    }
    return cell;
}

static void
find_cells(InvHostTopology *topology, const char *root)
{
    g_autoptr(GArray) nodes = NULL;
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    g_autofree char *memory = inv_host_path(root, "/proc/meminfo");
    InvHostCell *cell;

    topology->cells = g_ptr_array_new_with_free_func(cell_free);
    if (read_list(root, NODE_FOLDER "/online", INV_HOST_MAX_NODES, &nodes)) {
        for (guint i = 0; i < nodes->len; i++)
            g_ptr_array_add(topology->cells, read_cell(topology, root, g_array_index(nodes, guint, i), nodes, seen));
    }
    /* Nodes that do not hold every processor describe another machine than the one we run on. */
    if (g_hash_table_size(seen) == topology->online->len)
        return;
    g_ptr_array_set_size(topology->cells, 0);
    cell = cell_new(0);
    read_memory(cell, memory, "");
    read_pages(cell, root, HUGE_FOLDER, topology->huge_pages_kib);
    for (guint i = 0; i < topology->online->len; i++)
        g_ptr_array_add(cell->cpus, read_cpu(root, g_array_index(topology->online, guint, i)));
    g_ptr_array_add(topology->cells, cell);
}

static void
find_huge_pages(InvHostTopology *topology, const char *root)
{
    g_autofree char *path = inv_host_path(root, HUGE_FOLDER);
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    const char *name;

    topology->huge_pages_kib = g_array_new(FALSE, FALSE, sizeof(guint));
    while (folder && topology->huge_pages_kib->len < MAX_PAGE_SIZES && (name = g_dir_read_name(folder))) {
        const char *digits = name + strlen("hugepages-");
        char *end = NULL;
        guint64 size;

        if (!g_str_has_prefix(name, "hugepages-") || !g_ascii_isdigit(*digits))
            continue;
        size = g_ascii_strtoull(digits, &end, 10);
        if (g_str_equal(end, "kB") && size && size <= G_MAXINT) {
            guint kib = (guint)size;

            g_array_append_val(topology->huge_pages_kib, kib);
        }
    }
    sort_and_unify(topology->huge_pages_kib);
}

InvHostTopology *
inv_host_topology_at(const char *root, GError **error)
{
    g_autoptr(InvHostTopology) topology = g_new0(InvHostTopology, 1);

    if (!find_cpus(topology, root, error))
        return NULL;
    find_huge_pages(topology, root);
    find_cells(topology, root);
    return g_steal_pointer(&topology);
}

InvHostTopology *
inv_host_topology(GError **error)
{
    return inv_host_topology_at(NULL, error);
}

/* How many keys "PARENT/…" at most share one parent, of the keys that @keys holds. */
static guint
widest(GHashTable *keys)
{
    g_autoptr(GHashTable) count = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GHashTableIter iter;
    gpointer key;
    guint most = 1;

    g_hash_table_iter_init(&iter, keys);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        char *parent = g_strndup(key, (gsize)(strrchr(key, '/') - (char *)key));
        guint n = GPOINTER_TO_UINT(g_hash_table_lookup(count, parent)) + 1;

        g_hash_table_replace(count, parent, GUINT_TO_POINTER(n));
        most = MAX(most, n);
    }
    return most;
}

void
inv_host_topology_shape(const InvHostTopology *topology, guint *sockets, guint *dies, guint *cores, guint *threads)
{
    g_autoptr(GHashTable) socket_keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) die_keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) core_keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) thread_keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < topology->cells->len; i++) {
        const InvHostCell *cell = g_ptr_array_index(topology->cells, i);

        for (guint j = 0; j < cell->cpus->len; j++) {
            const InvHostCpu *cpu = g_ptr_array_index(cell->cpus, j);
            /* A processor that is not placed counts as a core of its own. */
            guint core = cpu->placed ? cpu->core : G_MAXINT + cpu->id;

            g_hash_table_add(socket_keys, g_strdup_printf("/%u", cpu->socket));
            g_hash_table_add(die_keys, g_strdup_printf("/%u/%u", cpu->socket, cpu->die));
            g_hash_table_add(core_keys, g_strdup_printf("/%u/%u/%u", cpu->socket, cpu->die, core));
            g_hash_table_add(thread_keys, g_strdup_printf("/%u/%u/%u/%u", cpu->socket, cpu->die, core, cpu->id));
        }
    }
    *sockets = MAX(1, g_hash_table_size(socket_keys));
    *dies = widest(die_keys);
    *cores = widest(core_keys);
    *threads = widest(thread_keys);
}
