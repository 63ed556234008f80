/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"
#include "rpc/invar_protocol.h"

G_BEGIN_DECLS

/* Our structs in the form of Invar's own program. What is filled is owned by the reply. */
void inv_wire_fill_verdict(invar_verdict *wire, const InvVerdict *verdict);
/* NULL for no record. */
invar_record *inv_wire_new_record(const InvCpuRecord *record);
void inv_wire_fill_revision(invar_revision *wire, const InvRevision *revision);
/* Copies of the first @count. */
char **inv_wire_new_strings(char *const *values, guint count);

/* The answers that are as long as the host is rich; they may probe. */
/* @flags: INVAR_EMULATORS_*, checked. */
gboolean inv_wire_list_emulators(InvDaemon *daemon, const char *path, unsigned int flags, invar_list_emulators_ret *reply,
                                 GError **error);
gboolean inv_wire_list_models(InvDaemon *daemon, const invar_list_models_args *wanted, invar_list_models_ret *reply,
                              GError **error);
gboolean inv_wire_explain(InvDaemon *daemon, const invar_explain_args *wanted, invar_explain_ret *reply, GError **error);

/* wire_host_cpu.c */
gboolean inv_wire_host_cpu(InvDaemon *daemon, const invar_host_cpu_args *wanted, invar_host_cpu_ret *reply, GError **error);

G_END_DECLS
