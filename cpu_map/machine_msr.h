/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The first CPU's; the kernel's driver msr makes it (msr(4)), and only root may open it. */
#define INV_MACHINE_MSRS_PATH "/dev/cpu/0/msr"

/*
 * Model-specific registers of this machine, which no program can read by itself.
 */
typedef struct InvMachineMsrs InvMachineMsrs;

/* NULL: there is no such file, or it may not be read. That is how it mostly is, and no error. */
InvMachineMsrs *inv_machine_msrs_open(const char *path);
void inv_machine_msrs_close(InvMachineMsrs *msrs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvMachineMsrs, inv_machine_msrs_close)

/* FALSE: the processor has no such register, or the kernel does not let it be read. */
gboolean inv_machine_msrs_read(InvMachineMsrs *msrs, guint32 index, guint64 *value);

G_END_DECLS
