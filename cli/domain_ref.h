/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/cli.h"
#include "rpc/autoclean.h"
#include "rpc/remote_protocol.h"

#include <glib.h>
#include <libvirt/libvirt.h>

G_BEGIN_DECLS

INV_RPC_AUTOCLEAN(remote_nonnull_domain)

#define INV_UUID_TEXT_SIZE VIR_UUID_STRING_BUFLEN

/* By what a command accepts a domain. */
typedef enum {
    INV_BY_ID = 1 << 0,
    INV_BY_UUID = 1 << 1,
    INV_BY_NAME = 1 << 2,
    INV_BY_ANY = INV_BY_ID | INV_BY_UUID | INV_BY_NAME,
} InvDomainBy;

/*
 * Looks @text up as virsh does: as an id when it is a number, as a uuid when it is one, then as a
 * name. Fills *@domain, which must be zeroed and is the caller's (g_auto(remote_nonnull_domain)).
 * When there is none, the error is the last lookup's and the headline is virsh's.
 */
gboolean inv_domain_find(InvCli *cli, const char *text, InvDomainBy by, remote_nonnull_domain *domain, GError **error);

/* The domain that the option "domain" names. */
gboolean inv_domain_of(InvCli *cli, const InvArgs *args, remote_nonnull_domain *domain, GError **error);

void inv_domain_uuid_format(const char uuid[VIR_UUID_BUFLEN], char text[INV_UUID_TEXT_SIZE]);
/* With or without dashes. */
gboolean inv_domain_uuid_parse(const char *text, char uuid[VIR_UUID_BUFLEN]);

/* "running", "shut off", … and "booted", "destroyed", …: virsh's words; "unknown" or "no state" for what is not known. */
const char *inv_domain_state_text(int state);
const char *inv_domain_reason_text(int state, int reason);

gboolean inv_domain_state(InvCli *cli, const remote_nonnull_domain *domain, int *state, int *reason, GError **error);
/* @flags: VIR_DOMAIN_XML_…. NULL on error; owned by the caller, g_free(). */
char *inv_domain_xml(InvCli *cli, const remote_nonnull_domain *domain, guint flags, GError **error);

/* All domains (@flags: VIR_CONNECT_LIST_DOMAINS_…), active ones by id first, then the others by name. */
INV_RPC_AUTOCLEAN(remote_connect_list_all_domains_ret)
gboolean inv_domain_list(InvCli *cli, guint flags, remote_connect_list_all_domains_ret *list, GError **error);

G_END_DECLS
