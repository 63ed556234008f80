/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/domain_start.h"

#include "daemon/adopt.h"
#include "daemon/decision.h"
#include "daemon/domain_define.h"
#include "daemon/guest_process.h"
#include "qemu/guest_cpu.h"
#include "util/error.h"
#include "util/fault.h"

#include <string.h>

/* A start under way: what it has found out so far. */
typedef struct {
    InvDaemon *daemon;
    InvVm *vm;
    InvDomain *live;       /* the definition that starts, machine and CPU settled */
    InvDomain *inactive;   /* the persistent definition as it shall be stored; NULL for a transient domain */
    char *asked;           /* the <cpu> before it was settled */
    char *asked_machine;
    InvDecision *decision;
    char *cpu_argument;
    InvGuestProcess *guest;
    InvCpuRecord *before;  /* the record that the guest is held to, or NULL on a first start */
    InvCpuRecord *record;  /* what this start made */
    GPtrArray *messages;   /* of char * */
    int id;
    gboolean paused;
    gboolean persistent;   /* the domain has a definition beside this live one */
} Start;

static void
start_clear(Start *start)
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
    g_clear_pointer(&start->messages, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Start, start_clear)

static gboolean
follows_host(const InvCpu *cpu)
{
    return cpu && (cpu->mode == INV_CPU_MODE_HOST_MODEL || cpu->mode == INV_CPU_MODE_HOST_PASSTHROUGH ||
                   cpu->mode == INV_CPU_MODE_MAXIMUM);
}

/* Decides, settles, and puts what was settled into both forms of the definition. */
static gboolean
decide(Start *start, GError **error)
{
    InvCpu *pinned;

    start->asked = start->live->cpu ? inv_cpu_format(start->live->cpu) : g_strdup("");
    start->asked_machine = g_strdup(start->live->os.machine);
    start->decision = inv_decision_new(start->daemon, start->live, error);
    if (!start->decision || !inv_decision_ask(start->daemon, start->decision, start->live, error))
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
refuse_changed(const Start *start, char **changes, GError **error)
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
check_record(Start *start, GError **error)
{
    g_auto(GStrv) changes = NULL;
    gboolean told = follows_host(start->live->cpu) && start->live->cpu->model_check != INV_CPU_MODEL_CHECK_STRICT;

    if (!start->before)
        return TRUE;
    changes = inv_cpu_record_compare(start->before, start->record);
    if (!*changes)
        return TRUE;
    if (!told)
        return refuse_changed(start, changes, error);
    for (char **change = changes; *change; change++) {
        g_warning("domain '%s' follows its host, and its CPU has changed: %s", start->live->name, *change);
        g_ptr_array_add(start->messages, g_strdup_printf("CPU changed at this start: %s", *change));
    }
    return TRUE;
}

static gboolean
read_guest(Start *start, GError **error)
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
record_reason(const Start *start)
{
    if (!start->before)
        return "first start: CPU and machine type recorded";
    return strcmp(start->before->fingerprint, start->record->fingerprint) == 0 ? "start: definition settled"
                                                                               : "start: the host's CPU has changed";
}

/* First start's update, revision and record: one transaction, before the guest runs. */
static gboolean
store_record(Start *start, GError **error)
{
    g_autofree char *xml = NULL, *text = NULL;
    gint64 revision = 0;
    gboolean same;

    if (!start->inactive)
        return TRUE;
    xml = inv_domain_format(start->inactive, INV_FORMAT_INACTIVE | INV_FORMAT_SECURE);
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(start->daemon->registry);

        same = start->before && strcmp(start->before->fingerprint, start->record->fingerprint) == 0 &&
               g_strcmp0(start->vm->inactive_xml, xml) == 0;
    }
    inv_fault_point("start-before-record");
    if (same)
        return TRUE;
    text = record_text(start->record);
    if (!inv_store_record(start->daemon->store, start->vm->uuid_text, xml, text, record_reason(start), &revision, error))
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(start->daemon->registry);

        g_free(start->vm->inactive_xml);
        start->vm->inactive_xml = g_steal_pointer(&xml);
        start->vm->revision = revision;
    }
    return TRUE;
}

static gboolean
store_running(Start *start, GError **error)
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
        .started = TRUE,
        .paused = start->paused,
    };

    return inv_store_set_running(start->daemon->store, &running, error);
}

static gboolean
set_passwords(const Start *start, GError **error)
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
static gboolean
enter_registry(Start *start, GError **error)
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
    /* A passing form of a defined domain leaves no record: nothing of it was stored, and the definition is not held to it. */
    if (start->inactive || !start->persistent) {
        inv_cpu_record_free(vm->record);
        vm->record = g_steal_pointer(&start->record);
    }
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

static void
leave_registry(Start *start)
{
    InvVm *vm = start->vm;
    g_autoptr(InvDomain) inactive = inv_vm_parse_inactive(vm, NULL);
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(start->daemon->registry);

    g_clear_pointer(&vm->process, inv_process_unref);
    g_clear_pointer(&vm->qmp, inv_qmp_unref);
    g_clear_pointer(&vm->live, inv_domain_free);
    if (inactive)
        inv_vm_set_summary_locked(vm, inactive);
    vm->id = -1;
    vm->state = VIR_DOMAIN_SHUTOFF;
    vm->reason = VIR_DOMAIN_SHUTOFF_FAILED;
    vm->quiet = FALSE;
}

/* The guest's first instruction. */
static gboolean
run_guest(Start *start, GError **error)
{
    inv_fault_point("start-before-cont");
    if (!start->paused && !inv_qmp_call(start->guest->qmp, "cont", NULL, inv_daemon_start_deadline(start->daemon), NULL, error))
        return FALSE;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(start->daemon->registry);

        start->vm->quiet = FALSE;
        if (!start->paused) {
            start->vm->state = VIR_DOMAIN_RUNNING;
            start->vm->reason = VIR_DOMAIN_RUNNING_BOOTED;
        } else {
            start->vm->reason = VIR_DOMAIN_PAUSED_USER;
        }
    }
    return TRUE;
}

static void
tell_ignored(const Start *start)
{
    for (guint i = 0; i < start->live->unknown->len; i++)
        g_warning("domain '%s': this start does not act on <%s>", start->live->name,
                  (const char *)g_ptr_array_index(start->live->unknown, i));
}

/* From the spawned QEMU to the running guest. On failure the caller ends QEMU. */
static gboolean
bring_up(Start *start, GError **error)
{
    if (!read_guest(start, error) || !set_passwords(start, error) ||
        !inv_guest_process_read_devices(start->daemon, start->guest, start->live, error) || !store_record(start, error) ||
        !store_running(start, error))
        return FALSE;
    tell_ignored(start);
    if (!enter_registry(start, error))
        return FALSE;
    if (!run_guest(start, error)) {
        leave_registry(start);
        return FALSE;
    }
    return TRUE;
}

static void
send_started(const Start *start)
{
    if (!start->paused)
        inv_domain_event(start->daemon, start->vm, VIR_DOMAIN_EVENT_RESUMED, VIR_DOMAIN_EVENT_RESUMED_UNPAUSED);
    inv_domain_event(start->daemon, start->vm, VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_BOOTED);
    if (start->paused)
        inv_domain_event(start->daemon, start->vm, VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_PAUSED);
}

/* What lists show of a domain whose last start failed. Always FALSE. */
static gboolean
fail(Start *start)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(start->daemon->registry);

    start->vm->reason = VIR_DOMAIN_SHUTOFF_FAILED;
    return FALSE;
}

/* Under the job. @definition is taken over. */
static gboolean
start_under_job(InvDaemon *daemon, InvVm *vm, InvDomain *definition, gboolean persistent, unsigned int flags, GError **error)
{
    g_auto(Start) start = {
        .daemon = daemon,
        .vm = vm,
        .live = definition,
        .inactive = persistent ? inv_domain_copy(definition) : NULL,
        .messages = g_ptr_array_new_with_free_func(g_free),
        .paused = (flags & VIR_DOMAIN_START_PAUSED) != 0,
    };

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        if (inv_vm_is_active(vm))
            return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                                 "Requested operation is not valid: domain '%s' is already running", vm->name);
        start.id = inv_registry_next_id_locked(daemon->registry);
        start.persistent = inv_vm_is_persistent(vm);
        start.before = inv_cpu_record_copy(vm->record);
    }
    if (!decide(&start, error))
        return fail(&start);
    start.guest = inv_guest_process_spawn(daemon, vm, start.live, start.decision, start.cpu_argument, start.id, error);
    if (!start.guest)
        return fail(&start);
    if (!bring_up(&start, error)) {
        inv_guest_process_abandon(daemon, vm, start.guest);
        return fail(&start);
    }
    inv_adopt_mark_stopped(daemon, vm, FALSE);
    send_started(&start);
    inv_fault_point("start-before-reply");
    return TRUE;
}

static gboolean
check_flags(unsigned int flags, GError **error)
{
    const unsigned int known = VIR_DOMAIN_START_PAUSED | VIR_DOMAIN_START_BYPASS_CACHE | VIR_DOMAIN_START_FORCE_BOOT |
                               VIR_DOMAIN_START_VALIDATE;

    if (flags & VIR_DOMAIN_START_AUTODESTROY)
        return inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                             "starting a domain that is destroyed with its connection is not supported by Invar");
    if (flags & ~known)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "unsupported flags (0x%x) in the start of a domain", flags & ~known);
    return TRUE;
}

gboolean
inv_domain_start(InvDaemon *daemon, InvVm *vm, unsigned int flags, GError **error)
{
    g_autoptr(InvVmJob) job = NULL;
    InvDomain *definition;

    if (!check_flags(flags, error))
        return FALSE;
    job = inv_vm_begin_job(vm, "start", error);
    if (!job)
        return FALSE;
    definition = inv_vm_parse_inactive(vm, error);
    if (!definition)
        return FALSE;
    return start_under_job(daemon, vm, definition, TRUE, flags, error);
}

/* The domain that the document means, or a new transient one in the tables. */
static InvVm *
find_or_add(InvDaemon *daemon, const InvDomain *domain, gboolean *added, GError **error)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);
    InvVm *vm = inv_registry_find_uuid_locked(daemon->registry, domain->uuid);
    g_autoptr(InvVm) fresh = NULL;

    *added = FALSE;
    if (vm && strcmp(vm->name, domain->name) == 0 && inv_vm_is_persistent(vm)) {
        if (!inv_vm_is_active(vm))
            return inv_vm_ref(vm);
        inv_error_set(error, VIR_ERR_OPERATION_INVALID, "domain '%s' is already active", vm->name);
        return NULL;
    }
    fresh = inv_vm_new(daemon->registry, domain->uuid, domain->name);
    inv_vm_set_summary_locked(fresh, domain);
    /* Held before anybody can see it: what a failing start takes out of the tables must be this start's alone. */
    fresh->job = "create";
    if (!inv_registry_add_locked(daemon->registry, fresh, error))
        return NULL;
    *added = TRUE;
    return g_steal_pointer(&fresh);
}

InvVm *
inv_domain_create_xml(InvDaemon *daemon, const char *xml, unsigned int flags, GError **error)
{
    g_autoptr(InvDomain) domain = NULL;
    g_autoptr(InvVm) vm = NULL;
    g_autoptr(InvVmJob) job = NULL;
    gboolean added = FALSE;

    if (!check_flags(flags, error))
        return NULL;
    domain = inv_domain_prepare(daemon, xml, flags & VIR_DOMAIN_START_VALIDATE ? VIR_DOMAIN_DEFINE_VALIDATE : 0, error);
    if (!domain)
        return NULL;
    vm = find_or_add(daemon, domain, &added, error);
    if (!vm)
        return NULL;
    job = added ? inv_vm_ref(vm) : inv_vm_begin_job(vm, "create", error);
    if (job && start_under_job(daemon, vm, g_steal_pointer(&domain), FALSE, flags, error))
        return g_steal_pointer(&vm);
    if (added) {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        inv_registry_remove_locked(daemon->registry, vm);
    }
    return NULL;
}
