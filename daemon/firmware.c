/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware.h"

#include "util/fd.h"
#include "util/json.h"

#include <string.h>
#include <unistd.h>

/* Debian's, Fedora's and SUSE's folders hold some twenty, of a kilobyte each. */
#define MAX_DESCRIPTORS 512u
#define MAX_DESCRIPTOR (64u * 1024)

/* The order of QEMU's docs/interop/firmware.json, the strongest first. A system's daemon has no user's folder. */
static const char *const *
usual_folders(void)
{
    static const char *folders[] = { NULL, "/etc/qemu/firmware", "/usr/share/qemu/firmware", NULL };
    static gsize once;

    if (g_once_init_enter(&once)) {
        folders[0] = g_build_filename(g_get_user_config_dir(), "qemu", "firmware", NULL);
        g_once_init_leave(&once, 1);
    }
    return geteuid() == 0 ? folders + 1 : folders;
}

void
inv_firmware_free(InvFirmware *firmware)
{
    if (!firmware)
        return;
    g_free(firmware->path);
    g_free(firmware);
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* File name → path of the descriptor that counts; the names sorted. Both owned. */
static GPtrArray *
list_names(const char *const *folders, GHashTable *paths)
{
    GPtrArray *names = g_ptr_array_new();

    for (; *folders; folders++) {
        g_autoptr(GDir) dir = g_dir_open(*folders, 0, NULL);
        const char *entry;

        while (dir && (entry = g_dir_read_name(dir)) && names->len < MAX_DESCRIPTORS) {
            char *name;

            if (*entry == '.' || !g_str_has_suffix(entry, ".json") || g_hash_table_contains(paths, entry))
                continue;
            name = g_strdup(entry);
            g_hash_table_insert(paths, name, g_build_filename(*folders, entry, NULL));
            g_ptr_array_add(names, name);
        }
    }
    g_ptr_array_sort(names, compare_names);
    return names;
}

/* QEMU's name of an architecture in descriptors. */
static const char *
descriptor_arch(const char *arch)
{
    if (g_str_has_prefix(arch, "armv"))
        return "arm";
    return g_str_equal(arch, "i686") ? "i386" : arch;
}

static gboolean
is_for(const InvJson *descriptor, const char *arch, const char *machine)
{
    const InvJson *targets = inv_json_get(descriptor, "targets");

    for (guint i = 0; i < inv_json_size(targets); i++) {
        const InvJson *target = inv_json_at(targets, i);
        const InvJson *machines = inv_json_get(target, "machines");

        if (g_strcmp0(inv_json_get_string(target, "architecture"), descriptor_arch(arch)) != 0)
            continue;
        for (guint j = 0; j < inv_json_size(machines); j++) {
            const char *pattern = inv_json_string(inv_json_at(machines, j));

            if (pattern && g_pattern_match_simple(pattern, machine))
                return TRUE;
        }
    }
    return FALSE;
}

static gboolean
has_feature(const InvJson *descriptor, const char *feature)
{
    const InvJson *features = inv_json_get(descriptor, "features");

    for (guint i = 0; i < inv_json_size(features); i++) {
        if (g_strcmp0(inv_json_string(inv_json_at(features, i)), feature) == 0)
            return TRUE;
    }
    return FALSE;
}

/* The image that a <loader> can name, whether it is there or not; NULL: none. Borrowed. */
static const char *
image_of(const InvJson *descriptor, gboolean *flash)
{
    const InvJson *mapping = inv_json_get(descriptor, "mapping");
    const InvJson *image = inv_json_get(mapping, "executable");
    const char *device = inv_json_get_string(mapping, "device");
    const char *path;

    *flash = g_strcmp0(device, "flash") == 0;
    path = inv_json_get_string(*flash ? image : mapping, "filename");
    if (!*flash && g_strcmp0(device, "memory") != 0)
        return NULL;
    /* Invar gives flash to QEMU as raw images. */
    if (*flash && g_strcmp0(inv_json_get_string(image, "format"), "raw") != 0)
        return NULL;
    return path && g_path_is_absolute(path) ? path : NULL;
}

static InvFirmware *
firmware_of(const InvJson *descriptor)
{
    gboolean flash;
    const char *path = image_of(descriptor, &flash);
    InvFirmware *firmware;

    if (!path || !g_file_test(path, G_FILE_TEST_IS_REGULAR))
        return NULL;
    firmware = g_new0(InvFirmware, 1);
    firmware->path = g_strdup(path);
    firmware->flash = flash;
    firmware->secure = flash && has_feature(descriptor, "requires-smm") && has_feature(descriptor, "secure-boot");
    return firmware;
}

/* A second descriptor of an image (with other variables) only adds what it can do. */
static gboolean
merge(GPtrArray *list, const InvFirmware *firmware)
{
    for (guint i = 0; i < list->len; i++) {
        InvFirmware *other = g_ptr_array_index(list, i);

        if (g_str_equal(other->path, firmware->path) && other->flash == firmware->flash) {
            other->secure = other->secure || firmware->secure;
            return TRUE;
        }
    }
    return FALSE;
}

static InvJson *
read_descriptor(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    InvJson *json = NULL;
    gsize length = 0;

    if (inv_file_read(path, MAX_DESCRIPTOR, &text, &length, &error) && length)
        json = inv_json_parse(text, length, &error);
    if (error)
        g_debug("the firmware descriptor '%s' is left out: %s", path, error->message);
    return json;
}

GPtrArray *
inv_firmware_list(const char *const *folders, const char *arch, const char *machine)
{
    g_autoptr(GHashTable) paths = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GPtrArray) names = list_names(folders ? folders : usual_folders(), paths);
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)inv_firmware_free);

    for (guint i = 0; i < names->len; i++) {
        g_autoptr(InvJson) descriptor = read_descriptor(g_hash_table_lookup(paths, g_ptr_array_index(names, i)));
        InvFirmware *firmware = descriptor && is_for(descriptor, arch, machine) ? firmware_of(descriptor) : NULL;

        if (firmware && merge(list, firmware))
            g_clear_pointer(&firmware, inv_firmware_free);
        if (firmware)
            g_ptr_array_add(list, firmware);
    }
    return list;
}

/* Whoever replaces a packaged file does it by name, which the folder shows; an administrator may write into a file. */
static gboolean
is_packaged(const char *path)
{
    return g_str_has_prefix(path, "/usr/");
}

static void
watch_image(const InvJson *descriptor, InvFreshness *freshness)
{
    gboolean flash;
    const char *path = image_of(descriptor, &flash);
    g_autofree char *folder = path ? g_path_get_dirname(path) : NULL;

    if (path)
        inv_freshness_watch(freshness, is_packaged(path) ? folder : path);
}

void
inv_firmware_watch(const char *const *folders, InvFreshness *freshness)
{
    g_autoptr(GHashTable) paths = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GPtrArray) names = NULL;

    for (const char *const *folder = folders ? folders : usual_folders(); *folder; folder++)
        inv_freshness_watch(freshness, *folder);
    names = list_names(folders ? folders : usual_folders(), paths);
    for (guint i = 0; i < names->len; i++) {
        const char *path = g_hash_table_lookup(paths, g_ptr_array_index(names, i));
        g_autoptr(InvJson) descriptor = NULL;

        if (!is_packaged(path))
            inv_freshness_watch(freshness, path);
        descriptor = read_descriptor(path);
        if (descriptor)
            watch_image(descriptor, freshness);
    }
}
