/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host.h"

#include "daemon/guest_arch.h"
#include "daemon/host_file.h"
#include "daemon/host_topology.h"
#include "util/error.h"

#include <limits.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define UUID_BYTES 16
#define UUID_TEXT 36
/* Faster than any processor: what a damaged or hostile file may say is not passed on. */
#define MAX_MHZ 1000000.0

/* Invar's own key for what is derived from the machine id; changing it changes every host's uuid. */
static const guint8 uuid_key[UUID_BYTES] = {
    0x6b, 0x1f, 0x0c, 0x52, 0x9e, 0x8d, 0x4d, 0x0b, 0x93, 0x37, 0xe2, 0x41, 0xa5, 0x7c, 0xd8, 0x26,
};

const char *
inv_host_arch(void)
{
    static gsize once;
    static char arch[sizeof(((struct utsname *)NULL)->machine)];

    if (g_once_init_enter(&once)) {
        struct utsname name;

        if (uname(&name) == 0)
            g_strlcpy(arch, inv_guest_arch_from_kernel(name.machine), sizeof(arch));
        g_once_init_leave(&once, 1);
    }
    return arch;
}

char *
inv_host_hostname(void)
{
    char name[HOST_NAME_MAX + 1] = "";

    /* POSIX leaves a cut-off name without its NUL. */
    if (gethostname(name, sizeof(name) - 1) < 0 || !*name)
        return g_strdup("localhost");
    return g_utf8_make_valid(name, -1);
}

/* The first processor's frequency: architectures name it differently, some say it in sysfs only. */
static guint
first_mhz(const char *root, const char *cpuinfo)
{
    static const char *const keys[] = { "cpu MHz", "clock", "cpu MHz dynamic", "cpu MHz static" };
    static const char *const files[] = { "base_frequency", "cpuinfo_max_freq" };

    for (gsize i = 0; cpuinfo && i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *value = inv_host_field(cpuinfo, keys[i]);
        double mhz = value ? g_ascii_strtod(value, NULL) : 0;

        if (mhz >= 1 && mhz <= MAX_MHZ)
            return (guint)mhz;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = inv_host_path(root, "/sys/devices/system/cpu/cpu0/cpufreq/%s", files[i]);
        guint64 khz;

        if (inv_host_read_number(path, &khz) && khz / 1000 >= 1 && khz / 1000 <= (guint64)MAX_MHZ)
            return (guint)(khz / 1000);
    }
    return 0;
}

/* The shape of each node by itself, and of these the largest. */
static void
node_shapes(const InvHostTopology *topology, InvNodeInfo *info)
{
    info->nodes = 0;
    for (guint i = 0; i < topology->cells->len; i++) {
        InvHostCell *cell = g_ptr_array_index(topology->cells, i);
        g_autoptr(GPtrArray) one = g_ptr_array_new();
        InvHostTopology part = { .cells = one };
        guint sockets, dies, cores, threads;

        if (!cell->cpus->len)
            continue; /* memory only */
        g_ptr_array_add(one, cell);
        inv_host_topology_shape(&part, &sockets, &dies, &cores, &threads);
        info->nodes++;
        info->sockets = MAX(info->sockets, sockets);
        info->cores = MAX(info->cores, cores * dies);
        info->threads = MAX(info->threads, threads);
    }
}

gboolean
inv_host_node_info_at(const char *root, InvNodeInfo *info, GError **error)
{
    g_autoptr(InvHostTopology) topology = inv_host_topology_at(root, error);
    g_autofree char *path = inv_host_path(root, "/proc/cpuinfo");
    g_autofree char *cpuinfo = inv_host_read_file(path, NULL);
    InvMemoryStats memory;

    memset(info, 0, sizeof(*info));
    if (!topology || !inv_host_memory_stats_at(root, &memory, error))
        return FALSE;
    g_strlcpy(info->model, inv_host_arch(), sizeof(info->model));
    info->memory_kib = memory.total;
    info->cpus = topology->online->len;
    info->mhz = first_mhz(root, cpuinfo);
    node_shapes(topology, info);
    if ((guint64)info->nodes * info->sockets * info->cores * info->threads != topology->present->len) {
        info->nodes = info->sockets = info->threads = 1;
        info->cores = topology->present->len;
    }
    return TRUE;
}

gboolean
inv_host_node_info(InvNodeInfo *info, GError **error)
{
    return inv_host_node_info_at(NULL, info, error);
}

gboolean
inv_host_cpu_map_at(const char *root, guint8 **map, gsize *map_bytes, guint *present, guint *online, GError **error)
{
    g_autoptr(InvHostTopology) topology = inv_host_topology_at(root, error);
    guint last;

    if (!topology)
        return FALSE;
    last = g_array_index(topology->present, guint, topology->present->len - 1);
    last = MAX(last, g_array_index(topology->online, guint, topology->online->len - 1));
    *map_bytes = last / 8 + 1;
    *map = g_new0(guint8, *map_bytes);
    for (guint i = 0; i < topology->online->len; i++) {
        guint cpu = g_array_index(topology->online, guint, i);

        (*map)[cpu / 8] |= (guint8)(1u << cpu % 8);
    }
    /* libvirt counts up to the highest number, so that an index into the map is below it. */
    *present = last + 1;
    *online = topology->online->len;
    return TRUE;
}

gboolean
inv_host_cpu_map(guint8 **map, gsize *map_bytes, guint *present, guint *online, GError **error)
{
    return inv_host_cpu_map_at(NULL, map, map_bytes, present, online, error);
}

static guint64
kib_field(const char *text, const char *key)
{
    g_autofree char *value = inv_host_field(text, key);

    return value ? g_ascii_strtoull(value, NULL, 10) : 0;
}

gboolean
inv_host_memory_stats_at(const char *root, InvMemoryStats *stats, GError **error)
{
    g_autofree char *path = inv_host_path(root, "/proc/meminfo");
    g_autofree char *text = inv_host_read_file(path, error);

    memset(stats, 0, sizeof(*stats));
    if (!text)
        return FALSE;
    stats->total = kib_field(text, "MemTotal");
    stats->free = kib_field(text, "MemFree");
    stats->buffers = kib_field(text, "Buffers");
    stats->cached = kib_field(text, "Cached");
    stats->available = kib_field(text, "MemAvailable");
    if (!stats->total)
        return inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "this host's memory is not known: '%s' has no line MemTotal",
                             path);
    return TRUE;
}

gboolean
inv_host_memory_stats(InvMemoryStats *stats, GError **error)
{
    return inv_host_memory_stats_at(NULL, stats, error);
}

gboolean
inv_host_free_memory_at(const char *root, guint64 *bytes, GError **error)
{
    InvMemoryStats stats;

    if (!inv_host_memory_stats_at(root, &stats, error))
        return FALSE;
    *bytes = stats.free > G_MAXUINT64 / 1024 ? G_MAXUINT64 : stats.free * 1024;
    return TRUE;
}

gboolean
inv_host_free_memory(guint64 *bytes, GError **error)
{
    return inv_host_free_memory_at(NULL, bytes, error);
}

static char *
uuid_of_bytes(const guint8 *bytes)
{
    GString *text = g_string_sized_new(UUID_TEXT + 1);

    for (guint i = 0; i < UUID_BYTES; i++)
        g_string_append_printf(text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
    return g_string_free(text, FALSE);
}

/* Boards without a number of their own carry 00…0 or ff…f: the same on all of them. */
static gboolean
uuid_is_worthless(const char *uuid)
{
    for (const char *p = uuid + 1; *p; p++) {
        if (*p != '-' && g_ascii_tolower(*p) != g_ascii_tolower(*uuid))
            return FALSE;
    }
    return TRUE;
}

static char *
derive_uuid(const char *machine_id)
{
    g_autoptr(GHmac) hmac = g_hmac_new(G_CHECKSUM_SHA256, uuid_key, sizeof(uuid_key));
    guint8 digest[32];
    gsize length = sizeof(digest);

    g_hmac_update(hmac, (const guint8 *)machine_id, -1);
    g_hmac_get_digest(hmac, digest, &length);
    digest[6] = (guint8)((digest[6] & 0x0f) | 0x40); /* RFC 4122: version 4 … */
    digest[8] = (guint8)((digest[8] & 0x3f) | 0x80); /* … and its variant */
    return uuid_of_bytes(digest);
}

char *
inv_host_uuid_at(const char *root, GError **error)
{
    static const char *const ids[] = { "/etc/machine-id", "/var/lib/dbus/machine-id" };
    g_autofree char *path = inv_host_path(root, "/sys/class/dmi/id/product_uuid");
    g_autofree char *firmware = inv_host_read_text(path);

    if (firmware && g_uuid_string_is_valid(firmware) && !uuid_is_worthless(firmware))
        return g_ascii_strdown(firmware, -1);
    for (gsize i = 0; i < G_N_ELEMENTS(ids); i++) {
        g_autofree char *id_path = inv_host_path(root, "%s", ids[i]);
        g_autofree char *id = inv_host_read_text(id_path);

        if (id && strlen(id) == 32 && strspn(id, "0123456789abcdef") == 32)
            return derive_uuid(id);
    }
    inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                  "this host has no uuid: the firmware gives none and /etc/machine-id holds none; "
                  "run systemd-machine-id-setup");
    return NULL;
}

/* Immutable once the daemon serves. */
static char *configured_uuid;

void
inv_host_set_uuid(const char *uuid)
{
    g_free(configured_uuid);
    configured_uuid = g_strdup(uuid);
}

char *
inv_host_uuid(GError **error)
{
    if (configured_uuid)
        return g_strdup(configured_uuid);
    return inv_host_uuid_at(NULL, error);
}

void
inv_host_cpu_identity_free(InvHostCpuIdentity *identity)
{
    if (!identity)
        return;
    g_free(identity->vendor_id);
    g_free(identity->model_name);
    g_free(identity);
}

static gint64
number_field(const char *text, const char *key)
{
    g_autofree char *value = inv_host_field(text, key);
    const char *digits = value;
    char *end = NULL;
    guint64 number;

    if (!value || !g_ascii_isdigit(*value))
        return -1;
    /* "address sizes : 48 bits physical, …" has more behind its number. */
    number = g_ascii_strtoull(digits, &end, g_str_has_prefix(value, "0x") ? 16 : 10);
    return end == digits || number > G_MAXINT64 ? -1 : (gint64)number;
}

InvHostCpuIdentity *
inv_host_cpu_identity_at(const char *root)
{
    static const char *const names[] = { "model name", "cpu", "Processor", "uarch", "isa" };
    InvHostCpuIdentity *identity = g_new0(InvHostCpuIdentity, 1);
    g_autofree char *path = inv_host_path(root, "/proc/cpuinfo");
    g_autofree char *text = inv_host_read_file(path, NULL);

    identity->family = identity->model = identity->stepping = identity->microcode = identity->phys_bits = -1;
    if (!text)
        return identity;
    identity->vendor_id = inv_host_field(text, "vendor_id");
    for (gsize i = 0; i < G_N_ELEMENTS(names) && !identity->model_name; i++)
        identity->model_name = inv_host_field(text, names[i]);
    identity->family = number_field(text, "cpu family");
    identity->model = number_field(text, "model");
    identity->stepping = number_field(text, "stepping");
    identity->microcode = number_field(text, "microcode");
    identity->phys_bits = number_field(text, "address sizes");
    return identity;
}

InvHostCpuIdentity *
inv_host_cpu_identity(void)
{
    return inv_host_cpu_identity_at(NULL);
}

gboolean
inv_host_has_iommu_at(const char *root)
{
    g_autofree char *path = inv_host_path(root, "/sys/kernel/iommu_groups");
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);

    return folder && g_dir_read_name(folder);
}

gboolean
inv_host_has_iommu(void)
{
    return inv_host_has_iommu_at(NULL);
}
