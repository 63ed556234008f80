/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/domain_ref.h"
#include "rpc/client.h"
#include "rpc/typed_params.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * One migration as its client drives it: libvirt's protocol version 3 with parameters. In a direct
 * migration the client leads both daemons from step to step and carries their cookies; with
 * VIR_MIGRATE_PEER2PEER the source does that itself, in one call.
 */
typedef struct {
    const InvRpcTarget *source_target; /* borrowed, as all of these are */
    const InvRpcTarget *dest_target;   /* NULL: peer to peer */
    const char *dest_uri;              /* as the user gave it */
    remote_nonnull_domain domain;
    InvTypedParams *params;            /* VIR_MIGRATE_PARAM_*; changed on the way */
    guint flags;                       /* virDomainMigrateFlags */
    guint timeout_ms;                  /* of each short call; 0: as long as the daemon gives signs of life */
    gint stop;                         /* atomic; set by another thread: begin no further step */
    char *warning;                     /* after a success: what went wrong all the same, owned by the caller; or NULL */
} InvMigrate;

/*
 * Runs it to its end, on connections of its own. FALSE: the guest stays where it was, and @error is
 * that of the step that failed first. Blocks; an abort of the job makes it return.
 */
gboolean inv_migrate_run(InvMigrate *migrate, GError **error);

G_END_DECLS
