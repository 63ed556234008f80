/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/qmp.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * The migration of one QEMU, over QMP. All calls wait for QEMU's answer, at most until their
 * deadline: never on the I/O thread. They only start things; how far a migration is tell its
 * MIGRATION events and inv_migration_query(). Errors of QMP itself are those of inv_qmp_call().
 *
 * A destination is started with -S and -incoming defer: whatever arrives, it runs nothing before `cont`.
 */

/* What both sides must agree on, and what only the source uses. All zeros: a plain precopy migration. */
typedef struct {
    gboolean postcopy;            /* both: allowed to switch to postcopy */
    gboolean one_way;             /* both: the channel carries bytes to the destination only (a tunnel): no return path */
    gboolean auto_converge;
    guint throttle_initial, throttle_increment; /* percent; 0: QEMU's default */
    gboolean xbzrle;              /* both */
    guint64 xbzrle_cache;         /* bytes, a power of two; 0: as it is set */
    guint multifd_channels;       /* both; 0: no multifd */
    char *multifd_compression;    /* both; "zlib", "zstd", or NULL */
    int multifd_level;            /* of the compression; 0 or less: QEMU's default */
    guint64 bandwidth;            /* bytes/s; 0: no limit */
    guint64 postcopy_bandwidth;   /* bytes/s; 0: no limit */
    guint64 downtime_ms;          /* downtime-limit; 0: as it is set, 300 in the beginning */
    gboolean pause_before_switchover; /* the source stops its guest and waits for inv_migration_continue() */
} InvMigrationSettings;

void inv_migration_settings_clear(InvMigrationSettings *settings);

/*
 * Sets capabilities and parameters, all that Invar uses, so that nothing is left of an earlier try.
 * Besides what is asked for, where this QEMU knows it: events, return-path, validate-uuid, and at the
 * destination late-block-activate (image locks are taken at `cont`). What was asked for and this QEMU
 * has not, or cannot do together, is VIR_ERR_OPERATION_UNSUPPORTED naming it.
 */
gboolean inv_migration_configure(InvQmp *qmp, const InvMigrationSettings *settings, gboolean incoming, guint deadline_ms,
                                 GError **error);

/*
 * Incoming: listens on a QEMU migration address ("tcp:[::]:49152", "unix:/path").
 * VIR_ERR_OPERATION_FAILED; *@in_use (may be NULL): the address is taken, another may be tried. An address
 * that is taken is seen before QEMU is asked: 10.0 does not listen a second time once it has failed. When
 * it is taken just then all the same, *@in_use is TRUE, but only a QEMU like 7.2 or a new one can try again.
 */
gboolean inv_migration_listen(InvQmp *qmp, const char *address, gboolean *in_use, guint deadline_ms, GError **error);

/*
 * Incoming, in state POSTCOPY_PAUSED: listens for the recovery. While the guest runs and waits for a page,
 * this QEMU may answer nothing else, not even inv_migration_query(), until the recovery has begun.
 */
gboolean inv_migration_listen_recover(InvQmp *qmp, const char *address, guint deadline_ms, GError **error);

/* Outgoing. @resume: a paused postcopy goes on. That the address cannot be reached shows later, as state FAILED. */
gboolean inv_migration_start(InvQmp *qmp, const char *address, gboolean resume, guint deadline_ms, GError **error);

/* Outgoing, in state PRE_SWITCHOVER: the last step is allowed. */
gboolean inv_migration_continue(InvQmp *qmp, guint deadline_ms, GError **error);
gboolean inv_migration_start_postcopy(InvQmp *qmp, guint deadline_ms, GError **error);
/* Outgoing, in state POSTCOPY: cuts the channel; both sides become POSTCOPY_PAUSED. */
gboolean inv_migration_pause_postcopy(InvQmp *qmp, guint deadline_ms, GError **error);

/*
 * Outgoing. One that has begun its postcopy is not cancelled, since neither side has all of the guest
 * then: VIR_ERR_OPERATION_INVALID. The guest goes on at the source, by itself, if it ran before.
 */
gboolean inv_migration_cancel(InvQmp *qmp, guint deadline_ms, GError **error);

/*
 * Parameters by QEMU's name, also of a migration that runs: "max-bandwidth", "max-postcopy-bandwidth"
 * (bytes/s), "downtime-limit" (ms), "xbzrle-cache-size" (bytes). VIR_ERR_OPERATION_UNSUPPORTED: this
 * QEMU has no such parameter.
 */
gboolean inv_migration_set_parameter(InvQmp *qmp, const char *name, guint64 value, guint deadline_ms, GError **error);
gboolean inv_migration_get_parameter(InvQmp *qmp, const char *name, guint64 *value, guint deadline_ms, GError **error);

/* What QEMU calls "wait-unplug" is SETUP, "postcopy-recover-setup" is POSTCOPY_RECOVER, "postcopy-device" POSTCOPY. */
typedef enum {
    INV_MIGRATION_NONE,
    INV_MIGRATION_SETUP,
    INV_MIGRATION_ACTIVE,
    INV_MIGRATION_PRE_SWITCHOVER,
    INV_MIGRATION_DEVICE,
    INV_MIGRATION_POSTCOPY,
    INV_MIGRATION_POSTCOPY_PAUSED,
    INV_MIGRATION_POSTCOPY_RECOVER,
    INV_MIGRATION_COMPLETED,
    INV_MIGRATION_FAILED,
    INV_MIGRATION_CANCELLING,
    INV_MIGRATION_CANCELLED,
} InvMigrationState;

/* QEMU's word ("pre-switchover"); FALSE: a word that is not known. */
gboolean inv_migration_state_from_string(const char *text, InvMigrationState *state);
const char *inv_migration_state_to_string(InvMigrationState state);

/* Of the source, as query-migrate tells it; what it does not tell is 0. A destination tells the state, little else. */
typedef struct {
    InvMigrationState state;
    guint64 total, transferred, remaining; /* RAM, bytes */
    guint64 duplicate_pages, normal_pages, normal_bytes, page_size;
    guint64 dirty_rate;        /* pages/s */
    guint64 iterations, postcopy_requests;
    guint64 bps;               /* bytes/s */
    guint64 total_ms, setup_ms, downtime_ms, expected_downtime_ms;
    gboolean has_downtime;     /* downtime_ms is there: in COMPLETED */
    guint throttle;            /* percent */
    guint64 xbzrle_cache, xbzrle_bytes, xbzrle_pages, xbzrle_cache_miss, xbzrle_overflow;
    char *error;               /* QEMU's error-desc, or NULL */
} InvMigrationProgress;

void inv_migration_progress_clear(InvMigrationProgress *progress);
/* Overwrites *@progress without freeing what it held: clear it before. Nothing of it is owned on failure. */
gboolean inv_migration_query(InvQmp *qmp, InvMigrationProgress *progress, guint deadline_ms, GError **error);

/*
 * "tcp:host[:port]", "tcp://host[:port][/]", "unix:/path", "unix:///path" → its parts: *@host (owned,
 * an IPv6 address without []) with *@port (0: none given), or *@path (owned, absolute). The other of the
 * two is NULL. A text that could become more than an address in QEMU's own notation is refused.
 * VIR_ERR_INVALID_ARG naming what is wrong.
 */
gboolean inv_migration_uri_parse(const char *uri, char **host, guint *port, char **path, GError **error);

/* QEMU's form of an address, owned by the caller: "tcp:host:port", IPv6 in brackets. */
char *inv_migration_address_tcp(const char *host, guint port);

/*
 * Whether somebody listens on this address of ours ("tcp:…") already; FALSE also for what is no such
 * address. Another may take it the moment after.
 */
gboolean inv_migration_address_in_use(const char *address);

G_END_DECLS
