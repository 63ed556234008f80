/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The emulators of this host: where they are, and which of them are known. */
#include "qemu/emulator_private.h"

#include "qemu/host_root.h"
#include "qemu/probe_budget.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/long_wait.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define EMULATOR_PREFIX "qemu-system-"
/* Red Hat's name of the one for the host's own architecture. */
#define NATIVE_EMULATOR "qemu-kvm"
/* More than the probes that run at once, so that some that hang leave the others theirs. */
#define THREADS 16

static char **
default_search(void)
{
    static const char *const always[] = { "/usr/bin", "/usr/libexec", "/usr/local/bin" };
    g_auto(GStrv) path = g_strsplit(g_getenv("PATH") ?: "", G_SEARCHPATH_SEPARATOR_S, -1);
    g_autoptr(GPtrArray) folders = g_ptr_array_new_with_free_func(g_free);

    /* A relative folder would mean another one for every working directory. */
    for (char **folder = path; *folder; folder++) {
        if (g_path_is_absolute(*folder))
            g_ptr_array_add(folders, g_strdup(*folder));
    }
    for (guint i = 0; i < G_N_ELEMENTS(always); i++)
        g_ptr_array_add(folders, g_strdup(always[i]));
    g_ptr_array_add(folders, NULL);
    return (char **)g_ptr_array_steal(folders, NULL);
}

static gpointer
copy_emulator(gpointer value)
{
    return inv_emulator_ref(value);
}

InvEmulators *
inv_emulators_new(InvIoThread *io, InvCache *cache, const char *const *search, const char *scratch)
{
    InvEmulators *emulators = g_new0(InvEmulators, 1);

    emulators->io = io;
    emulators->cache = cache;
    emulators->search = search ? g_strdupv((char **)search) : default_search();
    emulators->emulators = inv_answers_new(copy_emulator, (GDestroyNotify)inv_emulator_unref, 0);
    emulators->names = inv_feature_names_new();
    emulators->maps = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)inv_cpu_map_free);
    emulators->models = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)inv_cpu_models_free);
    emulators->limits = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)inv_cpu_limits_free);
    g_mutex_init(&emulators->lock);
    g_cond_init(&emulators->asked);
    return emulators;
}

void
inv_emulators_free(InvEmulators *emulators)
{
    if (!emulators)
        return;
    g_mutex_lock(&emulators->lock);
    while (emulators->n_asking)
        g_cond_wait(&emulators->asked, &emulators->lock);
    g_mutex_unlock(&emulators->lock);
    g_cond_clear(&emulators->asked);
    inv_answers_free(emulators->emulators);
    g_hash_table_unref(emulators->maps);
    g_hash_table_unref(emulators->models);
    g_hash_table_unref(emulators->limits);
    inv_feature_names_free(emulators->names);
    g_mutex_clear(&emulators->lock);
    g_strfreev(emulators->search);
    g_strfreev(emulators->binaries);
    g_free(emulators);
}

void
inv_emulators_set_binaries(InvEmulators *emulators, const char *const *binaries)
{
    g_strfreev(emulators->binaries);
    emulators->binaries = g_strdupv((char **)binaries);
}

InvFeatureNames *
inv_emulators_names(InvEmulators *emulators)
{
    return emulators->names;
}

const InvCpuMap *
inv_emulators_map(InvEmulators *emulators, const char *arch, GError **error)
{
    InvCpuMap *map;

    g_mutex_lock(&emulators->lock);
    map = g_hash_table_lookup(emulators->maps, arch);
    if (!map) {
        map = inv_cpu_map_load(inv_cpu_map_default_folder(), arch, error);
        if (map)
            g_hash_table_insert(emulators->maps, g_strdup(arch), map);
    }
    g_mutex_unlock(&emulators->lock);
    return map;
}

const InvCpuModels *
inv_emulators_models(InvEmulators *emulators, const char *arch)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&emulators->lock);
    g_autoptr(GError) error = NULL;
    gpointer models = NULL;

    if (g_hash_table_lookup_extended(emulators->models, arch, NULL, &models))
        return models;
    models = inv_cpu_models_load(inv_cpu_map_default_folder(), arch, &error);
    if (!models)
        g_warning("the CPU models of %s are not known by their vendors: %s", arch, error->message);
    g_hash_table_insert(emulators->models, g_strdup(arch), models);
    return models;
}

const InvCpuLimits *
inv_emulators_limits(InvEmulators *emulators, const char *arch)
{
    /* Loaded already by whoever has facts; it takes the lock itself. */
    const InvCpuMap *map = inv_emulators_map(emulators, arch, NULL);
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&emulators->lock);
    g_autoptr(GError) error = NULL;
    gpointer limits = NULL;

    if (g_hash_table_lookup_extended(emulators->limits, arch, NULL, &limits))
        return limits;
    limits = map ? inv_cpu_limits_load(inv_cpu_map_default_folder(), arch, map, &error) : NULL;
    if (!limits)
        g_warning("what keeps CPU features of %s from guests is not known by its settings: %s", arch, error ? error->message : "its map cannot be read");
    g_hash_table_insert(emulators->limits, g_strdup(arch), limits);
    return limits;
}

static gboolean
is_emulator_file(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

static void
list_folder(const char *folder, GHashTable *seen, GPtrArray *paths)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    struct stat info;
    const char *entry;

    /* /bin may be /usr/bin by another name. */
    if (!dir || stat(folder, &info) < 0 ||
        !g_hash_table_add(seen, g_strdup_printf("%ju:%ju", (uintmax_t)info.st_dev, (uintmax_t)info.st_ino)))
        return;
    while ((entry = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, entry, NULL);

        if ((g_str_has_prefix(entry, EMULATOR_PREFIX) || strcmp(entry, NATIVE_EMULATOR) == 0) && is_emulator_file(path))
            g_ptr_array_add(paths, g_steal_pointer(&path));
    }
}

static int
compare_paths(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char **
inv_emulators_list(InvEmulators *emulators)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);

    for (char **folder = emulators->search; *folder; folder++)
        list_folder(*folder, seen, paths);
    for (char **binary = emulators->binaries; binary && *binary; binary++) {
        if (!g_ptr_array_find_with_equal_func(paths, *binary, g_str_equal, NULL))
            g_ptr_array_add(paths, g_strdup(*binary));
    }
    g_ptr_array_sort(paths, compare_paths);
    g_ptr_array_add(paths, NULL);
    return (char **)g_ptr_array_steal(paths, NULL);
}

/* libvirt's name of an architecture to the one in the names of QEMU's binaries. */
static const char *
target_of_arch(const char *arch)
{
    if (strcmp(arch, "i686") == 0 || strcmp(arch, "i586") == 0 || strcmp(arch, "i486") == 0)
        return "i386";
    if (g_str_has_prefix(arch, "armv"))
        return "arm";
    return arch;
}

static char *
find_for_arch(InvEmulators *emulators, const char *arch, const char *native, GError **error)
{
    g_autofree char *name = g_strconcat(EMULATOR_PREFIX, target_of_arch(arch), NULL);
    const char *const names[] = { name, strcmp(arch, native) == 0 ? NATIVE_EMULATOR : NULL };

    for (guint i = 0; i < G_N_ELEMENTS(names) && names[i]; i++) {
        for (char **folder = emulators->search; *folder; folder++) {
            g_autofree char *path = g_build_filename(*folder, names[i], NULL);

            if (is_emulator_file(path))
                return g_steal_pointer(&path);
        }
    }
    inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "there is no emulator for %s on this host: install a package that has '%s'", arch,
                  name);
    return NULL;
}

/* The kernel would refuse it too, but a shell might be started instead. */
static gboolean
check_is_program(const char *path, GError **error)
{
    inv_autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    char magic[4] = { 0 };

    /* A program that may be run but not read is a program. */
    if (fd < 0 || (read(fd, magic, sizeof(magic)) >= 2 && (memcmp(magic, "\177ELF", 4) == 0 || memcmp(magic, "#!", 2) == 0)))
        return TRUE;
    return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the emulator '%s' is no program, neither an ELF file nor a script", path);
}

/* "x86_64-linux-gnu": Debian's folder of libraries for the host's programs. Owned by the caller. */
static char *
multiarch_folder(void)
{
    static const char *const others[][2] = { { "i686", "i386" }, { "ppc64le", "powerpc64le" } };
    struct utsname host;
    const char *name = host.machine;

    if (uname(&host) < 0)
        return NULL;
    for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
        if (strcmp(host.machine, others[i][0]) == 0)
            name = others[i][1];
    }
    return g_strconcat(name, "-linux-gnu", NULL);
}

/* Where QEMU's builds keep what they load at run time (accelerators, displays, devices), whether there is such a folder or not. */
static char **
module_folders(const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *prefix = g_path_get_dirname(folder);
    g_autofree char *multiarch = multiarch_folder();
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    const char *const names[] = { "lib64/qemu", "lib/qemu", NULL };

    for (const char *const *name = names; *name; name++) {
        g_autofree char *modules = g_build_filename(prefix, *name, NULL);

        g_strv_builder_add(builder, modules);
    }
    if (multiarch) {
        g_autofree char *modules = g_build_filename(prefix, "lib", multiarch, "qemu", NULL);

        g_strv_builder_add(builder, modules);
    }
    return g_strv_builder_end(builder);
}

static void
append_change(GString *text, const char *what, const char *path)
{
    struct stat info;

    if (stat(path, &info) == 0)
        g_string_append_printf(text, ", %s %jd.%09ld", what, (intmax_t)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

/* The state of the file, without its content: what costs a few stat() only. */
static char *
stat_state(const char *path, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_auto(GStrv) modules = NULL;
    struct stat info;

    if (!g_path_is_absolute(path))
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the emulator '%s' is not given by its absolute path", path), NULL;
    if (stat(path, &info) < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the emulator '%s' does not exist", path);
        else
            inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the emulator '%s' cannot be looked at: %s", path, g_strerror(errno));
        return NULL;
    }
    if (S_ISDIR(info.st_mode))
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the emulator '%s' is a folder", path), NULL;
    if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode))
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the emulator '%s' is a device", path), NULL;
    if (!S_ISREG(info.st_mode))
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the emulator '%s' is not a regular file", path), NULL;
    if (access(path, X_OK) < 0) {
        /* That a text is not executable is not what is wrong with it. */
        if (check_is_program(path, error))
            inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the emulator '%s' is not executable for the user that runs the daemon", path);
        return NULL;
    }
    /* Not the device: its number may be another after a reboot, and the file is the same. */
    g_string_append_printf(text, "size %jd, changed %jd.%09ld and %jd.%09ld, file %ju", (intmax_t)info.st_size,
                           (intmax_t)info.st_mtim.tv_sec, info.st_mtim.tv_nsec, (intmax_t)info.st_ctim.tv_sec,
                           info.st_ctim.tv_nsec, (uintmax_t)info.st_ino);
    modules = module_folders(path);
    for (char **folder = modules; *folder; folder++)
        append_change(text, "modules", *folder);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* A failure may have come of a library that was not there. */
char *
inv_with_libraries(const char *state)
{
    g_autoptr(GString) text = g_string_new(state);
    g_autofree char *linker_cache = inv_root_path(INV_LINKER_CACHE);

    append_change(text, "libraries", linker_cache);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

char *
inv_emulators_fingerprint(const char *path, gboolean libraries, GError **error)
{
    g_autofree char *state = stat_state(path, error);

    return state && libraries ? inv_with_libraries(state) : g_steal_pointer(&state);
}

typedef struct {
    InvEmulators *emulators;
    const char *path;
    const char *state;
    guint deadline_ms;
} Wanted;

/* What the cache's texts depend on. */
static char *
whole_state(const char *path, const char *state)
{
    g_autofree char *build_id = inv_build_id_read(path);

    return g_strdup_printf("%s, build %s", state, build_id ? build_id : "without id");
}

static gboolean
is_in_cache(InvEmulators *emulators, const char *path, const char *state)
{
    g_autofree char *whole = whole_state(path, state);
    g_autofree char *subject = g_strdup_printf("%s " INV_EMULATOR_BASIC, path);
    g_autofree char *key = inv_emulator_key_of(whole, INV_VIRT_QEMU);

    return inv_cache_has(emulators->cache, subject, key);
}

static gpointer
probe(gpointer user_data, gint64 end, GError **error)
{
    const Wanted *wanted = user_data;
    g_autoptr(GError) failure = NULL;
    g_autofree char *state = NULL;
    g_autofree char *key = NULL;
    InvEmulator *emulator;

    if (!check_is_program(wanted->path, &failure)) {
        inv_emulators_end(wanted->emulators, &(InvEmulatorChange){ .path = wanted->path, .subject = "", .reason = "", .begun = g_get_monotonic_time() },
                          failure);
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    key = inv_with_libraries(wanted->state);
    if (!is_in_cache(wanted->emulators, wanted->path, wanted->state) &&
        inv_failure_recall(wanted->emulators, wanted->path, INV_EMULATOR_BASIC, key, wanted->deadline_ms, error))
        return NULL;
    state = whole_state(wanted->path, wanted->state);
    emulator = inv_emulator_probe(wanted->emulators, wanted->path, state, end, &failure);
    if (emulator)
        return emulator;
    inv_failure_keep(wanted->emulators, wanted->path, INV_EMULATOR_BASIC, key, wanted->deadline_ms, failure);
    g_propagate_error(error, g_steal_pointer(&failure));
    return NULL;
}

static InvEmulator *
get_in_state(InvEmulators *emulators, const char *path, const char *state, guint deadline_ms, GError **error)
{
    g_autofree char *key = inv_with_libraries(state);
    Wanted wanted = { .emulators = emulators, .path = path, .state = state, .deadline_ms = deadline_ms };

    return inv_answers_ask(emulators->emulators, path, key, deadline_ms, probe, &wanted, error);
}

static InvAnswerState
peek_in_memory(InvEmulators *emulators, const char *path, const char *state, InvEmulator **emulator, GError **error)
{
    g_autofree char *key = inv_with_libraries(state);
    gpointer value = NULL;
    InvAnswerState found = inv_answers_peek(emulators->emulators, path, key, &value, error);

    *emulator = value;
    return found;
}

/* As far as the cache knows. */
static gboolean
has_failed(InvEmulators *emulators, const char *path, const char *state, GError **error)
{
    g_autofree char *key = inv_with_libraries(state);

    return inv_failure_recall(emulators, path, INV_EMULATOR_BASIC, key, 0, error);
}

InvEmulatorState
inv_emulators_peek(InvEmulators *emulators, const char *path, InvEmulator **emulator, GError **error)
{
    /* The cache answers at once; when it is damaged, QEMU is asked after all, in a short time or not at all. */
    const guint from_cache_ms = 1000;
    g_autofree char *state = stat_state(path, error);

    if (!state)
        return INV_EMULATOR_FAILED;
    switch (peek_in_memory(emulators, path, state, emulator, error)) {
    case INV_ANSWER_NONE:
        break;
    case INV_ANSWER_BUSY:
        return INV_EMULATOR_PROBING;
    case INV_ANSWER_VALUE:
        return INV_EMULATOR_KNOWN;
    case INV_ANSWER_ERROR:
        return INV_EMULATOR_FAILED;
    }
    if (!is_in_cache(emulators, path, state))
        return has_failed(emulators, path, state, error) ? INV_EMULATOR_FAILED : INV_EMULATOR_UNKNOWN;
    *emulator = get_in_state(emulators, path, state, from_cache_ms, error);
    return *emulator ? INV_EMULATOR_KNOWN : INV_EMULATOR_FAILED;
}

gboolean
inv_emulators_is_warm(InvEmulators *emulators, const char *path)
{
    g_autofree char *state = stat_state(path, NULL);
    g_autoptr(InvEmulator) emulator = NULL;

    return !state || peek_in_memory(emulators, path, state, &emulator, NULL) != INV_ANSWER_NONE ||
           is_in_cache(emulators, path, state) || has_failed(emulators, path, state, NULL);
}

static gboolean
serves_arch(const InvEmulator *emulator, const char *arch)
{
    return strcmp(emulator->arch, arch) == 0 || (strcmp(emulator->arch, "ppc64") == 0 && strcmp(arch, "ppc64le") == 0) ||
        strcmp(target_of_arch(emulator->arch), target_of_arch(arch)) == 0;
}

/* By what it is: the binaries that were set have any name. NULL when none of them is for @arch. */
static InvEmulator *
find_binary_for_arch(InvEmulators *emulators, const char *arch, guint deadline_ms)
{
    for (char **binary = emulators->binaries; binary && *binary; binary++) {
        g_autoptr(InvEmulator) emulator = inv_emulators_get(emulators, *binary, arch, deadline_ms, NULL);

        if (emulator)
            return g_steal_pointer(&emulator);
    }
    return NULL;
}

static InvEmulator *
get_for_arch(InvEmulators *emulators, const char *asked, guint deadline_ms, GError **error)
{
    g_autofree char *path = NULL;
    g_autoptr(GError) failure = NULL;
    InvEmulator *emulator;
    struct utsname host;
    const char *arch;

    if (uname(&host) < 0)
        return inv_error_set_errno(error, errno, "cannot tell the architecture of this host"), NULL;
    arch = asked ? asked : host.machine;
    path = find_for_arch(emulators, arch, host.machine, &failure);
    if (path)
        return inv_emulators_get(emulators, path, asked, deadline_ms, error);
    emulator = find_binary_for_arch(emulators, arch, deadline_ms);
    if (!emulator)
        g_propagate_error(error, g_steal_pointer(&failure));
    return emulator;
}

InvEmulator *
inv_emulators_get(InvEmulators *emulators, const char *path, const char *arch, guint deadline_ms, GError **error)
{
    g_autofree char *state = NULL;
    g_autoptr(InvEmulator) emulator = NULL;

    if (!path)
        return get_for_arch(emulators, arch, deadline_ms, error);
    state = stat_state(path, error);
    if (!state)
        return NULL;
    emulator = get_in_state(emulators, path, state, deadline_ms, error);
    if (emulator && arch && !serves_arch(emulator, arch)) {
        inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the emulator '%s' is for %s, not for %s", path, emulator->arch, arch);
        return NULL;
    }
    return g_steal_pointer(&emulator);
}

void
inv_emulators_refresh(InvEmulators *emulators, const char *path)
{
    g_auto(GStrv) all = path ? NULL : inv_emulators_list(emulators);

    if (path)
        inv_cache_forget(emulators->cache, path);
    for (char **each = all; each && *each; each++)
        inv_cache_forget(emulators->cache, *each);
    inv_answers_forget(emulators->emulators, path);
    g_atomic_int_inc(&emulators->generation);
}

guint
inv_emulators_generation(InvEmulators *emulators)
{
    return (guint)g_atomic_int_get(&emulators->generation);
}

void
inv_emulators_watch(InvEmulators *emulators, const char *path, InvFreshness *freshness)
{
    if (path) {
        g_auto(GStrv) modules = module_folders(path);

        inv_freshness_watch(freshness, path);
        for (char **folder = modules; *folder; folder++)
            inv_freshness_watch(freshness, *folder);
        return;
    }
    for (char **folder = emulators->search; *folder; folder++)
        inv_freshness_watch(freshness, *folder);
    for (char **binary = emulators->binaries; binary && *binary; binary++)
        inv_freshness_watch(freshness, *binary);
}

/* All emulators being asked at once, by whoever came first; others wait for the same. */
struct InvAskAll {
    InvEmulators *emulators;
    guint deadline_ms;
    GCond changed;
    /* Guarded by the emulators' lock, as all that follows. */
    guint refs;
    GPtrArray *found;
    guint left;       /* of those that are asked */
    gint64 last;      /* when the last of them was done */
    gboolean passing; /* one of them has failed for now only */
};

static void
ask_all_unref_locked(InvAskAll *all)
{
    if (--all->refs)
        return;
    g_ptr_array_unref(all->found);
    g_cond_clear(&all->changed);
    g_free(all);
}

static void
ask_one(gpointer data, gpointer user_data)
{
    g_autofree char *path = data;
    InvAskAll *all = user_data;
    InvEmulators *emulators = all->emulators;
    g_autoptr(GError) error = NULL;
    InvEmulator *emulator = inv_emulators_get(emulators, path, NULL, all->deadline_ms, &error);
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&emulators->lock);

    if (emulator)
        g_ptr_array_add(all->found, emulator);
    else if (inv_error_code(error) == VIR_ERR_RESOURCE_BUSY)
        all->passing = TRUE;
    all->last = g_get_monotonic_time();
    if (--all->left == 0 && emulators->ask_all == all)
        emulators->ask_all = NULL;
    g_cond_broadcast(&all->changed);
    ask_all_unref_locked(all);
    emulators->n_asking--;
    g_cond_broadcast(&emulators->asked);
}

/* Whoever asks for all is done with it before these threads are: some emulators hang. */
static InvAskAll *
ask_all_locked(InvEmulators *emulators, char **paths, guint deadline_ms)
{
    InvAskAll *all = g_new0(InvAskAll, 1);
    GThreadPool *pool = g_thread_pool_new(ask_one, all, THREADS, FALSE, NULL);

    all->emulators = emulators;
    all->deadline_ms = deadline_ms;
    g_cond_init(&all->changed);
    all->found = g_ptr_array_new_with_free_func((GDestroyNotify)inv_emulator_unref);
    all->left = g_strv_length(paths);
    all->refs = all->left;
    all->last = g_get_monotonic_time();
    emulators->n_asking += all->left;
    for (char **path = paths; *path; path++)
        g_thread_pool_push(pool, g_strdup(*path), NULL);
    g_thread_pool_free(pool, FALSE, FALSE);
    emulators->ask_all = all;
    return all;
}

static int
compare_emulators(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const InvEmulator *const *)a)->path, (*(const InvEmulator *const *)b)->path);
}

/* Until all are done, or (@patient FALSE) none has been for a while. */
static void
wait_for_all_locked(InvEmulators *emulators, InvAskAll *all, gboolean patient)
{
    inv_long_wait_begin();
    while (all->left) {
        gint64 end = patient ? G_MAXINT64 : all->last + 2 * INV_PROBE_SLOW_MS * G_TIME_SPAN_MILLISECOND;

        if (!g_cond_wait_until(&all->changed, &emulators->lock, end) && g_get_monotonic_time() >= end)
            break;
    }
    inv_long_wait_end();
}

GPtrArray *
inv_emulators_probe_all(InvEmulators *emulators, guint deadline_ms, gboolean *complete)
{
    g_auto(GStrv) paths = inv_emulators_list(emulators);
    GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)inv_emulator_unref);
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&emulators->lock);
    InvAskAll *all = emulators->ask_all;
    /* What came to the folders since then the other does not ask. */
    gboolean joined = all && all->deadline_ms >= deadline_ms;

    if (*paths) {
        if (!joined)
            all = ask_all_locked(emulators, paths, deadline_ms);
        all->refs++;
        wait_for_all_locked(emulators, all, !complete);
        for (guint i = 0; i < all->found->len; i++)
            g_ptr_array_add(found, inv_emulator_ref(g_ptr_array_index(all->found, i)));
    }
    if (complete)
        *complete = !*paths || (!joined && !all->left && !all->passing);
    if (*paths)
        ask_all_unref_locked(all);
    g_ptr_array_sort(found, compare_emulators);
    return found;
}
