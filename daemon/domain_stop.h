/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"

G_BEGIN_DECLS

/*
 * What ends a guest or changes how it runs. All but inv_domain_process_exited() wait for QEMU:
 * never on the I/O thread.
 */

/* @flags: virDomainDestroyFlagsValues. The guest gets no warning; QEMU gets SIGTERM, then SIGKILL unless GRACEFUL. */
gboolean inv_domain_destroy(InvDaemon *daemon, InvVm *vm, unsigned int flags, GError **error);

/* Asks the guest by ACPI; @reboot: and starts it again. @flags: virDomainShutdownFlagValues / Reboot… */
gboolean inv_domain_shutdown(InvDaemon *daemon, InvVm *vm, gboolean reboot, unsigned int flags, GError **error);
gboolean inv_domain_reset(InvDaemon *daemon, InvVm *vm, GError **error);
gboolean inv_domain_suspend(InvDaemon *daemon, InvVm *vm, GError **error);
gboolean inv_domain_resume(InvDaemon *daemon, InvVm *vm, GError **error);

/* InvProcessExited, with the daemon as user data: on the I/O thread. */
void inv_domain_process_exited(InvDaemon *daemon, InvProcess *process, int status);

/*
 * Under the domain's job, short or long: forgets the run of a process that is gone; a run that is
 * forgotten already is left as it is. @state_reason: virDomainShutoffReason; @detail:
 * virDomainEventStoppedDetailType. A transient domain is gone then.
 */
void inv_domain_forget_run(InvDaemon *daemon, InvVm *vm, int state_reason, int detail);

/*
 * For the holder of a long job: ends the domain's QEMU and forgets its run, with the reasons as
 * above (a guest that runs elsewhere now: VIR_DOMAIN_SHUTOFF_MIGRATED). Nothing runs: nothing happens.
 */
void inv_domain_end(InvDaemon *daemon, InvVm *vm, int state_reason, int detail);

/* The guest has powered itself off: does what on_poweroff says. Takes the job. */
void inv_domain_guest_shutdown(InvDaemon *daemon, InvVm *vm);
/* The guest has crashed: does what on_crash says. Takes the job. */
void inv_domain_guest_crashed(InvDaemon *daemon, InvVm *vm);

G_END_DECLS
