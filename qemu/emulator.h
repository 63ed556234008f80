/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/cpu_driver.h"
#include "qemu/emulator_state.h"
#include "qemu/kvm.h"
#include "store/cache.h"
#include "util/freshness.h"
#include "util/io_thread.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * The QEMU binaries of this host and what they can. Probed over QMP, cached under everything the
 * answers depend on. All functions are safe from any thread but the I/O thread; a probe that is
 * under way is waited for, not started again.
 */
typedef struct InvEmulators InvEmulators;
typedef struct InvEmulator InvEmulator;

/* @search: folders, NULL-terminated (NULL: $PATH, /usr/bin, /usr/libexec …); @scratch: folder for sockets and probe files; all borrowed objects outlive it. */
InvEmulators *inv_emulators_new(InvIoThread *io, InvCache *cache, const char *const *search, const char *scratch);
void inv_emulators_free(InvEmulators *emulators);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvEmulators, inv_emulators_free)

/*
 * Binaries beside those in the folders, by absolute path, NULL-terminated and copied; before the
 * first question. One that is not there is listed all the same, and asked for has its own message.
 */
void inv_emulators_set_binaries(InvEmulators *emulators, const char *const *binaries);

/* What became of an emulator, or of one of its tables. All borrowed for the time of the call. */
typedef struct {
    const char *path;    /* "": this host, and with it whatever depends on it */
    const char *subject; /* "": what the binary is; "kvm pc-q35-7.2 definitions": a table of a machine type; else what changed */
    InvEmulatorState state;
    const char *reason;  /* of FAILED, CHANGED and GONE, else "" */
    guint ms;            /* of KNOWN and FAILED: how long QEMU was asked */
    gint64 begun;
} InvEmulatorChange;

/* Called from any thread that probes, without a lock; before the first question. Every change is logged too. */
typedef void (*InvEmulatorNews)(const InvEmulatorChange *change, gpointer user_data);
void inv_emulators_set_news(InvEmulators *emulators, InvEmulatorNews news, gpointer user_data);
/* For who finds out: tells all that want to hear. */
void inv_emulators_tell(InvEmulators *emulators, const InvEmulatorChange *change);

/*
 * What is known of the emulator at @path (absolute) without asking any QEMU: UNKNOWN and PROBING;
 * KNOWN with *@emulator, a new reference; FAILED with @error.
 */
InvEmulatorState inv_emulators_peek(InvEmulators *emulators, const char *path, InvEmulator **emulator, GError **error);
/* Whether it is known, in memory or in the cache, or failed and would not be asked again: then nothing is to be done. */
gboolean inv_emulators_is_warm(InvEmulators *emulators, const char *path);
/* Of which models QEMU is asked what they consist of: each takes it a millisecond. */
typedef enum {
    INV_EXPANSIONS_HOST,     /* of what stands for the host: for models that are asked for by name */
    INV_EXPANSIONS_FOLLOWED, /* and of those that one of is mode='host-model' (cpu_driver/followed.h): for documents */
    INV_EXPANSIONS_ALL,      /* of every model: for comparisons, and <cpu>s that inv_cpu_needs_expansions() is about */
} InvExpansions;

/* Whether a table is in the cache, so that inv_emulator_cpu_facts() starts no QEMU. @machine is canonical. */
gboolean inv_emulator_has_cpu_facts(InvEmulator *emulator, InvVirtType accelerator, const char *machine, InvExpansions expansions);

/* The paths of all qemu-system-* binaries found, and of those set, sorted; owned by the caller. Probes nothing. */
char **inv_emulators_list(InvEmulators *emulators);

/*
 * The emulator at @path, or (NULL) the first one for @arch; @arch NULL: whatever the binary is for.
 * Probes it when the cache does not know it. A path that is absent, a folder, not executable, no
 * QEMU, for another architecture: each its own message (VIR_ERR_CONFIG_UNSUPPORTED).
 */
InvEmulator *inv_emulators_get(InvEmulators *emulators, const char *path, const char *arch, guint deadline_ms, GError **error);

/*
 * Probes all that are found, several at once; a failed one is remembered with its error. Of
 * InvEmulator, sorted by path, owned. @complete NULL: waits for each until its deadline. Else who hangs
 * is left out, and goes on being asked; FALSE: another call may give more.
 */
GPtrArray *inv_emulators_probe_all(InvEmulators *emulators, guint deadline_ms, gboolean *complete);

/*
 * Forgets what is known of the emulator at @path, or (NULL) of all, in memory and in the cache,
 * remembered failures included: the next call asks QEMU.
 */
void inv_emulators_refresh(InvEmulators *emulators, const char *path);

/*
 * What an answer about the emulator at @path, or (NULL) about whichever is found first, depends on
 * beside what inv_kvm_watch() watches: the file; the folders that are searched. For answers about
 * all emulators the files are the caller's to watch.
 */
void inv_emulators_watch(InvEmulators *emulators, const char *path, InvFreshness *freshness);
/*
 * What an answer about the binary at @path depends on as far as files show it: itself and QEMU's
 * modules; with @libraries also what a failure may have come of, a library that was missing. Owned by
 * the caller; NULL and the reason when it is no file that could be run.
 */
char *inv_emulators_fingerprint(const char *path, gboolean libraries, GError **error);
/* Raised by each inv_emulators_refresh(): answers of before are no longer to be given. */
guint inv_emulators_generation(InvEmulators *emulators);

/* The dictionary of an architecture, loaded once; borrowed. NULL with an error when its files are damaged. */
const InvCpuMap *inv_emulators_map(InvEmulators *emulators, const char *arch, GError **error);
/* The feature names that all facts of these emulators share; borrowed. */
InvFeatureNames *inv_emulators_names(InvEmulators *emulators);

InvEmulator *inv_emulator_ref(InvEmulator *emulator);
void inv_emulator_unref(InvEmulator *emulator);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvEmulator, inv_emulator_unref)

typedef struct {
    char *name;          /* "pc-q35-7.2": canonical */
    char *alias;         /* "q35", or NULL */
    gboolean is_default;
    gboolean deprecated;
    guint max_cpus;
    char *default_cpu;   /* QEMU's model name, from default-cpu-type, or NULL */
    gboolean hotpluggable_cpus;
    gboolean numa_mem_supported;
    char *default_ram_id; /* or NULL */
} InvMachine;

const char *inv_emulator_path(const InvEmulator *emulator);
const char *inv_emulator_arch(const InvEmulator *emulator); /* libvirt's name: "x86_64", "aarch64", "ppc64", "s390x", … */
/* libvirt's form: 7002022 for 7.2.22. */
guint inv_emulator_version(const InvEmulator *emulator);
const char *inv_emulator_version_text(const InvEmulator *emulator); /* "7.2.22" */
const char *inv_emulator_package(const InvEmulator *emulator);      /* "(Debian 1:7.2+dfsg-7…)", or "" */
/* Was it built with KVM for its target? Whether KVM works here is inv_kvm_state(). */
gboolean inv_emulator_has_kvm(const InvEmulator *emulator);
gboolean inv_emulator_has_tcg(const InvEmulator *emulator);
/* Does this accelerator work here and now with this binary? An error says why not. */
gboolean inv_emulator_check_accelerator(InvEmulator *emulator, InvVirtType accelerator, GError **error);
guint inv_emulator_n_machines(const InvEmulator *emulator);
const InvMachine *inv_emulator_machine_at(const InvEmulator *emulator, guint index);
/* By canonical name or alias, NULL: the default; an error names the nearest when there is none. */
const InvMachine *inv_emulator_find_machine(const InvEmulator *emulator, const char *name, GError **error);
/*
 * The same for questions, which need not be as sure as a guest's definition: where QEMU has no default (aarch64) NULL is
 * "virt", as for libvirt's clients.
 */
const InvMachine *inv_emulator_usual_machine(const InvEmulator *emulator, const char *name, GError **error);
/* Does its QOM have the device type ("virtio-rng-pci")? */
gboolean inv_emulator_has_device(const InvEmulator *emulator, const char *type);
/* All of them, sorted, NULL-terminated, owned by the caller. */
char **inv_emulator_list_devices(const InvEmulator *emulator);

/*
 * Facts for decisions about one accelerator and machine (canonical): always with the definition of
 * every model, and with as many expansions as are asked for, or more.
 * Whatever the facts point to is owned by the emulator's caches and lives as long as @emulator and
 * the InvEmulators that it is from. `default_check` is the caller's to set.
 */
gboolean inv_emulator_cpu_facts(InvEmulator *emulator, InvVirtType accelerator, const char *machine, InvExpansions expansions,
                                guint deadline_ms, InvCpuFacts *facts, GError **error);

/*
 * A dry run: starts QEMU with -S and @cpu_argument, reads what it would filter, ends it. The answer
 * is cached. *@unavailable: libvirt's names, owned by the caller; NULL where the architecture does
 * not say. What QEMU refuses at once is VIR_ERR_CONFIG_UNSUPPORTED with its own words.
 */
gboolean inv_emulator_dry_run(InvEmulator *emulator, InvVirtType accelerator, const char *machine, const char *cpu_argument,
                              guint deadline_ms, char ***unavailable, GError **error);

G_END_DECLS
