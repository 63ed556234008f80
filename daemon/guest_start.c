/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guest_start.h"

#include "qemu/guest_cpu.h"
#include "util/error.h"
#include "util/fault.h"

#include <string.h>

void
inv_start_clear(InvStart *start)
{
    inv_domain_free(start->live);
    inv_domain_free(start->inactive);
    g_free(start->asked);
    g_free(start->asked_machine);
    inv_decision_free(start->decision);
    g_free(start->cpu_argument);
    inv_guest_process_free(start->guest);
    inv_cpu_record_free(start->before);
    inv_cpu_record_free(start->record);
    g_free(start->cpu_path);
    g_free(start->live_cpu);
    g_clear_pointer(&start->messages, g_ptr_array_unref);
}

/* A guest that comes from elsewhere has seen its CPU, whatever mode its definition has. */
static gboolean
ask(const InvStart *start, GError **error)
{
    if (start->incoming)
        return inv_decision_hold(start->daemon, start->decision, start->live, start->before, error);
    return inv_decision_ask_start(start->daemon, start->decision, start->live, start->before, error);
}

/* Decides, settles, and puts what was settled into both forms of the definition. */
gboolean
inv_start_decide(InvStart *start, GError **error)
{
    InvCpu *pinned;

    start->asked = start->live->cpu ? inv_cpu_format(start->live->cpu) : g_strdup("");
    start->asked_machine = g_strdup(start->live->os.machine);
    start->decision = inv_decision_new(start->daemon, start->live, error);
    if (!start->decision || !ask(start, error))
        return FALSE;
    if (start->decision->verdict->outcome == INV_OUTCOME_REFUSED)
        return inv_verdict_set_error(start->decision->verdict, start->live->name, error);
    inv_cpu_settle(&start->decision->facts, start->decision->request, (const char *const *)start->decision->unavailable);
    start->cpu_argument = inv_cpu_request_argument(start->decision->request, TRUE);
    pinned = inv_cpu_pin(&start->decision->facts, start->live->cpu, start->decision->request);
    inv_cpu_free(start->live->cpu);
    start->live->cpu = pinned;
    g_free(start->live->os.machine);
    start->live->os.machine = g_strdup(start->decision->machine->name);
    if (start->inactive) {
        inv_cpu_free(start->inactive->cpu);
        start->inactive->cpu = inv_cpu_copy(pinned);
        g_free(start->inactive->os.machine);
        start->inactive->os.machine = g_strdup(start->decision->machine->name);
    }
    return TRUE;
}

/* The guest would not be the one of its record: an error that says what differs and what to do. */
static gboolean
refuse_changed(const InvStart *start, char **changes, GError **error)
{
    g_autofree char *list = g_strjoinv("\n  ", changes);

    return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "domain '%s' is not started: its guest would see another CPU than the one recorded\n  %s\n"
                         "To keep the recorded CPU, start it where the machine type, QEMU and host give it; to change "
                         "it deliberately, run: invar cpu-reopen %s",
                         start->live->name, list, start->live->name);
}

/* Compares with the record: named models are held to it, modes that follow the host are told about. */
static gboolean
check_record(InvStart *start, GError **error)
{
    g_auto(GStrv) changes = NULL;
    if (!start->before)
        return TRUE;
    changes = inv_cpu_record_compare(start->before, start->record);
    if (!*changes)
        return TRUE;
    if (start->incoming || inv_decision_is_held(start->live, start->before))
        return refuse_changed(start, changes, error);
    for (char **change = changes; *change; change++) {
        g_warning("domain '%s' follows its host, and its CPU has changed: %s", start->live->name, *change);
        g_ptr_array_add(start->messages, g_strdup_printf("CPU changed at this start: %s", *change));
    }
    return TRUE;
}

gboolean
inv_start_read_guest(InvStart *start, GError **error)
{
    const InvCpuFacts *facts = &start->decision->facts;
    g_autoptr(InvGuestCpu) guest = NULL;
    g_autoptr(InvVerdict) refused = NULL;

    guest = inv_guest_cpu_read(start->guest->qmp, facts->arch, facts->map, inv_cpu_table_names(facts->table), facts->machine,
                               start->cpu_argument, inv_daemon_start_deadline(start->daemon), error);
    if (!guest)
        return FALSE;
    refused = inv_cpu_check_guest(facts, start->live->cpu, start->decision->request, guest);
    if (refused)
        return inv_verdict_set_error(refused, start->live->name, error);
    start->record = inv_cpu_record_new(facts->arch, guest);
    start->cpu_path = g_steal_pointer(&guest->path);
    start->live_cpu = g_steal_pointer(&guest->live);
    g_free(start->record->asked);
    start->record->asked = g_strdup(start->before && start->before->asked ? start->before->asked : start->asked);
    start->record->asked_machine =
        g_strdup(start->before && start->before->asked_machine ? start->before->asked_machine : start->asked_machine);
    return check_record(start, error);
}

static char *
record_text(const InvCpuRecord *record)
{
    g_autoptr(InvJson) json = inv_cpu_record_to_json(record);

    return inv_json_format(json, FALSE);
}

static const char *
record_reason(const InvStart *start)
{
    g_auto(GStrv) changes = start->before ? inv_cpu_record_compare(start->before, start->record) : NULL;

    if (!changes)
        return "first start: CPU and machine type recorded";
    /* A record by an Invar that knew less is written anew, and nothing has changed. */
    return *changes ? "start: the host's CPU has changed" : "start: definition settled";
}

/* First start's update, revision and record: one transaction, before the guest runs. */
gboolean
inv_start_store_record(InvStart *start, GError **error)
{
    g_autofree char *xml = NULL, *text = NULL;
    g_autoptr(InvStoredDomain) stored = NULL;
    gint64 revision = 0;

    if (!start->inactive)
        return TRUE;
    stored = inv_store_get_domain(start->daemon->store, start->vm->uuid_text, error);
    if (!stored)
        return FALSE;
    xml = inv_domain_format(start->inactive, INV_FORMAT_INACTIVE | INV_FORMAT_SECURE);
    inv_fault_point("start-before-record");
    if (start->before && strcmp(start->before->fingerprint, start->record->fingerprint) == 0 && strcmp(stored->xml, xml) == 0)
        return TRUE;
    text = record_text(start->record);
    if (!inv_store_record(start->daemon->store, start->vm->uuid_text, xml, text, record_reason(start), &revision, error))
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(start->daemon->registry);

        start->vm->revision = revision;
    }
    return TRUE;
}

gboolean
inv_start_store_running(InvStart *start, GError **error)
{
    g_autofree char *xml = inv_domain_format(start->live, INV_FORMAT_LIVE | INV_FORMAT_SECURE);
    g_autofree char *record = record_text(start->record);
    InvRunning running = {
        .uuid = start->vm->uuid_text,
        .pid = inv_process_pid(start->guest->process),
        .start_time = inv_process_start_time(start->guest->process),
        .id = start->id,
        .monitor = start->guest->monitor,
        .live_xml = xml,
        .persistent = start->persistent,
        .record = record,
        /* What comes from elsewhere is this host's with the decision about its migration. */
        .started = !start->incoming,
        .paused = start->paused,
    };

    return inv_store_set_running(start->daemon->store, &running, error);
}

gboolean
inv_start_set_passwords(const InvStart *start, GError **error)
{
    for (guint i = 0; i < start->live->devices->len; i++) {
        const InvDevice *device = g_ptr_array_index(start->live->devices, i);
        g_autoptr(InvJson) arguments = NULL;

        if (device->type != INV_DEVICE_GRAPHICS || !device->u.graphics.passwd)
            continue;
        arguments = inv_json_new_object();
        inv_json_object_set_string(arguments, "protocol", "vnc");
        inv_json_object_set_string(arguments, "password", device->u.graphics.passwd);
        if (!inv_qmp_call(start->guest->qmp, "set_password", arguments, inv_daemon_start_deadline(start->daemon), NULL, error))
            return FALSE;
    }
    return TRUE;
}

/* The domain is active from here on, whether its guest runs already or not. */
gboolean
inv_start_enter_registry(InvStart *start, GError **error)
{
    InvVm *vm = start->vm;
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(start->daemon->registry);

    if (!inv_process_is_alive(start->guest->process))
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "QEMU of domain '%s' ended while it was started", vm->name);
    vm->process = inv_process_ref(start->guest->process);
    g_clear_pointer(&vm->starting, inv_process_unref);
    vm->qmp = inv_qmp_ref(start->guest->qmp);
    vm->id = start->id;
    vm->state = VIR_DOMAIN_PAUSED;
    vm->reason = VIR_DOMAIN_PAUSED_STARTING_UP;
    vm->stop_detail = -1;
    vm->fake_reboot = FALSE;
    vm->quiet = TRUE;
    inv_cpu_record_free(vm->live_record);
    vm->live_record = g_steal_pointer(&start->record);
    vm->live = g_steal_pointer(&start->live);
    inv_vm_set_summary_locked(vm, vm->live);
    inv_vm_clear_messages_locked(vm);
    for (guint i = 0; i < vm->live->unknown->len; i++)
        inv_vm_add_message_locked(vm, "ignored: this start does not act on <%s>",
                                  (const char *)g_ptr_array_index(vm->live->unknown, i));
    for (guint i = 0; i < start->messages->len; i++)
        inv_vm_add_message_locked(vm, "%s", (const char *)g_ptr_array_index(start->messages, i));
    return TRUE;
}

void
inv_start_leave_registry(InvStart *start)
{
    InvVm *vm = start->vm;
    g_autoptr(InvDomain) inactive = inv_vm_read_inactive(vm, NULL);
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(start->daemon->registry);

    g_clear_pointer(&vm->process, inv_process_unref);
    g_clear_pointer(&vm->qmp, inv_qmp_unref);
    g_clear_pointer(&vm->live, inv_domain_free);
    g_clear_pointer(&vm->live_record, inv_cpu_record_free);
    if (inactive)
        inv_vm_set_summary_locked(vm, inactive);
    vm->id = -1;
    vm->state = VIR_DOMAIN_SHUTOFF;
    vm->reason = VIR_DOMAIN_SHUTOFF_FAILED;
    vm->quiet = FALSE;
}
