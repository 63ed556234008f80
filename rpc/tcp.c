/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "rpc/transport.h"

#include "util/error.h"
#include "util/fd.h"

#include <errno.h>
#include <glib-unix.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define LISTEN_BACKLOG 128

/* A look-up that a name server may keep waiting for longer than we wait: whoever is last frees it. */
typedef struct {
    gatomicrefcount references;
    GMutex lock;
    GCond done_changed;
    gboolean done; /* guarded by lock, as the next three */
    int status;    /* getaddrinfo()'s */
    int failed;    /* errno, for EAI_SYSTEM */
    struct addrinfo *found;
    char *host;    /* immutable */
    char *port;
} Lookup;

static void
lookup_unref(Lookup *lookup)
{
    if (!g_atomic_ref_count_dec(&lookup->references))
        return;
    if (lookup->found)
        freeaddrinfo(lookup->found);
    g_mutex_clear(&lookup->lock);
    g_cond_clear(&lookup->done_changed);
    g_free(lookup->host);
    g_free(lookup->port);
    g_free(lookup);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Lookup, lookup_unref)

static gpointer
look_up(gpointer data)
{
    g_autoptr(Lookup) lookup = data;
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    int status = getaddrinfo(lookup->host, lookup->port, &hints, &found);
    int failed = errno;

    g_mutex_lock(&lookup->lock);
    lookup->status = status;
    lookup->failed = failed;
    lookup->found = found;
    lookup->done = TRUE;
    g_cond_broadcast(&lookup->done_changed);
    g_mutex_unlock(&lookup->lock);
    return NULL;
}

/* FALSE: the time was over. */
static gboolean
lookup_wait(Lookup *lookup, gint64 deadline)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&lookup->lock);

    while (!lookup->done) {
        if (!g_cond_wait_until(&lookup->done_changed, &lookup->lock, deadline))
            return lookup->done;
    }
    return TRUE;
}

static Lookup *
lookup_start(const char *host, guint port, GError **error)
{
    g_autoptr(Lookup) lookup = g_new0(Lookup, 1);
    GThread *thread;

    g_atomic_ref_count_init(&lookup->references);
    g_mutex_init(&lookup->lock);
    g_cond_init(&lookup->done_changed);
    lookup->host = g_strdup(host);
    lookup->port = g_strdup_printf("%u", port);
    g_atomic_ref_count_inc(&lookup->references);
    thread = g_thread_try_new("lookup", look_up, lookup, error);
    if (!thread) {
        lookup_unref(lookup);
        return NULL;
    }
    g_thread_unref(thread);
    return g_steal_pointer(&lookup);
}

/* 0, or an errno. */
static int
finish_connect(int fd, gint64 deadline)
{
    struct pollfd fds[] = { { .fd = fd, .events = POLLOUT }, { .fd = inv_rpc_end_fd(), .events = POLLIN } };
    int failed = 0;
    socklen_t size = sizeof(failed);

    for (;;) {
        gint64 left = (deadline - g_get_monotonic_time() + 999) / 1000;
        int ready = poll(fds, G_N_ELEMENTS(fds), (int)CLAMP(left, 0, G_MAXINT));

        if (ready > 0 && fds[1].revents)
            return ECANCELED;
        if (ready > 0)
            break;
        if (ready == 0)
            return ETIMEDOUT;
        if (errno != EINTR)
            return errno;
    }
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) < 0 ? errno : failed;
}

/* A connected socket, or -1 and *@failed. */
static int
connect_address(const struct addrinfo *address, gint64 deadline, int *failed)
{
    inv_autofd int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        *failed = errno;
        return -1;
    }
    *failed = connect(fd, address->ai_addr, address->ai_addrlen) < 0 ? errno : 0;
    if (*failed == EINPROGRESS || *failed == EINTR)
        *failed = finish_connect(fd, deadline);
    return *failed ? -1 : inv_fd_steal(&fd);
}

int
inv_rpc_tcp_connect(const char *host, guint port, gint64 deadline, GError **error)
{
    g_autoptr(Lookup) lookup = lookup_start(host, port, error);
    int failed = EADDRNOTAVAIL;

    if (!lookup)
        return -1;
    if (!lookup_wait(lookup, deadline)) {
        inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT, "cannot connect to invard at host '%s': its name was not looked up in time", host);
        return -1;
    }
    if (lookup->status) {
        inv_error_set(error, VIR_ERR_SYSTEM_ERROR, "cannot connect to invard at host '%s': %s", host,
                      lookup->status == EAI_SYSTEM ? g_strerror(lookup->failed) : gai_strerror(lookup->status));
        return -1;
    }
    for (const struct addrinfo *each = lookup->found; each; each = each->ai_next) {
        int fd = connect_address(each, deadline, &failed);

        if (fd >= 0)
            return fd;
    }
    if (failed == ETIMEDOUT)
        inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT, "cannot connect to invard at host '%s', port %u: nobody answers there", host, port);
    else
        inv_error_set(error, VIR_ERR_SYSTEM_ERROR, "cannot connect to invard at host '%s', port %u: %s. Is invard running there, with "
                      "listen_tcp in its configuration?", host, port, g_strerror(failed));
    return -1;
}

int
inv_rpc_tcp_listen(const char *text, GError **error)
{
    g_autofree char *address = NULL;
    g_autofree char *service = NULL;
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE };
    struct addrinfo *found = NULL;
    inv_autofd int fd = -1;
    const int on = 1;
    gboolean done;
    guint port;

    if (!inv_rpc_address_parse(text, &address, &port, error))
        return -1;
    service = g_strdup_printf("%u", port);
    if (getaddrinfo(address, service, &hints, &found) != 0) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "'%s' is no address of this host", text);
        return -1;
    }
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* A daemon that is started anew must not wait for the connections of the last one to be forgotten. */
    done = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
           (found->ai_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0) &&
           bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, LISTEN_BACKLOG) == 0;
    if (!done)
        inv_error_set_errno(error, errno, "cannot listen on '%s'", text);
    freeaddrinfo(found);
    return done ? inv_fd_steal(&fd) : -1;
}

void
inv_rpc_tcp_prepare(int fd, guint interval_s, guint count)
{
    const int on = 1, idle = (int)CLAMP(interval_s, 1, 32767), probes = (int)CLAMP(count, 1, 127);
    const guint patience_ms = (guint)idle * (guint)(probes + 1) * 1000;

    /* None of these decides whether the connection works. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
    /* The probes are for silence: what is on its way, and nobody confirms, would be sent again for a quarter of an hour. */
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof(patience_ms));
}
