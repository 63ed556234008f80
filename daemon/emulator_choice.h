/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"

G_BEGIN_DECLS

/* What a client's question about emulators and CPUs is asked of: its words, or the host's defaults. */
typedef struct {
    InvEmulator *emulator;     /* owned; the facts live as long as it does */
    const InvMachine *machine; /* the emulator's */
    InvVirtType type;
    InvCpuFacts facts;
} InvEmulatorChoice;

void inv_emulator_choice_clear(InvEmulatorChoice *choice);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(InvEmulatorChoice, inv_emulator_choice_clear)

/* "kvm", or "qemu" and QEMU's own "tcg", in any case; VIR_ERR_INVALID_ARG for another word. */
gboolean inv_virt_type_parse(const char *text, InvVirtType *type, GError **error);

/*
 * Each of the words may be NULL: the first emulator of @arch (of the host's), its default machine
 * type, KVM where it works and else TCG. @expansions: with every model's features. May probe.
 */
gboolean inv_emulator_choose(InvDaemon *daemon, const char *path, const char *arch, const char *machine,
                             const char *virt_type, gboolean expansions, InvEmulatorChoice *choice, GError **error);

G_END_DECLS
