/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/emulator.h"
#include "rpc/server.h"
#include "rpc/typed_params.h"

#include <glib.h>
#include <libvirt/libvirt.h>

G_BEGIN_DECLS

/* Who wants to hear of which event of which domain. Safe from any thread. */
typedef struct InvEvents InvEvents;

InvEvents *inv_events_new(void);
void inv_events_free(InvEvents *events);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvEvents, inv_events_free)

/*
 * @uuid NULL: every domain. @legacy: the old calls without callback ids (procedures 105 and 167).
 * Returns the callback's id, unique within the connection; -1 with VIR_ERR_INTERNAL_ERROR
 * "unsupported event ID", as libvirt has it, or VIR_ERR_OPERATION_FAILED when a client wants too many.
 */
int inv_events_register(InvEvents *events, InvRpcClient *client, int event_id, const unsigned char *uuid, gboolean legacy,
                        GError **error);
gboolean inv_events_deregister(InvEvents *events, InvRpcClient *client, int callback_id, GError **error);
gboolean inv_events_deregister_legacy(InvEvents *events, InvRpcClient *client, int event_id, GError **error);
void inv_events_forget_client(InvEvents *events, InvRpcClient *client);

/* The same for news of emulators, in Invar's own program: all or none. */
void inv_events_register_emulators(InvEvents *events, InvRpcClient *client);
gboolean inv_events_deregister_emulators(InvEvents *events, InvRpcClient *client, GError **error);
void inv_events_emulator(InvEvents *events, const InvEmulatorChange *change);

/* A domain as events name it. */
typedef struct {
    const char *name;
    const unsigned char *uuid;
    int id;
} InvEventDomain;

/* @event: virDomainEventType; @detail: its virDomainEvent…DetailType. */
void inv_events_lifecycle(InvEvents *events, const InvEventDomain *domain, int event, int detail);
void inv_events_reboot(InvEvents *events, const InvEventDomain *domain);
/* A migration begins to send what the guest has changed for the @iteration-th time. */
void inv_events_iteration(InvEvents *events, const InvEventDomain *domain, int iteration);
/* @params: at most INV_TYPED_PARAMS_MAX, as the statistics of a job have them. */
void inv_events_job_completed(InvEvents *events, const InvEventDomain *domain, const InvTypedParams *params);

G_END_DECLS
