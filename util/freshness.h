/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * What an answer was made from, as far as files show it: taken before the answer is made, asked
 * again before it is given another time. A look costs one stat() per file and three calls per small
 * text; nothing is waited for, and no time limit makes an answer old. Not locked: whoever shares
 * one looks under a lock of their own.
 */
typedef struct InvFreshness InvFreshness;

InvFreshness *inv_freshness_new(void);
void inv_freshness_free(InvFreshness *freshness);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvFreshness, inv_freshness_free)

/*
 * The file or folder at @path, behind symbolic links: device, inode, type, permissions, owner, links,
 * size, and both times in nanoseconds. That there is none is a state as well.
 */
void inv_freshness_watch(InvFreshness *freshness, const char *path);

/*
 * Text of a file whose times tell nothing, as the kernel's files are: its first INV_FRESHNESS_TEXT_MAX
 * bytes. That it cannot be read is a state as well.
 */
#define INV_FRESHNESS_TEXT_MAX 4096u
void inv_freshness_watch_text(InvFreshness *freshness, const char *path);

/* The memory that the kernel says the host has, which balloons and hotplug change. */
void inv_freshness_watch_memory(InvFreshness *freshness);

/* Is everything that is watched as it was? */
gboolean inv_freshness_holds(const InvFreshness *freshness);

/*
 * All of it as text, lines of ASCII that each end with a newline, so that another process can ask the
 * same later; and back: NULL when @text is none of inv_freshness_to_text(). Both owned by the caller.
 */
char *inv_freshness_to_text(const InvFreshness *freshness);
InvFreshness *inv_freshness_from_text(const char *text);

G_END_DECLS
