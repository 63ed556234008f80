# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real browser without a window, driven over WebDriver (W3C): Debian's chromium and chromium-driver."""
import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request

import harness


class Browser:
    """@width × @height of the page; @dark: as a system that is set to dark."""

    def __init__(self, width, height, dark=False):
        self.driver = shutil.which("chromedriver")
        if not self.driver or not shutil.which("chromium"):
            raise harness.Skip("chromium and chromium-driver are not installed")
        self.folder = tempfile.mkdtemp(prefix="e.", dir=os.environ.get("TMPDIR", "/tmp"))
        self.process = None
        self.session = None
        try:
            self._start(width, height, dark)
        except BaseException:
            self.close()
            raise

    def _start(self, width, height, dark):
        environment = dict(os.environ, HOME=self.folder, XDG_CONFIG_HOME=self.folder, XDG_CACHE_HOME=self.folder, TMPDIR=self.folder)
        self.log = open(self.folder + "/driver.log", "w+b")
        self.process = subprocess.Popen([self.driver, "--port=0"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
                                        env=environment, start_new_session=True)
        self.address = "http://127.0.0.1:" + harness.wait_for(self._port, "chromedriver's port", 20)
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage",
                     f"--user-data-dir={self.folder}/profile"]
        answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"binary": shutil.which("chromium"), "args": arguments}}}})
        self.session = answer["sessionId"]
        # The page's own size, whatever a window's least width is.
        self.tell_browser("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.tell_browser("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def _port(self):
        self.log.flush()
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            found = re.search(r"successfully on port (\d+)", file.read())
        return found and found.group(1)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.close()

    def close(self):
        if self.session:
            with contextlib.suppress(OSError):
                self._call("DELETE", f"/session/{self.session}")
        if self.process:
            # The driver's own session of processes: the browser with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _call(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode(errors='replace')[:1000]}") from error

    def call(self, method, path, body=None):
        return self._call(method, f"/session/{self.session}{path}", body)

    def tell_browser(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, path):
        self.call("POST", "/url", {"url": "file://" + path})

    def ask(self, script, *arguments):
        """What the script's `return` gives."""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector):
        (element,) = self.call("POST", "/element", {"using": "css selector", "value": selector}).values()
        return element

    def click(self, selector):
        self.call("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        self.call("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def text(self, selector):
        """What a reader sees of it."""
        return self.call("GET", f"/element/{self.find(selector)}/text")

    def is_shown(self, selector):
        return self.call("GET", f"/element/{self.find(selector)}/displayed")

    def complaints(self):
        """What stands in the console."""
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"})]

    def picture(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))
