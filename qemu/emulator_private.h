/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/answers.h"
#include "qemu/emulator.h"
#include "qemu/qmp.h"

#include <glib.h>
#include <sys/stat.h>

G_BEGIN_DECLS

/* Shared by the files that make up an emulator; nobody else includes this. */

typedef struct InvAskAll InvAskAll; /* emulators.c */

struct InvEmulators {
    InvIoThread *io; /* borrowed, like the cache */
    InvCache *cache;
    char **search;
    char **binaries;        /* or NULL; set before the first question, as the next two */
    InvEmulatorNews news;   /* or NULL */
    gpointer news_data;
    InvAnswers *emulators;  /* path → InvEmulator */
    InvFeatureNames *names;
    gint generation;        /* atomic */
    GMutex lock;
    InvAskAll *ask_all;     /* under way; borrowed; guarded by lock, as the next */
    guint n_asking;         /* threads that ask one of all */
    GCond asked;            /* there are fewer of them */
    GHashTable *maps;       /* arch → InvCpuMap; guarded by lock */
    GHashTable *models;     /* arch → InvCpuModels, or NULL where they cannot be read; guarded by lock */
    GHashTable *limits;     /* arch → InvCpuLimits, or NULL where they cannot be read; guarded by lock */
};

struct InvEmulator {
    gatomicrefcount refs;
    /* immutable once probed */
    InvEmulators *emulators; /* borrowed */
    char *path;
    char *state;             /* of the binary: what every answer depends on */
    char *arch;
    guint major, minor, micro;
    char *version_text, *package;
    char *display;           /* "QEMU 7.2.22" */
    gboolean has_kvm, has_tcg;
    GPtrArray *machines;     /* of InvMachine, canonical names, no name twice */
    GHashTable *machine_of;  /* name or alias → InvMachine */
    GHashTable *devices;     /* set */

    InvAnswers *machine_facts; /* "kvm pc-q35-7.2 expansions" → InvMachineFacts, which lives in all_facts */
    InvAnswers *dry_runs;      /* "kvm pc-q35-7.2 MODEL,props" → InvDryRun */
    InvAnswers *comparisons;   /* "tcg MACHINE comparison CHECKSUM" → InvJson */
    GMutex lock;
    GPtrArray *all_facts;      /* of InvMachineFacts: also those that have been superseded; guarded by lock */
};

/* What one QEMU process told about a machine type. Immutable once made. */
typedef struct {
    InvCpuTable *table;
    char *default_model;        /* or NULL */
    const InvCpuModel *host;    /* "host" or "max", of the table, or NULL */
    InvFeatureSet *hardware;    /* or NULL */
    InvFeatureSet *kernel;      /* or NULL */
    InvCpuHostLimits *limits;   /* or NULL */
    const char *host_vendor;    /* or NULL */
} InvMachineFacts;

void inv_machine_facts_free(InvMachineFacts *facts);

/* What the cache has of the binary, or one process on machine "none". @state as in InvEmulator. emulator_basic.c */
InvEmulator *inv_emulator_probe(InvEmulators *emulators, const char *path, const char *state, gint64 end, GError **error);

/*
 * A failure of the binary at @path to answer the question @subject that the cache has for @state,
 * told in @error. A missed deadline is one only to the background (probe_budget.h) and to who brings
 * no more than @deadline_ms of time. failures.c
 */
gboolean inv_failure_recall(InvEmulators *emulators, const char *path, const char *subject, const char *state, guint deadline_ms,
                            GError **error);
/* Keeps it there, unless it is of a kind that passes by itself. */
void inv_failure_keep(InvEmulators *emulators, const char *path, const char *subject, const char *state, guint deadline_ms,
                      const GError *failure);
/* A state for which failures hold: @state and the system's libraries, of which one may have been missing. Owned by the caller. */
char *inv_with_libraries(const char *state);

/* QEMU's word for -accel. */
const char *inv_accelerator_name(InvVirtType accelerator);

/* The map's models of an architecture, loaded once; borrowed. NULL: they cannot be read, which was logged. */
const InvCpuModels *inv_emulators_models(InvEmulators *emulators, const char *arch);

/* What is written of limits of KVM on an architecture, likewise. */
const InvCpuLimits *inv_emulators_limits(InvEmulators *emulators, const char *arch);

/* The key under which answers for @accelerator are cached; INV_VIRT_QEMU for what no accelerator has a part in. */
char *inv_emulator_key(const InvEmulator *emulator, InvVirtType accelerator);
/* The same of a binary in @state that is not probed yet. */
char *inv_emulator_key_of(const char *state, InvVirtType accelerator);
/* What the cache's subjects of this binary's basic answers are called. */
#define INV_EMULATOR_BASIC "basic"

/* A question to QEMU begins; then its end, with NULL or why there is no answer. progress.c */
InvEmulatorChange inv_emulators_begin(InvEmulators *emulators, const char *path, const char *subject);
void inv_emulators_end(InvEmulators *emulators, const InvEmulatorChange *begun, const GError *error);

/* A text of the cache as JSON, or NULL: absent, not to be trusted, or damaged. */
InvJson *inv_emulator_cached(InvEmulator *emulator, const char *what, const char *key);
void inv_emulator_cache(InvEmulator *emulator, const char *what, const char *key, const InvJson *json);

/* As inv_emulator_cpu_facts() without a look at whether KVM works here. */
gboolean inv_emulator_probed_cpu_facts(InvEmulator *emulator, InvVirtType accelerator, const char *machine, InvExpansions expansions,
                                       guint deadline_ms, InvCpuFacts *facts, GError **error);

/* The part of a QOM type's name that is the CPU model: "Nehalem-v1-x86_64-cpu" → "Nehalem-v1". Owned by the caller. */
char *inv_cpu_type_to_model(const char *type);

/* The QOM path of CPU 0 of a machine that QEMU made; owned by the caller. guest_cpu.c */
char *inv_first_cpu_path(InvQmp *qmp, gint64 end, GError **error);

/* The features of this host's own processor that CPUID shows, or NULL when it is not of @arch. host_cpuid.c */
InvFeatureSet *inv_host_cpuid(const InvCpuMap *map, InvFeatureNames *names, const char *arch);

/* The linker's build id of an ELF file in hexadecimal digits, or NULL: none, or no ELF file. build_id.c */
char *inv_build_id_read(const char *path);

G_END_DECLS
