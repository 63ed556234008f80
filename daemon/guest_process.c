/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guest_process.h"

#include "daemon/domain_stop.h"
#include "daemon/monitor_events.h"
#include "qemu/command.h"
#include "util/error.h"
#include "util/fault.h"
#include "util/fd.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_MODE 0700
#define MONITOR_MODE 0600
#define ABANDON_GRACE_MS 100u
/* Enough of QEMU's last words to know why it died. */
#define LOG_TAIL_BYTES 2048u

void
inv_guest_process_free(InvGuestProcess *guest)
{
    if (!guest)
        return;
    inv_process_unref(guest->process);
    inv_qmp_unref(guest->qmp);
    g_free(guest->folder);
    g_free(guest->monitor);
    g_free(guest);
}

char *
inv_guest_process_folder(const InvDaemon *daemon, const InvVm *vm)
{
    /* By uuid, not by name: a socket path has 107 bytes, and a name may be longer. */
    return g_build_filename(daemon->paths->runtime, "domains", vm->uuid_text, NULL);
}

char *
inv_guest_process_log(const InvDaemon *daemon, const char *name)
{
    g_autofree char *file = g_strconcat(name, ".log", NULL);

    return g_build_filename(daemon->paths->log, file, NULL);
}

void
inv_guest_process_remove_folder(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        g_unlink(path);
    }
    g_rmdir(folder);
}

static gboolean
make_folder(const InvDaemon *daemon, const char *folder, GError **error)
{
    inv_guest_process_remove_folder(folder);
    if (g_mkdir_with_parents(folder, FOLDER_MODE) < 0)
        return inv_error_set_errno(error, errno, "cannot make the folder '%s'", folder);
    if (daemon->qemu_uid == (uid_t)-1)
        return TRUE;
    /* QEMU makes its own sockets in there; the parent must let its account through. */
    {
        g_autofree char *parent = g_path_get_dirname(folder);

        if (chmod(parent, 0711) < 0 || chown(folder, daemon->qemu_uid, daemon->qemu_gid) < 0)
            return inv_error_set_errno(error, errno, "cannot give '%s' to the account that QEMU runs as", folder);
    }
    return TRUE;
}

static gboolean
store_run(InvDaemon *daemon, InvVm *vm, const InvGuestProcess *guest, const InvDomain *live, int id, GError **error)
{
    g_autofree char *xml = inv_domain_format(live, INV_FORMAT_LIVE | INV_FORMAT_SECURE);
    g_autofree char *monitor = g_strdup(guest->monitor);
    InvRunning running = { .uuid = vm->uuid_text, .id = id, .monitor = monitor, .live_xml = xml, .started = FALSE };

    if (guest->process) {
        running.pid = inv_process_pid(guest->process);
        running.start_time = inv_process_start_time(guest->process);
    }
    return inv_store_set_running(daemon->store, &running, error);
}

static void
process_exited(InvProcess *process, int status, gpointer user_data)
{
    inv_domain_process_exited(user_data, process, status);
}

static gboolean
spawn(InvDaemon *daemon, InvGuestProcess *guest, const char *const *argv, int listener, const char *log,
      GError **error)
{
    InvProcessSpec spec = {
        .argv = argv,
        .inherit_fds = &listener,
        .n_inherit_fds = 1,
        .log_path = log,
        .uid = daemon->qemu_uid,
        .gid = daemon->qemu_gid,
    };

    guest->process = inv_process_spawn(daemon->io, &spec, process_exited, daemon, error);
    return guest->process != NULL;
}

static void
set_starting(InvVm *vm, InvProcess *process)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    g_clear_pointer(&vm->starting, inv_process_unref);
    vm->starting = process ? inv_process_ref(process) : NULL;
}

/* Puts QEMU's own words behind the reason why its monitor did not answer. */
static void
explain_death(const InvDaemon *daemon, InvGuestProcess *guest, const char *log, GError **error)
{
    g_autofree char *tail = inv_process_log_tail(log, inv_process_log_start(guest->process), LOG_TAIL_BYTES);

    g_strstrip(tail);
    if (error && *error && *tail) {
        g_autofree char *why = g_strdup((*error)->message);
        virErrorNumber code = inv_process_is_alive(guest->process) ? inv_error_code(*error) : VIR_ERR_OPERATION_FAILED;

        g_clear_error(error);
        /* A file that the administrator can read may be closed to the guests' account. */
        if (daemon->qemu_uid != (uid_t)-1 && strstr(tail, g_strerror(EACCES)))
            inv_error_set(error, code, "QEMU did not start: %s (guests run as the account with uid %u; %s)", tail,
                          (unsigned)daemon->qemu_uid, why);
        else
            inv_error_set(error, code, "QEMU did not start: %s (%s)", tail, why);
    }
}

static gboolean
connect_monitor(InvDaemon *daemon, InvGuestProcess *guest, const char *log, GError **error)
{
    inv_autofd int fd = inv_unix_connect(guest->monitor, error);

    if (fd < 0)
        return FALSE;
    guest->qmp = inv_qmp_new(daemon->io, inv_fd_steal(&fd), inv_daemon_start_deadline(daemon), inv_monitor_event,
                             inv_monitor_closed, daemon, error);
    if (!guest->qmp)
        explain_death(daemon, guest, log, error);
    return guest->qmp != NULL;
}

InvGuestProcess *
inv_guest_process_spawn(InvDaemon *daemon, InvVm *vm, InvDomain *live, const InvDecision *decision, const char *cpu_argument,
                        int id, const char *incoming, GError **error)
{
    g_autoptr(InvGuestProcess) guest = g_new0(InvGuestProcess, 1);
    g_autofree char *log = inv_guest_process_log(daemon, live->name);
    g_auto(GStrv) argv = NULL;
    inv_autofd int listener = -1;
    InvCommandContext context = {
        .emulator = decision->emulator, .machine = decision->machine, .cpu_argument = cpu_argument, .incoming = incoming,
    };

    guest->folder = inv_guest_process_folder(daemon, vm);
    guest->monitor = g_build_filename(guest->folder, "monitor.sock", NULL);
    if (!inv_command_check_host(live, error) || !make_folder(daemon, guest->folder, error))
        return NULL;
    listener = inv_unix_listen(guest->monitor, MONITOR_MODE, error);
    if (listener < 0) {
        inv_guest_process_remove_folder(guest->folder);
        return NULL;
    }
    context.monitor_fd = listener;
    context.runtime_dir = guest->folder;
    inv_command_assign_aliases(live);
    argv = inv_command_build(live, &context, error);
    if (!argv || !store_run(daemon, vm, guest, live, id, error)) {
        inv_guest_process_remove_folder(guest->folder);
        return NULL;
    }
    inv_fault_point("start-before-spawn");
    if (!spawn(daemon, guest, (const char *const *)argv, listener, log, error)) {
        inv_guest_process_abandon(daemon, vm, guest);
        return NULL;
    }
    inv_fault_point("start-after-spawn");
    set_starting(vm, guest->process);
    /* Now with its process: a successor ends even a QEMU whose monitor never answers. */
    if (!store_run(daemon, vm, guest, live, id, error)) {
        inv_guest_process_abandon(daemon, vm, guest);
        return NULL;
    }
    /* From here on only QEMU may accept on the socket: an exit must end what waits in its queue. */
    inv_fd_close(&listener);
    if (!connect_monitor(daemon, guest, log, error)) {
        inv_guest_process_abandon(daemon, vm, guest);
        return NULL;
    }
    inv_fault_point("start-after-monitor");
    return g_steal_pointer(&guest);
}

void
inv_guest_process_abandon(InvDaemon *daemon, InvVm *vm, InvGuestProcess *guest)
{
    g_autoptr(GError) error = NULL;

    set_starting(vm, NULL);
    if (guest->process) {
        inv_process_forget_callback(guest->process);
        if (!inv_process_kill(guest->process, ABANDON_GRACE_MS, &error))
            g_warning("%s: %s", vm->uuid_text, error->message);
    }
    if (guest->qmp)
        inv_qmp_close(guest->qmp);
    g_clear_error(&error);
    if (!inv_store_clear_running(daemon->store, vm->uuid_text, &error))
        g_warning("%s: %s", vm->uuid_text, error->message);
    inv_guest_process_remove_folder(guest->folder);
}

/* query-chardev: label "charserial0" → filename "pty:/dev/pts/5". */
static void
take_pty(const InvJson *chardevs, InvDevice *device)
{
    g_autofree char *label = device->alias ? g_strconcat("char", device->alias, NULL) : NULL;

    for (guint i = 0; label && i < inv_json_size(chardevs); i++) {
        const char *name = inv_json_get_string(inv_json_at(chardevs, i), "label");
        const char *file = inv_json_get_string(inv_json_at(chardevs, i), "filename");

        if (g_strcmp0(name, label) == 0 && file && g_str_has_prefix(file, "pty:")) {
            g_free(device->u.chardev.path);
            device->u.chardev.path = g_strdup(file + strlen("pty:"));
        }
    }
}

static void
take_vnc(const InvJson *vnc, InvDevice *device)
{
    const char *service = inv_json_get_string(vnc, "service");

    if (service && inv_json_get_boolean(vnc, "enabled", FALSE))
        device->u.graphics.live_port = (int)g_ascii_strtoll(service, NULL, 10);
}

static const InvDevice *
first_serial(const InvDomain *domain)
{
    for (guint i = 0; i < domain->devices->len; i++) {
        const InvDevice *device = g_ptr_array_index(domain->devices, i);

        if (device->type == INV_DEVICE_SERIAL)
            return device;
    }
    return NULL;
}

static void
take_device(InvDomain *live, InvDevice *device, const InvJson *chardevs, const InvJson *vnc)
{
    const InvDevice *serial = first_serial(live);

    if (device->type == INV_DEVICE_GRAPHICS && g_strcmp0(device->u.graphics.type, "vnc") == 0)
        take_vnc(vnc, device);
    if ((device->type == INV_DEVICE_SERIAL || device->type == INV_DEVICE_CONSOLE || device->type == INV_DEVICE_CHANNEL) &&
        device->u.chardev.type == INV_CHAR_PTY)
        take_pty(chardevs, device);
    /* The first console is the first serial port under another name. */
    if (device->type == INV_DEVICE_CONSOLE && serial && device->u.chardev.type == INV_CHAR_PTY && !device->u.chardev.path)
        device->u.chardev.path = g_strdup(serial->u.chardev.path);
}

gboolean
inv_guest_process_read_devices(InvDaemon *daemon, InvGuestProcess *guest, InvDomain *live, GError **error)
{
    const InvQmpCommand commands[] = { { "query-chardev", NULL }, { "query-vnc", NULL } };
    InvJson *replies[G_N_ELEMENTS(commands)] = { NULL };

    if (!inv_qmp_call_many(guest->qmp, commands, G_N_ELEMENTS(commands), inv_daemon_start_deadline(daemon), replies, NULL, error))
        return FALSE;
    for (guint i = 0; i < live->devices->len; i++)
        take_device(live, g_ptr_array_index(live->devices, i), replies[0], replies[1]);
    for (gsize i = 0; i < G_N_ELEMENTS(replies); i++)
        inv_json_free(replies[i]);
    return TRUE;
}
