/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/registry.h"
#include "qemu/migration.h"

G_BEGIN_DECLS

/*
 * Long jobs of a domain: what takes minutes and several calls, a migration above all. A long job is
 * bound to no thread. One per domain; it keeps out other long jobs and every short job
 * (inv_vm_begin_job()) but those that end the guest or change how it runs: see
 * inv_long_job_lets_in(). All functions lock the registry themselves and are safe on any thread,
 * unless their name ends in _locked.
 */

/* The figures of a job, running or ended. */
typedef struct InvJobFigures {
    virDomainJobType type;
    virDomainJobOperation operation;
    guint64 elapsed_ms;
    gboolean has_net;          /* the two below are known: without the difference of two hosts' clocks */
    guint64 elapsed_net_ms, downtime_net_ms;
    InvMigrationProgress progress;
    gboolean has_progress;
    guint64 disk_total, disk_done;
} InvJobFigures;
void inv_job_figures_clear(InvJobFigures *figures);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(InvJobFigures, inv_job_figures_clear)
void inv_job_figures_copy(InvJobFigures *to, const InvJobFigures *from);

/*
 * Waits for the holder of the domain as inv_vm_begin_job() does. @what: a static word for messages,
 * "migration out". The result is only a sign that the job is held. VIR_ERR_OPERATION_TIMEOUT names
 * what holds the domain, VIR_ERR_NO_DOMAIN when it was removed.
 */
InvLongJob *inv_vm_begin_long_job(InvVm *vm, virDomainJobOperation operation, const char *what, GError **error);

/*
 * Its end: what was reported last stays as the statistics of the last job. A success of which
 * anything was reported is told to clients (event 22). Waits for an abort call that is under way;
 * so it must not be called by the abort function. Nothing is held: nothing happens.
 */
void inv_vm_end_long_job(InvVm *vm, gboolean succeeded);

/*
 * A short job for the holder of the long one: kept out by other short jobs alone. Ended with
 * inv_vm_end_job().
 */
InvVmJob *inv_vm_begin_inner_job(InvVm *vm, const char *what, GError **error);

/* The newest figures, copied. @disk_total and @disk_done: bytes of disks that are copied along. */
void inv_vm_report_job(InvVm *vm, const InvMigrationProgress *progress, guint64 disk_total, guint64 disk_done);

/*
 * The times of an outgoing migration as its destination, which ends them, has told them: all of
 * @figures that is time. Its elapsed time stays that one. Nothing is held: nothing happens.
 */
void inv_vm_tell_job_times(InvVm *vm, const InvJobFigures *figures);

/* virDomainMigrateFlags of the migration that runs, for who asks whether postcopy may begin. */
void inv_vm_set_job_flags(InvVm *vm, unsigned int flags);
unsigned int inv_vm_job_flags(InvVm *vm);

/*
 * What an abort does beyond noting that it was asked for: runs on the abort call's thread and may
 * wait for QEMU. @flags: virDomainAbortJobFlagsValues. @data lives until the job has ended.
 */
typedef gboolean (*InvJobAbort)(InvVm *vm, unsigned int flags, gpointer data, GError **error);
void inv_vm_set_job_abort(InvVm *vm, InvJobAbort abort, gpointer data);
gboolean inv_vm_job_abort_requested(InvVm *vm);
/*
 * Until there is an abort function again one would come too late, and is refused; none runs any more.
 * FALSE: one was requested before.
 */
gboolean inv_vm_close_job_abort(InvVm *vm);

/*
 * Aborts the job that runs, for a client. VIR_ERR_OPERATION_INVALID when none is active, for an
 * incoming migration (destroying the domain ends that), for a migration in postcopy without
 * VIR_DOMAIN_ABORT_JOB_POSTCOPY, for that flag outside of postcopy, and behind
 * inv_vm_close_job_abort().
 */
gboolean inv_vm_abort_job(InvVm *vm, unsigned int flags, GError **error);

/*
 * Waits until the state that QEMU's events tell differs from @known, until the domain's process has
 * ended, until @timeout_ms are over, or until there is other news for the job's holder that no
 * earlier wait has returned for: an abort was requested, a pass began, the job of a disk changed.
 * Returns the state. Not on the I/O thread.
 */
InvMigrationState inv_vm_wait_migration(InvVm *vm, InvMigrationState known, guint timeout_ms);

/* FALSE once the domain's QEMU is gone. */
gboolean inv_vm_is_alive(InvVm *vm);

/*
 * What QEMU's events say; on the I/O thread. A state wakes who waits for it. A pass of an outgoing
 * migration is told to clients at once (event 20): from the thread of a call that lasts, news of its
 * own client would wait for its reply.
 */
void inv_vm_migration_event(InvVm *vm, InvMigrationState state);
void inv_vm_migration_pass(InvVm *vm, guint64 pass);
/* Other news of this domain's QEMU: a disk's job, its end. */
void inv_vm_job_news(InvVm *vm);

/* The operation of the job that runs, VIR_DOMAIN_JOB_OPERATION_UNKNOWN for none. */
virDomainJobOperation inv_vm_job_operation_locked(const InvVm *vm);
/* Whether the short job @what may come in between. */
gboolean inv_long_job_lets_in(const InvLongJob *job, const char *what);
const char *inv_long_job_what(const InvLongJob *job);
void inv_long_job_free(InvLongJob *job);
void inv_vm_jobs_free(InvVmJobs *jobs);

/* Of the job that runs, elapsed up to now. FALSE: none runs. @figures: zeros before; to be cleared. */
gboolean inv_vm_get_job(InvVm *vm, InvJobFigures *figures);
/* Of the last job that has ended, forgotten then unless @keep. FALSE: there is none, or another runs. */
gboolean inv_vm_get_last_job(InvVm *vm, gboolean keep, InvJobFigures *figures);
/* Makes @figures (copied) those of the last job: the destination's, from what the source told it. */
void inv_vm_set_last_job(InvVm *vm, const InvJobFigures *figures);

/*
 * What was set for the migrations of a domain; each 0: nothing was. They hold for the migration
 * that runs and for the next; all but the bandwidth are forgotten when the guest ends.
 */
typedef struct {
    guint64 bandwidth;          /* bytes/s */
    guint64 postcopy_bandwidth; /* bytes/s */
    guint64 downtime_ms;
    guint64 compression_cache;  /* bytes */
} InvMigrationTunables;
void inv_vm_get_tunables(InvVm *vm, InvMigrationTunables *tunables);
/* One of them: `inv_vm_set_tunable(vm, G_STRUCT_OFFSET(InvMigrationTunables, bandwidth), value)`. */
void inv_vm_set_tunable(InvVm *vm, gsize field, guint64 value);
void inv_vm_forget_run_tunables_locked(InvVm *vm);

/* Who tells clients of jobs: set once, before any job. Both run with nothing locked, on any thread. */
typedef struct {
    void (*iteration)(InvVm *vm, int iteration, gpointer user_data);
    void (*completed)(InvVm *vm, const InvJobFigures *figures, gpointer user_data);
} InvJobNews;
void inv_registry_set_job_news(InvRegistry *registry, const InvJobNews *news, gpointer user_data);

G_END_DECLS
