/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/io_thread.h"
#include "util/json.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * A QMP connection. Its socket lives on the I/O thread; calls wait on the caller's thread, which
 * must not be the I/O thread. QEMU is untrusted: a reply has at most INV_QMP_MAX_REPLY bytes and
 * INV_JSON_MAX_DEPTH levels, else the connection is closed.
 */
typedef struct InvQmp InvQmp;

#define INV_QMP_MAX_REPLY (16u * 1024 * 1024)
/* Part of the message of every error whose cause is that QEMU hung up, and not we. */
#define INV_QMP_HUNG_UP "QEMU closed its monitor"
/* What a call gets when nothing speaks for another figure. */
#define INV_QMP_DEADLINE_MS 30000u

/*
 * Both run on the I/O thread and must not block. @data of an event may be NULL; it is borrowed. They
 * may run before inv_qmp_new() has returned, but only when it succeeds. They may close the connection.
 */
typedef void (*InvQmpEvent)(InvQmp *qmp, const char *event, const InvJson *data, gint64 seconds, gint64 microseconds,
                            gpointer user_data);
/* Once, when the connection is gone for whatever reason, @error says which. Never after inv_qmp_close(). */
typedef void (*InvQmpClosed)(InvQmp *qmp, const GError *error, gpointer user_data);

/*
 * Takes the connected socket @fd over, waits for QEMU's greeting and leaves negotiation mode. The
 * callbacks may be NULL. @deadline_ms counts from now. The greeting is kept.
 */
InvQmp *inv_qmp_new(InvIoThread *io, int fd, guint deadline_ms, InvQmpEvent event, InvQmpClosed closed, gpointer user_data,
                    GError **error);
InvQmp *inv_qmp_ref(InvQmp *qmp);
void inv_qmp_unref(InvQmp *qmp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvQmp, inv_qmp_unref)

/*
 * Closes the socket; calls that wait fail. No callback runs once it has returned, so its caller must
 * hold no lock that a callback takes. Dropping the last reference closes too.
 */
void inv_qmp_close(InvQmp *qmp);
gboolean inv_qmp_is_open(InvQmp *qmp);
const InvJson *inv_qmp_greeting(const InvQmp *qmp);

/*
 * Sends @command with @arguments (borrowed, may be NULL) and waits for its reply at most until the
 * deadline; several threads may call at once. *@reply (may be NULL) is the "return" value, owned by
 * the caller. A QMP error is VIR_ERR_OPERATION_FAILED with QEMU's text, but CommandNotFound is
 * VIR_ERR_OPERATION_UNSUPPORTED; a deadline is VIR_ERR_OPERATION_TIMEOUT; a lost connection is
 * VIR_ERR_OPERATION_FAILED. A reply that comes after its deadline is dropped.
 */
gboolean inv_qmp_call(InvQmp *qmp, const char *command, const InvJson *arguments, guint deadline_ms, InvJson **reply,
                      GError **error);

/*
 * The same for the few commands that QEMU takes out of band (migrate-recover, migrate-pause): they are
 * answered even while its main loop hangs, as it may on a page of a guest whose postcopy was cut off.
 * Where QEMU offers no such thing it is a plain call.
 */
gboolean inv_qmp_call_out_of_band(InvQmp *qmp, const char *command, const InvJson *arguments, guint deadline_ms, GError **error);

/*
 * The same for many calls, sent without waiting in between: @replies[i] is NULL where call i
 * failed, and then @errors[i] (an array of @n GError pointers, or NULL) says why. FALSE with @error
 * only when the connection or the deadline failed.
 */
typedef struct {
    const char *command;
    const InvJson *arguments; /* borrowed, may be NULL */
    gboolean out_of_band;     /* as inv_qmp_call_out_of_band() */
} InvQmpCommand;
gboolean inv_qmp_call_many(InvQmp *qmp, const InvQmpCommand *commands, guint n, guint deadline_ms, InvJson **replies,
                           GError **errors, GError **error);

/*
 * Waiting for what QEMU tells by events, for who has no callback of its own: take the number of events
 * before asking QEMU how things stand, and when they do not stand well wait for the next event and ask
 * again. FALSE: no event behind @seen came until the deadline, or the connection is gone.
 */
guint64 inv_qmp_events(InvQmp *qmp);
gboolean inv_qmp_wait_event(InvQmp *qmp, guint64 seen, guint deadline_ms);

G_END_DECLS
