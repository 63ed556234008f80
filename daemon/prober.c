/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/prober.h"

#include "qemu/host_root.h"
#include "qemu/probe_budget.h"
#include "util/error.h"

#include <string.h>

/* How soon a change of the host is told of to who asked nothing. Whoever asks gets the truth at once. */
#define LOOK_INTERVAL_S 2
/* Whoever waits for the daemon to start asks first. */
#define FIRST_LOOK_MS 100
/* The emulators of domains are gathered from all definitions, once in so many looks. */
#define LOOKS_PER_LIST 15u

/* Under way at once, whatever the budget lets run of them: some that hang leave the others theirs. */
#define MAX_JOBS 16

typedef struct {
    char *path;              /* the emulator to know, or NULL and: */
    InvVmPlatform *platform; /* whose table is to be known */
} Job;

struct InvProber {
    InvDaemon *daemon;
    GThread *watcher;
    GThreadPool *pool; /* of Job */
    GMutex lock;
    GCond changed;
    gboolean ending;    /* guarded by lock */
    GHashTable *wanted; /* set of paths that wait in the pool; guarded by lock */

    /* The watcher's own. */
    guint n_looks;
    InvFreshness *folders;
    InvFreshness *libraries;
    char **paths;
    GHashTable *files; /* path → its fingerprint, "" when it is none to be run */
    char *kvm, *cpu;   /* fingerprints */
};

static void
job_free(gpointer data)
{
    Job *job = data;

    g_free(job->path);
    inv_vm_platform_free(job->platform);
    g_free(job);
}

static int
compare_paths(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char **
inv_prober_list(InvDaemon *daemon)
{
    g_auto(GStrv) found = inv_emulators_list(daemon->emulators);
    g_autoptr(GPtrArray) platforms = inv_registry_list_platforms(daemon->registry);
    g_autoptr(GHashTable) known = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);

    for (char **path = found; *path; path++) {
        g_hash_table_add(known, *path);
        g_ptr_array_add(paths, g_strdup(*path));
    }
    for (guint i = 0; i < platforms->len; i++) {
        const InvVmPlatform *platform = g_ptr_array_index(platforms, i);

        if (platform->emulator && g_hash_table_add(known, platform->emulator))
            g_ptr_array_add(paths, g_strdup(platform->emulator));
    }
    g_ptr_array_sort(paths, compare_paths);
    g_ptr_array_add(paths, NULL);
    return (char **)g_ptr_array_steal(paths, NULL);
}

/* A background question got no processor to be answered on: it is asked once more, as a client's would be. */
static gboolean
asks_again(const GError *error)
{
    if (!error || inv_error_code(error) != VIR_ERR_RESOURCE_BUSY || !inv_probe_budget_is_idle() || inv_probe_budget_is_stopped())
        return FALSE;
    inv_probe_budget_set_idle(FALSE);
    return TRUE;
}

static void
ask_path(InvDaemon *daemon, const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvEmulator) emulator = inv_emulators_get(daemon->emulators, path, NULL, inv_daemon_probe_deadline(daemon), &error);

    if (asks_again(error))
        ask_path(daemon, path);
}

/* What is wrong is told where it is found (log, news, list): nobody waits here. */
static void
ask_platform(InvDaemon *daemon, const InvVmPlatform *platform)
{
    g_autoptr(GError) error = NULL;
    guint deadline = inv_daemon_probe_deadline(daemon);
    const char *arch = platform->arch ? platform->arch : platform->emulator ? NULL : daemon->host_arch;
    g_autoptr(InvEmulator) emulator = inv_emulators_get(daemon->emulators, platform->emulator, arch, deadline, &error);
    const InvExpansions expansions = platform->expansions ? INV_EXPANSIONS_ALL : INV_EXPANSIONS_HOST;
    const InvMachine *machine;
    InvCpuFacts facts;

    if (asks_again(error)) {
        ask_platform(daemon, platform);
        return;
    }
    if (!emulator || !inv_emulator_check_accelerator(emulator, platform->virt_type, NULL))
        return;
    machine = inv_emulator_find_machine(emulator, platform->machine, NULL);
    if (!machine || inv_emulator_has_cpu_facts(emulator, platform->virt_type, machine->name, expansions))
        return;
    if (!inv_probe_budget_is_idle() || inv_probe_budget_wait_idle())
        inv_emulator_cpu_facts(emulator, platform->virt_type, machine->name, expansions, deadline, &facts, &error);
    if (asks_again(error))
        ask_platform(daemon, platform);
}

static void
run_job(gpointer data, gpointer user_data)
{
    InvProber *prober = user_data;
    Job *job = data;

    inv_probe_budget_set_idle(TRUE);
    if (inv_probe_budget_wait_idle()) {
        if (job->platform) {
            ask_platform(prober->daemon, job->platform);
        } else if (!inv_emulators_is_warm(prober->daemon->emulators, job->path)) {
            ask_path(prober->daemon, job->path);
        }
    }
    /* The threads of the pool are not this pool's alone. */
    inv_probe_budget_set_idle(FALSE);
    if (job->path) {
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&prober->lock);

        g_hash_table_remove(prober->wanted, job->path);
    }
    job_free(job);
}

void
inv_prober_want(InvProber *prober, const char *path)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&prober->lock);
    Job *job;

    if (prober->ending || !g_hash_table_add(prober->wanted, g_strdup(path)))
        return;
    job = g_new0(Job, 1);
    job->path = g_strdup(path);
    g_thread_pool_push(prober->pool, job, NULL);
}

static void
want_platforms(InvProber *prober)
{
    g_autoptr(GPtrArray) platforms = inv_registry_list_platforms(prober->daemon->registry);

    g_ptr_array_set_free_func(platforms, NULL);
    for (guint i = 0; i < platforms->len; i++) {
        Job *job = g_new0(Job, 1);

        job->platform = g_ptr_array_index(platforms, i);
        g_thread_pool_push(prober->pool, job, NULL);
    }
}

static void
list_again(InvProber *prober)
{
    g_clear_pointer(&prober->folders, inv_freshness_free);
    g_clear_pointer(&prober->paths, g_strfreev);
    prober->folders = inv_freshness_new();
    inv_emulators_watch(prober->daemon->emulators, NULL, prober->folders);
    prober->paths = inv_prober_list(prober->daemon);
}

static void
tell(InvProber *prober, const char *path, const char *subject, InvEmulatorState state, const char *reason)
{
    inv_emulators_tell(prober->daemon->emulators,
                       &(InvEmulatorChange){ .path = path, .subject = subject, .state = state, .reason = reason });
}

/* TRUE: answers about it are no longer what they were. */
static gboolean
look_at_file(InvProber *prober, const char *path, gboolean first)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *now = inv_emulators_fingerprint(path, FALSE, &error);
    g_autofree char *before = g_strdup(g_hash_table_lookup(prober->files, path));

    if (before && strcmp(before, now ? now : "") == 0)
        return FALSE;
    g_hash_table_insert(prober->files, g_strdup(path), g_strdup(now ? now : ""));
    if (first)
        return now != NULL;
    if (now)
        tell(prober, path, "", INV_EMULATOR_CHANGED, !before ? "it is new" : *before ? "its file or its modules are others" : "it can be run now");
    else if (before)
        tell(prober, path, "", INV_EMULATOR_GONE, error->message);
    return now != NULL;
}

/* Emulators of folders that are listed no longer. */
static void
drop_unlisted(InvProber *prober)
{
    GHashTableIter iter;
    gpointer path, print;

    g_hash_table_iter_init(&iter, prober->files);
    while (g_hash_table_iter_next(&iter, &path, &print)) {
        if (g_strv_contains((const char *const *)prober->paths, path))
            continue;
        if (*(const char *)print)
            tell(prober, path, "", INV_EMULATOR_GONE, "it is not listed any more");
        g_hash_table_iter_remove(&iter);
    }
}

/* TRUE: it is another than before. */
static gboolean
look_at_host(InvProber *prober, const char *subject, char **known, char *fingerprint)
{
    g_autofree char *before = *known;
    g_autofree char *reason = NULL;

    *known = fingerprint;
    if (!before || strcmp(before, fingerprint) == 0)
        return FALSE;
    reason = g_strdup_printf("it is '%s', and was '%s'", fingerprint, before);
    tell(prober, "", subject, INV_EMULATOR_CHANGED, reason);
    return TRUE;
}

static void
look(InvProber *prober)
{
    gboolean first = prober->n_looks == 0;
    gboolean other_libraries = prober->libraries && !inv_freshness_holds(prober->libraries);
    gboolean other_tables = first;

    if (prober->n_looks++ % LOOKS_PER_LIST == 0 || !inv_freshness_holds(prober->folders))
        list_again(prober);
    if (first || other_libraries) {
        g_autofree char *linker_cache = inv_root_path(INV_LINKER_CACHE);

        inv_freshness_free(prober->libraries);
        prober->libraries = inv_freshness_new();
        inv_freshness_watch(prober->libraries, linker_cache);
    }
    drop_unlisted(prober);
    for (char **path = prober->paths; *path; path++) {
        gboolean other = look_at_file(prober, *path, first);

        if (other || other_libraries)
            inv_prober_want(prober, *path);
        other_tables |= other;
    }
    other_tables |= look_at_host(prober, "kvm", &prober->kvm, inv_kvm_fingerprint());
    other_tables |= look_at_host(prober, "cpu", &prober->cpu, inv_host_cpu_fingerprint());
    /* Whatever did not depend on the change is in the cache, and asks nobody. */
    if (other_tables)
        want_platforms(prober);
}

/* FALSE: the daemon ends. */
static gboolean
wait_until(InvProber *prober, gint64 time)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&prober->lock);

    while (!prober->ending && g_cond_wait_until(&prober->changed, &prober->lock, time))
        continue;
    return !prober->ending;
}

static gpointer
watch(gpointer data)
{
    InvProber *prober = data;
    gint64 next = g_get_monotonic_time() + FIRST_LOOK_MS * G_TIME_SPAN_MILLISECOND;

    while (wait_until(prober, next)) {
        next = g_get_monotonic_time() + LOOK_INTERVAL_S * G_TIME_SPAN_SECOND;
        look(prober);
    }
    return NULL;
}

InvProber *
inv_prober_new(InvDaemon *daemon)
{
    InvProber *prober = g_new0(InvProber, 1);

    prober->daemon = daemon;
    g_mutex_init(&prober->lock);
    g_cond_init(&prober->changed);
    prober->wanted = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    prober->files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    prober->pool = g_thread_pool_new_full(run_job, prober, job_free, MAX_JOBS, FALSE, NULL);
    return prober;
}

void
inv_prober_start(InvProber *prober)
{
    prober->watcher = g_thread_new("prober", watch, prober);
}

void
inv_prober_free(InvProber *prober)
{
    if (!prober)
        return;
    g_mutex_lock(&prober->lock);
    prober->ending = TRUE;
    g_cond_broadcast(&prober->changed);
    g_mutex_unlock(&prober->lock);
    if (prober->watcher)
        g_thread_join(prober->watcher);
    g_thread_pool_free(prober->pool, TRUE, TRUE);
    g_hash_table_unref(prober->wanted);
    g_hash_table_unref(prober->files);
    inv_freshness_free(prober->folders);
    inv_freshness_free(prober->libraries);
    g_clear_pointer(&prober->paths, g_strfreev);
    g_free(prober->kvm);
    g_free(prober->cpu);
    g_cond_clear(&prober->changed);
    g_mutex_clear(&prober->lock);
    g_free(prober);
}
