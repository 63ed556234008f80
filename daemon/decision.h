/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"

G_BEGIN_DECLS

/*
 * Whether a definition can run here, and as what: the emulator, the machine, the facts about their
 * CPUs, the request and the verdict. Define, start and the questions of clients all ask this.
 */
typedef struct {
    InvEmulator *emulator;     /* owned; the facts live as long as it does */
    const InvMachine *machine; /* the emulator's */
    InvCpuFacts facts;
    InvCpuRequest *request;
    char **unavailable;        /* what QEMU would filter of the request, or NULL */
    InvVerdict *verdict;       /* NULL until inv_decision_ask() */
} InvDecision;

void inv_decision_free(InvDecision *decision);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvDecision, inv_decision_free)

/*
 * Finds emulator, accelerator, machine and CPU of a completed definition. Errors name what is not
 * there: the emulator, the architecture, the accelerator (and why), the machine type, the CPU model,
 * the feature. Probes where the cache does not know; not on the I/O thread.
 */
InvDecision *inv_decision_new(InvDaemon *daemon, const InvDomain *domain, GError **error);

/* Asks the table, or QEMU by a dry run, what would be filtered, and makes the verdict. */
gboolean inv_decision_ask(InvDaemon *daemon, InvDecision *decision, const InvDomain *domain, GError **error);

/*
 * The same for a guest that was started before, elsewhere or under another QEMU: the request is made to ask
 * for exactly the CPU of @record (inv_cpu_hold()), and a feature of it that would be filtered refuses. May
 * probe what every model consists of, which the machine's cached answers know from then on.
 */
gboolean inv_decision_hold(InvDaemon *daemon, InvDecision *decision, const InvDomain *domain, const InvCpuRecord *record, GError **error);

/* Is a cold start of @domain held to @record (NULL: it was never started)? Modes that follow the host are told of a change, unless they are strict. */
gboolean inv_decision_is_held(const InvDomain *domain, const InvCpuRecord *record);
/* What a cold start asks: inv_decision_hold() or inv_decision_ask(). */
gboolean inv_decision_ask_start(InvDaemon *daemon, InvDecision *decision, const InvDomain *domain, const InvCpuRecord *record, GError **error);

/*
 * The record that a start would make: the request is settled, and a stopped QEMU with that machine
 * and CPU is read and ended. After a verdict that is not refused.
 */
InvCpuRecord *inv_decision_predict(InvDaemon *daemon, InvDecision *decision, GError **error);

G_END_DECLS
