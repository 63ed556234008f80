/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/domain_job.h"
#include "daemon/migration_cookie.h"

G_BEGIN_DECLS

/*
 * The figures of a migration on their way between its two sides: the source counts what it sends, the
 * destination alone knows when the guest runs again. Both cookies carry them by names, and both sides
 * show the same in the end. They only inform: a cookie that cannot be read costs the figures alone.
 *
 * Times add up from what each side measures by its own clock. What lies between, the network, is the
 * difference of the two hosts' real times; where that is no likely delay their clocks disagree, and it
 * is left out.
 */

/*
 * Perform's cookie: the job of @vm as it stands. @stopped_us: monotonic, when this migration stopped the guest;
 * 0: it did not.
 */
void inv_migration_figures_tell(InvVm *vm, gint64 stopped_us, InvMigrationCookie *mine);

/*
 * Finish: the source's cookie (@cookie, @length) makes the last job of @vm, and fills in @mine for Confirm. Monotonic times:
 * @asked_us: when Finish came; @ran_us: when the guest ran here.
 */
void inv_migration_figures_finish(InvVm *vm, const char *cookie, gsize length, gint64 asked_us, gint64 ran_us,
                                  InvMigrationCookie *mine);

/* Confirm: the destination's times become those of the job of @vm, which runs still. */
void inv_migration_figures_confirm(InvVm *vm, const char *cookie, gsize length);

G_END_DECLS
