/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/cpu_subject.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * What any number of CPUs have in common, whoever works it out: Invar's own algebra, or QEMU on
 * architectures of which it alone knows the models (s390x). Between two calls only what is common
 * is kept. Not safe from several threads at once; all calls may wait for a QEMU.
 */
typedef struct InvCpuCommon InvCpuCommon;

/* VIR_ERR_NO_SUPPORT: the features of this architecture cannot be compared. */
InvCpuCommon *inv_cpu_common_new(InvDaemon *daemon, InvCpuSubject *subject, GError **error);
void inv_cpu_common_free(InvCpuCommon *common);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuCommon, inv_cpu_common_free)

/*
 * Adds @n <cpu> documents. The first that cannot be taken ends it, with "CPU <its number>: " before
 * the reason; those before it are in. @keep: the documents are likely to come again.
 */
gboolean inv_cpu_common_add(InvCpuCommon *common, char *const *documents, guint n, gboolean keep, GError **error);
guint64 inv_cpu_common_count(const InvCpuCommon *common);

/* The <cpu> as text, owned by the caller. @flags: virConnectBaselineCPUFlags, others are VIR_ERR_INVALID_ARG, as is a baseline of nothing. */
char *inv_cpu_common_result(const InvCpuCommon *common, unsigned int flags, GError **error);

/* inv_cpu_common_add() and _result() of documents that were all met before, without waiting; NULL without an error else. */
char *inv_cpu_common_of_known(InvCpuSubject *subject, char *const *documents, guint n, unsigned int flags);

G_END_DECLS
