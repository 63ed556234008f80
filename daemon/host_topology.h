/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Where one processor sits. */
typedef struct {
    guint id;
    gboolean placed; /* the kernel says where; else the four below mean nothing */
    guint socket, die, core;
    char *siblings;  /* the threads of its core as a CPU list ("0,64"), owned */
} InvHostCpu;

typedef struct {
    guint size_kib;
    guint64 count;
} InvHostPages;

typedef struct {
    guint cell;
    guint value; /* 10 is local */
} InvHostDistance;

/* One NUMA node. */
typedef struct {
    guint id;
    guint64 memory_kib;
    guint64 free_kib;
    GArray *pages;     /* of InvHostPages, smallest size first; ordinary pages without what huge ones take */
    GArray *distances; /* of InvHostDistance; empty: not known */
    GPtrArray *cpus;   /* of InvHostCpu, online ones, by id */
} InvHostCell;

/* What the processors are; see host.h for @root. */
typedef struct {
    GArray *present;  /* of guint, ascending: processors that are there, online or not */
    GArray *online;   /* of guint, ascending */
    GPtrArray *cells; /* of InvHostCell, by id; never empty: a host without NUMA is one cell */
    GArray *huge_pages_kib; /* of guint, ascending: sizes that the kernel offers */
} InvHostTopology;

void inv_host_topology_free(InvHostTopology *topology);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvHostTopology, inv_host_topology_free)

/* An error only when not even the number of processors can be found. Owned by the caller. */
InvHostTopology *inv_host_topology(GError **error);
InvHostTopology *inv_host_topology_at(const char *root, GError **error);

/* sockets × dies × cores × threads of the whole host, all at least 1; the product is the number of placed processors or more. */
void inv_host_topology_shape(const InvHostTopology *topology, guint *sockets, guint *dies, guint *cores, guint *threads);

/*
 * "0-3,8" → 0 1 2 3 8, ascending, each once. FALSE for anything else, a number of @limit or more
 * included; then *@numbers is untouched. An empty list is a list.
 */
gboolean inv_host_parse_list(const char *text, guint limit, GArray **numbers);

G_END_DECLS
