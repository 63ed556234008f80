/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/io_thread.h"

struct InvIoThread {
    GMainContext *context;
    GMainLoop *loop;
    GThread *thread;
};

static gpointer
run(gpointer data)
{
    InvIoThread *io = data;

    g_main_context_push_thread_default(io->context);
    g_main_loop_run(io->loop);
    g_main_context_pop_thread_default(io->context);
    return NULL;
}

InvIoThread *
inv_io_thread_new(void)
{
    InvIoThread *io = g_new0(InvIoThread, 1);

    io->context = g_main_context_new();
    io->loop = g_main_loop_new(io->context, FALSE);
    io->thread = g_thread_new("io", run, io);
    return io;
}

static void
quit(gpointer data)
{
    g_main_loop_quit(data);
}

void
inv_io_thread_free(InvIoThread *io)
{
    if (!io)
        return;
    /* Posted, not called: a loop that has not started yet would miss a plain quit. */
    inv_io_thread_post(io, quit, io->loop);
    g_thread_join(io->thread);
    g_main_loop_unref(io->loop);
    g_main_context_unref(io->context);
    g_free(io);
}

GMainContext *
inv_io_thread_context(InvIoThread *io)
{
    return io->context;
}

gboolean
inv_io_thread_is_current(InvIoThread *io)
{
    return g_thread_self() == io->thread;
}

typedef struct {
    GSourceOnceFunc function;
    gpointer data;
    GMutex lock;
    GCond done_cond;
    gboolean done; /* guarded by lock */
} Call;

static gboolean
post_dispatch(gpointer data)
{
    Call *call = data;

    call->function(call->data);
    return G_SOURCE_REMOVE;
}

void
inv_io_thread_post(InvIoThread *io, GSourceOnceFunc function, gpointer data)
{
    g_autoptr(GSource) source = g_idle_source_new();
    Call *call = g_new0(Call, 1);

    call->function = function;
    call->data = data;
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, post_dispatch, call, g_free);
    g_source_attach(source, io->context);
}

static void
call_dispatch(gpointer data)
{
    Call *call = data;

    call->function(call->data);
    g_mutex_lock(&call->lock);
    call->done = TRUE;
    g_cond_signal(&call->done_cond);
    g_mutex_unlock(&call->lock);
}

void
inv_io_thread_call(InvIoThread *io, GSourceOnceFunc function, gpointer data)
{
    Call call = { .function = function, .data = data };

    if (inv_io_thread_is_current(io)) {
        function(data);
        return;
    }
    g_mutex_init(&call.lock);
    g_cond_init(&call.done_cond);
    inv_io_thread_post(io, call_dispatch, &call);
    g_mutex_lock(&call.lock);
    while (!call.done)
        g_cond_wait(&call.done_cond, &call.lock);
    g_mutex_unlock(&call.lock);
    g_cond_clear(&call.done_cond);
    g_mutex_clear(&call.lock);
}
