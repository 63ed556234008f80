/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/difference.h"
#include "daemon/cpu_documents.h"
#include "daemon/emulator_choice.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * What questions about CPUs stand on: one emulator, accelerator and machine type on this host, with
 * all that is the same from question to question worked out once. Immutable but for the documents
 * that were met.
 */
typedef struct {
    gatomicrefcount references;
    InvEmulatorChoice choice;
    InvCpuBasis *basis;           /* NULL: QEMU itself compares these CPUs, or nobody can */
    InvCpu *processor;            /* the host's own CPU as <capabilities> describes it; NULL: not known */
    InvCpuDescription *hardware;  /* of it; NULL: not known */
    InvCpuDescription *gives;     /* what guests get here; NULL: QEMU did not say */
    InvFeatureSet *followed;      /* what a document stands for that follows the host; NULL: QEMU did not say */
    InvCpuDocuments *documents;
    GMutex lock;
    InvCpuDifference *difference; /* guarded by lock */
} InvCpuSubject;

InvCpuSubject *inv_cpu_subject_ref(InvCpuSubject *subject);
void inv_cpu_subject_unref(InvCpuSubject *subject);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuSubject, inv_cpu_subject_unref)

/* A client's words; each may be NULL, as in inv_emulator_choose(). Borrowed. */
typedef struct {
    const char *emulator, *arch, *machine, *virt_type;
} InvCpuWords;

/* All subjects of a daemon: a few, the oldest give way. Safe from any thread. */
typedef struct InvCpuSubjects InvCpuSubjects;
InvCpuSubjects *inv_cpu_subjects_new(void);
void inv_cpu_subjects_free(InvCpuSubjects *subjects);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuSubjects, inv_cpu_subjects_free)

/* May probe: never on the I/O thread. Errors as of inv_emulator_choose(). */
InvCpuSubject *inv_cpu_subjects_get(InvCpuSubjects *subjects, InvDaemon *daemon, const InvCpuWords *words, GError **error);

/*
 * The same from memory, without waiting: only while the emulator, KVM and all else that it was made
 * from are as they were then. NULL: it must be got.
 */
InvCpuSubject *inv_cpu_subjects_peek(InvCpuSubjects *subjects, InvDaemon *daemon, const InvCpuWords *words);

/*
 * What @document describes. The subject has a basis. @keep: it is likely to come again. Errors of
 * the parser and of inv_cpu_describe().
 */
InvCpuDocument *inv_cpu_subject_read(InvCpuSubject *subject, const char *document, gboolean keep, GError **error);

/* How @wanted stands to @host, both of this subject. */
virCPUCompareResult inv_cpu_subject_compare(InvCpuSubject *subject, const InvCpuDescription *host, const InvCpuDescription *wanted);

G_END_DECLS
