/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/cpu_table.h"
#include "cpu_map/cpu_limits.h"
#include "cpu_map/cpu_models.h"
#include "cpu_driver/record.h"
#include "cpu_driver/verdict.h"
#include "xml/cpu.h"
#include "xml/domain.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * The façade of the CPU algebra. Pure: no I/O, no clock, no globals; what a decision depends on is
 * in its arguments. One file per architecture behind it; what an architecture's driver has not is
 * "not supported by the <arch> CPU driver" (VIR_ERR_NO_SUPPORT).
 */

/* Everything that decisions for one (emulator, accelerator, machine type) on this host depend on. All borrowed. */
typedef struct {
    const InvCpuMap *map;
    const InvCpuTable *table;
    const InvCpuModels *models; /* of the map, for what KVM hides: the vendor that a model is of; or NULL */
    const char *arch;         /* of the guest */
    const char *emulator;     /* for messages: "QEMU 7.2.22" */
    InvVirtType accelerator;
    const char *machine;      /* canonical */
    const char *default_model;        /* QEMU's name of the machine's default CPU model, or NULL: it has none */
    const InvCpuExpansion *host;      /* "max" under TCG, "host" under KVM: what this QEMU can give; or NULL */
    const char *const *host_unavailable; /* of `host`: expanded and yet not there; or NULL */
    const InvFeatureSet *proved;      /* as inv_cpu_proved_features(), where `table` is a part only; or NULL */
    const InvFeatureSet *hardware;    /* the processor's own features (CPUID), or NULL: not known */
    const InvFeatureSet *kernel;      /* what this kernel's KVM offers to guests, or NULL: not known, or no part of it (TCG) */
    const InvCpuHostLimits *limits;   /* what this host's settings, kernel and microcode keep from guests, or NULL: not known */
    const char *host_vendor;          /* vendor id that guests are compared with ("AuthenticAMD"), or NULL */
    InvCpuModelCheck default_check;   /* of a domain that says nothing */
} InvCpuFacts;

/* Strict or relaxed, from <model check=>, else libvirt's <cpu check=>, else @default_check. @cpu may be NULL. */
InvCpuModelCheck inv_cpu_effective_check(const InvCpu *cpu, InvCpuModelCheck default_check);

/* Does resolving @cpu need facts with the expansion of every model? Else definitions and the host's are enough. @cpu may be NULL. */
gboolean inv_cpu_needs_expansions(const InvCpu *cpu);

/* What exactly to ask QEMU for. */
typedef struct InvCpuRequest InvCpuRequest;
void inv_cpu_request_free(InvCpuRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuRequest, inv_cpu_request_free)

/*
 * Turns a <cpu> (NULL: the machine's default model) into a request: alias → versioned model,
 * spellings → QEMU's, mode and match → model and features. Errors: VIR_ERR_CONFIG_UNSUPPORTED for a
 * model or feature that is not known, naming the nearest names; VIR_ERR_NO_SUPPORT for what the
 * architecture cannot do. Needs expansions in facts->table when
 * inv_cpu_needs_expansions() says so.
 */
InvCpuRequest *inv_cpu_resolve(const InvCpuFacts *facts, const InvCpu *cpu, GError **error);

/*
 * The argument of -cpu with which to ask QEMU what it would filter: forced features are not in it.
 * NULL when QEMU is to choose its default. @settled: only after inv_cpu_settle(), the argument to
 * start the guest with.
 */
char *inv_cpu_request_argument(const InvCpuRequest *request, gboolean settled);
/* QEMU's versioned model name. Borrowed; NULL: QEMU's default. */
const char *inv_cpu_request_model(const InvCpuRequest *request);
/*
 * Can the table alone tell what QEMU would filter? Then *@unavailable is that list (owned by the
 * table); else (properties, an architecture without the answer) a dry run must.
 */
gboolean inv_cpu_request_known_unavailable(const InvCpuFacts *facts, const InvCpuRequest *request, const char *const **unavailable);

/*
 * Would this guest start, and as what? @unavailable: what QEMU said it would filter of the
 * unsettled argument (libvirt's names). Never NULL.
 */
InvVerdict *inv_cpu_verdict(const InvCpuFacts *facts, const InvCpu *cpu, const InvCpuRequest *request,
                            const char *const *unavailable);

/*
 * What QEMU has on and the guest cannot read all the same: because the leaf is shown along with
 * another feature only (xsaveopt and its like without xsave), or because it lies beyond the highest
 * leaf that the CPU has, as on old machine types, where features do not raise that. QEMU does not
 * list them as filtered. To a guest they are not there, and so they count as filtered everywhere
 * here. @feature_words: the property of QEMU's x86 CPUs; @levels: an object with its properties
 * "level", "xlevel" and "xlevel2", as far as they are known. libvirt's names, sorted,
 * NULL-terminated, owned by the caller.
 */
char **inv_cpu_hidden_features(const InvCpuMap *map, const InvJson *feature_words, const InvJson *levels);

/*
 * Settles what was open: what is filtered becomes off, optional becomes on or off, forced becomes
 * forced. After a verdict that is not refused.
 */
void inv_cpu_settle(const InvCpuFacts *facts, InvCpuRequest *request, const char *const *unavailable);

/*
 * What a first start writes into the persistent XML: the versioned model, check='strict', a
 * `disable` per filtered feature, optional settled; modes that follow the host keep their mode.
 * @cpu may be NULL (a domain without <cpu> gets one; NULL again where the machine has no default
 * model). Applying it twice changes nothing.
 */
InvCpu *inv_cpu_pin(const InvCpuFacts *facts, const InvCpu *cpu, const InvCpuRequest *settled);

/*
 * Checks what QEMU really made of a settled request, before the guest's first instruction: no
 * feature filtered but the forced ones, every required one there, every disabled one gone. NULL
 * when all is well, else a refused verdict.
 */
InvVerdict *inv_cpu_check_guest(const InvCpuFacts *facts, const InvCpu *cpu, const InvCpuRequest *settled,
                                const InvGuestCpu *guest);

/*
 * The live XML's <cpu> (VIR_DOMAIN_XML_UPDATE_CPU): custom, exact, every feature that differs from the model named.
 * host-passthrough and maximum keep their mode: no model stands for them.
 */
InvCpu *inv_cpu_update(const InvCpuFacts *facts, const InvCpu *cpu, const InvCpuRecord *record, GError **error);

G_END_DECLS
