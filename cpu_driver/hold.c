/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/hold.h"

#include "cpu_driver/driver.h"
#include "cpu_driver/layers.h"

#include <string.h>

/* What a QEMU makes of physical addresses when nobody tells it a width. */
#define USUAL_PHYS_BITS 40
#define VENDOR_ID_LENGTH 12u

/* One register of CPUID. */
typedef struct {
    guint32 leaf, subleaf;
    InvCpuRegister reg;
    guint32 bits;
} Word;

/* A request that is being held to a record. */
typedef struct {
    const InvCpuFacts *facts;
    const InvCpuDriver *driver;
    const InvCpuRecord *record;
    const InvCpuExpansion *model; /* what the record's model means here, or NULL */
    InvCpuRequest *request;
    InvFeatureSet *on;            /* the record's */
    GArray *words;                /* of Word, the record's */
} Hold;

static void
hold_clear(Hold *hold)
{
    g_clear_pointer(&hold->on, inv_feature_set_free);
    g_clear_pointer(&hold->words, g_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Hold, hold_clear)

/* "00000001.0.ecx=0098e3fd" */
static gboolean
read_word(const char *text, Word *word)
{
    static const char *const registers[] = { "eax", "ebx", "ecx", "edx", NULL };
    g_auto(GStrv) parts = g_strsplit_set(text, ".=", -1);
    guint64 leaf, subleaf, bits;

    if (g_strv_length(parts) != 4 || !g_ascii_string_to_unsigned(parts[0], 16, 0, G_MAXUINT32, &leaf, NULL) ||
        !g_ascii_string_to_unsigned(parts[1], 16, 0, G_MAXUINT32, &subleaf, NULL) ||
        !g_ascii_string_to_unsigned(parts[3], 16, 0, G_MAXUINT32, &bits, NULL))
        return FALSE;
    for (guint i = 0; registers[i]; i++) {
        if (strcmp(parts[2], registers[i]) == 0) {
            *word = (Word){ (guint32)leaf, (guint32)subleaf, (InvCpuRegister)i, (guint32)bits };
            return TRUE;
        }
    }
    return FALSE;
}

static GArray *
words_of(const char *text)
{
    GArray *words = g_array_new(FALSE, FALSE, sizeof(Word));
    g_auto(GStrv) list = g_strsplit(text ? text : "", " ", -1);

    for (char **item = list; *item; item++) {
        Word word;

        if (read_word(*item, &word))
            g_array_append_val(words, word);
    }
    return words;
}

/* Are all bits of the feature in the record's words? FALSE for *@known where the record has no such word. */
static gboolean
word_has(const Hold *hold, const InvCpuMapFeature *entry, gboolean *known)
{
    *known = FALSE;
    if (!entry || entry->is_msr || !entry->mask)
        return FALSE;
    /* QEMU has some forty of them. */
    for (guint i = 0; i < hold->words->len; i++) {
        const Word *word = &g_array_index(hold->words, Word, i);

        if (word->leaf == entry->leaf && word->subleaf == entry->subleaf && word->reg == entry->reg) {
            *known = TRUE;
            return (word->bits & entry->mask) == entry->mask;
        }
    }
    return FALSE;
}

static gboolean
record_has(const Hold *hold, const char *name)
{
    gboolean known;
    gboolean on = word_has(hold, inv_cpu_map_find(hold->facts->map, name), &known);

    return known ? on : inv_feature_set_has(hold->on, name);
}

static void
refuse_identity(Hold *hold, const char *what, InvLayer layer, const char *recorded, const char *now)
{
    g_autofree char *reason = g_strdup_printf("the guest's %s is recorded as %s, and it would get %s", what, recorded ? recorded : "none",
                                              now ? now : "none");
    g_autofree char *remedy = g_strdup_printf("put it back into the definition, or start the domain where it can be had; " INV_HELD_REMEDY);

    inv_cpu_request_refuse(hold->request, what, layer, reason, remedy);
}

/* Does QEMU know both names for one CPU? ppc64's power9 is of the type power9_v2.0. */
static gboolean
is_same_model(const InvCpuFacts *facts, const char *recorded, const char *asked)
{
    const InvCpuModel *a = inv_cpu_table_find(facts->table, recorded);
    const InvCpuModel *b = inv_cpu_table_find(facts->table, asked);

    if (strcmp(recorded, asked) == 0)
        return TRUE;
    if (b && b->type_name && g_str_has_prefix(b->type_name, recorded) && b->type_name[strlen(recorded)] == '-')
        return TRUE;
    return a && b && a->type_name && g_strcmp0(a->type_name, b->type_name) == 0;
}

/* FALSE: it is another machine or model, and there is no use in looking at features. */
static gboolean
hold_identity(Hold *hold)
{
    const InvCpuFacts *facts = hold->facts;
    const InvCpuRecord *record = hold->record;
    InvCpuRequest *request = hold->request;
    gboolean good = TRUE;

    if (g_strcmp0(record->arch, facts->arch) != 0) {
        refuse_identity(hold, "architecture", INV_LAYER_CONFIGURATION, record->arch, facts->arch);
        good = FALSE;
    }
    if (g_strcmp0(record->machine, facts->machine) != 0) {
        refuse_identity(hold, "machine", INV_LAYER_CONFIGURATION, record->machine, facts->machine);
        good = FALSE;
    }
    /* What stands for the host here is not what stood for it there. */
    if (request->mode == INV_CPU_MODE_HOST_MODEL && record->model) {
        g_free(request->model);
        request->model = g_strdup(record->model);
    }
    if (record->model && request->model && !is_same_model(facts, record->model, request->model)) {
        refuse_identity(hold, "model", INV_LAYER_CONFIGURATION, record->model, request->model);
        good = FALSE;
    } else if (record->model && request->mode == INV_CPU_MODE_HOST_MODEL && !inv_cpu_table_find(facts->table, record->model)) {
        g_autofree char *reason = g_strdup_printf("%s has no CPU model %s on machine %s", facts->emulator, record->model, facts->machine);

        inv_cpu_request_refuse(request, "model", INV_LAYER_QEMU, reason, "start the domain with another QEMU; " INV_HELD_REMEDY);
        good = FALSE;
    }
    return good;
}

static const InvCpuExpansion *
expansion_of(const InvCpuFacts *facts, const char *name)
{
    const InvCpuModel *model = name ? inv_cpu_table_find(facts->table, name) : NULL;

    if (model && model->expansion)
        return model->expansion;
    return g_strcmp0(name, facts->accelerator == INV_VIRT_KVM ? "host" : "max") == 0 ? facts->host : NULL;
}

/* The value that a property of the request gives @name, or NULL. Borrowed. */
static const char *
property_of(const InvCpuRequest *request, const char *name)
{
    gsize length = strlen(name);

    for (guint i = 0; i < request->properties->len; i++) {
        const char *text = g_ptr_array_index(request->properties, i);

        if (strncmp(text, name, length) == 0 && text[length] == '=')
            return text + length + 1;
    }
    return NULL;
}

static void
remove_property(InvCpuRequest *request, const char *name)
{
    const char *value;

    while ((value = property_of(request, name))) {
        for (guint i = 0; i < request->properties->len; i++) {
            const char *text = g_ptr_array_index(request->properties, i);

            if (value == text + strlen(name) + 1) {
                g_ptr_array_remove_index(request->properties, i);
                break;
            }
        }
    }
}

static void
refuse_redefined(Hold *hold, const char *name, gboolean asked_on)
{
    g_autofree char *reason = g_strdup_printf("the definition has %s %s, and the guest was started with it %s", name, asked_on ? "on" : "off",
                                              asked_on ? "off" : "on");
    g_autofree char *remedy = g_strdup_printf("put it back: <feature name='%s' policy='%s'/>; " INV_HELD_REMEDY, name, asked_on ? "disable" : "require");

    inv_cpu_request_refuse(hold->request, name, INV_LAYER_CONFIGURATION, reason, remedy);
}

static void
refuse_missing(Hold *hold, const char *name)
{
    g_autofree char *reason = NULL, *advice = NULL, *remedy = NULL;
    InvLayer layer;

    inv_cpu_blame(hold->facts, name, &layer, &reason, &advice);
    remedy = g_strconcat(hold->facts->accelerator == INV_VIRT_KVM ? advice : INV_HELD_TCG_ADVICE, "; " INV_HELD_REMEDY, NULL);
    inv_cpu_request_refuse(hold->request, name, layer, reason, remedy);
}

static void
settle_asked(Hold *hold, InvAsked *asked, gboolean wanted)
{
    /* What the user wrote is what the record was made of; only an edit since then says otherwise. */
    if (asked->origin == INV_ORIGIN_USER && asked->policy != INV_CPU_POLICY_OPTIONAL) {
        if (asked->on != wanted)
            refuse_redefined(hold, asked->name, asked->on);
        return;
    }
    asked->on = wanted;
    asked->policy = wanted ? INV_CPU_POLICY_REQUIRE : INV_CPU_POLICY_DISABLE;
    asked->origin = INV_ORIGIN_HELD;
}

static void
hold_feature(Hold *hold, const char *name)
{
    const InvCpuMapFeature *entry = inv_cpu_map_find(hold->facts->map, name);
    InvAsked *asked = inv_cpu_request_find(hold->request, name);
    const char *property = property_of(hold->request, inv_cpu_map_to_qemu(hold->facts->map, name));
    gboolean wanted = record_has(hold, name);

    if (entry && !entry->passed)
        return;
    if (inv_cpu_map_follows_topology(name)) {
        /* QEMU adds it to a CPU of more than one thread all the same; 10.0's max has it with one, too. */
        if (!asked && inv_feature_set_has(hold->model->on, name) && !inv_feature_set_has(hold->on, name))
            inv_cpu_request_ask(hold->request, hold->facts->map, name, INV_CPU_POLICY_DISABLE, INV_ORIGIN_HELD);
        return;
    }
    if (property) {
        if (strcmp(property, wanted ? "on" : "off") != 0)
            refuse_redefined(hold, name, !wanted);
    } else if (asked) {
        settle_asked(hold, asked, wanted);
    } else if (wanted && !inv_feature_set_has(hold->model->known, name)) {
        refuse_missing(hold, name);
    } else if (wanted != inv_feature_set_has(hold->model->on, name)) {
        inv_cpu_request_ask(hold->request, hold->facts->map, name, wanted ? INV_CPU_POLICY_REQUIRE : INV_CPU_POLICY_DISABLE,
                            INV_ORIGIN_HELD);
    }
}

/* Of the model, of the record by name, by its words, and of the request: each once. */
static void
hold_features(Hold *hold)
{
    const InvCpuMap *map = hold->facts->map;
    g_autoptr(InvFeatureSet) all = inv_feature_set_copy(hold->model->on);
    g_autoptr(GPtrArray) asked = inv_cpu_request_list(hold->request);
    g_autofree const char **list = NULL;

    inv_feature_set_unite(all, hold->on);
    for (guint i = 0; i < inv_cpu_map_size(map); i++) {
        const InvCpuMapFeature *entry = inv_cpu_map_at(map, i);
        gboolean known;

        if (word_has(hold, entry, &known))
            inv_feature_set_add(all, entry->name);
    }
    for (guint i = 0; i < asked->len; i++)
        inv_feature_set_add(all, ((const InvAsked *)g_ptr_array_index(asked, i))->name);
    list = inv_feature_set_list(all);
    for (guint i = 0; list[i]; i++)
        hold_feature(hold, list[i]);
}

static void
hold_number(Hold *hold, const char *qemu, gint64 recorded)
{
    gint64 model = inv_json_get_int(hold->model->others, qemu, -1);

    if (recorded < 0 || model < 0 || recorded == model || property_of(hold->request, qemu))
        return;
    inv_cpu_request_add_property(hold->request, "%s=%" G_GINT64_FORMAT, qemu, recorded);
}

static void
hold_vendor(Hold *hold)
{
    const char *model = inv_json_get_string(hold->model->others, "vendor");
    const char *asked = property_of(hold->request, "vendor");
    const char *recorded = hold->record->vendor;
    g_autofree char *reason = NULL;

    if (!recorded || (!model && !asked) || g_strcmp0(recorded, asked ? asked : model) == 0)
        return;
    /* QEMU takes ids of this length, and a comma would begin the next property. */
    if (asked || strlen(recorded) != VENDOR_ID_LENGTH || strchr(recorded, ',')) {
        refuse_identity(hold, "vendor", INV_LAYER_CONFIGURATION, recorded, asked ? asked : model);
    } else if (hold->facts->accelerator != INV_VIRT_KVM) {
        inv_cpu_request_add_property(hold->request, "vendor=%s", recorded);
    } else {
        /* Another name would be shown, and the processor would still be another one: in what its instructions do, too. */
        reason = g_strdup_printf("the guest runs on a processor by %s, this host's is by %s", inv_cpu_vendor_from_id(recorded),
                                 inv_cpu_vendor_from_id(model));
        inv_cpu_request_refuse(hold->request, "vendor", INV_LAYER_HARDWARE, reason, "run the domain on a host of that vendor; " INV_HELD_REMEDY);
    }
}

static void
hold_brand(Hold *hold)
{
    const char *model = inv_json_get_string(hold->model->others, "model-id");
    const char *recorded = hold->record->brand;

    if (!recorded || !model || strcmp(recorded, model) == 0 || property_of(hold->request, "model-id"))
        return;
    /* On QEMU's command line a comma begins the next property. */
    if (strpbrk(recorded, ",="))
        refuse_identity(hold, "brand", INV_LAYER_CONFIGURATION, recorded, model);
    else
        inv_cpu_request_add_property(hold->request, "model-id=%s", recorded);
}

/* The width is not in an expansion: QEMU settles it when it makes the CPU. */
static void
hold_phys_bits(Hold *hold)
{
    const InvCpuFacts *facts = hold->facts;
    gint64 recorded = hold->record->phys_bits;
    gint64 host = facts->host ? inv_json_get_int(facts->host->others, "phys-bits", 0) : 0;
    const char *asked = property_of(hold->request, "phys-bits");
    gboolean by_host = g_strcmp0(property_of(hold->request, "host-phys-bits"), "on") == 0 ||
                       (!asked && g_strcmp0(hold->request->model, "host") == 0);
    g_autofree char *reason = NULL;

    /* Without 64-bit mode the width follows pse36, and QEMU takes no other. */
    if (recorded <= 0 || strcmp(facts->arch, "x86_64") != 0 || !record_has(hold, "lm"))
        return;
    if (facts->accelerator != INV_VIRT_KVM) {
        if (recorded == USUAL_PHYS_BITS)
            return;
        reason = g_strdup_printf("%s emulates physical addresses of %u bits and no other (TCG), the guest's have %" G_GINT64_FORMAT,
                                 facts->emulator, USUAL_PHYS_BITS, recorded);
        inv_cpu_request_refuse(hold->request, "maxphysaddr", INV_LAYER_QEMU, reason,
                               "run the domain under KVM (<domain type='kvm'>); " INV_HELD_REMEDY);
    } else if (host > 0 && recorded > host) {
        reason = g_strdup_printf("the guest's physical addresses have %" G_GINT64_FORMAT " bits, the host's have %" G_GINT64_FORMAT, recorded,
                                 host);
        inv_cpu_request_refuse(hold->request, "maxphysaddr", INV_LAYER_HARDWARE, reason,
                               "run the domain on a host whose addresses are as wide; " INV_HELD_REMEDY);
    } else if (by_host || (!asked && recorded != USUAL_PHYS_BITS)) {
        remove_property(hold->request, "host-phys-bits");
        remove_property(hold->request, "host-phys-bits-limit");
        inv_cpu_request_add_property(hold->request, "host-phys-bits=off");
        inv_cpu_request_add_property(hold->request, "phys-bits=%" G_GINT64_FORMAT, recorded);
    } else if (asked && g_ascii_strtoll(asked, NULL, 10) != recorded) {
        g_autofree char *bits = g_strdup_printf("%" G_GINT64_FORMAT, recorded);

        refuse_identity(hold, "maxphysaddr", INV_LAYER_CONFIGURATION, bits, asked);
    }
}

static void
hold_cpu(Hold *hold)
{
    const InvCpuRecord *record = hold->record;

    hold_features(hold);
    hold_number(hold, "family", record->family);
    hold_number(hold, "model", record->model_number);
    hold_number(hold, "stepping", record->stepping);
    hold_number(hold, "level", record->level);
    hold_number(hold, "xlevel", record->xlevel);
    hold_number(hold, "xlevel2", record->xlevel2);
    hold_number(hold, "level-func7", record->level_func7);
    hold_vendor(hold);
    hold_brand(hold);
    hold_phys_bits(hold);
}

InvVerdict *
inv_cpu_hold(const InvCpuFacts *facts, InvCpuRequest *request, const InvCpuRecord *record)
{
    InvVerdict *verdict = inv_verdict_new();
    g_auto(Hold) hold = {
        .facts = facts,
        .driver = inv_cpu_driver_find(facts->arch, NULL),
        .record = record,
        .request = request,
        .on = inv_feature_set_new(inv_cpu_table_names(facts->table)),
        .words = words_of(record->words),
    };

    inv_feature_set_add_list(hold.on, (const char *const *)record->on);
    request->held = TRUE;
    if (hold_identity(&hold)) {
        hold.model = expansion_of(facts, request->model);
        /* Where names do not compare, the pinned definition asks for the record's CPU, and what QEMU made of it is compared. */
        if (hold.model && hold.driver && hold.driver->takes_features && !hold.driver->expands_groups)
            hold_cpu(&hold);
    }
    for (guint i = 0; i < request->refusals->blockers->len; i++) {
        const InvBlocker *blocker = g_ptr_array_index(request->refusals->blockers, i);

        inv_verdict_add(verdict, blocker->feature, blocker->layer, blocker->reason, blocker->remedy);
    }
    verdict->outcome = verdict->blockers->len ? INV_OUTCOME_REFUSED : INV_OUTCOME_EXACT;
    verdict->model = g_strdup(request->model);
    verdict->machine = g_strdup(facts->machine);
    verdict->argument = inv_cpu_request_argument(request, FALSE);
    return verdict;
}
