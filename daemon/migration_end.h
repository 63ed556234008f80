/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/migration_out.h"

G_BEGIN_DECLS

/* Between migration_out.c, migration_send.c and migration_end.c: the source's side alone. */

typedef enum {
    INV_OUT_BEGUN,     /* held, nothing is sent */
    INV_OUT_SENT,      /* all is sent: whoever drives it finishes at the destination and confirms here */
    INV_OUT_UNDECIDED, /* and nobody drives it any more: the destination must be asked */
    INV_OUT_INTERRUPTED, /* in postcopy, and the channel is broken: it can be taken up again */
    INV_OUT_RETURNING, /* called off, and QEMU has not let the guest go on yet */
    INV_OUT_ENDING,    /* the guest runs elsewhere, and is not ended here yet */
} InvOutPhase;

struct InvMigrationOut {
    unsigned int flags;
    char *token;
    char *peer;             /* "UUID URI", or NULL */
    guint port;             /* where the state goes over TCP; 0: it does not, or that is not known any more */
    guint64 client;
    InvOutPhase phase;      /* guarded by the registry's lock, as is the next */
    gboolean busy;          /* somebody performs or ends it */
    gboolean client_gone;   /* whoever asked for it is gone: to be given up; guarded as well */
    gboolean postcopy;      /* the guest runs there, or is about to, and its memory follows */
    gboolean protected;     /* held since Begin, until Confirm */
    gboolean was_running;   /* the guest goes on if the migration fails */
    gint64 stopped_us;      /* monotonic: when the migration stopped the guest; 0: it has not */
    gboolean forced;        /* undecided, and a client says that it does not run elsewhere; guarded as well */
    char *message;          /* what the domain's messages say of it, or NULL; guarded as well */
};

/* For whoever ends it now; nobody else gets it until then. NULL: there is none, or it is busy. */
InvMigrationOut *inv_migration_out_take(InvVm *vm);
/* The domain is a plain one again. */
void inv_migration_out_leave(InvDaemon *daemon, InvVm *vm, gboolean succeeded);

/*
 * The guest, which the caller has taken, goes on here (@cancelled) or is ended here, for good; the
 * migration is over. FALSE: QEMU or the store does not do it now, and it is tried again and again.
 */
gboolean inv_migration_out_end(InvDaemon *daemon, InvVm *vm, InvMigrationOut *out, gboolean cancelled, GError **error);

/* Makes QEMU let go of the migration, and a guest that it stopped run again if it ran before. One whose QEMU is gone needs nothing. */
gboolean inv_migration_out_resume(InvDaemon *daemon, InvVm *vm, const InvMigrationOut *out, GError **error);
/* That failed with @cause: it is tried again and again. The caller has taken it. */
void inv_migration_out_return_later(InvDaemon *daemon, InvVm *vm, InvMigrationOut *out, const GError *cause);

/* All was sent and whoever drove the migration cannot tell how it ended: the destination is asked, now or later. */
void inv_migration_out_undecided(InvDaemon *daemon, InvVm *vm);

/* Notes the phase where a restarted daemon finds it. */
gboolean inv_migration_out_note(InvDaemon *daemon, const InvVm *vm, const InvMigrationOut *out, InvMigrationPhase phase,
                                GError **error);
void inv_migration_out_forget(InvDaemon *daemon, const InvVm *vm, const InvMigrationOut *out);

G_END_DECLS
