/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/basis.h"

#include "cpu_driver/description.h"
#include "cpu_driver/driver.h"
#include "cpu_driver/expand.h"
#include "util/error.h"

#include <string.h>

/* What a dictionary comes to as numbers and sets: made once for all that look at it. */
typedef struct {
    InvCpuBasisFeature *features; /* one per entry of the map */
    GHashTable *feature_of;       /* InvCpuMapFeature → InvCpuBasisFeature, both borrowed */
    InvFeatureSet *guests_get;    /* with a bit, passed on by QEMU, not following the topology */
    InvFeatureSet *bits;          /* with a bit */
    InvFeatureSet *comparable, *promisable, *vmx_parts;
    const InvCpuBasisFeature *vmx;
} Ground;

struct InvCpuBasis {
    const InvCpuFacts *facts;     /* NULL: models of the map */
    const InvCpuDecoder *decoder; /* NULL: models of a QEMU */
    const InvCpuMap *map;
    InvFeatureNames *names;
    const char *arch;
    const Ground *ground;         /* the names table's own */
    const InvFeatureSet *describable;
    InvCpuBasisModel *models;     /* every model, in the order of its source; NULL until they are needed, then immutable */
};

static void
add_feature(Ground *ground, InvFeatureNames *names, InvCpuBasisFeature *feature, const InvCpuMapFeature *entry)
{
    gboolean topology = inv_cpu_map_follows_topology(entry->name);

    feature->entry = entry;
    feature->number = inv_feature_names_intern(names, entry->name);
    feature->promisable = entry->mask && !entry->by_guest && !topology;
    g_hash_table_insert(ground->feature_of, (gpointer)entry, feature);
    if (inv_cpu_is_comparable(entry))
        inv_feature_set_add_number(ground->comparable, feature->number);
    if (feature->promisable)
        inv_feature_set_add_number(ground->promisable, feature->number);
    if (entry->mask)
        inv_feature_set_add_number(ground->bits, feature->number);
    if (entry->mask && entry->passed && !topology)
        inv_feature_set_add_number(ground->guests_get, feature->number);
    if (g_str_has_prefix(entry->name, "vmx-"))
        inv_feature_set_add_number(ground->vmx_parts, feature->number);
    else if (strcmp(entry->name, "vmx") == 0)
        ground->vmx = feature;
}

static gpointer
make_ground(InvFeatureNames *names, gconstpointer key)
{
    const InvCpuMap *map = key;
    Ground *ground = g_new0(Ground, 1);
    guint n = inv_cpu_map_size(map);

    ground->features = g_new0(InvCpuBasisFeature, n);
    ground->feature_of = g_hash_table_new(NULL, NULL);
    ground->guests_get = inv_feature_set_new(names);
    ground->bits = inv_feature_set_new(names);
    ground->comparable = inv_feature_set_new(names);
    ground->promisable = inv_feature_set_new(names);
    ground->vmx_parts = inv_feature_set_new(names);
    for (guint i = 0; i < n; i++)
        add_feature(ground, names, &ground->features[i], inv_cpu_map_at(map, i));
    return ground;
}

static void
ground_free(gpointer data)
{
    Ground *ground = data;

    g_hash_table_unref(ground->feature_of);
    g_free(ground->features);
    inv_feature_set_free(ground->guests_get);
    inv_feature_set_free(ground->bits);
    inv_feature_set_free(ground->comparable);
    inv_feature_set_free(ground->promisable);
    inv_feature_set_free(ground->vmx_parts);
    g_free(ground);
}

static const Ground *
ground_of(const InvCpuMap *map, InvFeatureNames *names)
{
    return inv_feature_names_keep(names, map, make_ground, ground_free);
}

const InvFeatureSet *
inv_cpu_comparable_of(const InvCpuMap *map, InvFeatureNames *names)
{
    return ground_of(map, names)->comparable;
}

static InvCpuBasis *
new_basis(const InvCpuFacts *facts, const InvCpuDecoder *decoder, const InvCpuMap *map, InvFeatureNames *names, const char *arch)
{
    InvCpuBasis *basis = g_new0(InvCpuBasis, 1);

    basis->facts = facts;
    basis->decoder = decoder;
    basis->map = map;
    basis->names = names;
    basis->arch = arch;
    basis->ground = ground_of(map, names);
    basis->describable = decoder ? basis->ground->bits : basis->ground->guests_get;
    return basis;
}

InvCpuBasis *
inv_cpu_basis_of_facts(const InvCpuFacts *facts)
{
    return new_basis(facts, NULL, facts->map, inv_cpu_table_names(facts->table), facts->arch);
}

InvCpuBasis *
inv_cpu_basis_of_map(const InvCpuDecoder *decoder, const char *arch)
{
    return new_basis(NULL, decoder, inv_cpu_decoder_map(decoder), inv_cpu_decoder_names(decoder), arch);
}

void
inv_cpu_basis_free(InvCpuBasis *basis)
{
    if (basis)
        g_free(basis->models);
    g_free(basis);
}

InvFeatureNames *
inv_cpu_basis_names(const InvCpuBasis *basis)
{
    return basis->names;
}

const char *
inv_cpu_basis_arch(const InvCpuBasis *basis)
{
    return basis->arch;
}

const InvCpuFacts *
inv_cpu_basis_facts(const InvCpuBasis *basis)
{
    return basis->facts;
}

const InvFeatureSet *
inv_cpu_basis_comparable(const InvCpuBasis *basis)
{
    return basis->ground->comparable;
}

const InvFeatureSet *
inv_cpu_basis_describable(const InvCpuBasis *basis)
{
    return basis->describable;
}

const InvFeatureSet *
inv_cpu_basis_promisable(const InvCpuBasis *basis)
{
    return basis->ground->promisable;
}

const InvFeatureSet *
inv_cpu_basis_vmx_parts(const InvCpuBasis *basis)
{
    return basis->ground->vmx_parts;
}

gboolean
inv_cpu_basis_vmx(const InvCpuBasis *basis, guint *number)
{
    *number = basis->ground->vmx ? basis->ground->vmx->number : 0;
    return basis->ground->vmx != NULL;
}

gboolean
inv_cpu_basis_arch_fits(const InvCpuBasis *basis, const char *arch)
{
    return !arch || strcmp(arch, basis->arch) == 0 || (strcmp(arch, "i686") == 0 && strcmp(basis->arch, "x86_64") == 0);
}

gboolean
inv_cpu_basis_can_describe(const InvCpuBasis *basis, const char *what, GError **error)
{
    if (!inv_cpu_driver_find(basis->arch, error))
        return FALSE;
    return inv_cpu_map_size(basis->map) > 0 ||
           inv_error_set(error, VIR_ERR_NO_SUPPORT, "%s is not supported by the %s CPU driver", what, basis->arch);
}

const InvFeatureSet *
inv_cpu_basis_model_set(const InvCpuBasisModel *model, gboolean vmx)
{
    return vmx && model->nested ? model->nested : model->on;
}

const InvCpuBasisFeature *
inv_cpu_basis_feature(const InvCpuBasis *basis, const char *name)
{
    const InvCpuMapFeature *entry = inv_cpu_map_find(basis->map, name);

    return entry ? g_hash_table_lookup(basis->ground->feature_of, entry) : NULL;
}

const char *
inv_cpu_basis_canonical(const InvCpuBasis *basis, const char *name, const InvCpuBasisFeature **feature, GError **error)
{
    const char *canonical;

    *feature = inv_cpu_basis_feature(basis, name);
    if (*feature)
        return (*feature)->entry->name;
    if (basis->facts) {
        canonical = inv_cpu_canonical_feature(basis->facts, name);
        if (!canonical)
            inv_cpu_unknown_feature(basis->facts, name, error);
        return canonical;
    }
    inv_cpu_refuse_feature(basis->map, name, error);
    return NULL;
}

static void
take_model(const InvCpuFacts *facts, const InvCpuModel *from, InvCpuBasisModel *model)
{
    const InvCpuModelEntry *entry = NULL;

    *model = (InvCpuBasisModel){ .name = from->name, .deprecated = from->deprecated, .model = from };
    if (!from->expansion)
        return;
    model->on = from->expansion->on;
    model->level = (guint)CLAMP(inv_json_get_int(from->expansion->others, "level", 0), 0, G_MAXUINT32);
    model->xlevel = (guint)CLAMP(inv_json_get_int(from->expansion->others, "xlevel", 0), 0, G_MAXUINT32);
    if (inv_cpu_is_generic_model(from->name))
        return;
    /* Under KVM every model is given the host's vendor. */
    if (facts->accelerator == INV_VIRT_KVM && facts->models)
        entry = inv_cpu_models_find(facts->models, from->name);
    model->vendor = entry && entry->vendor ? entry->vendor : inv_json_get_string(from->expansion->others, "vendor");
}

static void
take_entry(const InvCpuBasis *basis, const InvCpuModelEntry *entry, InvCpuBasisModel *model)
{
    *model = (InvCpuBasisModel){ .name = entry->name, .deprecated = entry->deprecated };
    model->on = inv_cpu_decoder_model(basis->decoder, entry->name, FALSE);
    model->nested = inv_cpu_decoder_model(basis->decoder, entry->name, TRUE);
    model->level = (guint)CLAMP(entry->level, 0, G_MAXUINT32);
    model->xlevel = (guint)CLAMP(entry->xlevel, 0, G_MAXUINT32);
    if (!inv_cpu_is_generic_model(entry->name))
        model->vendor = entry->vendor;
}

gboolean
inv_cpu_basis_find_model(const InvCpuBasis *basis, const char *name, InvCpuBasisModel *model, GError **error)
{
    const InvCpuModelEntry *entry;

    if (basis->facts) {
        const InvCpuBasisModel *models = g_atomic_pointer_get(&((InvCpuBasis *)basis)->models);
        const InvCpuModel *found = inv_cpu_find_model(basis->facts, name, error);

        if (!found || !inv_cpu_need_expansion(basis->facts, found->name, error))
            return FALSE;
        for (guint i = 0; models && i < inv_cpu_table_size(basis->facts->table); i++) {
            if (models[i].model == found) {
                *model = models[i];
                return TRUE;
            }
        }
        take_model(basis->facts, found, model);
        return TRUE;
    }
    entry = inv_cpu_models_find(inv_cpu_decoder_models(basis->decoder), name);
    if (!entry)
        return inv_cpu_refuse_model(inv_cpu_decoder_models(basis->decoder), name, error);
    take_entry(basis, entry, model);
    return TRUE;
}

static guint
size(const InvCpuBasis *basis)
{
    return basis->facts ? inv_cpu_table_size(basis->facts->table) : inv_cpu_models_size(inv_cpu_decoder_models(basis->decoder));
}

void
inv_cpu_basis_prepare(const InvCpuBasis *basis)
{
    InvCpuBasis *mutable = (InvCpuBasis *)basis;
    InvCpuBasisModel *models;

    if (!g_once_init_enter(&mutable->models))
        return;
    /* One more, since a pointer to nothing would mean that it is still to be done. */
    models = g_new0(InvCpuBasisModel, size(basis) + 1);
    for (guint i = 0; i < size(basis); i++) {
        if (basis->facts)
            take_model(basis->facts, inv_cpu_table_at(basis->facts->table, i), &models[i]);
        else
            take_entry(basis, inv_cpu_models_at(inv_cpu_decoder_models(basis->decoder), i), &models[i]);
    }
    g_once_init_leave(&mutable->models, models);
}

/* FALSE: it follows the host, is empty, is another name of a model, or nobody said what it consists of. */
static gboolean
model_at(const InvCpuBasis *basis, guint index, InvCpuBasisModel *model)
{
    static const char *const no_models[] = { "host", "max", "base", NULL };

    *model = basis->models[index];
    return model->on && !(model->model && model->model->alias_of) && !g_strv_contains(no_models, model->name);
}

typedef struct {
    InvCpuBasisModel model;
    gboolean unusable, disables, unversioned;
    guint changes;
} Candidate;

/* "EPYC-Rome-v2" before "EPYC-Rome-v1", and both behind "EPYC-Milan-v1": by generation, the newest version first. */
static gboolean
is_listed_before(const char *a, const char *b)
{
    gsize stem_a = inv_cpu_is_versioned(a) ? (gsize)(strrchr(a, '-') - a) : strlen(a);
    gsize stem_b = inv_cpu_is_versioned(b) ? (gsize)(strrchr(b, '-') - b) : strlen(b);

    int order = strncmp(a, b, MIN(stem_a, stem_b));

    if (order || stem_a != stem_b)
        return order ? order < 0 : stem_a < stem_b;
    if (!a[stem_a] || !b[stem_b])
        return !a[stem_a] && b[stem_b];
    return g_ascii_strtoull(a + stem_a + 2, NULL, 10) > g_ascii_strtoull(b + stem_b + 2, NULL, 10);
}

static gboolean
is_better(const Candidate *a, const Candidate *b)
{
    if (!b->model.name)
        return TRUE;
    if (a->unusable != b->unusable)
        return !a->unusable;
    if (a->model.deprecated != b->model.deprecated)
        return !a->model.deprecated;
    if (a->changes != b->changes)
        return a->changes < b->changes;
    if (a->disables != b->disables)
        return !a->disables;
    if (a->unversioned != b->unversioned)
        return !a->unversioned;
    return is_listed_before(a->model.name, b->model.name);
}

static gboolean
is_of_vendor(const InvCpuRanking *ranking, const InvCpuBasisModel *model)
{
    const char *vendor = model->vendor;

    /* QEMU gives its own inventions a vendor id too, and on a host of that vendor they are as good as any. */
    if (!vendor && model->model && ranking->here)
        vendor = inv_json_get_string(model->model->expansion->others, "vendor");

    return ranking->any_vendor || g_strcmp0(vendor, ranking->vendor) == 0;
}

gboolean
inv_cpu_basis_choose(const InvCpuBasis *basis, const InvCpuRanking *ranking, InvCpuBasisModel *best)
{
    gboolean nested = inv_feature_set_meets(ranking->target, inv_cpu_basis_vmx_parts(basis));
    g_autoptr(InvFeatureSet) has = inv_feature_set_new(basis->names);
    Candidate chosen = { .model = { 0 } };

    inv_cpu_basis_prepare(basis);
    for (guint i = 0; i < size(basis); i++) {
        Candidate one = { .unusable = FALSE };

        if (!model_at(basis, i, &one.model) || !is_of_vendor(ranking, &one.model))
            continue;
        inv_feature_set_assign(has, inv_cpu_basis_model_set(&one.model, nested));
        inv_feature_set_intersect(has, ranking->within);
        if (ranking->here && one.model.model) {
            one.unusable = one.model.model->unavailable && *one.model.model->unavailable;
            for (char **name = one.model.model->unavailable; name && *name; name++)
                inv_feature_set_remove(has, *name);
        }
        one.disables = !ranking->here && !inv_feature_set_is_subset(has, ranking->target);
        one.unversioned = !inv_cpu_is_versioned(one.model.name);
        one.changes = inv_feature_set_distance_within(has, ranking->target, ranking->within);
        if (is_better(&one, &chosen))
            chosen = one;
    }
    *best = chosen.model;
    return best->name != NULL;
}
