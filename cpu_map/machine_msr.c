/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_map/machine_msr.h"

#include <fcntl.h>
#include <unistd.h>

struct InvMachineMsrs {
    int fd;
};

InvMachineMsrs *
inv_machine_msrs_open(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    InvMachineMsrs *msrs;

    if (fd < 0)
        return NULL;
    msrs = g_new0(InvMachineMsrs, 1);
    msrs->fd = fd;
    return msrs;
}

void
inv_machine_msrs_close(InvMachineMsrs *msrs)
{
    if (!msrs)
        return;
    close(msrs->fd);
    g_free(msrs);
}

gboolean
inv_machine_msrs_read(InvMachineMsrs *msrs, guint32 index, guint64 *value)
{
    guint64 got;

    /* The register's index is the offset; the driver gives eight bytes or fails. */
    if (pread(msrs->fd, &got, sizeof(got), (off_t)index) != (ssize_t)sizeof(got))
        return FALSE;
    *value = got;
    return TRUE;
}
