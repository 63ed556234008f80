#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a <cpu> promises, row by row, each judged by the CPUID that the guest prints.

The rows are those in which libvirt 11.3 was seen to do something else than the document says.
"""
import itertools
import xml.etree.ElementTree as trees

import harness
import witness


def started(daemon, cpu, name="guest", **options):
    """Defines and starts it; {leaf: registers} as the guest prints them."""
    daemon.invar("define", daemon.write(name + ".xml", daemon.witness_xml(name, cpu, **options)))
    daemon.invar("start", name)
    return witness.decode(daemon.cpuid(name))


def refused(daemon, cpu, words=(), name="guest"):
    """Defines it; its start must be refused with @words, and leave nothing behind."""
    daemon.invar("define", daemon.write(name + ".xml", daemon.witness_xml(name, cpu)))
    before = daemon.invar("dumpxml", "--inactive", name).stdout
    connection = daemon.connect()
    try:
        error = harness.expect_error(connection.lookupByName(name).create, code="VIR_ERR_CONFIG_UNSUPPORTED", words=words)
    finally:
        connection.close()
    daemon.wait_no_qemu(name)
    assert daemon.invar("dumpxml", "--inactive", name).stdout == before
    return error


def policies(daemon, name="guest"):
    return harness.features_of(daemon.invar("dumpxml", "--inactive", name).stdout)


def host_vendor(daemon):
    connection = daemon.connect()
    try:
        vendor = trees.fromstring(connection.getCapabilities()).findtext("host/cpu/vendor")
    finally:
        connection.close()
    if vendor not in ("Intel", "AMD"):
        raise harness.Skip(f"the host's CPU vendor is {vendor}")
    return vendor


def had_in_full():
    for model in ("Nehalem", "Penryn", "qemu64"):
        if not harness.qemu_filters(model):
            return model
    raise harness.Skip("this QEMU filters something of every model tried")


def test_relaxed(daemon):
    """a relaxed model: what was filtered is recorded in the persistent definition"""
    leaves = started(daemon, harness.relaxed("Skylake-Client"))
    disabled = {name for name, policy in policies(daemon).items() if policy == "disable"}
    assert disabled == harness.qemu_filters("Skylake-Client"), disabled
    for name in disabled & set(witness.BITS):
        assert not witness.has(leaves, name), name


def test_force(daemon):
    """force: the guest sees the feature though QEMU would filter it"""
    if "avx512f" not in harness.qemu_filters("Nehalem,avx512f=on"):
        raise harness.Skip("this QEMU gives avx512f")
    leaves = started(daemon, harness.relaxed("Nehalem", "force:avx512f"))
    assert witness.has(leaves, "avx512f")
    assert policies(daemon)["avx512f"] == "force"


@harness.rows([
    {"name": "require that cannot be had is refused, by default", "check": None},
    {"name": "require that cannot be had is refused, relaxed", "check": "relaxed"},
    {"name": "require that cannot be had is refused, strict", "check": "strict"},
])
def test_require_missing(daemon, row):
    if "avx512f" not in harness.qemu_filters("Nehalem,avx512f=on"):
        raise harness.Skip("this QEMU gives avx512f")
    refused(daemon, harness.cpu_xml("Nehalem", row["check"], "require:avx512f"), words=["avx512f"])


def test_require(daemon):
    """require that can be had is there"""
    assert witness.has(started(daemon, harness.relaxed("Nehalem", "require:aes")), "aes")


def test_disable(daemon):
    """disable: the guest does not see it"""
    assert not witness.has(started(daemon, harness.relaxed("Nehalem", "disable:sse2")), "sse2")


def test_optional(daemon):
    """optional is settled at the first start and recorded: there or not"""
    if "avx512f" not in harness.qemu_filters("Nehalem,avx512f=on"):
        raise harness.Skip("this QEMU gives avx512f")
    leaves = started(daemon, harness.relaxed("Nehalem", "optional:avx512f optional:aes"))
    assert witness.has(leaves, "aes") and not witness.has(leaves, "avx512f")
    found = policies(daemon)
    assert found.get("avx512f") == "disable" and found.get("aes") == "require", found


@harness.rows([
    {"name": "forbid what the host could give is refused: an alias", "model": "Nehalem"},
    {"name": "forbid what the host could give is refused: a versioned model", "model": "Nehalem-v1"},
])
def test_forbid(daemon, row):
    refused(daemon, harness.relaxed(row["model"], "forbid:sse2"), words=["sse2"])


def test_forbid_absent(daemon):
    """forbid what the host cannot give starts"""
    if "avx512f" not in harness.qemu_filters("Nehalem,avx512f=on"):
        raise harness.Skip("this QEMU gives avx512f")
    assert not witness.has(started(daemon, harness.relaxed("Nehalem", "forbid:avx512f")), "avx512f")


def test_match_strict(daemon):
    """match=strict with a host that gives more than the model is refused"""
    refused(daemon, harness.relaxed("Nehalem", attributes=" match='strict'"))


@harness.rows([
    {"name": "a vendor that is not the host's is refused", "features": "", "own": False},
    {"name": "a vendor that is not the host's is refused, a redundant require or not", "features": "require:mmx", "own": False},
    {"name": "the host's vendor starts", "features": "", "own": True},
    {"name": "the host's vendor starts, a redundant require or not", "features": "require:mmx", "own": True},
])
def test_vendor(daemon, row):
    vendor = host_vendor(daemon)
    if not row["own"]:
        vendor = {"Intel": "AMD", "AMD": "Intel"}[vendor]
    model = {"Intel": "Nehalem", "AMD": "Opteron_G3"}[vendor]
    cpu = harness.cpu_xml(model, "relaxed", row["features"], vendor=vendor)
    if row["own"]:
        started(daemon, cpu)
    else:
        refused(daemon, cpu, words=["vendor"])


def test_minimum(daemon):
    """match=minimum keeps the model's vendor, and gives at least its features"""
    leaves = started(daemon, harness.relaxed("Nehalem", attributes=" match='minimum'"))
    assert witness.vendor(leaves) == "GenuineIntel", witness.vendor(leaves)
    for feature in ("sse2", "mmx", "lm"):
        assert witness.has(leaves, feature), feature


def test_model_of_qemu_alone(daemon):
    """a model that QEMU has and no table of ours need not know starts"""
    leaves = started(daemon, harness.relaxed("Snowridge-v2"))
    assert witness.vendor(leaves) == "GenuineIntel"


@harness.rows([
    {"name": "check=full with a bare model starts: what QEMU adds by itself is no violation", "attributes": " check='full'",
     "check": None},
    {"name": "model check=strict with a bare model starts", "attributes": "", "check": "strict"},
])
def test_full(daemon, row):
    started(daemon, harness.cpu_xml(had_in_full(), row["check"], attributes=row["attributes"]))


def test_full_refuses(daemon):
    """check=full with a model that is filtered is refused, each feature named"""
    refused(daemon, harness.cpu_xml("Skylake-Client", None, attributes=" check='full'"),
            words=sorted(harness.qemu_filters("Skylake-Client")))


@harness.rows([
    {"name": "maximum is recorded, and the same again", "mode": "maximum"},
    {"name": "no <cpu> is recorded, and the same again", "mode": None},
    {"name": "host-model is recorded, and the same again", "mode": "host-model"},
])
def test_recorded(daemon, row):
    first = started(daemon, f"<cpu mode='{row['mode']}'/>" if row["mode"] else "")
    record = daemon.invar("cpu-record", "guest").stdout
    assert "sse2" in record, record
    daemon.invar("destroy", "guest")
    with open(daemon.serial("guest"), "wb"):
        pass
    daemon.invar("start", "guest")
    assert witness.decode(daemon.cpuid("guest")) == first


def test_order(daemon):
    """the order of features makes no difference"""
    seen = []
    items = ("require:aes", "disable:sse2", "optional:avx2")
    for number, order in enumerate(itertools.permutations(items)):
        if number % 2:
            seen.append(started(daemon, harness.relaxed("Nehalem", " ".join(order)), name=f"order{number}"))
            daemon.invar("destroy", f"order{number}")
    assert all(leaves == seen[0] for leaves in seen)


def test_domcapabilities(daemon):
    """domcapabilities says of each machine which models are usable, as QEMU does of that machine"""
    for machine in ("pc-q35-7.2", "pc-i440fx-2.12"):
        with harness.bare_qemu("qemu64", "q35") as (_, qmp):
            qmp.readline()
            harness.ask(qmp, "qmp_capabilities")
            known = {item["name"] for item in harness.ask(qmp, "query-machines")}
        if machine not in known:
            continue
        with harness.bare_qemu("qemu64", machine) as (_, qmp):
            qmp.readline()
            harness.ask(qmp, "qmp_capabilities")
            wanted = {item["name"]: not item["unavailable-features"]
                      for item in harness.ask(qmp, "query-cpu-definitions")}
        connection = daemon.connect()
        try:
            text = connection.getDomainCapabilities(None, "x86_64", machine, "qemu", 0)
        finally:
            connection.close()
        mode = trees.fromstring(text).find("cpu/mode[@name='custom']")
        listed = {model.text: model.get("usable") == "yes" for model in mode.findall("model")}
        assert len(listed) >= 20, sorted(listed)
        wrong = {name: usable for name, usable in listed.items() if name in wanted and wanted[name] != usable}
        assert not wrong, f"{machine}: {wrong}"


if __name__ == "__main__":
    harness.main()
