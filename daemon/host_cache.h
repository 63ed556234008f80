/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* One cache that processors share. */
typedef struct {
    guint id;           /* the kernel's number of it, among those of its level and type */
    guint level;
    const char *type;   /* libvirt's word: "both", "code" or "data" */
    guint64 size_kib;
    char *cpus;         /* who shares it, as a CPU list ("0-3,8"), owned */
} InvHostCache;

void inv_host_cache_free(InvHostCache *cache);

/*
 * The caches of the processors in @online (of guint) from level 3 on, as libvirt lists them: what is
 * nearer belongs to a core alone. By level, type and number; of InvHostCache, owned by the caller.
 * Empty where the kernel says nothing. See host.h for @root.
 */
GPtrArray *inv_host_caches_at(const char *root, const GArray *online);

G_END_DECLS
