/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/record.h"
#include "qemu/migration.h"
#include "qemu/process.h"
#include "qemu/qmp.h"
#include "store/store.h"
#include "xml/domain.h"

#include <glib.h>
#include <libvirt/libvirt.h>

G_BEGIN_DECLS

/*
 * The domains that this daemon manages. One lock guards the tables and every field of an InvVm that
 * is not immutable; it is held for moments only, never across I/O. Whatever waits (QEMU, the disk)
 * runs under the domain's one job instead.
 *
 * A definition and the record that it is held to are in the store alone: inv_vm_read_*() reads what
 * is in force, whenever somebody asks. So there is nothing here that could differ from it, and
 * 100,000 of them cost no memory.
 */
typedef struct InvRegistry InvRegistry;

/* What lists and dominfo ask of a definition, so that no document is parsed for them. */
typedef struct {
    InvVirtType virt_type;
    guint64 max_memory_kib, memory_kib;
    guint max_vcpus, vcpus;
    char *title;
    char *platform; /* InvVmPlatform as one interned text: few are different */
} InvVmSummary;

/* What a domain's start asks an emulator about. */
typedef struct {
    char *emulator; /* NULL: the daemon chooses */
    char *arch;
    char *machine;  /* as the definition has it; NULL: the emulator's default */
    InvVirtType virt_type;
    gboolean expansions;
} InvVmPlatform;
void inv_vm_platform_free(InvVmPlatform *platform);

/* domain_job.h */
typedef struct InvLongJob InvLongJob;
typedef struct InvVmJobs InvVmJobs;

typedef struct {
    int refs; /* atomic */
    InvRegistry *registry; /* immutable */
    unsigned char uuid[VIR_UUID_BUFLEN];     /* immutable */
    char uuid_text[VIR_UUID_STRING_BUFLEN];  /* immutable */

    /* Guarded by the registry's lock. */
    char *name;
    gboolean persistent;  /* the store has a definition of it */
    InvVmSummary summary; /* of the live definition while it runs, else of the persistent one; after inv_vm_read_summary() */
    gboolean unread;      /* nobody looked into its definition since the daemon started */
    gint64 revision;
    gboolean autostart;
    gboolean removed;     /* not in the tables any more */
    InvDomain *live;      /* while active */
    InvCpuRecord *live_record; /* while active: what this guest sees, whatever the definition is held to; or NULL: not known */
    int id;               /* -1 while inactive */
    virDomainState state;
    int reason;           /* of `state` */
    InvProcess *process;
    InvProcess *starting; /* QEMU of a start that is under way: a destroy may end it without the job */
    InvQmp *qmp;
    const char *job;      /* what holds the domain, a word for messages; NULL: free */
    InvLongJob *long_job; /* what holds it over several calls, or NULL */
    struct InvMigrationIn *migration_in;   /* while the guest is on its way here: migration_in.h; or NULL */
    struct InvMigrationOut *migration_out; /* while it is on its way to another host: migration_out.h; or NULL */
    InvVmJobs *jobs;      /* of long jobs, what outlasts one; NULL: nothing yet */
    InvMigrationState migration_state; /* as QEMU's events tell it */
    GPtrArray *messages;  /* of char *: what the administrator should know (deprecated, ignored, changed); NULL: nothing */
    gboolean fake_reboot; /* the next guest shutdown is a reboot that we asked for */
    gboolean quiet;       /* a call of ours changes the run state: the monitor's own STOP and RESUME say nothing new */
    int stop_detail;      /* VIR_DOMAIN_EVENT_STOPPED_*: why the process is about to end, or -1 */
} InvVm;

InvRegistry *inv_registry_new(void);
/* Where the definitions are, borrowed: before there is any persistent domain. */
void inv_registry_set_store(InvRegistry *registry, InvStore *store);
void inv_registry_free(InvRegistry *registry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvRegistry, inv_registry_free)

/* The guard: `g_autoptr(InvRegistryLock) lock = inv_registry_lock(registry);` */
typedef struct InvRegistryLock InvRegistryLock;
InvRegistryLock *inv_registry_lock(InvRegistry *registry);
void inv_registry_unlock(InvRegistryLock *lock);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvRegistryLock, inv_registry_unlock)

/*
 * A domain that is not in the tables yet. The caller owns a reference; fields may be set before
 * inv_registry_add_locked().
 */
InvVm *inv_vm_new(InvRegistry *registry, const unsigned char *uuid, const char *name);
InvVm *inv_vm_ref(InvVm *vm);
void inv_vm_unref(InvVm *vm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvVm, inv_vm_unref)

/* The tables take a reference. FALSE and VIR_ERR_OPERATION_FAILED when name or uuid is taken. */
gboolean inv_registry_add_locked(InvRegistry *registry, InvVm *vm, GError **error);
void inv_registry_remove_locked(InvRegistry *registry, InvVm *vm);
/*
 * A rename in two steps, with the store's own in between: reserve takes @name (borrowed until the
 * second step) for @vm beside its present one, or is FALSE and VIR_ERR_OPERATION_FAILED when it is
 * taken; then either rename or release.
 */
gboolean inv_registry_reserve_name_locked(InvRegistry *registry, InvVm *vm, const char *name, GError **error);
void inv_registry_release_name_locked(InvRegistry *registry, const char *name);
void inv_registry_rename_locked(InvRegistry *registry, InvVm *vm, const char *name);
/* A fresh id for a domain that starts; an id of an earlier daemon's domain is never given again. */
int inv_registry_next_id_locked(InvRegistry *registry);
void inv_registry_reserve_id_locked(InvRegistry *registry, int id);

/* Borrowed, while the lock is held; NULL when there is none. */
InvVm *inv_registry_find_uuid_locked(InvRegistry *registry, const unsigned char *uuid);
InvVm *inv_registry_find_name_locked(InvRegistry *registry, const char *name);
InvVm *inv_registry_find_id_locked(InvRegistry *registry, int id);

/* A new reference, or NULL and VIR_ERR_NO_DOMAIN. */
InvVm *inv_registry_get_uuid(InvRegistry *registry, const unsigned char *uuid, GError **error);
InvVm *inv_registry_get_name(InvRegistry *registry, const char *name, GError **error);
InvVm *inv_registry_get_id(InvRegistry *registry, int id, GError **error);

/* The domain of a monitor or a process: a new reference, or NULL. Fit for the I/O thread. */
InvVm *inv_registry_get_qmp(InvRegistry *registry, const InvQmp *qmp);
InvVm *inv_registry_get_process(InvRegistry *registry, const InvProcess *process);

/* Of InvVmPlatform: those of all domains, each once, in no order. Reads every definition that nobody did. */
GPtrArray *inv_registry_list_platforms(InvRegistry *registry);

/* All domains, of InvVm with a reference each, by name. */
GPtrArray *inv_registry_list(InvRegistry *registry);
/* How many there are that fit @flags by @fits, which is asked with the lock held: no list is made for a number. */
typedef gboolean (*InvVmFits)(unsigned int flags, const InvVm *vm);
guint inv_registry_count(InvRegistry *registry, InvVmFits fits, unsigned int flags);
/* The same list of those that are marked for autostart and not active. */
GPtrArray *inv_registry_list_autostart(InvRegistry *registry);

static inline gboolean
inv_vm_is_active(const InvVm *vm)
{
    return vm->id >= 0;
}

static inline gboolean
inv_vm_is_persistent(const InvVm *vm)
{
    return vm->persistent;
}

/*
 * Reads the definition where nobody did yet, for `summary`: a daemon with 100,000 of them is not to do
 * that before its first answer. What cannot be read is told in `messages`. It reads the store, as all
 * of inv_vm_read_*() do: neither with the lock held nor on the I/O thread.
 */
void inv_vm_read_summary(InvVm *vm);
/* Takes what lists need from a definition. */
void inv_vm_set_summary_locked(InvVm *vm, const InvDomain *domain);
void inv_vm_add_message_locked(InvVm *vm, const char *format, ...) G_GNUC_PRINTF(2, 3);
void inv_vm_clear_messages_locked(InvVm *vm);

/* The persistent definition; the caller owns it. VIR_ERR_OPERATION_INVALID for a transient domain. */
InvDomain *inv_vm_read_inactive(InvVm *vm, GError **error);
/*
 * The record that the domain's next start is held to: of the persistent definition, or of a transient
 * guest. *@record stays NULL when there is none. FALSE: there is one that cannot be read.
 */
gboolean inv_vm_read_record(InvVm *vm, InvCpuRecord **record, GError **error);
/* The record of the store's text; NULL and an error when it is damaged. */
InvCpuRecord *inv_record_parse(const char *text, GError **error);

/*
 * Takes the domain's one job, waiting for its holder at most until the deadline
 * (VIR_ERR_OPERATION_TIMEOUT, naming what holds it). VIR_ERR_NO_DOMAIN when the domain was removed
 * meanwhile. @what is a static word: "start".
 */
typedef InvVm InvVmJob;
InvVmJob *inv_vm_begin_job(InvVm *vm, const char *what, GError **error);
void inv_vm_end_job(InvVmJob *job);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvVmJob, inv_vm_end_job)

/*
 * For domain_job.c. Waits, at most the 30 seconds that inv_vm_begin_job() waits, until @what may hold
 * the domain: a short job that a long one lets in or not, a long job, or a short one of the long
 * one's own holder.
 */
typedef enum { INV_JOB_SHORT, INV_JOB_LONG, INV_JOB_INNER } InvJobKind;
gboolean inv_vm_wait_free_locked(InvVm *vm, const char *what, InvJobKind kind, GError **error);
/* One condition for whatever changes in a domain. FALSE: @deadline (monotonic time) is over. */
gboolean inv_registry_wait_locked(InvRegistry *registry, gint64 deadline);
void inv_registry_wake_locked(InvRegistry *registry);

/* Who tells clients of long jobs; with nothing locked. */
struct InvJobFigures;
void inv_registry_tell_iteration(InvVm *vm, int iteration);
void inv_registry_tell_completed(InvVm *vm, const struct InvJobFigures *figures);

/* The monitor of a running domain (a new reference), or VIR_ERR_OPERATION_INVALID "domain is not running". */
InvQmp *inv_vm_get_qmp(InvVm *vm, GError **error);

G_END_DECLS
