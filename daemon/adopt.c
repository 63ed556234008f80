/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/adopt.h"

#include "daemon/domain_start.h"
#include "daemon/domain_stop.h"
#include "daemon/guest_process.h"
#include "daemon/load_domains.h"
#include "daemon/monitor_events.h"
#include "daemon/record_jobs.h"
#include "util/error.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

/* A QEMU that does not answer its monitor for so long at the daemon's start is left as it is. */
#define ADOPT_DEADLINE_MS 10000u
#define KILL_GRACE_MS 1000u

static char *
stopped_marker(const InvDaemon *daemon, const InvVm *vm)
{
    /* In the runtime folder, which the host empties when it boots. */
    return g_build_filename(daemon->paths->runtime, "stopped", vm->uuid_text, NULL);
}

void
inv_adopt_mark_stopped(InvDaemon *daemon, const InvVm *vm, gboolean stopped)
{
    g_autofree char *path = stopped_marker(daemon, vm);
    g_autofree char *folder = g_path_get_dirname(path);
    inv_autofd int fd = -1;

    if (!stopped) {
        g_unlink(path);
        return;
    }
    g_mkdir_with_parents(folder, 0700);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        g_warning("cannot note in '%s' that the domain was shut off: %s", path, g_strerror(errno));
}

static InvQmp *
connect_monitor(InvDaemon *daemon, const char *monitor, gboolean events, GError **error)
{
    inv_autofd int fd = inv_unix_connect(monitor, error);

    if (fd < 0)
        return NULL;
    return inv_qmp_new(daemon->io, inv_fd_steal(&fd), ADOPT_DEADLINE_MS, events ? inv_monitor_event : NULL,
                       events ? inv_monitor_closed : NULL, daemon, error);
}

static void
process_exited(InvProcess *process, int status, gpointer user_data)
{
    inv_domain_process_exited(user_data, process, status);
}

/* A start that was not finished: nobody was told of it, so its QEMU goes. */
static void
end_half_start(InvDaemon *daemon, const InvRunning *running)
{
    g_autoptr(InvQmp) qmp = connect_monitor(daemon, running->monitor, FALSE, NULL);
    g_autoptr(InvProcess) process = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = g_path_get_dirname(running->monitor);

    g_message("ending the unfinished start of domain %s", running->uuid);
    if (qmp) {
        inv_qmp_call(qmp, "quit", NULL, ADOPT_DEADLINE_MS, NULL, NULL);
        inv_qmp_close(qmp);
    }
    if (running->pid > 0) {
        process = inv_process_adopt(daemon->io, (pid_t)running->pid, running->start_time, NULL, NULL, NULL);
        if (process && !inv_process_kill(process, KILL_GRACE_MS, &error))
            g_warning("%s: %s", running->uuid, error->message);
    }
    inv_guest_process_remove_folder(folder);
}

static InvVm *
find_or_make(InvDaemon *daemon, const InvRunning *running, const InvDomain *live)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);
    InvVm *vm = inv_registry_find_uuid_locked(daemon->registry, live->uuid);

    if (vm)
        return inv_vm_ref(vm);
    vm = inv_vm_new(daemon->registry, live->uuid, live->name);
    if (!inv_registry_add_locked(daemon->registry, vm, NULL))
        g_clear_pointer(&vm, inv_vm_unref);
    return vm;
}

/* What QEMU says it is doing, in libvirt's words. */
static void
read_status(InvDaemon *daemon, InvVm *vm, InvQmp *qmp, gboolean paused)
{
    g_autoptr(InvJson) status = NULL;
    g_autoptr(GError) error = NULL;
    const char *word = NULL;

    if (inv_qmp_call(qmp, "query-status", NULL, ADOPT_DEADLINE_MS, &status, &error))
        word = inv_json_get_string(status, "status");
    /* The daemon died between its decision to start and the guest's first instruction. */
    if (g_strcmp0(word, "prelaunch") == 0 && !paused && inv_qmp_call(qmp, "cont", NULL, ADOPT_DEADLINE_MS, NULL, &error))
        word = "running";
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        if (g_strcmp0(word, "running") == 0) {
            vm->state = VIR_DOMAIN_RUNNING;
            vm->reason = VIR_DOMAIN_RUNNING_UNKNOWN;
        } else if (g_strcmp0(word, "shutdown") == 0) {
            vm->state = VIR_DOMAIN_SHUTDOWN;
            vm->reason = VIR_DOMAIN_SHUTDOWN_UNKNOWN;
        } else {
            vm->state = VIR_DOMAIN_PAUSED;
            vm->reason = g_strcmp0(word, "io-error") == 0 ? VIR_DOMAIN_PAUSED_IOERROR : VIR_DOMAIN_PAUSED_UNKNOWN;
        }
    }
    if (error)
        g_warning("domain '%s': %s", vm->uuid_text, error->message);
    if (g_strcmp0(word, "shutdown") == 0)
        inv_domain_guest_shutdown(daemon, vm);
}

static gboolean
take_up(InvDaemon *daemon, const InvRunning *running, GError **error)
{
    g_autoptr(InvDomain) live = inv_domain_parse(running->live_xml, error);
    g_autoptr(InvVm) vm = NULL;
    g_autoptr(InvProcess) process = NULL;
    g_autoptr(InvProcess) watched = NULL;
    g_autoptr(InvQmp) qmp = NULL;
    g_autoptr(GError) cause = NULL;

    if (!live)
        return FALSE;
    process = inv_process_adopt(daemon->io, (pid_t)running->pid, running->start_time, process_exited, daemon, error);
    if (!process)
        return FALSE;
    vm = find_or_make(daemon, running, live);
    if (!vm)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "another domain has the name '%s'", live->name);
    qmp = connect_monitor(daemon, running->monitor, TRUE, &cause);
    watched = inv_process_ref(process);
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        vm->process = g_steal_pointer(&process);
        vm->qmp = qmp ? inv_qmp_ref(qmp) : NULL;
        vm->id = running->id;
        inv_registry_reserve_id_locked(daemon->registry, running->id);
        vm->live = g_steal_pointer(&live);
        vm->live->id = -1;
        inv_vm_set_summary_locked(vm, vm->live);
        vm->live_record = running->record ? inv_record_parse(running->record, NULL) : NULL;
        if (!qmp) {
            vm->state = VIR_DOMAIN_NOSTATE;
            inv_vm_add_message_locked(vm, "its monitor does not answer: %s", cause->message);
        }
    }
    /* An exit from before the domain had its process found nothing to end. */
    if (!inv_process_is_alive(watched))
        inv_domain_process_exited(daemon, watched, -1);
    else if (qmp)
        read_status(daemon, vm, qmp, running->paused);
    else
        g_warning("domain '%s' runs, but its monitor does not answer: %s", vm->uuid_text, cause->message);
    return TRUE;
}

/* One that has ended and whose parent has not heard of it yet is still in the table of processes, and gone. */
static gboolean
still_runs(InvDaemon *daemon, const InvRunning *running)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvProcess) process =
        inv_process_adopt(daemon->io, (pid_t)running->pid, running->start_time, NULL, NULL, &error);

    return process || inv_error_code(error) != VIR_ERR_OPERATION_FAILED;
}

static gboolean
adopt_all(InvDaemon *daemon, GError **error)
{
    g_autoptr(GPtrArray) list = inv_store_list_running(daemon->store, error);

    if (!list)
        return FALSE;
    for (guint i = 0; i < list->len; i++) {
        const InvRunning *running = g_ptr_array_index(list, i);
        g_autoptr(GError) cause = NULL;

        if (running->started && take_up(daemon, running, &cause))
            continue;
        if (running->started && still_runs(daemon, running)) {
            /* Its entry stays, so that a daemon that can read it finds it. */
            g_warning("domain %s runs as process %" G_GINT64_FORMAT " and cannot be taken up: %s", running->uuid, running->pid,
                      cause->message);
            continue;
        }
        if (running->started)
            g_message("domain %s does not run any more: %s", running->uuid, cause->message);
        else
            end_half_start(daemon, running);
        if (!inv_store_clear_running(daemon->store, running->uuid, error))
            return FALSE;
    }
    return TRUE;
}

gboolean
inv_adopt_load(InvDaemon *daemon, GError **error)
{
    return inv_load_domains(daemon, error) && adopt_all(daemon, error);
}

typedef struct {
    InvDaemon *daemon;
    GPtrArray *vms; /* of InvVm */
} Autostart;

static void
start_one(gpointer data, gpointer user_data)
{
    g_autoptr(InvVm) vm = data;
    g_autoptr(GError) error = NULL;

    if (inv_daemon_is_ending(user_data))
        return;
    if (!inv_domain_start(user_data, vm, 0, &error))
        g_warning("autostart of domain '%s' failed: %s", vm->uuid_text, error->message);
}

static void
autostart(gpointer data)
{
    Autostart *job = data;
    GThreadPool *pool = g_thread_pool_new(start_one, job->daemon, (int)job->daemon->config->autostart_parallel, FALSE, NULL);

    for (guint i = 0; i < job->vms->len; i++)
        g_thread_pool_push(pool, inv_vm_ref(g_ptr_array_index(job->vms, i)), NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    g_ptr_array_unref(job->vms);
    g_free(job);
}

void
inv_adopt_autostart(InvDaemon *daemon)
{
    g_autoptr(GPtrArray) marked = inv_registry_list_autostart(daemon->registry);
    Autostart *job = g_new0(Autostart, 1);

    job->daemon = daemon;
    job->vms = g_ptr_array_new_with_free_func((GDestroyNotify)inv_vm_unref);
    for (guint i = 0; i < marked->len; i++) {
        InvVm *vm = g_ptr_array_index(marked, i);
        g_autofree char *marker = stopped_marker(daemon, vm);

        if (!g_file_test(marker, G_FILE_TEST_EXISTS))
            g_ptr_array_add(job->vms, inv_vm_ref(vm));
    }
    inv_daemon_post(daemon, autostart, job);
}

void
inv_adopt_release(InvDaemon *daemon)
{
    g_autoptr(GPtrArray) all = inv_registry_list(daemon->registry);

    for (guint i = 0; i < all->len; i++) {
        InvVm *vm = g_ptr_array_index(all, i);
        g_autoptr(InvQmp) qmp = NULL;
        g_autoptr(InvProcess) process = NULL;

        {
            g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

            qmp = g_steal_pointer(&vm->qmp);
            process = g_steal_pointer(&vm->process);
        }
        if (qmp)
            inv_qmp_close(qmp);
        if (process)
            inv_process_forget_callback(process);
    }
}
