/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * invar-cpu: the CPU algebra of Invar for other programs.
 *
 * Describes processors as a model and the features that differ, compares them, finds what is common
 * to many, and explains single features, from whatever document is at hand: a domain's XML, a <cpu>,
 * libvirt's capabilities and domain capabilities, <cpudata>, a dump of CPUID (`cpuid -r`), QEMU's
 * answer to query-cpu-model-expansion. No daemon, no QEMU, no network: nothing is read but the
 * dictionary's files, and what the caller gives.
 *
 * Link with `pkg-config --cflags --libs invar-cpu`.
 *
 *     InvarCpuContext *context = NULL;
 *     InvarCpu *cpu = NULL;
 *     char *error = NULL;
 *
 *     if (invar_cpu_context_new(NULL, &context, &error) == INVAR_CPU_OK &&
 *         invar_cpu_read_host(context, &cpu, &error) == INVAR_CPU_OK)
 *         puts(invar_cpu_model(cpu));
 *     else
 *         fputs(error, stderr);
 *     invar_cpu_free(error);
 *     invar_cpu_unref(cpu);
 *     invar_cpu_context_free(context);
 *
 * Conventions. Functions that can fail return an InvarCpuStatus, and on failure set *error (where error is not
 * NULL) to a sentence for people, freed with invar_cpu_free(). Strings that a function returns as
 * `const char *` belong to the object they were asked of; `char *` are the caller's, freed with
 * invar_cpu_free(). Lists of strings end with NULL. Names of features are libvirt's spelling
 * unless said otherwise. Memory exhaustion aborts, as in GLib.
 * Threads: a context may be used by any number of threads at once; other objects by one at a time.
 * Input is untrusted: every document may be hostile.
 */
#ifndef INVAR_CPU_H
#define INVAR_CPU_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INVAR_CPU_API __attribute__((visibility("default")))

typedef enum {
    INVAR_CPU_OK = 0,
    INVAR_CPU_ERROR_INPUT,        /* a document is malformed, cut off, contradicts itself, or is none that is known */
    INVAR_CPU_ERROR_UNKNOWN,      /* a model, feature or vendor that the dictionary does not know; the message gives the nearest names */
    INVAR_CPU_ERROR_UNSUPPORTED,  /* not possible for this architecture, or not without QEMU */
    INVAR_CPU_ERROR_NO_ANSWER,    /* well asked, and there is none: CPUs of different vendors have no baseline */
    INVAR_CPU_ERROR_DATA,         /* the dictionary's files cannot be read */
} InvarCpuStatus;

INVAR_CPU_API void invar_cpu_free(void *memory);
/* "0.1.0" */
INVAR_CPU_API const char *invar_cpu_library_version(void);

/* ---- the dictionary ---- */

typedef struct InvarCpuContext InvarCpuContext;

/* @folder: the folder cpu_map of an installation or of the source tree; NULL: $INVAR_PKGDATADIR/cpu_map, else the installed one. */
INVAR_CPU_API InvarCpuStatus invar_cpu_context_new(const char *folder, InvarCpuContext **context, char **error);
INVAR_CPU_API void invar_cpu_context_free(InvarCpuContext *context);

/* ---- one CPU ---- */

typedef struct InvarCpu InvarCpu;

typedef enum {
    INVAR_CPU_FORMAT_AUTO = 0,        /* told from the content */
    INVAR_CPU_FORMAT_DOMAIN,          /* <domain>: its <cpu> */
    INVAR_CPU_FORMAT_CPU,             /* <cpu>, of a host or of a domain */
    INVAR_CPU_FORMAT_CAPABILITIES,    /* <capabilities>: the host's <cpu> */
    INVAR_CPU_FORMAT_DOMCAPABILITIES, /* <domainCapabilities>: the host-model */
    INVAR_CPU_FORMAT_CPUDATA,         /* <cpudata> */
    INVAR_CPU_FORMAT_CPUID,           /* the text of `cpuid -r`, or what Invar's witness guest prints */
    INVAR_CPU_FORMAT_QMP,             /* JSON: a reply to query-cpu-model-expansion, its "return", "model" or "props"; of several documents the first that is one */
    INVAR_CPU_FORMAT_HOST,            /* not a document: this machine */
} InvarCpuFormat;

/* "domain XML", "<cpu>", "capabilities", …; "this machine" */
INVAR_CPU_API const char *invar_cpu_format_name(InvarCpuFormat format);

/* Called for each CPU of a document. @cpu is the callee's. Another value than INVAR_CPU_OK ends the reading and is returned by invar_cpu_read_all(). */
typedef InvarCpuStatus (*InvarCpuVisit)(InvarCpu *cpu, void *user_data, char **error);

/* Exactly one CPU. @text need not end with a NUL. @default_arch: of documents that do not say (a bare <cpu>), NULL: x86_64. */
INVAR_CPU_API InvarCpuStatus invar_cpu_read(InvarCpuContext *context, const char *text, size_t length, InvarCpuFormat format, const char *default_arch, InvarCpu **cpu, char **error);
/* One or more: documents one after another in one text (as `virsh cpu-baseline` takes them), or nested in a common element. */
INVAR_CPU_API InvarCpuStatus invar_cpu_read_all(InvarCpuContext *context, const char *text, size_t length, InvarCpuFormat format, const char *default_arch, InvarCpuVisit visit, void *user_data, char **error);
/* The machine that this runs on, by the CPUID instruction and the MSRs that the kernel lets be read. */
INVAR_CPU_API InvarCpuStatus invar_cpu_read_host(InvarCpuContext *context, InvarCpu **cpu, char **error);
INVAR_CPU_API void invar_cpu_unref(InvarCpu *cpu); /* its end; NULL: nothing */

INVAR_CPU_API InvarCpuFormat invar_cpu_format(const InvarCpu *cpu);
INVAR_CPU_API const char *invar_cpu_arch(const InvarCpu *cpu);      /* "x86_64" */
INVAR_CPU_API const char *invar_cpu_model(const InvarCpu *cpu);     /* "Skylake-Client-v3"; NULL: none describes it */
INVAR_CPU_API const char *invar_cpu_vendor(const InvarCpu *cpu);    /* "Intel"; NULL: not known, or a model of no vendor (qemu64) */
INVAR_CPU_API const char *invar_cpu_vendor_id(const InvarCpu *cpu); /* "GenuineIntel" */
/* 0 and *family, *model, *stepping set; -1 where the document does not tell and the model has none. */
INVAR_CPU_API int invar_cpu_signature(const InvarCpu *cpu, unsigned *family, unsigned *model, unsigned *stepping);
INVAR_CPU_API unsigned invar_cpu_phys_bits(const InvarCpu *cpu);    /* 0: not known */
INVAR_CPU_API unsigned invar_cpu_level(const InvarCpu *cpu);        /* highest leaf; 0: not known */
INVAR_CPU_API unsigned invar_cpu_xlevel(const InvarCpu *cpu);       /* highest extended leaf; 0: not known */

/* What differs from the model, sorted by name: @policy is "require", "disable", or as the document says ("force", "optional", "forbid"). NULL at the end. */
INVAR_CPU_API const char *invar_cpu_delta(const InvarCpu *cpu, size_t index, const char **policy);
/* Every feature that the CPU has, sorted. */
INVAR_CPU_API const char *const *invar_cpu_expanded(const InvarCpu *cpu);
INVAR_CPU_API int invar_cpu_has(const InvarCpu *cpu, const char *feature);
/* Notes for people on what the reading left out and why (bits known broken on this stepping; MSRs that were not there). */
INVAR_CPU_API const char *const *invar_cpu_notes(const InvarCpu *cpu);
/* As a <cpu> of a domain. @expand: every feature is named. */
INVAR_CPU_API char *invar_cpu_to_xml(const InvarCpu *cpu, int expand);

/* ---- comparison ---- */

typedef enum {
    INVAR_CPU_INCOMPATIBLE,
    INVAR_CPU_IDENTICAL,
    INVAR_CPU_SUPERSET, /* the host has all of it, and more */
} InvarCpuRelation;
INVAR_CPU_API const char *invar_cpu_relation_name(InvarCpuRelation relation); /* "incompatible", "identical", "superset" */

typedef enum {
    INVAR_CPU_REASON_MISSING,   /* the host lacks a feature */
    INVAR_CPU_REASON_EXTRA,     /* the host has a feature that the CPU does not say */
    INVAR_CPU_REASON_FORBIDDEN, /* the host has a feature that the CPU forbids */
    INVAR_CPU_REASON_VENDOR,
    INVAR_CPU_REASON_ARCH,
    INVAR_CPU_REASON_LEVEL,     /* highest leaf or extended leaf differ */
    INVAR_CPU_REASON_PHYS_BITS,
} InvarCpuReasonKind;
INVAR_CPU_API const char *invar_cpu_reason_kind_name(InvarCpuReasonKind kind); /* "missing", … */

typedef struct {
    InvarCpuReasonKind kind;
    int blocks;          /* is this why it is incompatible? else it is only told */
    const char *feature; /* NULL where the reason is no feature's */
    const char *layer;   /* "hardware", "kernel", "QEMU", "machine type", "configuration"; NULL: the documents do not tell */
    const char *text;    /* a sentence without a final period */
    const char *remedy;  /* likewise; NULL: there is none */
} InvarCpuReason;

typedef struct InvarCpuComparison InvarCpuComparison;

/* How does @cpu stand to the machine @host? */
INVAR_CPU_API InvarCpuStatus invar_cpu_compare(InvarCpuContext *context, const InvarCpu *host, const InvarCpu *cpu, InvarCpuComparison **comparison, char **error);
INVAR_CPU_API void invar_cpu_comparison_free(InvarCpuComparison *comparison);
INVAR_CPU_API InvarCpuRelation invar_cpu_comparison_relation(const InvarCpuComparison *comparison);
/* Sorted by kind, then feature. NULL after the last. */
INVAR_CPU_API const InvarCpuReason *invar_cpu_comparison_reason(const InvarCpuComparison *comparison, size_t index);

/* ---- baseline ---- */

typedef struct InvarCpuBaseline InvarCpuBaseline;

/* Memory does not grow with the number of CPUs. */
INVAR_CPU_API InvarCpuStatus invar_cpu_baseline_new(InvarCpuContext *context, const char *arch, InvarCpuBaseline **baseline, char **error);
INVAR_CPU_API void invar_cpu_baseline_free(InvarCpuBaseline *baseline);
/* @label: for messages ("rack3.xml"). After an error the baseline is as before. */
INVAR_CPU_API InvarCpuStatus invar_cpu_baseline_add(InvarCpuBaseline *baseline, const InvarCpu *cpu, const char *label, char **error);
/* @migratable: leave out what stops a migration. May be asked again after more were added. */
INVAR_CPU_API InvarCpuStatus invar_cpu_baseline_result(const InvarCpuBaseline *baseline, int migratable, InvarCpu **cpu, char **error);

/* ---- explanation ---- */

typedef struct {
    const char *name;      /* libvirt's spelling */
    const char *qemu;      /* QEMU's */
    const char *const *aliases;
    const char *source;    /* "CPUID", "MSR", or NULL: a name without a bit */
    uint32_t leaf;         /* CPUID leaf or MSR index */
    uint32_t subleaf;
    const char *reg;       /* "eax", …; NULL for an MSR */
    uint64_t mask;
    int migratable;        /* can a guest with it migrate? */
    int passed;            /* does QEMU have a property for it? */
    const char *about;     /* what it is: a sentence; NULL: not written down */
    const char *cost;      /* what a guest loses when it is disabled; NULL: not written down */
    const char *const *needs;     /* features without which QEMU switches it off */
    const char *const *needed_by; /* features that go with it when it is disabled */
    const char *const *models;    /* versioned models of the dictionary that have it; of vmx-*, that have it when vmx is on */
    const char *const *layers;    /* what is known of it without asking a host: sentences ("TCG sets it in every model", "no QEMU can give it") */
} InvarCpuFeatureFacts;

/* @arch NULL: x86_64. @feature: either spelling. Lives as long as the context. */
INVAR_CPU_API InvarCpuStatus invar_cpu_explain(InvarCpuContext *context, const char *arch, const char *feature, const InvarCpuFeatureFacts **facts, char **error);

#ifdef __cplusplus
}
#endif

#endif
