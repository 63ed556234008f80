/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"
#include "rpc/remote_protocol.h"

G_BEGIN_DECLS

/*
 * The procedures that this daemon answers, a file per family. Handlers have the daemon as user
 * data. What only reads the registry is INV_RPC_INLINE; what waits for QEMU, the store or a probe
 * runs on a worker.
 */
typedef struct {
    const InvRpcMethod *methods;
    guint n_methods;
} InvDispatchFamily;

extern const InvDispatchFamily inv_dispatch_connect;
extern const InvDispatchFamily inv_dispatch_cpu;
extern const InvDispatchFamily inv_dispatch_host;
extern const InvDispatchFamily inv_dispatch_list;
extern const InvDispatchFamily inv_dispatch_info;
extern const InvDispatchFamily inv_dispatch_lifecycle;
extern const InvDispatchFamily inv_dispatch_event;
extern const InvDispatchFamily inv_dispatch_job;
extern const InvDispatchFamily inv_dispatch_migrate;
/* Of Invar's own program. */
extern const InvDispatchFamily inv_dispatch_invar;
extern const InvDispatchFamily inv_dispatch_baseline;
extern const InvDispatchFamily inv_dispatch_fleet;
extern const InvDispatchFamily inv_dispatch_outcome;

/* Hands all families to the server. */
void inv_dispatch_register(InvDaemon *daemon);

/* The domain that a client means: by uuid alone, its name and id are a client's old copies. A new reference. */
InvVm *inv_dispatch_find(InvDaemon *daemon, const remote_nonnull_domain *wire, GError **error);

/* The wire's form of a domain as it is now; owned by the reply. */
void inv_dispatch_fill(remote_nonnull_domain *wire, InvVm *vm);
void inv_dispatch_fill_locked(remote_nonnull_domain *wire, const InvVm *vm);

/* Refuses flags beyond @known: VIR_ERR_INVALID_ARG naming the procedure. */
gboolean inv_dispatch_check_flags(unsigned int flags, unsigned int known, const char *procedure, GError **error);

/*
 * May @client have the emulator @path (or NULL) asked? To ask is to run it, as the account of the daemon:
 * on a read-only connection it must be one that the host has, or a domain. VIR_ERR_OPERATION_DENIED.
 */
gboolean inv_dispatch_check_emulator(InvRpcClient *client, InvDaemon *daemon, const char *path, GError **error);

/* A nullable string of the wire, or NULL. Borrowed. */
const char *inv_dispatch_optional(const remote_string text);
G_END_DECLS
