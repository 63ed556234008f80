/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/migration_cut.h"

#include "util/fd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static guint
peer_port(int fd)
{
    struct sockaddr_storage address = { 0 };
    socklen_t length = sizeof(address);

    if (getpeername(fd, (struct sockaddr *)&address, &length) < 0)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)(gconstpointer)&address)->sin_port);
    return address.ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)(gconstpointer)&address)->sin6_port) : 0;
}

guint
inv_migration_cut(pid_t pid, guint port)
{
    inv_autofd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    g_autofree char *path = g_strdup_printf("/proc/%ld/fd", (long)pid);
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    const char *name;
    guint n = 0;

    while (pidfd >= 0 && port && folder && (name = g_dir_read_name(folder))) {
        g_autofree char *link = g_build_filename(path, name, NULL);
        g_autofree char *target = g_file_read_link(link, NULL);
        inv_autofd int fd = -1;

        if (!target || !g_str_has_prefix(target, "socket:"))
            continue;
        fd = (int)syscall(SYS_pidfd_getfd, pidfd, (int)g_ascii_strtoll(name, NULL, 10), 0);
        if (fd >= 0 && peer_port(fd) == port && shutdown(fd, SHUT_RDWR) == 0)
            n++;
    }
    return n;
}
