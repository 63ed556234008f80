# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The two daemons that are measured, each private: all of its paths in a folder of its own, gone at the
end. Both run in session mode, so that they do the same work. libvirtd as root is always the
system's one, with fixed paths: a bench that root runs gives it an ordinary user.
"""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import harness  # noqa: E402

ORDINARY_USER = 65534
START_DEADLINE = 30
# Far below what is measured.
POLL_SECONDS = 0.001


class CannotStart(Exception):
    """This daemon is not to be had here; the text says why."""


def _listens(path):
    with socket.socket(socket.AF_UNIX) as peer:
        try:
            peer.connect(path)
        except OSError:
            return False
        return True


def _wait_listening(process, path, log_path, name):
    """Until a client can connect; the socket's file is there before that."""
    deadline = time.monotonic() + START_DEADLINE
    while not _listens(path):
        if process.poll() is not None or time.monotonic() > deadline:
            with open(log_path, "rb") as log:
                raise CannotStart(f"{name} could not be started: {log.read()[-300:].decode(errors='replace')}")
        time.sleep(POLL_SECONDS)


class Invard:
    name = "invard"

    def __init__(self):
        try:
            self.daemon = harness.Daemon(start=False)
        except OSError as error:
            raise CannotStart(str(error)) from error
        self.daemon.wait_ready = lambda: _wait_listening(self.daemon.process, self.daemon.socket, self.daemon.log_path, self.name)
        self.uri = self.daemon.uri
        self.folder = self.daemon.folder
        self.mark = self.daemon.mark

    def start(self):
        try:
            self.daemon.start()
        except OSError as error:
            raise CannotStart(f"invard could not be started: {error}") from error

    def pid(self):
        return self.daemon.process.pid

    def stop(self):
        self.daemon.stop()

    def empty_cache(self):
        shutil.rmtree(self.daemon.env["XDG_CACHE_HOME"])
        os.mkdir(self.daemon.env["XDG_CACHE_HOME"], 0o700)

    def close(self):
        for line in self.daemon.close():
            print("left running by invard:", line, file=sys.stderr)


class Libvirtd:
    """@hostname, @host_uuid: it passes for another host; root alone can have it so."""
    name = "libvirtd"

    def __init__(self, hostname=None, host_uuid=None):
        self.binary = shutil.which("libvirtd") or shutil.which("libvirtd", path="/usr/sbin")
        if not self.binary:
            raise CannotStart("libvirtd is not installed")
        self.process = None
        self.user = ORDINARY_USER if os.geteuid() == 0 else None
        self.folder = tempfile.mkdtemp(prefix="lv.", dir="/tmp")
        self.mark = "INVAR_BENCH=" + self.folder
        os.chmod(self.folder, 0o755)
        self.env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": self.folder + "/home",
                    "INVAR_BENCH": self.folder}
        for kind in ("RUNTIME_DIR", "CONFIG_HOME", "CACHE_HOME", "STATE_HOME", "DATA_HOME"):
            self.env["XDG_" + kind] = self.folder + "/" + kind.split("_", maxsplit=1)[0].lower()
        for path in self.env.values():
            if path.startswith(self.folder + "/"):
                self._make_folder(path)
        self.hostname = hostname
        if hostname and self.user is None:
            raise CannotStart("only root can give it another host name")
        if host_uuid:
            self._configure("libvirtd.conf", f'host_uuid = "{host_uuid}"\n')
            # There is no virtlogd here.
            self._configure("qemu.conf", 'stdio_handler = "file"\n')
        self.socket = self.env["XDG_RUNTIME_DIR"] + "/libvirt/libvirt-sock"
        self.uri = f"qemu+unix:///session?socket={self.socket}"
        self.log_path = self.folder + "/log"

    @staticmethod
    def user_id():
        return ORDINARY_USER if os.geteuid() == 0 else os.geteuid()

    def _make_folder(self, path):
        os.mkdir(path, 0o700)
        if self.user is not None:
            os.chown(path, self.user, self.user)

    def _configure(self, name, text):
        folder = self.env["XDG_CONFIG_HOME"] + "/libvirt"
        if not os.path.isdir(folder):
            self._make_folder(folder)
        with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
            file.write(text)

    def start(self):
        command, user = [self.binary], {"user": self.user, "group": self.user, "extra_groups": [] if self.user is not None else None}
        if self.hostname:
            # Names are set by root, and the user is given up behind that.
            command = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec setpriv --reuid "$1" --regid "$1" --clear-groups "$2"',
                       self.hostname, str(self.user), self.binary]
            user = {}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, env=self.env, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True, **user)
        _wait_listening(self.process, self.socket, self.log_path, self.name)

    def pid(self):
        return self.process.pid

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket)

    def empty_cache(self):
        shutil.rmtree(self.env["XDG_CACHE_HOME"])
        self._make_folder(self.env["XDG_CACHE_HOME"])

    def close(self):
        if self.process and self.process.poll() is None:
            self.stop()
        for pid in harness.processes_of(self.mark, self.folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
