# SPDX-License-Identifier: LGPL-2.1-or-later
"""The destination's daemon dies at every step of a migration, of either style: one guest is left, with its CPU."""
import harness
import migrate_failures as failures

# `undecided`: the guest stands still at the source until the destination's daemon is back.
STEPS = [
    {"point": "migrate-in-spawned", "moved": False},
    {"point": "migrate-in-prepared", "moved": False},
    {"point": "migrate-in-before-decision", "moved": False, "undecided": True},
    {"point": "store-decide-before-commit", "moved": False, "undecided": True},
    {"point": "migrate-in-after-decision", "moved": True, "undecided": True},
    {"point": "migrate-in-before-cont", "moved": True, "undecided": True},
    {"point": "migrate-in-before-settling", "moved": True, "undecided": True, "options": ["--persistent", "--undefinesource"]},
    {"point": "migrate-in-finished", "moved": True, "undecided": True},
]
ROWS = [{"name": f"{style}: the destination's daemon dies at {step['point']}", "style": style, **step}
        for style in failures.STYLES for step in STEPS]


@harness.rows(ROWS)
def test_destination_dies(row):
    """the destination's daemon dies"""
    harness.need_fault_points()
    with failures.case() as both:
        options = row.get("options", [])
        if options and failures.NAME not in both.defined[0]:
            both.renew()
            both.ready()
        both.destination.restart(row["point"])
        client = both.attempt(*failures.STYLES[row["style"]], *options)
        both.destination.wait_dead(30)
        both.failed(client)
        if row.get("undecided"):
            both.check_standing_still()
        else:
            assert both.state(both.source, failures.NAME).startswith("running")
        both.destination.start()
        both.check_ended(row["moved"], options)
        if row["moved"]:
            both.swap()


def test_nothing_left():
    """both daemons end, and nothing is left running"""
    failures.close()


if __name__ == "__main__":
    harness.main()
