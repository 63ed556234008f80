/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

G_BEGIN_DECLS

/*
 * What must outlast the daemon: SQLite, WAL, synchronous=FULL. Every function is one transaction:
 * when it has returned TRUE its change survives SIGKILL and power loss, else nothing has changed.
 * Safe to call from any thread; calls are serialised inside. UUIDs are the canonical text.
 */
typedef struct InvStore InvStore;

/*
 * Opens or makes the database. A database of a newer version is refused, an older one is brought up
 * to date in one transaction; one that is damaged, empty or not ours is left as it is. Errors name the
 * file and what to do. The folder must exist.
 */
InvStore *inv_store_open(const char *path, GError **error);
void inv_store_close(InvStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvStore, inv_store_close)

/* A domain, its definition, and the number of the revision that it is at. */
typedef struct {
    char *uuid;
    char *name;
    char *xml;
    gboolean autostart;
    gint64 revision;   /* 1, 2, … */
    char *record;      /* JSON of the ABI record, or NULL: none, or reopened */
} InvStoredDomain;

void inv_stored_domain_free(InvStoredDomain *domain);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvStoredDomain, inv_stored_domain_free)

/* All of them by name, of InvStoredDomain; the caller owns the array. */
GPtrArray *inv_store_list_domains(InvStore *store, GError **error);
/*
 * Hands each over to @take, in no order, which may not call the store: without xml and record, which
 * are most of what there is to read. FALSE: the rest could not be read.
 */
typedef void (*InvTakeStoredDomain)(InvStoredDomain *domain, gpointer user_data);
gboolean inv_store_each_domain(InvStore *store, InvTakeStoredDomain take, gpointer user_data, GError **error);
/* What is in force of one domain now. VIR_ERR_NO_DOMAIN when there is none. */
InvStoredDomain *inv_store_get_domain(InvStore *store, const char *uuid, GError **error);

/*
 * Adds a domain or gives it a new definition: a new revision with @reason ("defined", "edited", …).
 * A definition equal to the current one makes no revision. The record in force
 * stays in force. The name of another domain, and another name for this uuid, are
 * VIR_ERR_OPERATION_FAILED. A transient one that runs becomes persistent. @revision may be NULL.
 */
gboolean inv_store_define(InvStore *store, const char *uuid, const char *name, const char *xml, const char *reason,
                          gint64 *revision, GError **error);

/*
 * A first start's outcome in one transaction: definition, revision and record. @xml equal to the
 * current one makes no revision.
 */
gboolean inv_store_record(InvStore *store, const char *uuid, const char *xml, const char *record, const char *reason,
                          gint64 *revision, GError **error);

/* Forgets the record (cpu-reopen), with a revision whose definition is @xml (NULL: the current one) to show when and why. */
gboolean inv_store_reopen(InvStore *store, const char *uuid, const char *xml, const char *reason, gint64 *revision,
                          GError **error);

/* Domain, revisions, record: gone; one that runs goes on as transient. VIR_ERR_NO_DOMAIN when there is none. */
gboolean inv_store_undefine(InvStore *store, const char *uuid, GError **error);
gboolean inv_store_set_autostart(InvStore *store, const char *uuid, gboolean autostart, GError **error);
gboolean inv_store_rename(InvStore *store, const char *uuid, const char *new_name, const char *xml, GError **error);

typedef struct {
    gint64 number;
    gint64 time;   /* seconds since 1970, UTC */
    char *reason;
    char *xml;     /* NULL in a list */
    char *record;  /* the record in force from this revision on, or NULL; NULL in a list */
    gboolean has_record;
} InvRevision;

void inv_revision_free(InvRevision *revision);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvRevision, inv_revision_free)

/* Oldest first, of InvRevision. */
GPtrArray *inv_store_list_revisions(InvStore *store, const char *uuid, GError **error);
InvRevision *inv_store_get_revision(InvStore *store, const char *uuid, gint64 number, GError **error);
/*
 * Makes the definition, name and record of revision @number current again, as a new revision; what is
 * in force already makes none.
 */
gboolean inv_store_restore_revision(InvStore *store, const char *uuid, gint64 number, gint64 *revision, GError **error);

/* A QEMU that runs, so that the next daemon can adopt it. */
typedef struct {
    char *uuid;
    gint64 pid;
    guint64 start_time; /* field 22 of /proc/PID/stat: tells a reused pid */
    int id;             /* libvirt's domain id */
    char *monitor;      /* path of the QMP socket */
    char *live_xml;
    gboolean persistent;
    char *record;       /* of a transient domain too; or NULL */
    gboolean started;   /* FALSE: spawned, and the first `cont` not yet decided */
    gboolean paused;    /* started, and to stand still until somebody resumes it */
} InvRunning;

void inv_running_free(InvRunning *running);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvRunning, inv_running_free)

gboolean inv_store_set_running(InvStore *store, const InvRunning *running, GError **error);
gboolean inv_store_clear_running(InvStore *store, const char *uuid, GError **error);
GPtrArray *inv_store_list_running(InvStore *store, GError **error);

/* A migration, from its source's (OUT) or its destination's (IN) side. */
typedef enum {
    INV_MIGRATION_OUT,
    INV_MIGRATION_IN,
} InvMigrationRole;

typedef enum {
    INV_PHASE_UNKNOWN,   /* no such migration */
    INV_PHASE_PREPARED,  /* IN: QEMU waits for the state; nothing is decided */
    INV_PHASE_FINISHED,  /* IN: the guest is this host's now. Never changes any more */
    INV_PHASE_CANCELLED, /* IN: the guest never ran here and never will by this migration. Never changes any more */
    INV_PHASE_SENDING,   /* OUT: the guest is ours; nobody can have finished it over there */
    INV_PHASE_UNDECIDED, /* OUT: the guest stands still; only the destination knows whose it is */
} InvMigrationPhase;

typedef struct {
    char *token;          /* of this attempt: the same on both sides */
    InvMigrationRole role;
    char *uuid;           /* of the domain */
    InvMigrationPhase phase;
    char *peer;           /* OUT: the URI of the daemon that knows the outcome, or NULL */
    unsigned int flags;   /* virDomainMigrateFlags */
    gboolean running;     /* the guest ran before, and shall run afterwards */
    char *xml, *record;   /* IN: what becomes the persistent definition once it is finished, or NULL */
} InvStoredMigration;

void inv_stored_migration_free(InvStoredMigration *migration);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvStoredMigration, inv_stored_migration_free)

/* Notes a migration, or its next phase. */
gboolean inv_store_set_migration(InvStore *store, const InvStoredMigration *migration, GError **error);
gboolean inv_store_clear_migration(InvStore *store, const char *token, InvMigrationRole role, GError **error);
/* Of InvStoredMigration; what was called off a month ago is forgotten first. */
GPtrArray *inv_store_list_migrations(InvStore *store, GError **error);

/*
 * The one place where a migration's outcome is settled, at its destination: makes a prepared one
 * @wanted (FINISHED or CANCELLED) and *@decided tells what is in force then, which may be what
 * somebody else decided before. One that is not known can only be cancelled, so that it stays so for
 * whoever comes late; else *@decided is UNKNOWN. FINISHED makes the run of @uuid a started one in the
 * same transaction.
 */
gboolean inv_store_decide_migration(InvStore *store, const char *token, const char *uuid, InvMigrationPhase wanted,
                                    InvMigrationPhase *decided, GError **error);

G_END_DECLS
