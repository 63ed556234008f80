/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/cli.h"
#include "cpu_driver/migration_check.h"

#include <glib.h>

G_BEGIN_DECLS

/* Which domains can move to which hosts. */

typedef struct {
    InvMigrationSubject *subject;
    char *text; /* its document, as a daemon is sent it */
} InvFleetDomain;

typedef struct {
    char *where;                     /* the destination as it was given: a file or a URI */
    GError *error;                   /* it could not be asked at all; else NULL */
    InvMigrationVerdict **verdicts;  /* one for each domain; NULL where `errors` says why not */
    GError **errors;
} InvFleetHost;

typedef struct {
    GPtrArray *domains; /* of InvFleetDomain */
    GPtrArray *hosts;   /* of InvFleetHost, in the order in which they were given */
} InvFleet;

void inv_fleet_free(InvFleet *fleet);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvFleet, inv_fleet_free)

/*
 * The domains that @word means: a file (made by domain-export, or a domain's XML), else a domain of the
 * daemon; NULL: all of the daemon's. NULL with an error.
 */
GPtrArray *inv_fleet_read_domains(InvCli *cli, const char *word, GError **error);

/*
 * Asks every destination about every domain, several at once. Takes @domains over. A destination is a URI, a
 * socket, a file made by host-export, or a folder of such files; one that fails has its error and spoils no
 * other. Never NULL.
 */
InvFleet *inv_fleet_check(InvCli *cli, GPtrArray *domains, const char *const *destinations);

/* What a host is called: by itself where it says so, else as it was given. Borrowed. */
const char *inv_fleet_host_name(const InvFleetHost *host);

typedef enum { INV_FLEET_CAN, INV_FLEET_WITH, INV_FLEET_CANNOT, INV_FLEET_UNKNOWN } InvFleetAnswer;
InvFleetAnswer inv_fleet_answer(const InvFleetHost *host, guint domain);
/* Why UNKNOWN. Borrowed. */
const GError *inv_fleet_error(const InvFleetHost *host, guint domain);
/* How many of the answers about @domain are which, by InvFleetAnswer. */
void inv_fleet_count(const InvFleet *fleet, guint domain, guint counts[INV_FLEET_UNKNOWN + 1]);

/* As invar(1) says. */
int inv_fleet_exit(const InvFleet *fleet);

/* fleet_view.c: for a terminal of @width columns, and for programs. */
char *inv_fleet_text(const InvCli *cli, const InvFleet *fleet, guint width);
InvJson *inv_fleet_json(const InvFleet *fleet);

/* fleet_page.c: one HTML document that needs nothing beside itself. @now: seconds since 1970. Owned by the caller. */
char *inv_fleet_page(const InvFleet *fleet, gint64 now);

G_END_DECLS
