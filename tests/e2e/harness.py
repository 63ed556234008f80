# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the end-to-end tests share: TAP, an invard of their own in a private folder, its clients, and a
teardown that kills whatever is left, removes the folder and reports both as a failure.

A test file defines functions test_…, each with a docstring that is its name in the output, and ends
with harness.main(). A function may take `daemon`: one invard per file, emptied of domains between
tests. Tests that kill or configure a daemon make their own: `with Daemon() as daemon:`.
"""
import contextlib
import inspect
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

import witness

TOP_SRCDIR = os.path.abspath(os.environ.get("INVAR_TOP_SRCDIR", os.path.join(os.path.dirname(__file__), "../..")))
TOP_BUILDDIR = os.path.abspath(os.environ.get("INVAR_TOP_BUILDDIR", os.getcwd()))
WITNESS_IMAGE = os.path.join(TOP_BUILDDIR, "tests/witness/witness.img")
QEMU = shutil.which("qemu-system-x86_64")
# A test file that has not ended by then hangs. On an idle machine none takes a sixth of it.
FILE_DEADLINE = 240
# sun_path of a UNIX socket, without the NUL.
SOCKET_PATH_MAX = 107


class Skip(Exception):
    """Raised by a test that cannot run here; the text says why."""


class CommandFailed(Exception):
    pass


def say(text):
    """A diagnostic line of TAP."""
    for line in str(text).splitlines() or [""]:
        print("# " + line, flush=True)


def wait_for(condition, what, seconds=15.0, step=0.02):
    """Its first true value. What it waits for is in the error."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(step)


def need_witness():
    if not QEMU:
        raise Skip("qemu-system-x86_64 is not installed")
    if not os.path.exists(WITNESS_IMAGE):
        raise Skip("the witness is built on x86 hosts only")


def need_fault_points():
    """An ordinary build has none, and would run on where the test waits for its end."""
    if b"#define INV_FAULT_POINTS 1" not in _read(os.path.join(TOP_BUILDDIR, "config.h")):
        raise Skip("this build has no fault points (configure --enable-fault-points)")


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def processes_of(mark, folder):
    """{pid: command line} of the living processes that carry @mark in their environment or name @folder."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        arguments = _read(f"/proc/{entry}/cmdline").split(b"\0")
        # A zombie has no command line any more; its parent will hear of it.
        if arguments == [b""]:
            continue
        environment = _read(f"/proc/{entry}/environ").split(b"\0")
        if mark.encode() in environment or any(folder.encode() + b"/" in argument for argument in arguments):
            found[int(entry)] = " ".join(argument.decode(errors="replace") for argument in arguments)
    return found


def find_binary(name):
    for path in (os.path.join(TOP_BUILDDIR, name), os.path.join(TOP_BUILDDIR, "daemon", name),
                 os.path.join(TOP_BUILDDIR, "cli", name)):
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(f"{name} is not built in {TOP_BUILDDIR}")


@contextlib.contextmanager
def bare_qemu(cpu, machine="q35"):
    """(serial log, QMP file) of a QEMU without any daemon."""
    need_witness()
    folder = tempfile.mkdtemp(prefix="e.", dir=os.environ.get("TMPDIR", "/tmp"))
    process = None
    try:
        ours, theirs = socket.socketpair()
        process = subprocess.Popen(
            [QEMU, "-M", machine, "-accel", "tcg", "-cpu", cpu, "-m", "64", "-nodefaults", "-no-user-config",
             "-display", "none", "-drive", f"file={WITNESS_IMAGE},format=raw,snapshot=on",
             "-serial", f"file:{folder}/serial",
             "-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-mon", "chardev=qmp,mode=control"],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        theirs.close()
        ours.settimeout(20)
        with ours, ours.makefile("rw") as qmp:
            yield folder + "/serial", qmp
    finally:
        if process:
            process.send_signal(signal.SIGKILL)
            process.wait()
        shutil.rmtree(folder)


def ask(qmp, command, **arguments):
    qmp.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
    qmp.flush()
    while True:
        reply = json.loads(qmp.readline())
        if "error" in reply:
            raise AssertionError(reply["error"])
        if "return" in reply:
            return reply["return"]


def qemu_filters(cpu, machine="q35"):
    """The names of what QEMU itself says that it filters from @cpu here."""
    with bare_qemu(cpu, machine) as (_, qmp):
        qmp.readline()
        ask(qmp, "qmp_capabilities")
        path = ask(qmp, "query-cpus-fast")[0]["qom-path"]
        return set(ask(qmp, "qom-get", path=path, property="unavailable-features"))


class Daemon:
    """An `invard --session` whose every path lies in a folder of its own."""

    def __init__(self, config=None, fault=None, start=True, path=None):
        """@config: text of invard.conf. @fault: a named fault point. @path: PATH for the daemon."""
        base = os.environ.get("TMPDIR", "/tmp")
        if len(base) > 30:
            base = "/tmp"
        self.folder = tempfile.mkdtemp(prefix="e.", dir=base)
        self.mark = "INVAR_E2E=" + self.folder
        self.process = None
        self.log_path = os.path.join(self.folder, "invard.log")
        self.env = {key: value for key, value in os.environ.items() if not key.startswith(("LIBVIRT_", "VIRSH_"))}
        self.env.update({
            "HOME": self.folder + "/home",
            "XDG_RUNTIME_DIR": self.folder + "/run",
            "XDG_CONFIG_HOME": self.folder + "/config",
            "XDG_CACHE_HOME": self.folder + "/cache",
            "XDG_STATE_HOME": self.folder + "/state",
            "XDG_DATA_HOME": self.folder + "/data",
            "INVAR_PKGDATADIR": os.environ.get("INVAR_PKGDATADIR", TOP_SRCDIR),
            "INVAR_E2E": self.folder,
            "LC_ALL": "C.UTF-8",
        })
        self.env.pop("INVAR_FAULT", None)
        if path:
            self.env["PATH"] = path
        for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
            os.mkdir(self.env[name], 0o700)
        self.socket = self.folder + "/run/invar/invar-sock"
        assert len(self.socket) <= SOCKET_PATH_MAX, self.socket
        self.uri = f"qemu+unix:///session?socket={self.socket}"
        self.env["INVAR_URI"] = self.uri
        self.store_path = self.folder + "/state/invar/invar.db"
        self.config_path = self.folder + "/config/invar/invard.conf"
        if config is not None:
            os.makedirs(os.path.dirname(self.config_path))
            with open(self.config_path, "w", encoding="utf-8") as file:
                file.write(config)
        if start:
            try:
                self.start(fault)
            except BaseException:
                self.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and kind is not Skip:
            self.show_log()
        left = self.close()
        if left and kind is None:
            raise AssertionError("left running: " + "; ".join(left))

    # The daemon's life.

    def start(self, fault=None, arguments=()):
        env = dict(self.env)
        if fault:
            env["INVAR_FAULT"] = fault
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([find_binary("invard"), "--session", *arguments], env=env,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                            start_new_session=True)
        self.wait_ready()

    def wait_ready(self):
        def answers():
            if self.process.poll() is not None:
                raise AssertionError(f"invard ended with {self.process.returncode} before it listened: {self.log_tail()}")
            with socket.socket(socket.AF_UNIX) as peer:
                try:
                    peer.connect(self.socket)
                except OSError:
                    return False
                return True
        wait_for(answers, "invard's socket", 20)

    def kill(self):
        """SIGKILL: as a crash, or the kernel's want of memory."""
        self.process.kill()
        self.process.wait(10)

    def stop(self, seconds=20):
        """SIGTERM, as an administrator; the exit code must be 0."""
        self.process.terminate()
        code = self.process.wait(seconds)
        assert code == 0, f"invard ended with {code} after SIGTERM: {self.log_tail()}"

    def wait_dead(self, seconds=20):
        """Until a fault point has ended it."""
        code = self.process.wait(seconds)
        assert code == -signal.SIGKILL, f"invard ended with {code}, not by its fault point: {self.log_tail()}"

    def restart(self, fault=None):
        if self.process.poll() is None:
            self.stop()
        self.start(fault)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def close(self):
        """Ends everything and removes the folder. Returns what should not have been there."""
        if self.running():
            with contextlib.suppress(Exception):
                self.reset()
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                say("invard did not end within 10 s of SIGTERM")
                self.process.kill()
                self.process.wait(10)
        left = []
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: not self.processes(), "the end of all processes", 3)
        for pid, command in self.processes().items():
            left.append(f"{pid} {command[:300]}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: not self.processes(), "the end of all processes", 5)
        shutil.rmtree(self.folder, ignore_errors=True)
        return left

    def reset(self):
        """Destroys and undefines every domain."""
        connection = self.connect()
        try:
            for domain in connection.listAllDomains():
                persistent = domain.isPersistent()
                if domain.isActive():
                    domain.destroy()
                if persistent:
                    domain.undefine()
        finally:
            connection.close()

    # What it left behind.

    def log_tail(self, size=3000):
        return _read(self.log_path)[-size:].decode(errors="replace")

    def show_log(self):
        say("the end of invard's log:")
        say(self.log_tail())

    def processes(self):
        return processes_of(self.mark, self.folder)

    def qemus(self, name=None):
        """The QEMUs of this daemon that run a guest, {pid: command line}; probes are none."""
        return {pid: command for pid, command in self.processes().items()
                if "qemu-system-" in command.split(" ", 1)[0]
                and (f"guest={name}" in command or f"-name {name}" in command if name else " -name " in command)}

    def wait_no_qemu(self, name=None, seconds=10):
        wait_for(lambda: not self.qemus(name), f"the end of QEMU ({self.qemus(name)})", seconds)

    # Clients.

    def run(self, *arguments, check=True, stdin=None, timeout=60, env=None):
        """CompletedProcess with text output; CommandFailed shows both outputs."""
        result = subprocess.run(arguments, env=env or self.env, input=stdin, capture_output=True, text=True,
                                timeout=timeout, cwd=self.folder, **({} if stdin is not None
                                                                   else {"stdin": subprocess.DEVNULL}))
        if check and result.returncode != 0:
            raise CommandFailed(f"{' '.join(arguments)}: exit {result.returncode}\n{result.stdout}{result.stderr}")
        return result

    def invar(self, *arguments, **options):
        return self.run(find_binary("invar"), *arguments, **options)

    def invar_json(self, *arguments):
        output = self.invar("--json", *arguments).stdout
        return json.loads(output)

    def invar_many(self, commands):
        """The JSON answers to many commands of `invar`, in their order, from few processes."""
        found = []
        for start in range(0, len(commands), 200):
            part = commands[start:start + 200]
            # A verdict that something is dropped is an exit status, not a failure.
            result = self.invar("--json", "; ".join(part), check=False)
            answers = documents(result.stdout)
            assert len(answers) == len(part), f"{len(part)} questions, {len(answers)} answers: {result.stderr}"
            found += answers
        return found

    def virsh(self, *arguments, **options):
        return self.run("virsh", "-c", self.uri, *arguments, **options)

    def connect(self):
        """A connection of python3-libvirt. The caller closes it."""
        libvirt = import_libvirt()
        return libvirt.open(self.uri)

    # Documents.

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def serial(self, name):
        return self.path(name + ".serial")

    def witness_xml(self, name, cpu="", machine="q35", extra="", devices="", uuid=None, on_x86=True):
        """A domain that boots the witness, its serial line in the file self.serial(name)."""
        need_witness()
        disk = self.path(name + ".img")
        if not os.path.exists(disk):
            shutil.copyfile(WITNESS_IMAGE, disk)
        drive = (f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{disk}'/>"
                 f"<target dev='sda' bus='{'sata' if 'q35' in machine else 'ide'}'/></disk>").replace(
                     "dev='sda' bus='ide'", "dev='hda' bus='ide'")
        return domain_xml(name, cpu=cpu, machine=machine, extra=extra, uuid=uuid,
                          devices=f"{drive}<serial type='file'><source path='{self.serial(name)}'/>"
                                  f"<target port='0'/></serial>{devices}")

    def cpuid(self, name, count=1, seconds=30):
        """The witness's last round, as bytes."""
        return witness.wait_for_round(self.serial(name), seconds, count)


def documents(text):
    """The JSON documents that stand one behind the other in @text."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = decoder.raw_decode(text, at)
        found.append(value)
    return found


def domain_xml(name, cpu="", machine="q35", extra="", devices="", uuid=None, memory="64", virttype="qemu", arch="x86_64"):
    return (f"<domain type='{virttype}'>\n  <name>{name}</name>\n"
            + (f"  <uuid>{uuid}</uuid>\n" if uuid else "")
            + f"  <memory unit='MiB'>{memory}</memory>\n  <vcpu>1</vcpu>\n"
            f"  <os><type arch='{arch}' machine='{machine}'>hvm</type></os>\n"
            f"  {cpu}\n  {extra}\n  <devices>{devices}</devices>\n</domain>\n")


def relaxed(model, features="", attributes=""):
    """A <cpu> with a relaxed model; @features as "policy:name policy:name"."""
    return cpu_xml(model, "relaxed", features, attributes)


def cpu_xml(model, check, features="", attributes="", vendor=None):
    items = "".join("<feature policy='{}' name='{}'/>".format(*item.split(":")) for item in features.split())
    check = f" check='{check}'" if check else ""
    vendor = f"<vendor>{vendor}</vendor>" if vendor else ""
    return f"<cpu mode='custom'{attributes}><model fallback='forbid'{check}>{model}</model>{vendor}{items}</cpu>"


def import_libvirt():
    try:
        import libvirt
    except ImportError as error:
        raise Skip("python3-libvirt is not installed") from error
    # Errors are for the tests to judge, not to print.
    libvirt.registerErrorHandler(lambda context, error: None, None)
    return libvirt


def features_of(xml_text):
    """{name: policy} of a domain's or a bare <cpu>."""
    import xml.etree.ElementTree as trees
    tree = trees.fromstring(xml_text)
    cpu = tree if tree.tag == "cpu" else tree.find("cpu")
    if cpu is None:
        return {}
    return {feature.get("name"): feature.get("policy") for feature in cpu.findall("feature")}


def error_of(call, *arguments):
    """The libvirtError that @call must raise."""
    libvirt = import_libvirt()
    try:
        call(*arguments)
    except libvirt.libvirtError as error:
        return error
    raise AssertionError(f"{getattr(call, '__name__', call)} did not fail")


def expect_error(call, *arguments, code=None, words=()):
    """It fails with libvirt's @code (a name, "VIR_ERR_…"), never as an internal error, and says each of @words."""
    libvirt = import_libvirt()
    error = error_of(call, *arguments)
    text = f"{error.get_error_code()}: {error.get_error_message()}"
    assert error.get_error_code() != libvirt.VIR_ERR_INTERNAL_ERROR, text
    if code:
        assert error.get_error_code() == getattr(libvirt, code), f"{text}; {code} was expected"
    for word in words:
        assert word in error.get_error_message(), f"{text}; it does not say {word!r}"
    return error


def _run_one(number, function, shared):
    name = (inspect.getdoc(function) or function.__name__).splitlines()[0].replace("#", "")
    started = time.monotonic()
    try:
        if "daemon" in inspect.signature(function).parameters:
            if not shared or not shared[0].running():
                while shared:
                    shared.pop().close()
                shared.append(Daemon())
            function(shared[0])
            shared[0].reset()
            left = shared[0].qemus()
            assert not left, f"QEMUs are left: {left}"
        else:
            function()
    except Skip as reason:
        print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        return True
    except Exception:  # whatever it was: this test failed, the next may not
        say(traceback.format_exc())
        while shared:
            daemon = shared.pop()
            daemon.show_log()
            for line in daemon.close():
                say("left running: " + line)
        print(f"not ok {number} - {name}", flush=True)
        return False
    say(f"{time.monotonic() - started:.1f} s")
    print(f"ok {number} - {name}", flush=True)
    return True


def main():
    """Runs the test_ functions of the calling file, in their order there; arguments choose some by name."""
    module = sys.modules["__main__"]
    tests = [value for name, value in vars(module).items() if name.startswith("test_") and callable(value)]
    if len(sys.argv) > 1:
        tests = [test for test in tests if any(word in test.__name__ for word in sys.argv[1:])]
    tests = expand(tests)

    def give_up(signal_number, frame):
        raise TimeoutError(f"this file took more than {FILE_DEADLINE} s, or was told to end")
    signal.signal(signal.SIGALRM, give_up)
    signal.signal(signal.SIGTERM, give_up)
    signal.alarm(FILE_DEADLINE)

    print(f"1..{len(tests)}", flush=True)
    shared = []
    well = True
    try:
        for number, test in enumerate(tests, 1):
            well = _run_one(number, test, shared) and well
    finally:
        for daemon in shared:
            left = daemon.close()
            if left:
                say("left running: " + "; ".join(left))
                print("Bail out! processes were left running")
                well = False
    sys.exit(0 if well else 1)


def rows(table):
    """Decorator: one test per row of a list of dicts; a row's "name" names it, and it is the last argument."""
    def decorate(function):
        function.rows = table
        return function
    return decorate


def expand(tests):
    expanded = []
    for test in tests:
        for row in getattr(test, "rows", [None]):
            if row is None:
                expanded.append(test)
                continue
            expanded.append(_with_row(test, row))
    return expanded


def _with_row(test, row):
    if "daemon" in inspect.signature(test).parameters:
        def run(daemon):
            test(daemon, row)
    else:
        def run():
            test(row)
    run.__doc__ = row["name"]
    run.__name__ = test.__name__
    return run
