/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cpu_probe.h"
#include "qemu/probe_process.h"
#include "util/error.h"

#include <string.h>
#include <unistd.h>

void
inv_cpu_probe_free(InvCpuProbe *probe)
{
    if (!probe)
        return;
    g_free(probe->path);
    g_free(probe->arch);
    g_free(probe->reply);
    g_free(probe->note);
    g_free(probe);
}

char *
inv_cpu_probe_path(const char *name)
{
    char *found;

    if (!name || *name == '/')
        return g_strdup(name);
    if (strchr(name, '/'))
        return g_canonicalize_filename(name, NULL);
    found = g_find_program_in_path(name);
    return found ? found : g_strdup(name);
}

/* Of query-target, where libvirt says otherwise. */
static char *
libvirt_arch(const char *target)
{
    static const struct {
        const char *qemu, *libvirt;
    } names[] = { { "i386", "i686" }, { "arm", "armv7l" } };

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        if (!strcmp(target, names[i].qemu))
            return g_strdup(names[i].libvirt);
    }
    return g_strdup(target);
}

static gboolean
ask_arch(InvCpuProbe *probe, InvProbeProcess *process, gint64 end, GError **error)
{
    g_autoptr(InvJson) reply = NULL;
    const char *target;

    if (!inv_qmp_call(inv_probe_process_qmp(process), "query-target", NULL, inv_deadline_left(end), &reply, error))
        return inv_probe_process_explain(process, error);
    target = inv_json_get_string(reply, "arch");
    if (!target)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the emulator '%s' does not say which architecture it emulates: is it QEMU?",
                             probe->path);
    g_free(probe->arch);
    probe->arch = libvirt_arch(target);
    return TRUE;
}

static gboolean
ask_cpu(InvCpuProbe *probe, InvProbeProcess *process, gint64 end, GError **error)
{
    g_autoptr(InvJson) arguments = inv_json_new_object();
    g_autoptr(InvJson) reply = NULL;
    g_autoptr(GError) cause = NULL;
    InvJson *model = inv_json_new_object();

    inv_json_object_set_string(model, "name", strcmp(probe->accel, "kvm") ? "max" : "host");
    inv_json_object_set_string(arguments, "type", "full");
    inv_json_object_set(arguments, "model", model);
    if (inv_qmp_call(inv_probe_process_qmp(process), "query-cpu-model-expansion", arguments, inv_deadline_left(end), &reply, &cause)) {
        probe->reply = inv_json_format(reply, FALSE);
        return TRUE;
    }
    if (g_error_matches(cause, INV_ERROR, VIR_ERR_OPERATION_UNSUPPORTED))
        return inv_error_set(error, VIR_ERR_NO_SUPPORT,
                             "telling a CPU of %s is not supported by the emulator '%s': it has no query-cpu-model-expansion", probe->arch,
                             probe->path);
    g_propagate_error(error, g_steal_pointer(&cause));
    return inv_probe_process_explain(process, error);
}

static gboolean
ask(InvCpuProbe *probe, const char *accel, gint64 end, GError **error)
{
    g_autoptr(InvIoThread) io = inv_io_thread_new();
    g_autofree char *machine = g_strdup_printf("none,accel=%s", accel);
    const char *const arguments[] = { "-machine", machine, NULL };
    g_autoptr(InvProbeProcess) process = inv_probe_process_start(io, probe->path, arguments, end, error);

    probe->accel = accel;
    return process && ask_arch(probe, process, end, error) && ask_cpu(probe, process, end, error);
}

static gboolean
check_program(const char *path, GError **error)
{
    if (g_file_test(path, G_FILE_TEST_IS_DIR))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the emulator '%s' is a folder: give the path of a QEMU", path);
    if (access(path, X_OK) < 0)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the emulator '%s' cannot be started: %s; give the path of a QEMU", path,
                             g_file_test(path, G_FILE_TEST_EXISTS) ? "it is not executable by this account" : "there is no such file");
    return TRUE;
}

InvCpuProbe *
inv_cpu_probe_run(const char *path, const char *accel, guint deadline_ms, GError **error)
{
    g_autoptr(InvCpuProbe) probe = g_new0(InvCpuProbe, 1);
    gint64 end = inv_deadline_end(deadline_ms);
    g_autoptr(GError) cause = NULL;

    probe->path = inv_cpu_probe_path(path);
    if (accel && strcmp(accel, "kvm") && strcmp(accel, "tcg") && strcmp(accel, "qemu")) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the accelerator '%s' is not known: give kvm or tcg", accel);
        return NULL;
    }
    if (!check_program(probe->path, error))
        return NULL;
    if (!accel ? access("/dev/kvm", R_OK | W_OK) == 0 : !strcmp(accel, "kvm")) {
        if (ask(probe, "kvm", end, &cause))
            return g_steal_pointer(&probe);
        /* Time that is used up is not there for a second try. */
        if (accel || g_error_matches(cause, INV_ERROR, VIR_ERR_OPERATION_TIMEOUT)) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return NULL;
        }
        probe->note = g_strdup_printf("KVM does not work, this is TCG's CPU: %s", cause->message);
    }
    return ask(probe, "tcg", end, error) ? g_steal_pointer(&probe) : NULL;
}
