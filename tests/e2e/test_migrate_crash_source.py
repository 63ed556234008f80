# SPDX-License-Identifier: LGPL-2.1-or-later
"""The source's daemon dies at every step of a migration, of either style: one guest is left, with its CPU."""
import harness
import migrate_failures as failures

# The daemon dies at the point; then the guest is where `moved` says.
STEPS = [
    {"point": "migrate-out-begun", "moved": False},
    {"point": "migrate-out-before-start", "moved": False},
    {"point": "migrate-out-started", "moved": False},
    {"point": "migrate-out-switchover", "moved": False},
    {"point": "migrate-out-completed", "moved": False},
    {"point": "migrate-out-sent", "moved": False},
    {"point": "migrate-out-before-finish", "moved": False, "styles": ["p2p"]},
    {"point": "migrate-out-before-confirm", "moved": True},
    {"point": "migrate-out-ended", "moved": True},
    {"point": "migrate-out-ended", "moved": True, "options": ["--persistent", "--undefinesource"]},
    {"point": "migrate-out-undefined", "moved": True, "options": ["--persistent", "--undefinesource"]},
]
ROWS = [{"name": f"{style}: the source's daemon dies at {step['point']} {' '.join(step.get('options', []))}".strip(), "style": style, **step}
        for style in failures.STYLES for step in STEPS if style in step.get("styles", failures.STYLES)]


@harness.rows(ROWS)
def test_source_dies(row):
    """the source's daemon dies"""
    harness.need_fault_points()
    with failures.case() as both:
        options = row.get("options", [])
        if options and failures.NAME not in both.defined[0]:
            both.renew()
            both.ready()
        both.source.restart(row["point"])
        client = both.attempt(*failures.STYLES[row["style"]], *options)
        both.source.wait_dead(30)
        # Of Confirm's failure libvirt's client tells nothing: the guest has moved.
        if row["moved"] and row["style"] == "direct":
            both.succeeded(client)
        else:
            both.failed(client)
        # What does not need the source is in order before it is back.
        if not row["moved"]:
            harness.wait_for(lambda: not both.qemus(both.destination, failures.NAME), "the end of the destination's QEMU")
        both.source.start()
        both.check_ended(row["moved"], options)
        if row["moved"]:
            both.swap()


def test_nothing_left():
    """both daemons end, and nothing is left running"""
    failures.close()


if __name__ == "__main__":
    harness.main()
