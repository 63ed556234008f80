/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a migration goes: from a client's URI to QEMU's notation. */
#include "qemu/migration.h"

#include "util/error.h"
#include "util/fd.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define MAX_HOST 255

static gboolean
refuse(const char *uri, const char *why, GError **error)
{
    /* The text is a stranger's: enough of it to be known again. */
    g_autofree char *valid = g_utf8_make_valid(uri, (gssize)strnlen(uri, MAX_HOST));

    return inv_error_set(error, VIR_ERR_INVALID_ARG, "migration URI '%s': %s", valid, why);
}

/* In QEMU's notation a comma begins options. An IPv6 address may have a zone behind '%'. */
static gboolean
is_host(const char *host, gboolean brackets)
{
    gsize length = strlen(host);

    if (length == 0 || length > MAX_HOST || *host == '-')
        return FALSE;
    for (const char *p = host; *p; p++) {
        if (!g_ascii_isalnum(*p) && !strchr("-._", *p) && !(brackets && strchr(":%", *p)))
            return FALSE;
    }
    return !brackets || strchr(host, ':') != NULL;
}

static gboolean
parse_port(const char *uri, const char *text, guint *port, GError **error)
{
    guint64 number = 0;

    if (!g_ascii_string_to_unsigned(text, 10, 1, 65535, &number, NULL))
        return refuse(uri, "the port must be a number from 1 to 65535", error);
    *port = (guint)number;
    return TRUE;
}

static gboolean
parse_tcp(const char *uri, const char *rest, char **host, guint *port, GError **error)
{
    gboolean brackets = *rest == '[';
    const char *begin = rest + brackets;
    const char *end = brackets ? strchr(begin, ']') : begin + strcspn(begin, ":");
    const char *behind;
    g_autofree char *name = NULL;

    if (!end)
        return refuse(uri, "the bracket of the IPv6 address is not closed", error);
    name = g_strndup(begin, (gsize)(end - begin));
    behind = end + brackets;
    if (!is_host(name, brackets))
        return refuse(uri, brackets ? "there is no IPv6 address between the brackets"
                                    : "the host must be a name, an IPv4 address, or an IPv6 address in brackets", error);
    if (*behind == ':' && !parse_port(uri, behind + 1, port, error))
        return FALSE;
    if (*behind && *behind != ':')
        return refuse(uri, "only a port may follow the host", error);
    *host = g_steal_pointer(&name);
    return TRUE;
}

static gboolean
parse_unix(const char *uri, const char *rest, char **path, GError **error)
{
    if (*rest != '/')
        return refuse(uri, "the path of the socket must be absolute", error);
    if (strlen(rest) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return refuse(uri, "the path of the socket is too long", error);
    *path = g_strdup(rest);
    return TRUE;
}

/* "//host:port/" → "host:port", "///path" → "/path", what is percent-encoded decoded; else as it is. NULL: cannot be. */
static char *
without_slashes(const char *rest, gboolean is_path)
{
    g_autofree char *part = NULL;
    gsize length;

    if (!g_str_has_prefix(rest, "//"))
        return g_strdup(rest);
    part = g_strdup(rest + 2);
    length = strlen(part);
    if (!is_path && length && part[length - 1] == '/')
        part[length - 1] = '\0';
    return g_uri_unescape_string(part, NULL);
}

gboolean
inv_migration_uri_parse(const char *uri, char **host, guint *port, char **path, GError **error)
{
    gboolean tcp = g_str_has_prefix(uri, "tcp:");
    g_autofree char *rest = NULL;

    *host = NULL;
    *path = NULL;
    *port = 0;
    if (!tcp && !g_str_has_prefix(uri, "unix:"))
        return refuse(uri, "only tcp:host:port and unix:/path are supported by Invar", error);
    rest = without_slashes(strchr(uri, ':') + 1, !tcp);
    if (!rest)
        return refuse(uri, "its percent-encoding is broken", error);
    return tcp ? parse_tcp(uri, rest, host, port, error) : parse_unix(uri, rest, path, error);
}

char *
inv_migration_address_tcp(const char *host, guint port)
{
    return strchr(host, ':') ? g_strdup_printf("tcp:[%s]:%u", host, port) : g_strdup_printf("tcp:%s:%u", host, port);
}

/* With the options that QEMU listens with, so that the kernel has the same answer. */
static gboolean
can_listen(const struct addrinfo *at)
{
    inv_autofd int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    const int off = 0;

    if (fd < 0)
        return TRUE;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (at->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    return (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, 1) == 0) || errno != EADDRINUSE;
}

gboolean
inv_migration_address_in_use(const char *address)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    g_autofree char *host = NULL;
    g_autofree char *path = NULL;
    g_autofree char *service = NULL;
    gboolean in_use = FALSE;
    guint port;

    if (!inv_migration_uri_parse(address, &host, &port, &path, NULL) || !host || !port)
        return FALSE;
    service = g_strdup_printf("%u", port);
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return FALSE;
    for (const struct addrinfo *at = found; at && !in_use; at = at->ai_next)
        in_use = !can_listen(at);
    freeaddrinfo(found);
    return in_use;
}
