/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "xml/cpu.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * The daemon's configuration: a GKeyFile, every key of which is documented in invard.conf beside
 * this file. A group or key that is not known is an error, so that a typo does not pass unseen.
 */
typedef struct {
    GLogLevelFlags log_level;
    char *socket_group;       /* NULL: the socket is its owner's alone */
    char **listen_tcp;        /* "ADDRESS[:PORT]", inv_rpc_address_parse(); NULL: UNIX sockets alone */
    char *host_uuid;          /* lower case; NULL: the machine's */
    guint max_clients;
    guint max_client_requests;
    guint workers;
    guint priority_workers;
    guint keepalive_interval; /* seconds, 0: off */
    guint keepalive_count;
    InvCpuModelCheck default_check;
    char **emulator_folders;  /* NULL: the built-in search path */
    char **emulator_binaries; /* or NULL */
    char *qemu_user;          /* NULL: the daemon's choice */
    char *qemu_group;
    guint start_timeout;      /* seconds */
    guint probe_timeout;      /* seconds */
    guint autostart_parallel;
} InvConfig;

/* Built-in defaults. */
InvConfig *inv_config_new(void);
void inv_config_free(InvConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvConfig, inv_config_free)

/*
 * Reads @path over the defaults. @must_exist FALSE: an absent file gives the defaults. Errors
 * (VIR_ERR_CONF_SYNTAX) name file, group, key, value and what would be right.
 */
InvConfig *inv_config_load(const char *path, gboolean must_exist, GError **error);

/*
 * What the configuration names and this host has not, one sentence each, NULL-terminated: no reason
 * not to serve. Owned by the caller.
 */
char **inv_config_missing(const InvConfig *config);

G_END_DECLS
