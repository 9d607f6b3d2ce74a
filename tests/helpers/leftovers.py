"""What programs leave behind: processes, shared memory, temporary files and locks."""

import contextlib
import os
import re
import shutil
import signal
import tempfile
import time
from pathlib import Path

from ssl_video.runs.lock import is_locked

MARK = "SSL_VIDEO_TEST_MARK"
_LONG = 30.0  # seconds; a process that is left over stays for ever


class Leftovers:
    """Watches the programs that are started with `environment`, and all that these start.

    They have a folder of their own for temporary files, with a name that is short enough for sockets.
    """

    def __init__(self) -> None:
        self.temporary = Path(tempfile.mkdtemp(prefix="ends-", dir="/tmp"))
        self.environment = {MARK: self.temporary.name, "TMPDIR": str(self.temporary)}
        self._mark = f"{MARK}={self.temporary.name}".encode()
        self._seen = set[int]()

    def processes(self) -> dict[int, str]:
        """Return the command lines of living processes, by number."""
        found = dict[int, str]()
        for entry in Path("/proc").glob("[0-9]*"):
            # Each may end while it is looked at.
            with contextlib.suppress(OSError):
                if self._mark not in (entry / "environ").read_bytes().split(b"\0"):
                    continue
                if (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        self._seen |= found.keys()
        return found

    def of_kind(self, text: str) -> list[int]:
        """Return the numbers of processes whose command line has a text."""
        return [number for number, command in self.processes().items() if text in command]

    def wait(self, text: str = "", count: int = 1) -> list[int]:
        """Wait until there are so many processes whose command line has a text."""
        deadline = time.monotonic() + 120
        while len(found := self.of_kind(text)) < count:
            assert time.monotonic() < deadline, (text, self.processes())
            time.sleep(0.05)
        return found

    def reads(self, ending: str) -> bool:
        """Return whether one of the processes has a file open whose name ends so."""
        for number in self.processes():
            with contextlib.suppress(OSError):
                opened = (os.readlink(link) for link in Path(f"/proc/{number}/fd").iterdir())
                if any(name.endswith(ending) for name in opened):
                    return True
        return False

    def left(self) -> list[str]:
        """Wait for the end of all processes, and return what is left in the end."""
        deadline = time.monotonic() + _LONG
        while (alive := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        found = [f"process {number}: {command}" for number, command in alive.items()]
        # torch keeps one folder for each user.
        own = (path for path in self.temporary.iterdir() if not path.name.startswith("torchinductor_"))
        found += [f"file {path.name}" for path in own]
        shared = Path("/dev/shm")
        for path in shared.iterdir() if shared.is_dir() else ():
            if self._seen & {int(number) for number in re.findall(r"\d+", path.name)}:
                found.append(f"shared memory {path.name}")
        return found

    def end(self) -> None:
        """Kill what is left, and remove the temporary files."""
        while alive := self.processes():
            for number in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            time.sleep(0.05)
        shutil.rmtree(self.temporary, ignore_errors=True)


def locked(results: Path) -> list[str]:
    """Return the runs of a results folder that stay locked.

    A process that is ending loses its memory, by which it is known, before its files and their locks.
    """
    deadline = time.monotonic() + _LONG
    while found := [folder.name for folder in (results / "runs").iterdir() if is_locked(folder)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return found
