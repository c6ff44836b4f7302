"""Jobs of a control plane, done again where nothing of its machine can be found. Standard library
only."""

import glob
import os
import pathlib
import shutil
import subprocess
import threading
import time


class Jobs:
    """Copies what the first job of each `heddle worker COMMAND` of a project is given, as it
    starts: a context.
    """

    def __init__(self, project, into):
        self.root = pathlib.Path(project.root)
        self.into = pathlib.Path(into)
        self.caught = {}  # folders by command
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.follow)

    def __enter__(self):
        self.into.mkdir()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()

    def follow(self):
        while not self.ending.is_set():
            # The log is made when the program starts: what it is given stands there by then.
            for log in glob.glob(str(self.root / ".heddle/jobs/runner-*/*/log")):
                self.catch(pathlib.Path(log).parent / "files")
            time.sleep(0.001)

    def catch(self, job):
        command = self.command_in(job)
        if command is None or command in self.caught:
            return
        copy = self.into / f"{command}-{job.parent.name}"
        try:
            for at, _, names in os.walk(job):
                for file in (pathlib.Path(at) / name for name in names):
                    # What may be written to is the job's own.
                    if file.stat().st_mode & 0o222 == 0:
                        to = copy / file.relative_to(job)
                        to.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copy(file, to)
        except FileNotFoundError:
            return
        # One that has ended meanwhile may not be whole: the next one is as good.
        if self.command_in(job) == command:
            self.caught[command] = copy

    @staticmethod
    def command_in(folder):
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(process / "cwd") == str(folder):
                    words = (process / "cmdline").read_bytes().split(b"\0")
                    # Until the program has begun it is its parent, with other words.
                    return words[2].decode() if words[1:2] == [b"worker"] else None
            except OSError:
                continue
        return None


def done_again(heddle, command, folder, state, place):
    """What `heddle worker COMMAND` leaves in a folder whose files name `place` nowhere, with no
    environment but its own.
    """
    for file in folder.rglob("*"):
        assert not file.is_file() or str(place).encode() not in file.read_bytes(), file
    done = subprocess.run(
        [heddle, "worker", command, "."],
        cwd=folder,
        env={"HEDDLE_JOB_STATE": str(state), "HOME": str(state), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    result = folder / "result.json"
    assert result.exists(), done
    return result.read_bytes()
