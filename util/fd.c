/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/fd.h"

#include "util/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_BACKLOG 128

void
inv_fd_close(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = saved;
}

int
inv_fd_steal(int *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

gboolean
inv_file_read(const char *path, gsize limit, char **text, gsize *length, GError **error)
{
    inv_autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    guint8 chunk[16384];

    if (fd < 0)
        return inv_error_set_errno(error, errno, "cannot open '%s'", path);
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof(chunk));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return inv_error_set_errno(error, errno, "cannot read '%s'", path);
        if (got == 0)
            break;
        if (bytes->len + (gsize)got > limit)
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "'%s' is larger than the limit of %" G_GSIZE_FORMAT " bytes",
                                 path, limit);
        g_byte_array_append(bytes, chunk, (guint)got);
    }
    g_byte_array_append(bytes, (const guint8 *)"", 1);
    if (length)
        *length = bytes->len - 1;
    *text = (char *)g_byte_array_free(g_steal_pointer(&bytes), FALSE);
    return TRUE;
}

static gboolean
unix_address(const char *path, struct sockaddr_un *address, GError **error)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof(address->sun_path))
        return inv_error_set(error, VIR_ERR_INVALID_ARG,
                             "the socket path '%s' is longer than the %zu bytes that the kernel allows: use a shorter folder",
                             path, sizeof(address->sun_path) - 1);
    memcpy(address->sun_path, path, strlen(path));
    return TRUE;
}

int
inv_unix_listen(const char *path, int mode, GError **error)
{
    struct sockaddr_un address;
    inv_autofd int fd = -1;

    if (!unix_address(path, &address, error))
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        inv_error_set_errno(error, errno, "cannot make a socket");
        return -1;
    }
    unlink(path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || chmod(path, (mode_t)mode) < 0 ||
        listen(fd, LISTEN_BACKLOG) < 0) {
        inv_error_set_errno(error, errno, "cannot listen on '%s'", path);
        return -1;
    }
    return inv_fd_steal(&fd);
}

int
inv_unix_connect(const char *path, GError **error)
{
    struct sockaddr_un address;
    inv_autofd int fd = -1;

    if (!unix_address(path, &address, error))
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        inv_error_set_errno(error, errno, "cannot connect to '%s'", path);
        return -1;
    }
    return inv_fd_steal(&fd);
}
