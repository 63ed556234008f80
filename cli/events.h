/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* libvirt's kinds of domain events: virsh's name of VIR_DOMAIN_EVENT_ID_… @id; NULL behind the last. */
const char *inv_event_name(int id);
/* -1: there is no such kind. */
int inv_event_id(const char *name);

typedef struct {
    const char *name;
    char *domain;
    char *uuid;
    const char *type;   /* of a lifecycle event: "Started"; else NULL */
    const char *detail; /* likewise: "Booted"; "unknown" when it is not known */
    int iteration;      /* of migration-iteration; else 0 */
    GStrv figures;      /* of job-completed, "time_elapsed: 1200"; else NULL */
} InvEvent;

void inv_event_clear(InvEvent *event);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(InvEvent, inv_event_clear)

/* Decodes a message of libvirt's program, of at most @length bytes and not trusted. FALSE: it is no domain event, or malformed. */
gboolean inv_event_decode(guint32 procedure, const guint8 *payload, gsize length, InvEvent *event);

G_END_DECLS
