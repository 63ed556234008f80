#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The page of `invar migrate-check --html`, in a real browser: light and dark, wide and narrow, with hostile names.
$INVAR_PICTURES names a folder in which the pictures stay.
"""
import os
import re

import harness
from browser import Browser
from host_files import HostFile

HOSTILE = "<script>document.title='broken'</script><img src=x onerror=alert(1)>\"'&\u202e"
MACHINE = "pc-q35-7.2"
# Least contrast of WCAG 2 for text of this size.
CONTRAST = 4.5

# The contrast of every text with what is behind it; [ratio, text] of the worst.
WORST_CONTRAST = """
const parse = c => { const m = c.match(/[0-9.]+/g).map(Number); return [m[0], m[1], m[2], m.length > 3 ? m[3] : 1]; };
const light = c => { const f = c.slice(0, 3).map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > 0.99) return c; }
  return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255]; };
let worst = [99, ''];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement, text = walk.currentNode.textContent.trim();
  if (!text || !e.checkVisibility() || e.closest('script,style')) continue;
  const a = light(parse(getComputedStyle(e).color)), b = light(behind(e));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < worst[0]) worst = [ratio, text];
}
return worst;
"""


def make_pages(daemon):
    """The page of one domain, and of three; both with every kind of answer."""
    if hasattr(daemon, "pages"):
        return daemon.pages
    if not harness.QEMU:
        raise harness.Skip("qemu-system-x86_64 is not installed")
    for name, model in (("web", "Haswell-noTSX"), ("database-with-a-rather-long-name", "Nehalem"), ("tiny", "qemu64")):
        daemon.invar("define", daemon.write("x.xml", harness.domain_xml(name, harness.relaxed(model), MACHINE)))
        if name != "tiny":
            daemon.invar("start", name, "--paused")
    original = daemon.invar("host-export", "--machine", MACHINE).stdout.encode()
    folder = daemon.path("hosts")
    os.mkdir(folder)
    for number in range(12):
        host = HostFile(original)
        emulator = next(emulator for emulator in host.head["emulators"] if emulator.get("usual"))
        host.head["uuid"] = f"{number:08x}-0000-4000-8000-000000000000"
        host.head["hostname"] = HOSTILE if number == 5 else f"node-{number:02d}.rack{number % 3}.example.org"
        if number % 3 == 1:
            for feature in ("avx2", "fma", "bmi1", "bmi2")[:number % 5 + 1]:
                host.take_away(emulator, MACHINE, feature)
        if number == 5:
            emulator["tcg"] = HOSTILE
        if number == 8:
            host.head["memory-available"] = 1 << 20
        with open(f"{folder}/{number:02d}.json", "wb") as file:
            file.write(host.data())
    with open(f"{folder}/damaged.json", "w", encoding="utf-8") as file:
        file.write("no export\n")
    daemon.pages = (daemon.path("one.html"), daemon.path("all.html"))
    daemon.invar("migrate-check", "web", folder, "--html", daemon.pages[0], check=False)
    daemon.invar("migrate-check", "--all", folder, "--html", daemon.pages[1], check=False)
    return daemon.pages


def keep_picture(daemon, browser, name):
    """Its size in bytes: a page of one colour is small."""
    path = os.path.join(os.environ.get("INVAR_PICTURES", daemon.folder), name + ".png")
    browser.picture(path)
    return os.path.getsize(path)


def look(browser):
    """What must be true of the page at any size."""
    assert browser.ask("return document.title").startswith("Where "), browser.ask("return document.title")
    assert not browser.complaints(), browser.complaints()
    wide, room = browser.ask("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= room, f"{wide} px wide, {room} px of room"
    ratio, text = browser.ask(WORST_CONTRAST)
    assert ratio >= CONTRAST, f"contrast {ratio:.2f} of '{text}'"


LOOKS = [{"name": f"{'Several domains' if several else 'One domain'}, {'dark' if dark else 'light'}, {width} px wide: read, and opened by a click",
          "several": several, "dark": dark, "width": width}
         for several in (False, True) for dark in (False, True) for width in (400, 1280)]


@harness.rows(LOOKS)
def test_page(daemon, row):
    page = make_pages(daemon)[row["several"]]
    with Browser(row["width"], 900, row["dark"]) as browser:
        browser.open(page)
        look(browser)
        paper = [int(value) for value in re.findall(r"\d+", browser.ask("return getComputedStyle(document.body).backgroundColor"))[:3]]
        assert (max(paper) < 80) == row["dark"] and (min(paper) > 200) != row["dark"], paper
        refusal = "tbody tr[data-answers~=cannot] details:has(.cannot)"
        assert browser.is_shown(refusal + " summary") and not browser.is_shown(refusal + " .reasons")
        # Closed, the verdict and what it is about are there already.
        assert re.search("cannot.*avx2", browser.text(refusal + " summary"), re.S), browser.text(refusal)
        name = f"{'all' if row['several'] else 'one'}-{'dark' if row['dark'] else 'light'}-{row['width']}"
        assert keep_picture(daemon, browser, name) > 10000
        browser.click(refusal + " summary")
        assert browser.is_shown(refusal + " .reasons")
        opened = browser.text(refusal)
        assert "avx2" in opened and "QEMU" in opened and "Would help" in opened, opened
        browser.ask("document.querySelectorAll('details').forEach(d => d.open = true)")
        look(browser)
        browser.ask("document.querySelector(arguments[0]).scrollIntoView()", refusal)
        assert keep_picture(daemon, browser, name + "-open") > 10000


def test_hostile_names(daemon):
    """What hosts call themselves is text: no element and no script of it is in the page"""
    page = make_pages(daemon)[0]
    with Browser(1280, 900) as browser:
        browser.open(page)
        assert browser.ask("return document.images.length") == 0
        assert browser.ask("return document.scripts.length") == 1
        hosts = browser.ask("return [...document.querySelectorAll('tbody th')].map(e => e.firstChild.textContent)")
        (shown,) = [host for host in hosts if "script" in host]
        assert "<img src=x onerror=alert(1)>\"'&" in shown and "\u202e" not in shown, shown
        # Not even one that somebody put in could run.
        browser.ask("const s = document.createElement('script'); s.textContent = 'window.intruder = 1'; document.body.append(s)")
        assert browser.ask("return window.intruder === undefined")
        look_elsewhere = browser.ask("return performance.getEntriesByType('resource').length")
        assert look_elsewhere == 0, "the page fetched something"


def test_filter(daemon):
    """The fields find hosts by any word and by their verdict, and a keyboard opens a refusal"""
    page = make_pages(daemon)[0]
    shown = "return [...document.querySelectorAll('tbody tr')].filter(r => r.checkVisibility()).length"
    with Browser(1280, 900) as browser:
        browser.open(page)
        everything = browser.ask(shown)
        assert everything == 13, everything
        browser.type("#text", "rack1")
        assert browser.ask(shown) == 4, browser.ask(shown)
        assert browser.text("#shown") == "4 of 13 shown", browser.text("#shown")
        browser.ask("document.getElementById('text').value = ''; document.getElementById('text').dispatchEvent(new Event('input'))")
        browser.ask("const w = document.getElementById('want'); w.value = 'cannot'; w.dispatchEvent(new Event('change'))")
        assert browser.ask(shown) == 6, browser.ask(shown)
        browser.ask("document.querySelector('tbody tr[data-answers~=cannot] summary').focus()")
        browser.call("POST", f"/element/{browser.find('tbody tr[data-answers~=cannot] summary')}/value", {"text": "\ue007"})
        assert browser.ask("return document.querySelector('tbody tr[data-answers~=cannot] details').open")
        assert not browser.complaints(), browser.complaints()


def test_without_script(daemon):
    """Without a script everything can be read, and fields that would do nothing are not shown"""
    page = make_pages(daemon)[0]
    with Browser(1280, 900) as browser:
        browser.tell_browser("Emulation.setScriptExecutionDisabled", value=True)
        browser.open(page)
        assert not browser.is_shown(".tools")
        refusal = "tbody tr[data-answers~=cannot] details:has(.cannot)"
        browser.click(refusal + " summary")
        assert "Would help" in browser.text(refusal + " .reasons")


if __name__ == "__main__":
    harness.main()
