/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/cpu_driver.h"

#include <glib.h>

G_BEGIN_DECLS

/* Inside of the room: what a resolved request consists of. */

/* Who wants a feature on or off: what the user wrote is a promise, the rest is Invar's own doing. */
typedef enum {
    INV_ORIGIN_USER,
    INV_ORIGIN_MINIMUM,    /* match='minimum': what the host can give beyond the model */
    INV_ORIGIN_HOST_MODEL, /* the difference between the host and the model that stands for it */
    INV_ORIGIN_DEPRECATED, /* deprecated_features='off' */
    INV_ORIGIN_FILTERED,   /* QEMU filters it: put off when settled */
    INV_ORIGIN_HELD,       /* the guest's record has it so */
} InvOrigin;

typedef struct {
    char *name; /* libvirt's spelling */
    char *qemu;
    InvCpuPolicy policy; /* never UNSET */
    InvOrigin origin;
    gboolean on;     /* the state asked of QEMU */
    gboolean forced; /* settled: on although QEMU would filter it */
} InvAsked;

/* What helps a guest that is held to its record. */
#define INV_HELD_REMEDY "to change the guest's CPU deliberately, run: invar cpu-reopen"
#define INV_HELD_TCG_ADVICE "start the domain with a QEMU that emulates it, as the one that it was started with does"

struct InvCpuRequest {
    char *model; /* QEMU's versioned name, or NULL: QEMU's default */
    InvCpuMode mode; /* never UNSET */
    InvCpuMatch match; /* never UNSET */
    GHashTable *features; /* name (owned by the value) → InvAsked, owned */
    GPtrArray *properties; /* of char *, "vendor=…": in the order in which they are passed */
    InvVerdict *refusals; /* what is known to fail whatever QEMU filters; its blockers only */
    gboolean force_features; /* settled: x-force-features */
    gboolean held; /* to a record: nothing of it may be filtered */
};

InvCpuRequest *inv_cpu_request_new(void);
InvCpuRequest *inv_cpu_request_copy(const InvCpuRequest *request);

/* The feature as it is asked for, or NULL. Borrowed. */
InvAsked *inv_cpu_request_find(const InvCpuRequest *request, const char *name);
/* Asks for @feature; what was asked before under that name stays, and NULL is returned. */
InvAsked *inv_cpu_request_ask(InvCpuRequest *request, const InvCpuMap *map, const char *name, InvCpuPolicy policy, InvOrigin origin);
void inv_cpu_request_add_property(InvCpuRequest *request, const char *format, ...) G_GNUC_PRINTF(2, 3);
void inv_cpu_request_refuse(InvCpuRequest *request, const char *feature, InvLayer layer, const char *reason, const char *remedy);

/* The features sorted by name: the argument is the same in whatever order they were written. (transfer container) of InvAsked. */
GPtrArray *inv_cpu_request_list(const InvCpuRequest *request);

G_END_DECLS
