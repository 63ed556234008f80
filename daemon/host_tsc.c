/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host_tsc.h"

#include "util/fd.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

gboolean
inv_host_tsc(InvHostTsc *tsc)
{
#if defined __x86_64__ || defined __i386__
    inv_autofd int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    inv_autofd int machine = -1;
    inv_autofd int processor = -1;
    int khz;

    /* What opens under the name is asked for its version before anything else: it may be anything. */
    if (kvm < 0 || ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION ||
        ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_GET_TSC_KHZ) <= 0)
        return FALSE;
    machine = ioctl(kvm, KVM_CREATE_VM, 0);
    processor = machine < 0 ? -1 : ioctl(machine, KVM_CREATE_VCPU, 0);
    khz = processor < 0 ? -1 : ioctl(processor, KVM_GET_TSC_KHZ, 0);
    if (khz <= 0)
        return FALSE;
    tsc->frequency = (guint64)khz * 1000;
    tsc->scaling = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) > 0;
    return TRUE;
#else
    return FALSE;
#endif
}
