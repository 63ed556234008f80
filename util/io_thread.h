/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * The one thread that owns sockets and monitors. It runs a GMainContext and must never block:
 * whoever has to wait does so on a thread of its own and is woken from here.
 */
typedef struct InvIoThread InvIoThread;

InvIoThread *inv_io_thread_new(void);
/* Ends the loop and joins the thread. Everything attached to its context must be gone before. */
void inv_io_thread_free(InvIoThread *io);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvIoThread, inv_io_thread_free)

/* Borrowed. */
GMainContext *inv_io_thread_context(InvIoThread *io);
gboolean inv_io_thread_is_current(InvIoThread *io);

/* Runs @function(@data) on the I/O thread, in order of the calls, and returns at once. */
void inv_io_thread_post(InvIoThread *io, GSourceOnceFunc function, gpointer data);

/* Runs @function(@data) on the I/O thread and waits for its end. Called there, it is a plain call. */
void inv_io_thread_call(InvIoThread *io, GSourceOnceFunc function, gpointer data);

G_END_DECLS
