/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/guest_process.h"

G_BEGIN_DECLS

/*
 * The steps from a definition to a QEMU that stands before its guest's first instruction, or before
 * the first byte of a state that comes from elsewhere. All wait, under the domain's job; whoever calls
 * ends QEMU (inv_guest_process_abandon()) when one fails.
 */
typedef struct {
    InvDaemon *daemon;
    InvVm *vm;
    InvDomain *live;       /* the definition that starts; machine and CPU settled by inv_start_decide() */
    InvDomain *inactive;   /* the persistent definition as it shall be stored; NULL for a transient domain */
    char *asked;           /* the <cpu> before it was settled */
    char *asked_machine;
    InvDecision *decision;
    char *cpu_argument;
    InvGuestProcess *guest;
    InvCpuRecord *before;  /* the record that the guest is held to, or NULL on a first start */
    InvCpuRecord *record;  /* what this start made */
    char *cpu_path, *live_cpu; /* where QEMU shows that CPU, and how: of inv_guest_cpu_read_live() */
    GPtrArray *messages;   /* of char * */
    int id;
    gboolean paused;
    gboolean persistent;   /* the domain has a definition beside this live one */
    gboolean incoming;     /* the guest comes from elsewhere and has seen its CPU: no change is only told */
} InvStart;

void inv_start_clear(InvStart *start);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(InvStart, inv_start_clear)

/* Decides, settles, and puts what was settled into both forms of the definition. */
gboolean inv_start_decide(InvStart *start, GError **error);

/* Reads what QEMU made of the request into `record` and refuses a surprise, or another CPU than `before`. */
gboolean inv_start_read_guest(InvStart *start, GError **error);

gboolean inv_start_set_passwords(const InvStart *start, GError **error);

/* First start's update, revision and record: one transaction, before the guest runs. */
gboolean inv_start_store_record(InvStart *start, GError **error);

/* The run, as one that was decided: from here on a successor of this daemon takes the guest up. */
gboolean inv_start_store_running(InvStart *start, GError **error);

/* The domain is active from here on, whether its guest runs already or not. Takes `live` and `record` over. */
gboolean inv_start_enter_registry(InvStart *start, GError **error);
/* And back. */
void inv_start_leave_registry(InvStart *start);

G_END_DECLS
