/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/registry.h"

#include "cpu_driver/cpu_driver.h"
#include "daemon/domain_job.h"
#include "daemon/migration_in.h"
#include "daemon/migration_out.h"
#include "util/error.h"
#include "util/long_wait.h"

#include <string.h>

/* As long as libvirt's own wait for a domain's job. */
#define JOB_DEADLINE_US (30 * G_USEC_PER_SEC)
/* What an administrator reads at most; older ones go. */
#define MAX_MESSAGES 64u

struct InvRegistry {
    GMutex lock;
    GCond changed; /* a job ended, or something came that somebody waits for */
    GHashTable *by_uuid; /* uuid_text → InvVm with a reference */
    GHashTable *by_name; /* name → InvVm, borrowed */
    int last_id;
    InvStore *store; /* borrowed; immutable once there are persistent domains */
    InvJobNews job_news; /* immutable once domains have jobs */
    gpointer job_news_data;
};

InvRegistry *
inv_registry_new(void)
{
    InvRegistry *registry = g_new0(InvRegistry, 1);

    g_mutex_init(&registry->lock);
    g_cond_init(&registry->changed);
    registry->by_uuid = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)inv_vm_unref);
    registry->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    return registry;
}

void
inv_registry_free(InvRegistry *registry)
{
    if (!registry)
        return;
    g_hash_table_unref(registry->by_name);
    g_hash_table_unref(registry->by_uuid);
    g_cond_clear(&registry->changed);
    g_mutex_clear(&registry->lock);
    g_free(registry);
}

void
inv_registry_set_store(InvRegistry *registry, InvStore *store)
{
    registry->store = store;
}

/* The guard is the registry itself under another type: nothing is allocated. */
InvRegistryLock *
inv_registry_lock(InvRegistry *registry)
{
    g_mutex_lock(&registry->lock);
    return (InvRegistryLock *)registry;
}

void
inv_registry_unlock(InvRegistryLock *lock)
{
    if (lock)
        g_mutex_unlock(&((InvRegistry *)lock)->lock);
}

InvVm *
inv_vm_new(InvRegistry *registry, const unsigned char *uuid, const char *name)
{
    InvVm *vm = g_new0(InvVm, 1);

    vm->refs = 1;
    vm->registry = registry;
    memcpy(vm->uuid, uuid, sizeof(vm->uuid));
    inv_uuid_format(uuid, vm->uuid_text);
    vm->name = g_strdup(name);
    vm->id = -1;
    vm->state = VIR_DOMAIN_SHUTOFF;
    vm->stop_detail = -1;
    return vm;
}

static void
clear_summary(InvVm *vm)
{
    g_clear_pointer(&vm->summary.title, g_free);
    g_clear_pointer(&vm->summary.platform, g_ref_string_release);
}

InvVm *
inv_vm_ref(InvVm *vm)
{
    g_atomic_int_inc(&vm->refs);
    return vm;
}

void
inv_vm_unref(InvVm *vm)
{
    if (!vm || !g_atomic_int_dec_and_test(&vm->refs))
        return;
    g_free(vm->name);
    clear_summary(vm);
    inv_cpu_record_free(vm->live_record);
    inv_domain_free(vm->live);
    inv_process_unref(vm->process);
    inv_process_unref(vm->starting);
    inv_qmp_unref(vm->qmp);
    inv_migration_in_free(vm->migration_in);
    inv_migration_out_free(vm->migration_out);
    inv_long_job_free(vm->long_job);
    inv_vm_jobs_free(vm->jobs);
    g_clear_pointer(&vm->messages, g_ptr_array_unref);
    g_free(vm);
}

gboolean
inv_registry_add_locked(InvRegistry *registry, InvVm *vm, GError **error)
{
    InvVm *other = inv_registry_find_uuid_locked(registry, vm->uuid);

    if (other)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "domain '%s' is already defined with uuid %s", other->name,
                             vm->uuid_text);
    other = inv_registry_find_name_locked(registry, vm->name);
    if (other)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "domain '%s' already exists with uuid %s", vm->name,
                             other->uuid_text);
    g_hash_table_insert(registry->by_uuid, vm->uuid_text, inv_vm_ref(vm));
    g_hash_table_insert(registry->by_name, vm->name, vm);
    return TRUE;
}

void
inv_registry_remove_locked(InvRegistry *registry, InvVm *vm)
{
    if (inv_registry_find_uuid_locked(registry, vm->uuid) != vm)
        return;
    vm->removed = TRUE;
    g_hash_table_remove(registry->by_name, vm->name);
    g_hash_table_remove(registry->by_uuid, vm->uuid_text);
    g_cond_broadcast(&registry->changed);
}

gboolean
inv_registry_reserve_name_locked(InvRegistry *registry, InvVm *vm, const char *name, GError **error)
{
    const InvVm *other = inv_registry_find_name_locked(registry, name);

    if (other)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "domain '%s' already exists with uuid %s", name,
                             other->uuid_text);
    g_hash_table_insert(registry->by_name, (gpointer)name, vm);
    return TRUE;
}

void
inv_registry_release_name_locked(InvRegistry *registry, const char *name)
{
    g_hash_table_remove(registry->by_name, name);
}

void
inv_registry_rename_locked(InvRegistry *registry, InvVm *vm, const char *name)
{
    g_hash_table_remove(registry->by_name, vm->name);
    g_free(vm->name);
    vm->name = g_strdup(name);
    /* Replaced, key and all: the reserved key is the caller's text. */
    g_hash_table_replace(registry->by_name, vm->name, vm);
}

int
inv_registry_next_id_locked(InvRegistry *registry)
{
    return ++registry->last_id;
}

void
inv_registry_reserve_id_locked(InvRegistry *registry, int id)
{
    registry->last_id = MAX(registry->last_id, id);
}

InvVm *
inv_registry_find_uuid_locked(InvRegistry *registry, const unsigned char *uuid)
{
    char text[VIR_UUID_STRING_BUFLEN];

    inv_uuid_format(uuid, text);
    return g_hash_table_lookup(registry->by_uuid, text);
}

InvVm *
inv_registry_find_name_locked(InvRegistry *registry, const char *name)
{
    return g_hash_table_lookup(registry->by_name, name);
}

/* What changes too often for a table of its own: the domains are looked through for it. */
static gboolean
has_id(gpointer uuid, gpointer vm, gpointer id)
{
    return ((const InvVm *)vm)->id == *(const int *)id;
}

static gboolean
has_qmp(gpointer uuid, gpointer vm, gpointer qmp)
{
    return ((const InvVm *)vm)->qmp == qmp;
}

static gboolean
has_process(gpointer uuid, gpointer vm, gpointer process)
{
    return ((const InvVm *)vm)->process == process;
}

InvVm *
inv_registry_find_id_locked(InvRegistry *registry, int id)
{
    return id < 0 ? NULL : g_hash_table_find(registry->by_uuid, has_id, &id);
}

InvVm *
inv_registry_get_uuid(InvRegistry *registry, const unsigned char *uuid, GError **error)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(registry);
    InvVm *vm = inv_registry_find_uuid_locked(registry, uuid);
    char text[VIR_UUID_STRING_BUFLEN];

    if (vm)
        return inv_vm_ref(vm);
    inv_uuid_format(uuid, text);
    inv_error_set(error, VIR_ERR_NO_DOMAIN, "Domain not found: no domain with matching uuid '%s'", text);
    return NULL;
}

InvVm *
inv_registry_get_name(InvRegistry *registry, const char *name, GError **error)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(registry);
    InvVm *vm = inv_registry_find_name_locked(registry, name);

    if (vm)
        return inv_vm_ref(vm);
    inv_error_set(error, VIR_ERR_NO_DOMAIN, "Domain not found: no domain with matching name '%s'", name);
    return NULL;
}

InvVm *
inv_registry_get_id(InvRegistry *registry, int id, GError **error)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(registry);
    InvVm *vm = inv_registry_find_id_locked(registry, id);

    if (vm)
        return inv_vm_ref(vm);
    inv_error_set(error, VIR_ERR_NO_DOMAIN, "Domain not found: no domain with matching id %d", id);
    return NULL;
}

InvVm *
inv_registry_get_qmp(InvRegistry *registry, const InvQmp *qmp)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(registry);
    InvVm *vm = g_hash_table_find(registry->by_uuid, has_qmp, (gpointer)qmp);

    return vm ? inv_vm_ref(vm) : NULL;
}

InvVm *
inv_registry_get_process(InvRegistry *registry, const InvProcess *process)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(registry);
    InvVm *vm = g_hash_table_find(registry->by_uuid, has_process, (gpointer)process);

    return vm ? inv_vm_ref(vm) : NULL;
}

static gint
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp((*(InvVm *const *)a)->name, (*(InvVm *const *)b)->name);
}

static gboolean
is_any(const InvVm *vm)
{
    return TRUE;
}

static gboolean
is_to_be_started(const InvVm *vm)
{
    return vm->autostart && !inv_vm_is_active(vm);
}

static gboolean
is_unread(const InvVm *vm)
{
    return vm->unread;
}

static GPtrArray *
list_domains(InvRegistry *registry, gboolean (*wanted)(const InvVm *vm))
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(registry);
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)inv_vm_unref);
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, registry->by_uuid);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        InvVm *vm = value;

        if (wanted(vm))
            g_ptr_array_add(list, inv_vm_ref(vm));
    }
    /* Sorted while the lock is held: a rename changes what is compared. */
    g_ptr_array_sort(list, compare_names);
    return list;
}

GPtrArray *
inv_registry_list(InvRegistry *registry)
{
    return list_domains(registry, is_any);
}

guint
inv_registry_count(InvRegistry *registry, InvVmFits fits, unsigned int flags)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(registry);
    GHashTableIter iter;
    gpointer vm;
    guint count = 0;

    g_hash_table_iter_init(&iter, registry->by_uuid);
    while (g_hash_table_iter_next(&iter, NULL, &vm))
        count += fits(flags, vm) ? 1 : 0;
    return count;
}

GPtrArray *
inv_registry_list_autostart(InvRegistry *registry)
{
    return list_domains(registry, is_to_be_started);
}

/* Between the parts of a platform: no character of XML. */
#define PLATFORM_MARK "\x1f"
enum { PLATFORM_EMULATOR, PLATFORM_ARCH, PLATFORM_MACHINE, PLATFORM_TYPE, PLATFORM_EXPANSIONS, N_PLATFORM };

static char *
platform_text(const InvDomain *domain)
{
    g_autofree char *text = g_strjoin(PLATFORM_MARK, domain->emulator ? domain->emulator : "", domain->os.arch ? domain->os.arch : "",
                                      domain->os.machine ? domain->os.machine : "", domain->virt_type == INV_VIRT_KVM ? "kvm" : "",
                                      inv_cpu_needs_expansions(domain->cpu) ? "expansions" : "", NULL);

    return g_ref_string_new_intern(text);
}

static char *
not_empty(const char *text)
{
    return *text ? g_strdup(text) : NULL;
}

void
inv_vm_platform_free(InvVmPlatform *platform)
{
    if (!platform)
        return;
    g_free(platform->emulator);
    g_free(platform->arch);
    g_free(platform->machine);
    g_free(platform);
}

void
inv_vm_set_summary_locked(InvVm *vm, const InvDomain *domain)
{
    vm->unread = FALSE;
    clear_summary(vm);
    vm->summary = (InvVmSummary){
        .virt_type = domain->virt_type,
        .max_memory_kib = domain->max_memory_kib,
        .memory_kib = domain->current_memory_kib ? domain->current_memory_kib : domain->max_memory_kib,
        .max_vcpus = domain->max_vcpus,
        .vcpus = domain->vcpus ? domain->vcpus : domain->max_vcpus,
        .title = g_strdup(domain->title),
        .platform = platform_text(domain),
    };
}

/* What is not there when it cannot be read: @error tells why. */
static void
tell_unreadable_locked(InvVm *vm, const char *what, const GError *error)
{
    g_warning("the %s of domain '%s' cannot be read: %s", what, vm->name, error->message);
    inv_vm_add_message_locked(vm, "its %s cannot be read: %s", what, error->message);
}

static InvStoredDomain *
read_stored(InvVm *vm, GError **error)
{
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        if (!inv_vm_is_persistent(vm)) {
            inv_error_set(error, VIR_ERR_OPERATION_INVALID, "domain '%s' is transient: it has no persistent definition",
                          vm->name);
            return NULL;
        }
    }
    return inv_store_get_domain(vm->registry->store, vm->uuid_text, error);
}

InvDomain *
inv_vm_read_inactive(InvVm *vm, GError **error)
{
    g_autoptr(InvStoredDomain) stored = read_stored(vm, error);

    return stored ? inv_domain_parse(stored->xml, error) : NULL;
}

InvCpuRecord *
inv_record_parse(const char *text, GError **error)
{
    g_autoptr(InvJson) json = inv_json_parse(text, strlen(text), error);

    return json ? inv_cpu_record_from_json(json, error) : NULL;
}

gboolean
inv_vm_read_record(InvVm *vm, InvCpuRecord **record, GError **error)
{
    g_autoptr(InvStoredDomain) stored = NULL;

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

        *record = NULL;
        if (!inv_vm_is_persistent(vm)) {
            *record = inv_cpu_record_copy(vm->live_record);
            return TRUE;
        }
    }
    stored = read_stored(vm, error);
    if (!stored)
        return FALSE;
    if (!stored->record || (*record = inv_record_parse(stored->record, error)))
        return TRUE;
    g_prefix_error(error, "the CPU record of domain '%s' cannot be read: ", stored->name);
    return FALSE;
}

/* Somebody else may have read it, or it may have been defined anew or undefined, meanwhile. */
void
inv_vm_read_summary(InvVm *vm)
{
    g_autoptr(InvStoredDomain) stored = NULL;
    g_autoptr(InvDomain) domain = NULL;
    g_autoptr(InvCpuRecord) record = NULL;
    g_autoptr(GError) error = NULL, record_error = NULL;
    g_autoptr(InvRegistryLock) lock = NULL;

    {
        g_autoptr(InvRegistryLock) first = inv_registry_lock(vm->registry);

        if (!vm->unread)
            return;
    }
    stored = read_stored(vm, &error);
    domain = stored ? inv_domain_parse(stored->xml, &error) : NULL;
    record = stored && stored->record ? inv_record_parse(stored->record, &record_error) : NULL;
    lock = inv_registry_lock(vm->registry);
    if (!vm->unread || !inv_vm_is_persistent(vm))
        return;
    vm->unread = FALSE;
    if (domain)
        inv_vm_set_summary_locked(vm, domain);
    else
        tell_unreadable_locked(vm, "definition", error);
    if (record_error)
        tell_unreadable_locked(vm, "CPU record", record_error);
}

GPtrArray *
inv_registry_list_platforms(InvRegistry *registry)
{
    g_autoptr(GHashTable) texts = g_hash_table_new_full(NULL, NULL, (GDestroyNotify)g_ref_string_release, NULL);
    GPtrArray *platforms = g_ptr_array_new_with_free_func((GDestroyNotify)inv_vm_platform_free);
    g_autoptr(GPtrArray) unread = list_domains(registry, is_unread);
    GHashTableIter iter;
    gpointer value;

    for (guint i = 0; i < unread->len; i++)
        inv_vm_read_summary(g_ptr_array_index(unread, i));
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(registry);

        g_hash_table_iter_init(&iter, registry->by_uuid);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
            char *text = ((const InvVm *)value)->summary.platform;

            if (text && !g_hash_table_contains(texts, text))
                g_hash_table_add(texts, g_ref_string_acquire(text));
        }
    }
    g_hash_table_iter_init(&iter, texts);
    while (g_hash_table_iter_next(&iter, &value, NULL)) {
        g_auto(GStrv) parts = g_strsplit(value, PLATFORM_MARK, N_PLATFORM);
        InvVmPlatform *platform = g_new0(InvVmPlatform, 1);

        platform->emulator = not_empty(parts[PLATFORM_EMULATOR]);
        platform->arch = not_empty(parts[PLATFORM_ARCH]);
        platform->machine = not_empty(parts[PLATFORM_MACHINE]);
        platform->virt_type = *parts[PLATFORM_TYPE] ? INV_VIRT_KVM : INV_VIRT_QEMU;
        platform->expansions = *parts[PLATFORM_EXPANSIONS] != '\0';
        g_ptr_array_add(platforms, platform);
    }
    return platforms;
}

void
inv_vm_add_message_locked(InvVm *vm, const char *format, ...)
{
    va_list args;

    if (!vm->messages)
        vm->messages = g_ptr_array_new_with_free_func(g_free);
    va_start(args, format);
    g_ptr_array_add(vm->messages, g_strdup_vprintf(format, args));
    va_end(args);
    if (vm->messages->len > MAX_MESSAGES)
        g_ptr_array_remove_index(vm->messages, 0);
}

void
inv_vm_clear_messages_locked(InvVm *vm)
{
    g_clear_pointer(&vm->messages, g_ptr_array_unref);
}

gboolean
inv_registry_wait_locked(InvRegistry *registry, gint64 deadline)
{
    gboolean in_time;

    inv_long_wait_begin();
    in_time = g_cond_wait_until(&registry->changed, &registry->lock, deadline);
    inv_long_wait_end();
    return in_time;
}

void
inv_registry_wake_locked(InvRegistry *registry)
{
    g_cond_broadcast(&registry->changed);
}

/* What keeps @what out, or NULL. */
static const char *
holder(const InvVm *vm, const char *what, InvJobKind kind)
{
    if (vm->job)
        return vm->job;
    if (!vm->long_job || kind == INV_JOB_INNER || (kind == INV_JOB_SHORT && inv_long_job_lets_in(vm->long_job, what)))
        return NULL;
    return inv_long_job_what(vm->long_job);
}

gboolean
inv_vm_wait_free_locked(InvVm *vm, const char *what, InvJobKind kind, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + JOB_DEADLINE_US;
    const char *held;

    while (!vm->removed && (held = holder(vm, what, kind)) != NULL) {
        if (!inv_registry_wait_locked(vm->registry, deadline))
            return inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                                 "domain '%s' is busy with '%s' and '%s' has waited its 30 seconds for it: try again later",
                                 vm->name, held, what);
    }
    if (vm->removed)
        return inv_error_set(error, VIR_ERR_NO_DOMAIN, "Domain not found: '%s' (%s) is gone", vm->name, vm->uuid_text);
    return TRUE;
}

InvVmJob *
inv_vm_begin_job(InvVm *vm, const char *what, GError **error)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    if (!inv_vm_wait_free_locked(vm, what, INV_JOB_SHORT, error))
        return NULL;
    vm->job = what;
    return inv_vm_ref(vm);
}

void
inv_vm_end_job(InvVmJob *job)
{
    if (!job)
        return;
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(job->registry);

        job->job = NULL;
        g_cond_broadcast(&job->registry->changed);
    }
    inv_vm_unref(job);
}

void
inv_registry_set_job_news(InvRegistry *registry, const InvJobNews *news, gpointer user_data)
{
    registry->job_news = *news;
    registry->job_news_data = user_data;
}

void
inv_registry_tell_iteration(InvVm *vm, int iteration)
{
    if (vm->registry->job_news.iteration)
        vm->registry->job_news.iteration(vm, iteration, vm->registry->job_news_data);
}

void
inv_registry_tell_completed(InvVm *vm, const InvJobFigures *figures)
{
    if (vm->registry->job_news.completed)
        vm->registry->job_news.completed(vm, figures, vm->registry->job_news_data);
}

InvQmp *
inv_vm_get_qmp(InvVm *vm, GError **error)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    if (!inv_vm_is_active(vm) || !vm->qmp) {
        inv_error_set(error, VIR_ERR_OPERATION_INVALID, "Requested operation is not valid: domain '%s' is not running",
                      vm->name);
        return NULL;
    }
    return inv_qmp_ref(vm->qmp);
}
