/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include "daemon/adopt.h"
#include "daemon/cpu_subject.h"
#include "daemon/dispatch.h"
#include "daemon/host.h"
#include "daemon/migrations.h"
#include "daemon/job_stats.h"
#include "daemon/kept_answers.h"
#include "daemon/prober.h"
#include "qemu/probe_budget.h"
#include "rpc/client.h"
#include "rpc/transport.h"
#include "util/error.h"
#include "util/fd.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

/* Exits of guests and autostarts at once. */
#define TASK_THREADS 8
/* Some hundred documents of tens of kilobytes. */
#define ANSWERS_BYTES (16u * 1024 * 1024)
#define DEFAULT_QEMU_USER "invar-qemu"
#define PRIVATE_SOCKET 0600
#define GROUP_SOCKET 0660
#define PUBLIC_SOCKET 0666

typedef struct {
    GSourceOnceFunc function;
    gpointer data;
} Task;

static void
run_task(gpointer data, gpointer user_data)
{
    InvDaemon *daemon = user_data;
    Task *task = data;

    task->function(task->data);
    g_free(task);
    g_mutex_lock(&daemon->tasks_lock);
    if (--daemon->n_tasks == 0)
        g_cond_broadcast(&daemon->tasks_done);
    g_mutex_unlock(&daemon->tasks_lock);
}

static void
wait_for_tasks(InvDaemon *daemon)
{
    g_mutex_lock(&daemon->tasks_lock);
    while (daemon->n_tasks)
        g_cond_wait(&daemon->tasks_done, &daemon->tasks_lock);
    g_mutex_unlock(&daemon->tasks_lock);
}

void
inv_daemon_post(InvDaemon *daemon, GSourceOnceFunc function, gpointer data)
{
    Task *task = g_new0(Task, 1);

    task->function = function;
    task->data = data;
    g_mutex_lock(&daemon->tasks_lock);
    daemon->n_tasks++;
    g_mutex_unlock(&daemon->tasks_lock);
    g_thread_pool_push(daemon->tasks, task, NULL);
}

gboolean
inv_daemon_is_ending(InvDaemon *daemon)
{
    return g_atomic_int_get(&daemon->ending);
}

guint
inv_daemon_start_deadline(const InvDaemon *daemon)
{
    return daemon->config->start_timeout * 1000;
}

guint
inv_daemon_probe_deadline(const InvDaemon *daemon)
{
    return daemon->config->probe_timeout * 1000;
}

/* The account that guests run as. Only root can choose; everybody else's guests are their own. */
static gboolean
find_qemu_account(InvDaemon *daemon, GError **error)
{
    const char *name = daemon->config->qemu_user ? daemon->config->qemu_user : DEFAULT_QEMU_USER;
    const struct passwd *account;

    daemon->qemu_uid = (uid_t)-1;
    daemon->qemu_gid = (gid_t)-1;
    if (geteuid() != 0 || (daemon->paths->session && !daemon->config->qemu_user))
        return TRUE;
    account = getpwnam(name);
    if (!account && daemon->config->qemu_user)
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "[qemu] user=%s: there is no such account", name);
    if (!account) {
        g_warning("there is no account '%s': guests run as root. Make it (systemd-sysusers), or set [qemu] user=", name);
        return TRUE;
    }
    daemon->qemu_uid = account->pw_uid;
    daemon->qemu_gid = account->pw_gid;
    if (daemon->config->qemu_group) {
        const struct group *group = getgrnam(daemon->config->qemu_group);

        if (!group)
            return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "[qemu] group=%s: there is no such group",
                                 daemon->config->qemu_group);
        daemon->qemu_gid = group->gr_gid;
    }
    return TRUE;
}

static InvRpcServer *
new_server(InvDaemon *daemon)
{
    InvRpcServerOptions options = {
        .n_workers = daemon->config->workers,
        .n_priority_workers = daemon->config->priority_workers,
        .max_clients = daemon->config->max_clients,
        .max_client_requests = daemon->config->max_client_requests,
        .keepalive_interval = daemon->config->keepalive_interval,
        .keepalive_count = daemon->config->keepalive_count,
        /* Whatever the socket's permissions are: a session is its owner's. */
        .check_uid = daemon->paths->session,
        .allowed_uid = geteuid(),
    };

    return inv_rpc_server_new(daemon->io, &options);
}

static void
tell_clients(const InvEmulatorChange *change, gpointer user_data)
{
    inv_events_emulator(user_data, change);
}

static void
set_binaries(InvDaemon *daemon)
{
    g_auto(GStrv) missing = inv_config_missing(daemon->config);

    for (char **sentence = missing; *sentence; sentence++)
        g_warning("%s", *sentence);
    if (daemon->config->emulator_binaries)
        inv_emulators_set_binaries(daemon->emulators, (const char *const *)daemon->config->emulator_binaries);
}

InvDaemon *
inv_daemon_new(InvPaths *paths, InvConfig *config, GError **error)
{
    g_autoptr(InvDaemon) daemon = g_new0(InvDaemon, 1);
    g_autofree char *store = g_build_filename(paths->state, "invar.db", NULL);
    g_autofree char *cache = g_build_filename(paths->cache, "capabilities.db", NULL);

    daemon->paths = paths;
    daemon->config = config;
    daemon->host_arch = inv_host_arch();
    inv_host_set_uuid(config->host_uuid);
    daemon->io = inv_io_thread_new();
    daemon->events = inv_events_new();
    daemon->registry = inv_registry_new();
    inv_job_stats_announce(daemon);
    g_mutex_init(&daemon->tasks_lock);
    g_cond_init(&daemon->tasks_done);
    daemon->tasks = g_thread_pool_new(run_task, daemon, TASK_THREADS, FALSE, NULL);
    if (!find_qemu_account(daemon, error))
        return NULL;
    daemon->store = inv_store_open(store, error);
    if (!daemon->store)
        return NULL;
    inv_registry_set_store(daemon->registry, daemon->store);
    daemon->cache = inv_cache_open(cache);
    daemon->emulators =
        inv_emulators_new(daemon->io, daemon->cache, (const char *const *)config->emulator_folders, paths->runtime);
    set_binaries(daemon);
    inv_emulators_set_news(daemon->emulators, tell_clients, daemon->events);
    daemon->prober = inv_prober_new(daemon);
    daemon->answers = inv_answer_cache_new(ANSWERS_BYTES);
    daemon->kept = inv_kept_answers_new(daemon->cache, config);
    daemon->cpu_subjects = inv_cpu_subjects_new();
    daemon->migrations = inv_migrations_new(daemon, error);
    if (!daemon->migrations || !inv_adopt_load(daemon, error) || !inv_migrations_adopt(daemon, error))
        return NULL;
    daemon->server = new_server(daemon);
    inv_dispatch_register(daemon);
    return g_steal_pointer(&daemon);
}

static gboolean
listen_on(InvDaemon *daemon, const char *path, int mode, gboolean read_only, GError **error)
{
    inv_autofd int fd = inv_unix_listen(path, mode, error);

    if (fd < 0)
        return FALSE;
    if (daemon->config->socket_group && !read_only) {
        const struct group *group = getgrnam(daemon->config->socket_group);

        if (!group)
            return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "[daemon] socket_group=%s: there is no such group",
                                 daemon->config->socket_group);
        if (chown(path, (uid_t)-1, group->gr_gid) < 0 || chmod(path, GROUP_SOCKET) < 0)
            return inv_error_set_errno(error, errno, "cannot give '%s' to the group '%s'", path,
                                       daemon->config->socket_group);
    }
    inv_rpc_server_listen(daemon->server, inv_fd_steal(&fd), read_only);
    return TRUE;
}

static gboolean
listen_on_tcp(InvDaemon *daemon, const char *address, GError **error)
{
    inv_autofd int fd = inv_rpc_tcp_listen(address, error);

    if (fd < 0) {
        g_prefix_error(error, "[daemon] listen_tcp: ");
        return FALSE;
    }
    g_message("listening on TCP %s: whoever reaches it manages the guests, without authentication", address);
    inv_rpc_server_listen(daemon->server, inv_fd_steal(&fd), FALSE);
    return TRUE;
}

gboolean
inv_daemon_serve(InvDaemon *daemon, GError **error)
{
    if (!listen_on(daemon, daemon->paths->socket, PRIVATE_SOCKET, FALSE, error))
        return FALSE;
    if (daemon->paths->socket_ro && !listen_on(daemon, daemon->paths->socket_ro, PUBLIC_SOCKET, TRUE, error))
        return FALSE;
    for (char **address = daemon->config->listen_tcp; address && *address; address++) {
        if (!listen_on_tcp(daemon, *address, error))
            return FALSE;
    }
    inv_adopt_autostart(daemon);
    inv_prober_start(daemon->prober);
    return TRUE;
}

/* On the I/O thread, so that no callback of a monitor or process is running meanwhile. */
static void
release_guests(gpointer data)
{
    inv_adopt_release(data);
}

void
inv_daemon_free(InvDaemon *daemon)
{
    if (!daemon)
        return;
    g_atomic_int_set(&daemon->ending, TRUE);
    if (daemon->server && daemon->paths) {
        unlink(daemon->paths->socket);
        if (daemon->paths->socket_ro)
            unlink(daemon->paths->socket_ro);
    }
    /* Nobody is left to tell; an emulator or another daemon that hangs holds the end up no longer. */
    inv_probe_budget_stop();
    inv_rpc_connections_end();
    /*
     * Calls first, then what they and the monitors have posted, which needs the monitors; then the
     * monitors, and last the few tasks that they posted until then: no callback comes after that.
     * The guests' processes go on.
     */
    inv_rpc_server_free(daemon->server);
    inv_prober_free(daemon->prober);
    wait_for_tasks(daemon);
    inv_io_thread_call(daemon->io, release_guests, daemon);
    g_thread_pool_free(daemon->tasks, FALSE, TRUE);
    inv_migrations_free(daemon->migrations);
    inv_answer_cache_free(daemon->answers);
    inv_kept_answers_free(daemon->kept);
    inv_cpu_subjects_free(daemon->cpu_subjects);
    inv_emulators_free(daemon->emulators);
    inv_io_thread_free(daemon->io);
    inv_registry_free(daemon->registry);
    inv_events_free(daemon->events);
    inv_cache_close(daemon->cache);
    inv_store_close(daemon->store);
    inv_config_free(daemon->config);
    inv_paths_free(daemon->paths);
    g_cond_clear(&daemon->tasks_done);
    g_mutex_clear(&daemon->tasks_lock);
    g_free(daemon);
}
