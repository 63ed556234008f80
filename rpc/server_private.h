/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "rpc/frame.h"
#include "rpc/server.h"
#include "rpc/workers.h"

#include <libvirt/virterror.h>

G_BEGIN_DECLS

/* What of a program the server answers. Immutable once the server listens. */
typedef struct {
    const InvRpcProgram *program;
    GHashTable *methods; /* procedure number → const InvRpcMethod * (borrowed) */
    gpointer user_data;
} InvRpcService;

typedef struct {
    InvRpcServer *server; /* borrowed */
    int fd;
    gboolean read_only;
    GSource *source; /* NULL: pausing */
    GSource *retry;  /* ends a pause */
} InvRpcListener;

struct InvRpcServer {
    InvIoThread *io; /* borrowed */
    InvRpcServerOptions options; /* without zeros */
    GPtrArray *services;  /* immutable once the server listens */
    GPtrArray *listeners; /* I/O thread only, as all that follows */
    GHashTable *clients;  /* those that are connected; owns a reference to each */
    guint64 last_number;
    GSource *linger; /* may be NULL */
    gboolean full; /* it was said that no client can come */
    gboolean ending;
    InvRpcClientChanged opened;
    InvRpcClientChanged closed;
    gpointer changed_data;
    InvRpcWorkers *workers;
    InvRpcWorkers *priority_workers;
};

/* A message that waits to be sent. */
typedef struct {
    GBytes *bytes;
    gsize sent;
    GArray *fds; /* int, owned; sent one by one behind the bytes; NULL: none */
    guint fds_sent;
} InvRpcOutgoing;

typedef struct InvRpcStream InvRpcStream; /* stream.c */

/* A call under way. Owned by whoever runs it. */
typedef struct {
    InvRpcClient *client; /* a reference */
    const InvRpcService *service;
    const InvRpcProcedure *procedure;
    const InvRpcMethod *method;
    InvRpcHeader header;
    GBytes *frame;
    gpointer args;     /* decoded by a quick handler's turn; else NULL */
    GArray *fds;       /* int, -1: taken; those that came with the call; NULL: none */
    GArray *reply_fds; /* int; NULL: none */
    InvRpcStream *stream; /* opens with the reply; NULL: none */
    gboolean holds_events; /* guarded by the client's lock */
} InvRpcCall;

struct InvRpcClient {
    gatomicrefcount references;
    /* Immutable. The server is only for the I/O thread and for running calls: it outlives both. */
    InvRpcServer *server;
    InvIoThread *io;
    gsize max_queued;
    gboolean is_local; /* a UNIX socket: only then the next two are known */
    uid_t uid;
    pid_t pid;
    char *peer;        /* for messages: "process 17 of user 0", "10.0.0.2 port 40112" */
    guint64 number;

    /* Atomic. */
    gint read_only;
    gint open;
    gint authenticated;

    /* I/O thread only. */
    int fd;
    GSource *source;
    gpointer tag;
    GIOCondition polled;
    InvRpcReader reader;
    GBytes *frame;  /* complete, but file descriptors are to come */
    guint fds_due;
    GArray *fds;    /* int, owned */
    GSource *keepalive;
    guint missed;   /* keepalive intervals without a sign of life */
    gsize stream_bytes; /* of packets that wait for their streams' descriptors */
    gint64 answered; /* when calls of this client were last answered on the I/O thread */
    gboolean heard; /* a sign of life came in this interval */

    GMutex lock;
    /* Guarded by lock. */
    gboolean closed;
    gboolean closing;     /* nothing more is read; closed when all is answered */
    gboolean overflowed;  /* an event had no room: to be closed */
    gboolean flush_posted;
    GQueue outgoing;      /* InvRpcOutgoing * */
    gsize queued;         /* bytes in outgoing and held */
    GQueue held;          /* InvRpcOutgoing *: events that must not overtake a reply */
    guint holders;        /* calls which hold events */
    guint calls;          /* under way, but not priority ones */
    guint priority_calls;
    GQueue streams;       /* InvRpcStream *, owned; those whose reply is queued */
    guint n_streams;      /* those, and those that are about to be */
    gpointer data;
    GDestroyNotify data_destroy;
};

void inv_rpc_outgoing_free(InvRpcOutgoing *outgoing);
void inv_rpc_close_fds(GArray *fds);

/* connection.c. On the I/O thread. @fd is taken over; NULL: the peer's credentials cannot be had. */
InvRpcClient *inv_rpc_client_new(InvRpcServer *server, int fd, gboolean read_only, GError **error);
/* Starts reading. */
void inv_rpc_client_attach(InvRpcClient *client);
/* On the I/O thread: ends the connection; twice is harmless. */
void inv_rpc_client_close(InvRpcClient *client);
/* On the I/O thread: sends what can be sent, reads on if it may, closes if it is time. */
void inv_rpc_client_flush(InvRpcClient *client);
/* From any thread: a flush soon. */
void inv_rpc_client_post_flush(InvRpcClient *client);
/* From any thread: takes the message over and puts it behind the others. No flush. */
void inv_rpc_client_queue_locked(InvRpcClient *client, GBytes *message, GArray *fds);
/* Whether the server deliberately does not read. On the I/O thread. */
gboolean inv_rpc_client_is_paused(InvRpcClient *client);

/* Whether so much waits to be sent that nothing more is to be produced. On any thread. */
gboolean inv_rpc_client_has_much_queued(InvRpcClient *client);

/* stream.c. On the thread of the call's handler; takes @fd over unless it fails. */
InvRpcStream *inv_rpc_stream_new(InvRpcCall *call, int fd, gboolean from_client, gboolean to_client, InvRpcStreamDone done,
                                 gpointer user_data, GError **error);
/* The reply follows: packets may come from now on. */
void inv_rpc_stream_open_locked(InvRpcStream *stream);
/* Instead: there is no reply, or nobody to send it to. */
void inv_rpc_stream_drop(InvRpcStream *stream);
/* On the I/O thread: a packet of a stream's, or of none. No flush. */
void inv_rpc_stream_receive(InvRpcClient *client, const InvRpcHeader *header, GBytes *frame);
/* On the I/O thread: there may be room for more packets to the client. */
void inv_rpc_streams_flushed(InvRpcClient *client);
/* On the I/O thread: the connection is gone. */
void inv_rpc_streams_close(InvRpcClient *client);

/* keepalive.c. On the I/O thread. TRUE: the frame was keepalive's. */
gboolean inv_rpc_keepalive_receive(InvRpcClient *client, const InvRpcHeader *header);
void inv_rpc_keepalive_stop(InvRpcClient *client);

/* linger.c. NULL: it is of no use on this machine. */
GSource *inv_rpc_linger_new(GMainContext *context);
/* On the I/O thread: a client's calls were answered at once; *@answered is when that last was so, and is brought up to date. */
void inv_rpc_linger_answered(GSource *source, gint64 *answered);

/* dispatch.c. On the I/O thread: takes a complete frame and its file descriptors over. */
void inv_rpc_dispatch(InvRpcClient *client, GBytes *frame, GArray *fds);
/* The message of @type that carries an error, for the call or stream of @header. Never NULL: it is well within all limits. */
GBytes *inv_rpc_error_message(const InvRpcHeader *header, guint32 type, virErrorNumber code, int domain, const char *text);
/* What a worker does with a call. Frees it. */
void inv_rpc_call_run(InvRpcCall *call);

/* server.c. On the I/O thread: the connection is gone. */
void inv_rpc_server_forget(InvRpcServer *server, InvRpcClient *client);
const InvRpcService *inv_rpc_server_find(InvRpcServer *server, guint32 program, guint32 version);

G_END_DECLS
