#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""invar as a person types into it: prompt, completion, history, connect; and fed line by line."""
import fcntl
import os
import pty
import select
import stat
import subprocess
import termios
import time

import harness

TAB, ABANDON_LINE, INTERRUPT, END = "\t", "\x15", "\x03", "\x04"
SAMPLE = os.path.join(harness.TOP_SRCDIR, "tests/data/cpu_documents/cpu.xml")


def interrupts(terminal):
    """Does Ctrl-C send a signal, as it does while a command runs?"""
    return termios.tcgetattr(terminal)[6][termios.VINTR] == INTERRUPT.encode()


def own_terminal():
    """In the child: its terminal sends it signals."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """An invar on a terminal of its own."""

    def __init__(self, daemon, *arguments, env=None):
        self.control, terminal = pty.openpty()
        try:
            self.process = subprocess.Popen([harness.find_binary("invar"), *arguments], stdin=terminal, stdout=terminal, stderr=terminal,
                                            env={**daemon.env, "TERM": "xterm", **(env or {})}, cwd=daemon.folder,
                                            start_new_session=True, preexec_fn=own_terminal)
        finally:
            os.close(terminal)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        os.close(self.control)

    def read_until(self, words, seconds=20):
        """What was written, once @words stand in it."""
        written = b""
        deadline = time.monotonic() + seconds
        while words.encode() not in written:
            ready, _, _ = select.select([self.control], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise AssertionError(f"{words!r} did not come: {written.decode(errors='replace')!r}")
            try:
                part = os.read(self.control, 65536)
            except OSError:
                part = b""
            if not part:
                raise AssertionError(f"invar ended before {words!r}: {written.decode(errors='replace')!r}")
            written += part
        return written.decode(errors="replace")

    def type(self, text):
        os.write(self.control, text.encode())

    def run(self, line, prompt="invar # "):
        """What a line writes, up to the next prompt."""
        self.type(line + "\n")
        # The terminal echoes the line behind the old prompt; the new one begins a line.
        return self.read_until("\n" + prompt)

    def leave(self):
        self.type("quit\n")
        assert self.process.wait(10) == 0


def test_commands(daemon):
    """commands are run as they are typed, with a daemon and without one, and errors end nothing"""
    with Terminal(daemon) as terminal:
        assert "Welcome to invar" in terminal.read_until("invar # ")
        assert "qemu:///session" in terminal.run("uri")
        assert "unknown command: 'frob'" in terminal.run("frob")
        assert "missing closing '" in terminal.run("echo 'abc")
        assert "Skylake-Client-v3" in terminal.run(f"cpu-decode {SAMPLE}")
        assert '"expanded": [' in terminal.run("cpu-expand --model 486 --json")
        assert "hello" in terminal.run("echo hello; pwd")
        terminal.leave()


def test_interrupt(daemon):
    """Ctrl-C gives up the line that is typed, or the events that are waited for, and not the shell"""
    with Terminal(daemon) as terminal:
        terminal.read_until("invar # ")
        terminal.type("echo never")
        terminal.read_until("never")
        harness.wait_for(lambda: not interrupts(terminal.control), "the key")
        terminal.type(INTERRUPT)
        assert "never" not in terminal.run("echo other").replace("echo never", "")
        terminal.type("event --all --loop\n")
        terminal.read_until("--loop\r\n")
        guest = daemon.write("guest.xml", harness.domain_xml("guest"))

        def event_came():
            daemon.invar("define", guest)
            daemon.invar("undefine", "guest")
            return select.select([terminal.control], [], [], 0)[0]
        harness.wait_for(event_came, "an event")
        terminal.type(INTERRUPT)
        assert "Defined" in terminal.read_until("\ninvar # ")
        assert "again" in terminal.run("echo again")
        terminal.leave()


def test_completion(daemon):
    """TAB completes commands, options and files"""
    daemon.write("only-one.xml", "<cpu/>")
    with Terminal(daemon) as terminal:
        terminal.read_until("invar # ")
        for typed, completed in (("cpu-dec", "ode "), ("cpu-decode --em", "ulator "), ("cpu-decode only-", "one.xml"),
                                 ("connect --read", "only "), ("cpu-models s3", "90x ")):
            terminal.type(typed + TAB)
            terminal.read_until(completed)
            terminal.type(ABANDON_LINE)
        terminal.leave()


def test_connect(daemon):
    """connect changes the daemon and tells when it cannot; --readonly shows in the prompt, and holds"""
    with Terminal(daemon, "-c", "/nonexistent/sock") as terminal:
        terminal.read_until("invar # ")
        assert "/nonexistent/sock" in terminal.run("list")
        assert "the transport 'libssh2'" in terminal.run("connect qemu+libssh2://host/system")
        assert "/nonexistent/other" in terminal.run("connect /nonexistent/other")
        assert "error" not in terminal.run("connect " + daemon.uri)
        assert "qemu:///session" in terminal.run("uri")
        terminal.run("connect --readonly", prompt="invar > ")
        assert "error" in terminal.run("define " + daemon.write("guest.xml", harness.domain_xml("guest")), prompt="invar > ")
        terminal.run("connect")
        assert "Domain 'guest' defined" in terminal.run("define guest.xml")
        terminal.run("undefine guest")
        terminal.leave()


def test_daemon_restarts(daemon):
    """a daemon that was started anew is connected to by the next command"""
    with Terminal(daemon) as terminal:
        terminal.read_until("invar # ")
        assert "qemu:///session" in terminal.run("uri")
        daemon.restart()
        assert "Running hypervisor" in terminal.run("version")
        terminal.leave()


def test_history(daemon):
    """what was typed is there in the next run, nobody else may read it, and a kill loses nothing of it"""
    with Terminal(daemon) as terminal:
        terminal.read_until("invar # ")
        terminal.run("echo first-thing")
        terminal.process.kill()
        terminal.process.wait(10)
    path = daemon.env["XDG_STATE_HOME"] + "/invar/history"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, oct(os.stat(path).st_mode)
    with Terminal(daemon) as terminal:
        terminal.read_until("invar # ")
        terminal.type("\x10")
        terminal.read_until("echo first-thing")
        terminal.type(ABANDON_LINE)
        terminal.type(END)
        assert terminal.process.wait(10) == 0


def test_stream(daemon):
    """lines that come through a pipe are run in silence, and the status is of the last that failed"""
    result = daemon.invar("-q", stdin="echo one\nfrob\ncpu-expand --model 486\n# nothing\n", check=False)
    assert result.stdout == "one\nfpu\npse\nvme\n" and result.returncode == 2, result
    assert result.stderr == "error: unknown command: 'frob'\n", result.stderr
    result = daemon.invar("-q", stdin="domstate none\nquit\necho never\n", check=False)
    assert result.returncode == 1 and "never" not in result.stdout, result


if __name__ == "__main__":
    harness.main()
