/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/qmp.h"

#include "util/error.h"
#include "util/fd.h"
#include "util/long_wait.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_CHUNK (64u * 1024)
/* What may wait for a QEMU that does not read. Our commands are small: more is a QEMU that hangs. */
#define MAX_UNSENT (4u * 1024 * 1024)
/* The first command is qmp_capabilities. */
#define NEGOTIATION_ID 1u

/* One caller's calls; it sleeps until all of them are answered. */
typedef struct {
    guint unanswered; /* guarded by lock */
} Batch;

typedef struct {
    Batch *batch; /* on the stack of the caller, which takes its requests back before it leaves */
    guint64 id;
    const char *command;
    InvJson *reply;
    GError *error;
} Request;

struct InvQmp {
    gatomicrefcount refs;   /* of the users */
    gatomicrefcount memory; /* the users together hold one, each source another */
    InvIoThread *io;
    InvQmpEvent event;
    InvQmpClosed closed;
    gpointer user_data;

    /* I/O thread only */
    GSource *readable;
    GByteArray *unread; /* what came and is no whole line yet */
    gsize searched;     /* bytes of it known to hold no newline */

    GMutex lock;
    GCond changed;
    /* guarded by lock */
    int fd;              /* written by any thread, read by the I/O thread, closed by the I/O thread */
    GSource *writable;   /* there while something is unsent and QEMU does not take more */
    GByteArray *unsent;
    GHashTable *pending; /* id → Request, borrowed */
    guint64 last_id;
    guint64 events;      /* so many have come and were told */
    GError *lost;        /* why the connection is gone, or NULL */
    gboolean negotiated; /* from here on the user hears of events and of the end */
    InvJson *greeting;   /* immutable once set */
    gboolean out_of_band; /* QEMU takes commands past those that it is busy with; set before the user has it */
};

static void
memory_unref(gpointer data)
{
    InvQmp *qmp = data;

    if (!g_atomic_ref_count_dec(&qmp->memory))
        return;
    g_assert(qmp->fd < 0);
    g_byte_array_unref(qmp->unread);
    g_byte_array_unref(qmp->unsent);
    g_hash_table_unref(qmp->pending);
    g_clear_error(&qmp->lost);
    inv_json_free(qmp->greeting);
    g_mutex_clear(&qmp->lock);
    g_cond_clear(&qmp->changed);
    g_free(qmp);
}

static void
source_clear(GSource **source)
{
    if (*source) {
        g_source_destroy(*source);
        g_clear_pointer(source, g_source_unref);
    }
}

static GSource *
source_attach(InvQmp *qmp, GIOCondition condition, GUnixFDSourceFunc function)
{
    GSource *source = g_unix_fd_source_new(qmp->fd, condition);

    g_atomic_ref_count_inc(&qmp->memory);
    g_source_set_callback(source, G_SOURCE_FUNC(function), qmp, memory_unref);
    g_source_attach(source, inv_io_thread_context(qmp->io));
    return source;
}

/* On the I/O thread. Takes @error over; only the first end of a connection counts. */
static gboolean
end_locked(InvQmp *qmp, GError *error)
{
    GHashTableIter iter;
    gpointer value;

    if (qmp->lost) {
        g_error_free(error);
        return FALSE;
    }
    qmp->lost = error;
    source_clear(&qmp->readable);
    source_clear(&qmp->writable);
    inv_fd_close(&qmp->fd);
    g_hash_table_iter_init(&iter, qmp->pending);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Request *request = value;

        request->batch->unanswered--;
        g_hash_table_iter_remove(&iter);
    }
    g_cond_broadcast(&qmp->changed);
    return TRUE;
}

/* On the I/O thread. Takes @error over. */
static void
connection_lost(InvQmp *qmp, GError *error)
{
    gboolean tell;

    g_mutex_lock(&qmp->lock);
    tell = end_locked(qmp, error) && qmp->negotiated;
    g_mutex_unlock(&qmp->lock);
    if (tell && qmp->closed)
        qmp->closed(qmp, qmp->lost, qmp->user_data);
}

static GError *
qmp_error(const InvJson *error, const char *command)
{
    const char *class = inv_json_get_string(error, "class");
    const char *text = inv_json_get_string(error, "desc");

    return g_error_new(INV_ERROR, g_strcmp0(class, "CommandNotFound") == 0 ? VIR_ERR_OPERATION_UNSUPPORTED : VIR_ERR_OPERATION_FAILED,
                       "QEMU refused '%s': %s", command, text ? text : "it gave no reason");
}

/* A reply whose caller has given up finds no request and is dropped. */
static void
take_reply(InvQmp *qmp, const InvJson *message, guint64 id)
{
    Request *request;
    const InvJson *error = inv_json_get(message, "error");

    g_mutex_lock(&qmp->lock);
    request = g_hash_table_lookup(qmp->pending, &id);
    if (request) {
        if (error)
            request->error = qmp_error(error, request->command);
        else
            request->reply = inv_json_copy(inv_json_get(message, "return"));
        /* Set here and not by who waits: no event behind this reply may be lost. */
        if (id == NEGOTIATION_ID && !error)
            qmp->negotiated = TRUE;
        g_hash_table_remove(qmp->pending, &id);
        if (--request->batch->unanswered == 0)
            g_cond_broadcast(&qmp->changed);
    }
    g_mutex_unlock(&qmp->lock);
}

static void
take_event(InvQmp *qmp, const InvJson *message, const char *event)
{
    const InvJson *stamp = inv_json_get(message, "timestamp");
    gboolean tell;

    g_mutex_lock(&qmp->lock);
    tell = qmp->negotiated && !qmp->lost;
    g_mutex_unlock(&qmp->lock);
    if (tell && qmp->event)
        qmp->event(qmp, event, inv_json_get(message, "data"), inv_json_get_int(stamp, "seconds", -1),
                   inv_json_get_int(stamp, "microseconds", -1), qmp->user_data);
    g_mutex_lock(&qmp->lock);
    qmp->events++;
    g_cond_broadcast(&qmp->changed);
    g_mutex_unlock(&qmp->lock);
}

static gboolean
take_greeting(InvQmp *qmp, const InvJson *message)
{
    gboolean first;

    g_mutex_lock(&qmp->lock);
    first = !qmp->greeting;
    if (first)
        qmp->greeting = inv_json_copy(message);
    g_cond_broadcast(&qmp->changed);
    g_mutex_unlock(&qmp->lock);
    return first;
}

/* FALSE with @error when the peer cannot be a QEMU that we can go on talking to. */
static gboolean
take_message(InvQmp *qmp, const char *line, gsize length, GError **error)
{
    g_autoptr(InvJson) message = inv_json_parse(line, length, error);
    const char *event;
    guint64 id;

    if (!message) {
        g_prefix_error(error, "the QEMU monitor sent what is no QMP: ");
        return FALSE;
    }
    if (inv_json_get(message, "QMP"))
        return take_greeting(qmp, message) ||
            inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the QEMU monitor sent its greeting twice");
    event = inv_json_get_string(message, "event");
    if (event) {
        take_event(qmp, message, event);
        return TRUE;
    }
    if (inv_json_uint(inv_json_get(message, "id"), &id) &&
        (inv_json_get(message, "return") || inv_json_get(message, "error"))) {
        take_reply(qmp, message, id);
        return TRUE;
    }
    if (inv_json_get(message, "error"))
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the QEMU monitor did not understand a command: %s",
                             inv_json_get_string(inv_json_get(message, "error"), "desc") ?: "it gave no reason");
    return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the QEMU monitor sent a message that is neither greeting, event nor reply");
}

static gboolean
is_blank(const char *line, gsize length)
{
    for (gsize i = 0; i < length; i++) {
        if (!g_ascii_isspace(line[i]))
            return FALSE;
    }
    return TRUE;
}

static gboolean
take_lines(InvQmp *qmp, GError **error)
{
    gsize start = 0;
    gboolean ok = TRUE;

    /* qmp->readable goes when a callback closes the connection: what is left unread is nobody's then. */
    while (ok && qmp->readable) {
        const char *text = (const char *)qmp->unread->data;
        const char *newline = qmp->searched < qmp->unread->len
            ? memchr(text + qmp->searched, '\n', qmp->unread->len - qmp->searched) : NULL;
        gsize length;

        if (!newline) {
            qmp->searched = qmp->unread->len;
            break;
        }
        length = (gsize)(newline - text) - start;
        if (!is_blank(text + start, length))
            ok = take_message(qmp, text + start, length, error);
        start += length + 1;
        qmp->searched = start;
    }
    if (start) {
        g_byte_array_remove_range(qmp->unread, 0, (guint)start);
        qmp->searched -= start;
    }
    if (ok && qmp->unread->len > INV_QMP_MAX_REPLY)
        ok = inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the QEMU monitor sent a message larger than the limit of %u bytes",
                           INV_QMP_MAX_REPLY);
    return ok;
}

static gboolean
can_read(int fd, GIOCondition condition, gpointer data)
{
    InvQmp *qmp = data;
    GError *error = NULL;
    guint before = qmp->unread->len;
    ssize_t got;

    g_byte_array_set_size(qmp->unread, before + READ_CHUNK);
    got = recv(fd, qmp->unread->data + before, READ_CHUNK, MSG_DONTWAIT);
    g_byte_array_set_size(qmp->unread, before + (guint)MAX(got, 0));
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (got < 0 && errno != ECONNRESET)
        inv_error_set_errno(&error, errno, "cannot read from the QEMU monitor");
    else if (got <= 0)
        inv_error_set(&error, VIR_ERR_OPERATION_FAILED, INV_QMP_HUNG_UP "%s", before ? " in the middle of a message" : "");
    else
        take_lines(qmp, &error);
    if (error)
        connection_lost(qmp, error);
    return G_SOURCE_CONTINUE;
}

static gboolean can_write(int fd, GIOCondition condition, gpointer data);

/* Sends what the socket takes; for the rest the I/O thread is asked to wait. An error is left to the reader to see. */
static void
flush_locked(InvQmp *qmp)
{
    while (qmp->unsent->len) {
        ssize_t sent = send(qmp->fd, qmp->unsent->data, qmp->unsent->len, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN) {
            if (!qmp->writable)
                qmp->writable = source_attach(qmp, G_IO_OUT, can_write);
            return;
        }
        if (sent < 0) {
            g_byte_array_set_size(qmp->unsent, 0);
            break;
        }
        g_byte_array_remove_range(qmp->unsent, 0, (guint)sent);
    }
    source_clear(&qmp->writable);
}

static gboolean
can_write(int fd, GIOCondition condition, gpointer data)
{
    InvQmp *qmp = data;

    g_mutex_lock(&qmp->lock);
    if (!qmp->lost)
        flush_locked(qmp);
    g_mutex_unlock(&qmp->lock);
    return G_SOURCE_CONTINUE;
}

static void
start_reading(gpointer data)
{
    InvQmp *qmp = data;

    qmp->readable = source_attach(qmp, G_IO_IN | G_IO_HUP | G_IO_ERR, can_read);
}

static char *
command_text(const InvQmp *qmp, const InvQmpCommand *command, guint64 id)
{
    g_autoptr(InvJson) message = inv_json_new_object();

    inv_json_object_set_string(message, command->out_of_band && qmp->out_of_band ? "exec-oob" : "execute", command->command);
    if (command->arguments)
        inv_json_object_set(message, "arguments", inv_json_copy(command->arguments));
    inv_json_object_set_uint(message, "id", id);
    return inv_json_format(message, FALSE);
}

static gboolean
set_lost_error_locked(InvQmp *qmp, const char *command, GError **error)
{
    return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "'%s' got no answer: %s", command, qmp->lost->message);
}

static gboolean
send_locked(InvQmp *qmp, const InvQmpCommand *commands, guint n, Batch *batch, Request *requests, GError **error)
{
    if (qmp->lost)
        return set_lost_error_locked(qmp, commands[0].command, error);
    if (qmp->unsent->len > MAX_UNSENT)
        return inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT, "'%s' was not sent: QEMU does not read its monitor",
                             commands[0].command);
    for (guint i = 0; i < n; i++) {
        g_autofree char *text = command_text(qmp, &commands[i], ++qmp->last_id);

        requests[i] = (Request){ .batch = batch, .id = qmp->last_id, .command = commands[i].command };
        g_hash_table_insert(qmp->pending, &requests[i].id, &requests[i]);
        g_byte_array_append(qmp->unsent, (const guint8 *)text, (guint)strlen(text));
        g_byte_array_append(qmp->unsent, (const guint8 *)"\n", 1);
    }
    batch->unanswered = n;
    flush_locked(qmp);
    return TRUE;
}

/* Waits for the batch and takes the requests back: afterwards nobody but the caller knows them. */
static gboolean
wait_locked(InvQmp *qmp, Batch *batch, Request *requests, guint n, guint deadline_ms, GError **error)
{
    gint64 began = g_get_monotonic_time();
    gint64 end = began + (gint64)deadline_ms * G_TIME_SPAN_MILLISECOND;
    gboolean in_time = TRUE;

    while (batch->unanswered && in_time)
        in_time = inv_long_wait_on(&qmp->changed, &qmp->lock, began, end);
    for (guint i = 0; i < n; i++) {
        g_hash_table_remove(qmp->pending, &requests[i].id);
        if (requests[i].reply || requests[i].error || *error)
            continue;
        if (qmp->lost)
            set_lost_error_locked(qmp, requests[i].command, error);
        else
            inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT, "QEMU did not answer '%s' within %u ms", requests[i].command,
                          deadline_ms);
    }
    return !*error;
}

gboolean
inv_qmp_call_many(InvQmp *qmp, const InvQmpCommand *commands, guint n, guint deadline_ms, InvJson **replies, GError **errors,
                  GError **error)
{
    g_autofree Request *requests = g_new0(Request, MAX(n, 1));
    Batch batch = { 0 };
    GError *failure = NULL;

    for (guint i = 0; i < n; i++) {
        replies[i] = NULL;
        if (errors)
            errors[i] = NULL;
    }
    if (n == 0)
        return TRUE;
    if (inv_io_thread_is_current(qmp->io))
        return inv_error_set(error, VIR_ERR_INTERNAL_ERROR, "'%s' was called on the I/O thread, which must not wait",
                             commands[0].command);
    g_mutex_lock(&qmp->lock);
    if (send_locked(qmp, commands, n, &batch, requests, &failure))
        wait_locked(qmp, &batch, requests, n, deadline_ms, &failure);
    g_mutex_unlock(&qmp->lock);

    for (guint i = 0; i < n; i++) {
        if (!failure)
            replies[i] = g_steal_pointer(&requests[i].reply);
        if (!failure && errors)
            errors[i] = g_steal_pointer(&requests[i].error);
        g_clear_pointer(&requests[i].reply, inv_json_free);
        g_clear_error(&requests[i].error);
    }
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}

static gboolean
call_one(InvQmp *qmp, const InvQmpCommand *call, guint deadline_ms, InvJson **reply, GError **error)
{
    g_autoptr(InvJson) answer = NULL;
    GError *refused = NULL;

    if (!inv_qmp_call_many(qmp, call, 1, deadline_ms, &answer, &refused, error))
        return FALSE;
    if (refused) {
        g_propagate_error(error, refused);
        return FALSE;
    }
    if (reply)
        *reply = g_steal_pointer(&answer);
    return TRUE;
}

guint64
inv_qmp_events(InvQmp *qmp)
{
    guint64 events;

    g_mutex_lock(&qmp->lock);
    events = qmp->events;
    g_mutex_unlock(&qmp->lock);
    return events;
}

gboolean
inv_qmp_wait_event(InvQmp *qmp, guint64 seen, guint deadline_ms)
{
    gint64 began = g_get_monotonic_time();
    gint64 end = began + (gint64)deadline_ms * G_TIME_SPAN_MILLISECOND;
    gboolean in_time = TRUE;
    gboolean more;

    g_mutex_lock(&qmp->lock);
    while (qmp->events == seen && !qmp->lost && in_time)
        in_time = inv_long_wait_on(&qmp->changed, &qmp->lock, began, end);
    more = qmp->events != seen;
    g_mutex_unlock(&qmp->lock);
    return more;
}

gboolean
inv_qmp_call(InvQmp *qmp, const char *command, const InvJson *arguments, guint deadline_ms, InvJson **reply, GError **error)
{
    const InvQmpCommand call = { .command = command, .arguments = arguments };

    return call_one(qmp, &call, deadline_ms, reply, error);
}

gboolean
inv_qmp_call_out_of_band(InvQmp *qmp, const char *command, const InvJson *arguments, guint deadline_ms, GError **error)
{
    const InvQmpCommand call = { .command = command, .arguments = arguments, .out_of_band = TRUE };

    return call_one(qmp, &call, deadline_ms, NULL, error);
}

/* Leaves negotiation mode. Where QEMU offers it, out of band: a QEMU that hangs on a page it waits for still takes those. */
static gboolean
negotiate(InvQmp *qmp, guint deadline_ms, GError **error)
{
    g_auto(GStrv) offered = inv_json_get_strv(inv_json_get(qmp->greeting, "QMP"), "capabilities");
    g_autoptr(InvJson) arguments = inv_json_new_object();
    const char *const wanted[] = { "oob", NULL };

    if (!g_strv_contains((const char *const *)offered, "oob"))
        return inv_qmp_call(qmp, "qmp_capabilities", NULL, deadline_ms, NULL, error);
    inv_json_object_set_strv(arguments, "enable", wanted);
    if (!inv_qmp_call(qmp, "qmp_capabilities", arguments, deadline_ms, NULL, error))
        return FALSE;
    qmp->out_of_band = TRUE;
    return TRUE;
}

static gboolean
wait_for_greeting(InvQmp *qmp, guint deadline_ms, GError **error)
{
    gint64 began = g_get_monotonic_time();
    gint64 end = began + (gint64)deadline_ms * G_TIME_SPAN_MILLISECOND;
    gboolean in_time = TRUE;
    gboolean ok = TRUE;

    g_mutex_lock(&qmp->lock);
    while (!qmp->greeting && !qmp->lost && in_time)
        in_time = inv_long_wait_on(&qmp->changed, &qmp->lock, began, end);
    if (!qmp->greeting && qmp->lost)
        ok = inv_error_set(error, VIR_ERR_OPERATION_FAILED, "QEMU did not greet: %s", qmp->lost->message);
    else if (!qmp->greeting)
        ok = inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT, "QEMU did not greet on its monitor within %u ms", deadline_ms);
    g_mutex_unlock(&qmp->lock);
    return ok;
}

InvQmp *
inv_qmp_new(InvIoThread *io, int fd, guint deadline_ms, InvQmpEvent event, InvQmpClosed closed, gpointer user_data, GError **error)
{
    g_autoptr(InvQmp) qmp = g_new0(InvQmp, 1);
    gint64 end = g_get_monotonic_time() + (gint64)deadline_ms * G_TIME_SPAN_MILLISECOND;

    g_atomic_ref_count_init(&qmp->refs);
    g_atomic_ref_count_init(&qmp->memory);
    qmp->io = io;
    qmp->event = event;
    qmp->closed = closed;
    qmp->user_data = user_data;
    qmp->unread = g_byte_array_new();
    qmp->unsent = g_byte_array_new();
    qmp->pending = g_hash_table_new(g_int64_hash, g_int64_equal);
    qmp->fd = fd;
    g_mutex_init(&qmp->lock);
    g_cond_init(&qmp->changed);
    inv_io_thread_call(io, start_reading, qmp);

    if (!wait_for_greeting(qmp, deadline_ms, error) ||
        !negotiate(qmp, (guint)MAX((end - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND, 1), error))
        return NULL;
    return g_steal_pointer(&qmp);
}

InvQmp *
inv_qmp_ref(InvQmp *qmp)
{
    g_atomic_ref_count_inc(&qmp->refs);
    return qmp;
}

void
inv_qmp_unref(InvQmp *qmp)
{
    if (!qmp || !g_atomic_ref_count_dec(&qmp->refs))
        return;
    inv_qmp_close(qmp);
    memory_unref(qmp);
}

static void
close_quietly(gpointer data)
{
    InvQmp *qmp = data;

    g_mutex_lock(&qmp->lock);
    end_locked(qmp, g_error_new(INV_ERROR, VIR_ERR_OPERATION_FAILED, "the monitor was closed"));
    g_mutex_unlock(&qmp->lock);
}

/* Also when the connection is lost already: a callback that is running must have ended before this returns. */
void
inv_qmp_close(InvQmp *qmp)
{
    inv_io_thread_call(qmp->io, close_quietly, qmp);
}

gboolean
inv_qmp_is_open(InvQmp *qmp)
{
    gboolean open;

    g_mutex_lock(&qmp->lock);
    open = !qmp->lost;
    g_mutex_unlock(&qmp->lock);
    return open;
}

const InvJson *
inv_qmp_greeting(const InvQmp *qmp)
{
    return qmp->greeting;
}
