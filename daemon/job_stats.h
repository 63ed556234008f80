/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"
#include "daemon/domain_job.h"
#include "rpc/typed_params.h"

G_BEGIN_DECLS

/* The figures of a job as VIR_DOMAIN_JOB_* parameters, which clients print by name. Owned by the caller. */
InvTypedParams *inv_job_stats_params(const InvJobFigures *figures);

/* The same in the few numbers of the older call. */
void inv_job_stats_fill_info(const InvJobFigures *figures, remote_domain_get_job_info_ret *info);

/* Sends clients the news of all long jobs from now on. */
void inv_job_stats_announce(InvDaemon *daemon);

G_END_DECLS
