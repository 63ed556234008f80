/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * The capability cache: texts under keys that name everything the text depends on. Losing it costs
 * a probe, never data: a damaged one is set aside with a warning. Where nothing can be written (a full
 * disk, a read-only file) what is there is still read, what comes is kept in memory, and goes to the
 * file when there is room. Safe to call from any thread and from several processes on one file.
 */
typedef struct InvCache InvCache;

/* @path NULL: in memory only. Never fails. */
InvCache *inv_cache_open(const char *path);
void inv_cache_close(InvCache *cache);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCache, inv_cache_close)

/*
 * @subject: what is described ("/usr/bin/qemu-system-x86_64 kvm pc-q35-7.2 definitions"); @key: the
 * state that the text holds for. A text under an other key is not given, and is replaced by the next put.
 * NULL when there is none; the caller owns the text.
 */
char *inv_cache_get(InvCache *cache, const char *subject, const char *key);
/* Whether inv_cache_get() would look at a text: nothing is read of it. */
gboolean inv_cache_has(InvCache *cache, const char *subject, const char *key);
/* Deletes the texts of all subjects that are @first_word or begin with it and a space. */
void inv_cache_forget(InvCache *cache, const char *first_word);
void inv_cache_put(InvCache *cache, const char *subject, const char *key, const char *text);

G_END_DECLS
