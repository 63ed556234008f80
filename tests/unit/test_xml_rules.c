/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/error.h"
#include "xml/cpu_scan.h"
#include "xml/domain.h"

#define DOMAIN(attributes, cpu, devices)                                                                   \
    "<domain type='qemu'" attributes "><name>g</name><uuid>c7a5fdbdedaf9455926ad65c16db1809</uuid>"        \
    "<memory unit='MiB'>256</memory><vcpu>2</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os>\n" \
    cpu "\n<devices>" devices "</devices></domain>"

#define VNC "<graphics type='vnc' port='5900' autoport='yes' passwd='secret'/>"
#define PTY "<serial type='pty'><source path='/dev/pts/7'/><alias name='serial0'/></serial>"
#define DISK "<disk type='file'><source file='/a'/><target dev='vda'/></disk>"
#define RNG "<rng model='virtio'><backend model='random'/></rng>"

static InvDomain *one;
static InvDomain *other;
static GError *error;
static char *text;

static int
teardown(void **state)
{
    g_clear_pointer(&one, inv_domain_free);
    g_clear_pointer(&other, inv_domain_free);
    g_clear_error(&error);
    g_clear_pointer(&text, g_free);
    return 0;
}

static InvDomain *
complete(const char *xml)
{
    g_autoptr(InvDomain) domain = inv_domain_parse(xml, &error);

    assert_non_null(domain);
    assert_true(inv_domain_complete(domain, "x86_64", NULL, &error));
    assert_true(inv_domain_validate(domain, &error));
    return g_steal_pointer(&domain);
}

typedef struct {
    const char *name;
    int flags;
    const char *has[4];
    const char *lacks[4];
} FlagCase;

static const FlagCase flag_cases[] = {
    { "live", INV_FORMAT_LIVE, { "id='3'", "port='5900'", "/dev/pts/7", "serial0" }, { "secret" } },
    { "inactive", INV_FORMAT_INACTIVE, { "port='-1'" }, { "id='3'", "/dev/pts", "serial0", "secret" } },
    { "migratable", INV_FORMAT_LIVE | INV_FORMAT_MIGRATABLE, { "port='-1'" }, { "id='3'", "/dev/pts", "serial0", "secret" } },
    { "secure", INV_FORMAT_SECURE, { "passwd='secret'" }, { "id='3'" } },
};

static void
flags_choose_what_is_shown(void **state)
{
    const FlagCase *row = *state;

    one = complete(DOMAIN(" id='3'", "", PTY VNC));
    text = inv_domain_format(one, (InvFormatFlags)row->flags);
    for (guint i = 0; i < 4; i++) {
        assert_true(!row->has[i] || strstr(text, row->has[i]));
        assert_true(!row->lacks[i] || !strstr(text, row->lacks[i]));
    }
}

typedef struct {
    const char *name;
    const char *one, *other;
    const char *message; /* NULL: the guest sees no difference */
} AbiCase;

#define DISK_AT(slot) "<disk type='file'><source file='/b'/><target dev='vda'/><address type='pci' bus='0' slot='" slot "'/></disk>"
#define RNG_AT(slot) "<rng model='virtio'><backend model='random'/><address type='pci' bus='0' slot='" slot "'/></rng>"

static const AbiCase abi_cases[] = {
    { "same", DOMAIN("", "", DISK RNG), DOMAIN("", "", DISK RNG), NULL },
    { "order", DOMAIN("", "", DISK_AT("5") RNG_AT("6")), DOMAIN("", "", RNG_AT("6") DISK_AT("5")), NULL },
    { "moved", DOMAIN("", "", DISK_AT("5")), DOMAIN("", "", DISK_AT("6")), "00:06.0" },
    { "new device", DOMAIN("", "", DISK), DOMAIN("", "", DISK RNG), "other devices" },
    { "topology", DOMAIN("", "", ""), DOMAIN("", "<cpu><topology sockets='1' cores='2' threads='1'/></cpu>", ""), "sockets" },
    { "default topology", DOMAIN("", "", ""), DOMAIN("", "<cpu><topology sockets='2' cores='1' threads='1'/></cpu>", ""), NULL },
    { "features are not looked at", DOMAIN("", "<cpu mode='maximum'/>", ""), DOMAIN("", "<cpu mode='host-model'/>", ""), NULL },
};

static void
abi_is_compared(void **state)
{
    const AbiCase *row = *state;

    one = complete(row->one);
    other = complete(row->other);
    assert_int_equal(inv_domain_check_abi(one, other, &error), row->message == NULL);
    assert_true(!row->message || strstr(error->message, row->message));
}

typedef struct {
    const char *name;
    const char *xml;
    const char *message; /* NULL: valid */
} SchemaCase;

static const SchemaCase schema_cases[] = {
    { "valid", DOMAIN("", "<cpu><model check='relaxed'>Nehalem</model><feature name='x' policy='force'/></cpu>", DISK), NULL },
    { "unknown elsewhere", DOMAIN("", "", "<odd/>"), NULL },
    { "bad policy", DOMAIN("", "<cpu><model>N</model><feature name='x' policy='maybe'/></cpu>", ""), "line 2: <feature>" },
    { "bad model check", DOMAIN("", "<cpu><model check='lax'>N</model></cpu>", ""), "line 2: <model>" },
    { "bad topology", DOMAIN("", "<cpu><topology sockets='0' cores='1' threads='1'/></cpu>", ""), "line 2: <topology>" },
    { "unknown in cpu", DOMAIN("", "<cpu><odd/></cpu>", ""), "line 2: <" },
};

static void
schema_names_line_and_element(void **state)
{
    const SchemaCase *row = *state;
    const char *data = g_getenv("INVAR_PKGDATADIR");
    g_autofree char *schema = g_build_filename(data ? data : g_getenv("INVAR_TOP_SRCDIR"), "schemas/invar-domain.rng", NULL);
    gboolean valid = inv_domain_validate_schema(row->xml, schema, &error);

    assert_int_equal(valid, row->message == NULL);
    if (row->message) {
        assert_int_equal(inv_error_code(error), VIR_ERR_XML_INVALID_SCHEMA);
        assert_non_null(strstr(error->message, row->message));
    }
}

static void
a_large_document_is_refused(void **state)
{
    text = g_strnfill(5 * 1024 * 1024, ' ');
    one = inv_domain_parse(text, &error);
    assert_null(one);
    assert_non_null(strstr(error->message, "5242880 bytes"));
}

static void
unknown_parts_are_told(void **state)
{
    static const char *const paths[] = { "cpu/odd", "devices/disk/iotune", "devices/tpm", "iothreads", "q:commandline", NULL };

    one = complete("<domain type='qemu' xmlns:q='urn:q'><name>g</name><memory>1</memory><iothreads>1</iothreads>"
                   "<metadata><x/></metadata><os><type>hvm</type></os><cpu><odd/></cpu><devices><tpm/><tpm/>"
                   "<disk><target dev='vda'/><iotune/></disk></devices><q:commandline/></domain>");
    assert_int_equal(one->unknown->len, 5);
    for (guint i = 0; paths[i]; i++)
        assert_true(g_ptr_array_find_with_equal_func(one->unknown, paths[i], g_str_equal, NULL));
}

static void
addresses_never_move(void **state)
{
    g_autofree char *more = NULL;
    InvDevice *rng = inv_device_new(INV_DEVICE_RNG);

    one = complete(DOMAIN("", "", DISK));
    text = inv_domain_format(one, INV_FORMAT_INACTIVE);
    other = complete(text);
    rng->u.rng.model = g_strdup("virtio");
    rng->u.rng.backend_model = g_strdup("random");
    g_ptr_array_insert(other->devices, 0, rng);
    assert_true(inv_domain_complete(other, "x86_64", NULL, &error));
    assert_true(inv_domain_validate(other, &error));
    for (guint i = 0; i < one->devices->len; i++) {
        const InvDevice *before = g_ptr_array_index(one->devices, i);
        const InvDevice *after = g_ptr_array_index(other->devices, i + 1);

        assert_int_equal(before->type, after->type);
        assert_memory_equal(&before->address, &after->address, sizeof(before->address));
    }
    more = inv_domain_format(other, INV_FORMAT_INACTIVE);
    assert_non_null(strstr(more, "<rng model='virtio'>"));
}

#define ADD_ROWS(rows, function)                                                                            \
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)                                                          \
    tests[count++] = (struct CMUnitTest){ .name = rows[i].name, .test_func = function, .teardown_func = teardown, \
                                          .initial_state = (void *)&rows[i] }

typedef struct {
    const char *name;
    const char *xml;
    gboolean plain; /* it is read without the parser */
} PlainCase;

static const PlainCase plain_cases[] = {
    { "a model", "<cpu><model>Nehalem</model></cpu>", TRUE },
    { "all that a guest's says",
      "<cpu mode='custom' match='exact' check='full'>\n  <model fallback=\"forbid\" check='strict'>Skylake-Client-v4</model>\n"
      "  <vendor>Intel</vendor><topology sockets='1' dies='2' clusters='3' cores='4' threads='5'/>\n"
      "  <maxphysaddr mode='emulate' bits='46'/><feature policy='require' name='sse4.1'/><feature name='vmx-ept'></feature>\n</cpu>\n",
      TRUE },
    { "a host's",
      " <cpu><arch>x86_64</arch><model>EPYC</model><microcode version='16777317'/><signature family='25' model='1' stepping='1'/>"
      "<counter name='tsc' frequency='2400000000' scaling='no'/><feature name='aes'/><pages unit='KiB' size='4'/>"
      "<pages unit='KiB' size='2048'/></cpu>",
      TRUE },
    { "a mode", "<cpu mode='host-model'/>", TRUE },
    { "nothing", "<cpu/>", TRUE },
    { "a comment", "<cpu><!-- a > b - c --><model>Nehalem</model></cpu>", TRUE },
    { "features without a model of its own", "<cpu mode='host-model'><feature name='aes' policy='disable'/></cpu>", TRUE },
    { "features without a model", "<cpu><feature name='aes' policy='disable'/></cpu>" },
    { "a vendor without a model", "<cpu><vendor>AMD</vendor></cpu>" },
    { "a feature twice", "<cpu><model>Nehalem</model><feature name='aes'/><feature name='avx'/><feature name='aes'/></cpu>" },
    { "a model twice", "<cpu><model>Nehalem</model><model>EPYC</model></cpu>" },
    { "a topology twice",
      "<cpu><topology sockets='1' cores='1' threads='1'/><topology sockets='1' cores='1' threads='1'/></cpu>" },
    { "an attribute twice", "<cpu mode='custom' mode='custom'><model>Nehalem</model></cpu>" },
    { "a topology without threads", "<cpu><topology sockets='1' cores='1'/></cpu>" },
    { "too many sockets", "<cpu><topology sockets='4097' cores='1' threads='1'/></cpu>" },
    { "no socket", "<cpu><topology sockets='0' cores='1' threads='1'/></cpu>" },
    { "no feature's name", "<cpu><model>Nehalem</model><feature policy='require'/></cpu>" },
    { "an unknown policy", "<cpu><model>Nehalem</model><feature policy='maybe' name='aes'/></cpu>" },
    { "an unknown mode", "<cpu mode='fast'/>" },
    { "a migratable one", "<cpu mode='host-passthrough' migratable='on'/>" },
    { "a cache", "<cpu mode='host-passthrough'><cache mode='passthrough'/></cpu>" },
    { "passed through bits", "<cpu><model>Nehalem</model><maxphysaddr mode='passthrough' limit='39'/></cpu>" },
    { "no bits", "<cpu><model>Nehalem</model><maxphysaddr mode='emulate'/></cpu>" },
    { "a vendor_id", "<cpu><model vendor_id='AuthenticAMD'>Nehalem</model></cpu>" },
    { "an empty model", "<cpu><model></model></cpu>" },
    { "a model of blanks", "<cpu><model> Nehalem </model></cpu>" },
    { "an entity", "<cpu><model>&lt;</model></cpu>" },
    { "a character by number", "<cpu><model>Nehalem</model><feature name='&#97;es'/></cpu>" },
    { "CDATA", "<cpu><model><![CDATA[Nehalem]]></model></cpu>" },
    { "a declaration", "<?xml version='1.0'?><cpu/>" },
    { "a document type", "<!DOCTYPE cpu><cpu/>" },
    { "a namespace", "<cpu xmlns='urn:x'><model>Nehalem</model></cpu>" },
    { "a prefix", "<cpu><x:model xmlns:x='urn:x'>Nehalem</x:model></cpu>" },
    { "a sign in a name", "<cpu><pages a+b='1'/></cpu>" },
    { "text between elements", "<cpu>x<model>Nehalem</model></cpu>" },
    { "text behind it", "<cpu/>x" },
    { "two of them", "<cpu/><cpu/>" },
    { "another one", "<domain/>" },
    { "no end", "<cpu><model>Nehalem</model>" },
    { "another end", "<cpu><model>Nehalem</vendor></cpu>" },
    { "an end within", "<cpu><feature name='aes'" },
    { "hyphens in a comment", "<cpu><!-- a -- b --></cpu>" },
    { "a comment without an end", "<cpu><!-- a " },
    { "no blank between attributes", "<cpu mode='custom'match='exact'/>" },
    { "no quotes", "<cpu mode=custom/>" },
    { "other quotes", "<cpu mode='custom\"/>" },
    { "an element that is not known", "<cpu><model>Nehalem</model><bogus/></cpu>" },
    { "letters beyond ASCII", "<cpu><model>N\303\244h</model></cpu>" },
    { "no text at all", "" },
};

/* Without `source`, as text; NULL: refused. */
static char *
bare_text(InvCpu *cpu)
{
    if (cpu)
        g_clear_pointer(&cpu->source, xmlFreeNode);
    return cpu ? inv_cpu_format(cpu) : NULL;
}

static void
plain_documents_are_read_alike(void **state)
{
    const PlainCase *row = *state;
    g_autoptr(InvCpu) parsed = inv_cpu_parse(row->xml, NULL);
    g_autoptr(InvCpu) scanned = inv_cpu_scan(row->xml);
    g_autoptr(InvCpu) read = inv_cpu_read(row->xml, &error);
    g_autofree char *expected = bare_text(parsed);
    g_autofree char *got = bare_text(read);

    assert_int_equal(scanned != NULL, row->plain);
    assert_int_equal(read != NULL, parsed != NULL);
    assert_int_equal(error != NULL, parsed == NULL);
    if (read) {
        assert_string_equal(got, expected);
        assert_int_equal(read->features->len, parsed->features->len);
        assert_int_equal(read->cache_level, parsed->cache_level);
        assert_int_equal(read->dies, parsed->dies);
    }
}

static void
plain_documents_have_so_many_features(void **state)
{
    g_autoptr(GString) xml = g_string_new("<cpu><model>Nehalem</model>");
    g_autoptr(InvCpu) read = NULL;

    for (guint i = 0; i < 2000; i++)
        g_string_append_printf(xml, "<feature name='f%u'/>", i);
    g_string_append(xml, "</cpu>");
    assert_null(inv_cpu_scan(xml->str));
    read = inv_cpu_read(xml->str, &error);
    assert_non_null(read);
    assert_int_equal(read->features->len, 2000);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(flag_cases) + G_N_ELEMENTS(abi_cases) + G_N_ELEMENTS(schema_cases) +
                            G_N_ELEMENTS(plain_cases) + 4] = {
        cmocka_unit_test_teardown(a_large_document_is_refused, teardown),
        cmocka_unit_test_teardown(unknown_parts_are_told, teardown),
        cmocka_unit_test_teardown(addresses_never_move, teardown),
        cmocka_unit_test_teardown(plain_documents_have_so_many_features, teardown),
    };
    gsize count = 4;

    ADD_ROWS(flag_cases, flags_choose_what_is_shown);
    ADD_ROWS(abi_cases, abi_is_compared);
    ADD_ROWS(schema_cases, schema_names_line_and_element);
    ADD_ROWS(plain_cases, plain_documents_are_read_alike);
    return cmocka_run_group_tests_name("xml rules", tests, NULL, NULL);
}
