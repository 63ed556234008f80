/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "rpc/program.h"
#include "util/io_thread.h"

#include <glib.h>
#include <sys/types.h>

G_BEGIN_DECLS

/*
 * The wire's server: framing, limits, dispatch, replies, events, keepalive, over UNIX and TCP
 * sockets. It knows nothing of domains. Sockets live on the I/O thread. A handler marked INV_RPC_INLINE runs
 * there and must not block; every other runs on a worker of the pool.
 */
typedef struct InvRpcServer InvRpcServer;
typedef struct InvRpcClient InvRpcClient; /* one connection, reference counted */

/*
 * @args points to the decoded argument struct, or NULL when the procedure has none; it is the
 * server's. @ret points to a zeroed result struct, or NULL; what the handler puts in it must be
 * malloc()ed (strdup, g_malloc), as it is freed by xdr_free(). FALSE: @error is set and sent.
 */
typedef gboolean (*InvRpcHandler)(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error);

/*
 * An answer that is at hand already: asked on the I/O thread before the handler, with the arguments
 * as they came, not decoded. A reference to the encoded result (inv_rpc_payload_encode()), which is
 * sent as it is, or NULL: the handler's turn. It must not block and sees no file descriptors.
 */
typedef GBytes *(*InvRpcReady)(InvRpcClient *client, guint32 procedure, const guint8 *args, gsize length, gpointer user_data);

typedef enum {
    INV_RPC_WORKER = 0,
    INV_RPC_INLINE = 1 << 0,      /* answered on the I/O thread, at once */
    INV_RPC_BEFORE_OPEN = 1 << 1, /* allowed before connect-open */
    INV_RPC_BEFORE_AUTH = 1 << 2, /* allowed before authentication */
    INV_RPC_READ = 1 << 3,        /* allowed on a read-only connection */
    INV_RPC_PRIORITY = 1 << 4,    /* may overtake: has workers of its own, is not counted among a client's open calls */
    INV_RPC_EVENTS_AT_ONCE = 1 << 5, /* lasts: what its handler tells its own client does not wait for its reply */
} InvRpcFlags;

/* What a quick handler says. */
typedef enum {
    INV_RPC_LATER,  /* nothing was done: the handler is to be asked */
    INV_RPC_DONE,   /* @ret is the answer */
    INV_RPC_FAILED, /* @error is */
} InvRpcOutcome;

/* Answers on the I/O thread, without blocking, what it can answer from memory; @args and @ret as for InvRpcHandler. */
typedef InvRpcOutcome (*InvRpcQuickHandler)(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data,
                                            GError **error);

typedef struct {
    guint32 procedure;
    InvRpcHandler handler;
    InvRpcFlags flags;
    /*
     * NULL, or asked before the handler: two changes of threads cost more than a short answer. Messages
     * beyond 1 MiB go to the handler at once, since their decoding alone would hold other clients up.
     */
    InvRpcQuickHandler quick;
    InvRpcReady ready; /* NULL: no answer is ever at hand; else asked before either */
} InvRpcMethod;

typedef struct {
    guint n_workers;           /* 0: 8; of those that work: one that says that it waits (util/long_wait.h) is not counted */
    guint n_priority_workers;  /* 0: 4 */
    guint max_clients;         /* 0: 5000 */
    guint max_client_requests; /* 0: 5, as libvirtd */
    guint keepalive_interval;  /* seconds, 0: 5 */
    guint keepalive_count;     /* 0: 5 */
    /*
     * Bytes of messages that may wait for a client that does not read; one more event and it is
     * closed. 0: 64 MiB, two of the largest messages, so that no single answer is the cause.
     */
    gsize max_queued;
    int error_domain;          /* virErrorDomain of what a handler reports, 0: VIR_FROM_QEMU */
    gboolean require_auth;     /* until inv_rpc_client_set_authenticated() only INV_RPC_BEFORE_AUTH is allowed */
    /*
     * Who may connect besides root: TRUE and a session's owner, or FALSE and whoever the socket's mode lets
     * in. Over TCP nobody knows who connects, and everybody may.
     */
    gboolean check_uid;
    uid_t allowed_uid;
} InvRpcServerOptions;

/* @options: copied; NULL: all zeros. */
InvRpcServer *inv_rpc_server_new(InvIoThread *io, const InvRpcServerOptions *options);
/* Closes listeners and clients and waits for handlers that run. Not on the I/O thread. */
void inv_rpc_server_free(InvRpcServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvRpcServer, inv_rpc_server_free)

/* Before listening. @methods (borrowed, lives as long as the server): what of @program's procedures is there; the others are "unknown procedure". */
void inv_rpc_server_add_program(InvRpcServer *server, const InvRpcProgram *program, const InvRpcMethod *methods, guint n_methods,
                                gpointer user_data);

/*
 * Takes the listening socket @fd over, a UNIX or a TCP one. @read_only: every connection on it is. Over
 * TCP no file descriptors can be passed: who sends some is closed, a reply with some becomes an error.
 */
void inv_rpc_server_listen(InvRpcServer *server, int fd, gboolean read_only);

/* On the I/O thread: a connection came, or is gone (its last callback). */
typedef void (*InvRpcClientChanged)(InvRpcClient *client, gpointer user_data);
void inv_rpc_server_set_client_callbacks(InvRpcServer *server, InvRpcClientChanged opened, InvRpcClientChanged closed,
                                         gpointer user_data);

InvRpcClient *inv_rpc_client_ref(InvRpcClient *client);
void inv_rpc_client_unref(InvRpcClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvRpcClient, inv_rpc_client_unref)

/* Whether the connection is a UNIX socket's. Over TCP the peer has no credentials: (uid_t)-1 and 0. */
gboolean inv_rpc_client_is_local(const InvRpcClient *client);
/* The peer's credentials (SO_PEERCRED). */
uid_t inv_rpc_client_uid(const InvRpcClient *client);
pid_t inv_rpc_client_pid(const InvRpcClient *client);
guint64 inv_rpc_client_number(const InvRpcClient *client);
gboolean inv_rpc_client_is_read_only(const InvRpcClient *client);
void inv_rpc_client_set_read_only(InvRpcClient *client);
/* Connect-open was answered: from now on every procedure is allowed. */
void inv_rpc_client_set_open(InvRpcClient *client, gboolean open);
gboolean inv_rpc_client_is_open(const InvRpcClient *client);
/* Only of meaning with require_auth. */
void inv_rpc_client_set_authenticated(InvRpcClient *client);
/* The client asked for keepalive (feature 10): start sending pings. */
void inv_rpc_client_start_keepalive(InvRpcClient *client);
/* Close the connection once the replies that are under way are sent. */
void inv_rpc_client_close_after_replies(InvRpcClient *client);

/* Data of the daemon's for this connection; @destroy runs with the last reference, on any thread. It must not hold a reference. */
void inv_rpc_client_set_data(InvRpcClient *client, gpointer data, GDestroyNotify destroy);
gpointer inv_rpc_client_get_data(const InvRpcClient *client);

/*
 * Sends an event message of @program. @encode(@data) is called at once, on the caller's thread. An
 * event posted by a handler for its own client (unless its method is INV_RPC_EVENTS_AT_ONCE), or by
 * anybody while a handler of this client runs that registers for events (its procedure's name has
 * EVENT and REGISTER in it), is sent after that handler's reply, and so are the client's other events
 * meanwhile: they keep their order. A client that is not open gets none. From any thread.
 */
void inv_rpc_client_send_event(InvRpcClient *client, const InvRpcProgram *program, guint32 procedure, xdrproc_t encode,
                               gpointer data);

/*
 * For the handler that runs on this thread, of @client's. File descriptors that came with the call:
 * the @index-th is the caller's from now on; -1: there is none, or it was taken before. Those that
 * are not taken are closed after the call.
 */
guint inv_rpc_call_n_fds(InvRpcClient *client);
int inv_rpc_call_take_fd(InvRpcClient *client, guint index);
/* Sends @fd, which is taken over, with the reply, which becomes one with file descriptors. At most 32. */
void inv_rpc_call_add_fd(InvRpcClient *client, int fd);

/* On the I/O thread, once: the stream is over. @error NULL: the client has finished it, all its data is written; else what went wrong. */
typedef void (*InvRpcStreamDone)(const GError *error, gpointer user_data);

/*
 * For the handler that runs on this thread, of @client's: behind its reply the call becomes a stream.
 * @from_client: the client's packets are written to @fd; while 16 MiB of the connection's packets wait,
 * nothing more is read from it. @to_client: what @fd gives is sent to the client, no faster than it
 * reads; at its end the client is told, and is to finish. At least one of both. @fd is a socket or a
 * pipe; it is taken over, and closed when the stream is over. @done comes exactly once, also when the
 * handler fails later, or the client is gone already: finished, aborted by the client, connection or
 * @fd broken, a packet that does not belong there. It must not block. Late packets are dropped.
 *
 * FALSE: neither is taken over. VIR_ERR_OPERATION_FAILED: the connection has 64 streams already, or
 * this call one. A message of libvirt's that describes a hole is not understood: it ends the stream.
 */
gboolean inv_rpc_call_open_stream(InvRpcClient *client, int fd, gboolean from_client, gboolean to_client, InvRpcStreamDone done,
                                  gpointer user_data, GError **error);

G_END_DECLS
