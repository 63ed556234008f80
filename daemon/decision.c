/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/decision.h"

#include "cpu_driver/hold.h"
#include "qemu/guest_cpu.h"
#include "qemu/process.h"
#include "util/error.h"
#include "util/fd.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

/* A trial QEMU has no guest to be kind to. */
#define TRIAL_GRACE_MS 500u

void
inv_decision_free(InvDecision *decision)
{
    if (!decision)
        return;
    inv_verdict_free(decision->verdict);
    g_strfreev(decision->unavailable);
    inv_cpu_request_free(decision->request);
    inv_emulator_unref(decision->emulator);
    g_free(decision);
}

InvDecision *
inv_decision_new(InvDaemon *daemon, const InvDomain *domain, GError **error)
{
    g_autoptr(InvDecision) decision = g_new0(InvDecision, 1);
    guint deadline = inv_daemon_probe_deadline(daemon);

    decision->emulator = inv_emulators_get(daemon->emulators, domain->emulator, domain->os.arch, deadline, error);
    if (!decision->emulator)
        return NULL;
    if (!inv_emulator_check_accelerator(decision->emulator, domain->virt_type, error))
        return NULL;
    decision->machine = inv_emulator_find_machine(decision->emulator, domain->os.machine, error);
    if (!decision->machine)
        return NULL;
    if (domain->max_vcpus > decision->machine->max_cpus) {
        inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                      "<vcpu>%u</vcpu>: machine type '%s' has at most %u vCPUs; ask for fewer or choose another machine type",
                      domain->max_vcpus, decision->machine->name, decision->machine->max_cpus);
        return NULL;
    }
    if (!inv_emulator_cpu_facts(decision->emulator, domain->virt_type, decision->machine->name,
                                inv_cpu_needs_expansions(domain->cpu) ? INV_EXPANSIONS_ALL : INV_EXPANSIONS_HOST, deadline, &decision->facts, error))
        return NULL;
    decision->facts.default_check = daemon->config->default_check;
    decision->request = inv_cpu_resolve(&decision->facts, domain->cpu, error);
    if (!decision->request)
        return NULL;
    return g_steal_pointer(&decision);
}

gboolean
inv_decision_ask(InvDaemon *daemon, InvDecision *decision, const InvDomain *domain, GError **error)
{
    const char *const *known = NULL;

    g_clear_pointer(&decision->unavailable, g_strfreev);
    g_clear_pointer(&decision->verdict, inv_verdict_free);
    if (inv_cpu_request_known_unavailable(&decision->facts, decision->request, &known)) {
        decision->unavailable = g_strdupv((char **)known);
    } else {
        g_autofree char *argument = inv_cpu_request_argument(decision->request, FALSE);

        if (!inv_emulator_dry_run(decision->emulator, decision->facts.accelerator, decision->machine->name, argument,
                                  inv_daemon_probe_deadline(daemon), &decision->unavailable, error))
            return FALSE;
    }
    decision->verdict = inv_cpu_verdict(&decision->facts, domain->cpu, decision->request,
                                        (const char *const *)decision->unavailable);
    return TRUE;
}

/* What QEMU makes of the record's model is what the record is compared with. */
static gboolean
need_expansions(InvDaemon *daemon, InvDecision *decision, const InvDomain *domain, const InvCpuRecord *record, GError **error)
{
    const InvCpuModel *model = record->model ? inv_cpu_table_find(decision->facts.table, record->model) : NULL;
    InvCpuModelCheck check = decision->facts.default_check;

    if (!model || model->expansion)
        return TRUE;
    if (!inv_emulator_cpu_facts(decision->emulator, domain->virt_type, decision->machine->name, INV_EXPANSIONS_ALL, inv_daemon_probe_deadline(daemon),
                                &decision->facts, error))
        return FALSE;
    decision->facts.default_check = check;
    return TRUE;
}

gboolean
inv_decision_hold(InvDaemon *daemon, InvDecision *decision, const InvDomain *domain, const InvCpuRecord *record, GError **error)
{
    g_autoptr(InvVerdict) verdict = NULL;

    if (!need_expansions(daemon, decision, domain, record, error))
        return FALSE;
    verdict = inv_cpu_hold(&decision->facts, decision->request, record);
    /* Of another model or machine nothing that QEMU filters is of use. */
    for (guint i = 0; i < verdict->blockers->len; i++) {
        const InvBlocker *blocker = g_ptr_array_index(verdict->blockers, i);

        if (strcmp(blocker->feature, "architecture") == 0 || strcmp(blocker->feature, "machine") == 0 ||
            strcmp(blocker->feature, "model") == 0) {
            g_clear_pointer(&decision->unavailable, g_strfreev);
            inv_verdict_free(decision->verdict);
            decision->verdict = g_steal_pointer(&verdict);
            return TRUE;
        }
    }
    return inv_decision_ask(daemon, decision, domain, error);
}

gboolean
inv_decision_is_held(const InvDomain *domain, const InvCpuRecord *record)
{
    const InvCpu *cpu = domain->cpu;
    gboolean follows = cpu && (cpu->mode == INV_CPU_MODE_HOST_MODEL || cpu->mode == INV_CPU_MODE_HOST_PASSTHROUGH ||
                               cpu->mode == INV_CPU_MODE_MAXIMUM);

    return record && !(follows && cpu->model_check != INV_CPU_MODEL_CHECK_STRICT);
}

gboolean
inv_decision_ask_start(InvDaemon *daemon, InvDecision *decision, const InvDomain *domain, const InvCpuRecord *record, GError **error)
{
    if (inv_decision_is_held(domain, record))
        return inv_decision_hold(daemon, decision, domain, record, error);
    return inv_decision_ask(daemon, decision, domain, error);
}

static char **
trial_arguments(const InvDecision *decision, const char *cpu_argument, int monitor_fd)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_autofree char *machine = g_strdup_printf("%s,accel=%s", decision->machine->name,
                                               decision->facts.accelerator == INV_VIRT_KVM ? "kvm" : "tcg");
    g_autofree char *chardev = g_strdup_printf("socket,id=charmonitor,fd=%d,server=on,wait=off", monitor_fd);

    g_strv_builder_add_many(builder, inv_emulator_path(decision->emulator), "-S", "-no-user-config", "-nodefaults",
                            "-display", "none", "-machine", machine, "-chardev", chardev, "-mon",
                            "chardev=charmonitor,mode=control", NULL);
    if (cpu_argument)
        g_strv_builder_add_many(builder, "-cpu", cpu_argument, NULL);
    return g_strv_builder_end(builder);
}

/* Reads the CPU of a QEMU that was spawned for the question, over its monitor. */
static InvGuestCpu *
trial_read(InvDaemon *daemon, const InvDecision *decision, const char *socket, const char *cpu_argument, GError **error)
{
    guint deadline = inv_daemon_probe_deadline(daemon);
    inv_autofd int fd = inv_unix_connect(socket, error);
    g_autoptr(InvQmp) qmp = NULL;
    InvGuestCpu *guest;

    if (fd < 0)
        return NULL;
    qmp = inv_qmp_new(daemon->io, inv_fd_steal(&fd), deadline, NULL, NULL, NULL, error);
    if (!qmp)
        return NULL;
    guest = inv_guest_cpu_read(qmp, decision->facts.arch, decision->facts.map, inv_cpu_table_names(decision->facts.table),
                               decision->machine->name, cpu_argument, deadline, error);
    inv_qmp_close(qmp);
    return guest;
}

InvCpuRecord *
inv_decision_predict(InvDaemon *daemon, InvDecision *decision, GError **error)
{
    g_autofree char *name = g_strdup_printf("trial-%08x.sock", g_random_int());
    g_autofree char *socket = g_build_filename(daemon->paths->runtime, name, NULL);
    g_autofree char *log = g_strconcat(socket, ".log", NULL);
    g_autofree char *argument = NULL;
    g_auto(GStrv) argv = NULL;
    g_autoptr(InvProcess) process = NULL;
    g_autoptr(InvGuestCpu) guest = NULL;
    g_autoptr(InvCpuRecord) record = NULL;
    inv_autofd int listener = inv_unix_listen(socket, 0600, error);

    if (listener < 0)
        return NULL;
    inv_cpu_settle(&decision->facts, decision->request, (const char *const *)decision->unavailable);
    argument = inv_cpu_request_argument(decision->request, TRUE);
    argv = trial_arguments(decision, argument, listener);
    process = inv_process_spawn(daemon->io,
                                &(InvProcessSpec){ .argv = (const char *const *)argv,
                                                   .inherit_fds = &listener,
                                                   .n_inherit_fds = 1,
                                                   .log_path = log,
                                                   .uid = (uid_t)-1,
                                                   .gid = (gid_t)-1 },
                                NULL, NULL, error);
    if (process)
        guest = trial_read(daemon, decision, socket, argument, error);
    if (process)
        inv_process_kill(process, TRIAL_GRACE_MS, NULL);
    if (guest)
        record = inv_cpu_record_new(decision->facts.arch, guest);
    g_unlink(socket);
    g_unlink(log);
    return g_steal_pointer(&record);
}

