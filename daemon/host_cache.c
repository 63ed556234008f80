/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host_cache.h"

#include "daemon/host.h"
#include "daemon/host_file.h"
#include "daemon/host_topology.h"

#include <string.h>

#define FOLDER "/sys/devices/system/cpu/cpu%u/cache/index%u"
/* The kernel numbers a processor's caches from 0; processors have four or five. */
#define MAX_INDEX 16u
#define MIN_LEVEL 3u

void
inv_host_cache_free(InvHostCache *cache)
{
    if (!cache)
        return;
    g_free(cache->cpus);
    g_free(cache);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvHostCache, inv_host_cache_free)

/* "32768K"; FALSE for anything else. */
static gboolean
parse_size(const char *text, guint64 *kib)
{
    g_autofree char *digits = g_str_has_suffix(text, "K") ? g_strndup(text, strlen(text) - 1) : NULL;

    return digits && g_ascii_string_to_unsigned(digits, 10, 1, G_MAXUINT, kib, NULL);
}

static const char *
type_of(const char *text)
{
    static const char *const words[][2] = { { "Unified", "both" }, { "Instruction", "code" }, { "Data", "data" } };

    for (gsize i = 0; i < G_N_ELEMENTS(words); i++) {
        if (strcmp(words[i][0], text) == 0)
            return words[i][1];
    }
    return NULL;
}

/* *@end: the processor has no cache of this index. NULL: or none that is listed. */
static InvHostCache *
read_cache(const char *root, guint cpu, guint index, gboolean *end)
{
    g_autoptr(InvHostCache) cache = g_new0(InvHostCache, 1);
    g_autoptr(GArray) sharers = NULL;
    g_autofree char *level_path = inv_host_path(root, FOLDER "/level", cpu, index);
    g_autofree char *type_path = inv_host_path(root, FOLDER "/type", cpu, index);
    g_autofree char *size_path = inv_host_path(root, FOLDER "/size", cpu, index);
    g_autofree char *cpus_path = inv_host_path(root, FOLDER "/shared_cpu_list", cpu, index);
    g_autofree char *id_path = inv_host_path(root, FOLDER "/id", cpu, index);
    g_autofree char *type = NULL;
    g_autofree char *size = NULL;
    guint64 level, id;

    *end = !inv_host_read_number(level_path, &level);
    if (*end || level < MIN_LEVEL || level > G_MAXUINT8)
        return NULL;
    type = inv_host_read_text(type_path);
    size = inv_host_read_text(size_path);
    cache->level = (guint)level;
    cache->type = type ? type_of(type) : NULL;
    cache->cpus = inv_host_read_text(cpus_path);
    if (!cache->type || !size || !parse_size(size, &cache->size_kib) || !cache->cpus ||
        !inv_host_parse_list(cache->cpus, INV_HOST_MAX_CPUS, &sharers) || !sharers->len)
        return NULL;
    /* Older kernels do not number them: the first that shares one is as good a number. */
    cache->id = inv_host_read_number(id_path, &id) && id <= G_MAXINT ? (guint)id : g_array_index(sharers, guint, 0);
    return g_steal_pointer(&cache);
}

static int
compare(gconstpointer a, gconstpointer b)
{
    const InvHostCache *first = *(InvHostCache *const *)a, *second = *(InvHostCache *const *)b;
    int order = first->level < second->level ? -1 : first->level > second->level;

    if (!order)
        order = strcmp(first->type, second->type);
    return order ? order : first->id < second->id ? -1 : first->id > second->id;
}

GPtrArray *
inv_host_caches_at(const char *root, const GArray *online)
{
    GPtrArray *caches = g_ptr_array_new_with_free_func((GDestroyNotify)inv_host_cache_free);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < online->len; i++) {
        gboolean end = FALSE;

        for (guint index = 0; index < MAX_INDEX && !end; index++) {
            InvHostCache *cache = read_cache(root, g_array_index(online, guint, i), index, &end);

            if (cache && g_hash_table_add(seen, g_strdup_printf("%u %s %u", cache->level, cache->type, cache->id)))
                g_ptr_array_add(caches, cache);
            else
                inv_host_cache_free(cache);
        }
    }
    g_ptr_array_sort(caches, compare);
    return caches;
}
