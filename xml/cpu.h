/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libxml/tree.h>

G_BEGIN_DECLS

/*
 * A <cpu> element: of a domain, of a host in <capabilities>, or alone in a file. Enumerations have
 * an "unset" member of value 0, so that what the user did not say stays unsaid when it is formatted.
 * What this room does not know (attributes, child elements) is kept in `source` and given back.
 */
typedef enum {
    INV_CPU_MODE_UNSET,
    INV_CPU_MODE_CUSTOM,
    INV_CPU_MODE_HOST_MODEL,
    INV_CPU_MODE_HOST_PASSTHROUGH,
    INV_CPU_MODE_MAXIMUM,
} InvCpuMode;

typedef enum {
    INV_CPU_MATCH_UNSET,
    INV_CPU_MATCH_EXACT,
    INV_CPU_MATCH_MINIMUM,
    INV_CPU_MATCH_STRICT,
} InvCpuMatch;

/* libvirt's <cpu check=>. */
typedef enum {
    INV_CPU_CHECK_UNSET,
    INV_CPU_CHECK_NONE,
    INV_CPU_CHECK_PARTIAL,
    INV_CPU_CHECK_FULL,
} InvCpuCheck;

/* Invar's own <model check=>. */
typedef enum {
    INV_CPU_MODEL_CHECK_UNSET,
    INV_CPU_MODEL_CHECK_STRICT,
    INV_CPU_MODEL_CHECK_RELAXED,
} InvCpuModelCheck;

typedef enum {
    INV_CPU_FALLBACK_UNSET,
    INV_CPU_FALLBACK_ALLOW,
    INV_CPU_FALLBACK_FORBID,
} InvCpuFallback;

typedef enum {
    INV_CPU_POLICY_UNSET, /* means require; in a host's <cpu> features have no policy */
    INV_CPU_POLICY_FORCE,
    INV_CPU_POLICY_REQUIRE,
    INV_CPU_POLICY_OPTIONAL,
    INV_CPU_POLICY_DISABLE,
    INV_CPU_POLICY_FORBID,
} InvCpuPolicy;

typedef enum {
    INV_CPU_CACHE_NONE, /* no <cache> element */
    INV_CPU_CACHE_EMULATE,
    INV_CPU_CACHE_PASSTHROUGH,
    INV_CPU_CACHE_DISABLE,
} InvCpuCache;

typedef enum {
    INV_CPU_MAXPHYSADDR_NONE, /* no <maxphysaddr> element */
    INV_CPU_MAXPHYSADDR_EMULATE,
    INV_CPU_MAXPHYSADDR_PASSTHROUGH,
} InvCpuMaxphysaddr;

typedef enum {
    INV_TRISTATE_UNSET,
    INV_TRISTATE_ON,
    INV_TRISTATE_OFF,
} InvTristate;

typedef struct {
    char *name; /* libvirt's spelling, as written */
    InvCpuPolicy policy;
} InvCpuFeature;

typedef struct {
    guint id;
    char *cpus;         /* "0-3,^2", or NULL */
    guint64 memory_kib;
    char *mem_access;   /* shared, private, or NULL */
    InvTristate discard;
    GArray *distances;  /* of InvNumaDistance, or NULL */
} InvNumaCell;

typedef struct {
    guint cell;
    guint value; /* 10 … 255 */
} InvNumaDistance;

typedef struct {
    xmlNodePtr source; /* owned deep copy of the element as it was given, or NULL */
    char *arch;        /* <arch> child of a host's or stand-alone <cpu>, or NULL */
    InvCpuMode mode;
    InvCpuMatch match;
    InvCpuCheck check;
    InvTristate migratable;
    InvTristate deprecated_features;

    char *model; /* libvirt's or QEMU's name, or NULL */
    InvCpuModelCheck model_check;
    InvCpuFallback fallback;
    char *vendor_id; /* exactly 12 characters, or NULL */
    char *vendor;    /* "Intel", "AMD", …, or NULL */

    guint sockets, dies, clusters, cores, threads; /* all 0: no <topology>; dies, clusters default to 1 */

    InvCpuCache cache;
    int cache_level; /* -1: not given */

    InvCpuMaxphysaddr maxphysaddr;
    guint maxphysaddr_bits;  /* 0: not given */
    guint maxphysaddr_limit; /* 0: not given */

    GPtrArray *features; /* of InvCpuFeature, owned, in document order */
    GPtrArray *cells;    /* of InvNumaCell, owned; empty: no <numa> */
} InvCpu;

InvCpu *inv_cpu_new(void);
InvCpu *inv_cpu_copy(const InvCpu *cpu);
void inv_cpu_free(InvCpu *cpu);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpu, inv_cpu_free)

/*
 * Reads one <cpu> element. Errors are VIR_ERR_XML_ERROR or VIR_ERR_CONFIG_UNSUPPORTED and name
 * element, attribute, value and line. Rules that need no host are checked here: a feature twice, a
 * topology without sockets, a vendor_id of the wrong length, …
 */
InvCpu *inv_cpu_parse_node(xmlNodePtr node, GError **error);

/* Parses a document whose root is <cpu>. */
InvCpu *inv_cpu_parse(const char *xml, GError **error);

/* Both for who only reads it: without `source`, which costs as much again. Of a plain document the second takes a tenth. */
InvCpu *inv_cpu_read_node(xmlNodePtr node, GError **error);
InvCpu *inv_cpu_read(const char *xml, GError **error);

/*
 * The document against @schema, the path of an RNG file (schemas/invar-cpu-document.rng):
 * VIR_ERR_XML_INVALID_SCHEMA names line and element, VIR_ERR_XML_ERROR what is no XML.
 */
gboolean inv_cpu_validate_schema(const char *xml, const char *schema, GError **error);

/* A new element, owned by the caller: `source` with every known part brought up to date. */
xmlNodePtr inv_cpu_format_node(const InvCpu *cpu);
/* The same as text, indented, with a final newline. */
char *inv_cpu_format(const InvCpu *cpu);

/* The feature, or NULL. Borrowed. */
InvCpuFeature *inv_cpu_find_feature(const InvCpu *cpu, const char *name);
/* Adds the feature, or changes its policy when it is there. */
void inv_cpu_set_feature(InvCpu *cpu, const char *name, InvCpuPolicy policy);

/* The words of the XML. NULL for "unset". */
const char *inv_cpu_mode_to_string(InvCpuMode mode);
const char *inv_cpu_match_to_string(InvCpuMatch match);
const char *inv_cpu_policy_to_string(InvCpuPolicy policy);

G_END_DECLS
