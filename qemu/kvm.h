/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/freshness.h"

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
    INV_KVM_WORKS,
    INV_KVM_ABSENT,    /* no /dev/kvm */
    INV_KVM_FORBIDDEN, /* it is there and may not be opened */
    INV_KVM_BROKEN,    /* it opens and cannot create a VM */
} InvKvmState;

/*
 * The state of /dev/kvm for this process. Asked of the kernel once per identity of the device file
 * (device, inode, permissions, owner, change time): later calls cost one stat(). @reason, when not
 * NULL: a sentence for people, owned by the caller. Safe from any thread.
 */
InvKvmState inv_kvm_state(char **reason);
/* The same of any device file. */
InvKvmState inv_kvm_state_of(const char *path, char **reason);
const char *inv_kvm_state_to_string(InvKvmState state); /* "works", "absent", "forbidden", "broken" */

/*
 * Lets @freshness notice what changes inv_host_cpu_fingerprint(): the microcode; and with @kvm what
 * changes inv_kvm_fingerprint(): the device, the modules (other folders after a reload), and those
 * of their parameters that can be written.
 */
void inv_kvm_watch(InvFreshness *freshness, gboolean kvm);

/* The parameters of KVM's modules, sorted: "kvm_intel.nested=Y", … NULL-terminated, owned by the caller. */
char **inv_kvm_parameters(void);

/* One line that changes when what KVM can give may have changed: state, kernel release, module parameters. Owned by the caller. */
char *inv_kvm_fingerprint(void);
/* One line for the processor: vendor, family, model, stepping, microcode, and a hash of its flags. Owned by the caller. */
char *inv_host_cpu_fingerprint(void);

G_END_DECLS
