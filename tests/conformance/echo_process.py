"""Starts `net_echo_server` for a test and ends it again."""

import json
import re
import subprocess
import urllib.request


class EchoProcess:
    def __init__(self, binary, *arguments):
        self.process = subprocess.Popen([binary, *arguments], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.match(r"http=(\d+) grpc=(\d+) pid=(\d+)", line)
        if not found:
            raise SystemExit(f"the server does not start: {line!r}")
        self.http, self.grpc, self.pid = (int(x) for x in found.groups())

    def stats(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/stats", timeout=10) as reply:
            return json.load(reply)

    def memory_kib(self, what="VmRSS"):
        with open(f"/proc/{self.pid}/status") as status:
            return int(re.search(rf"^{what}:\s+(\d+)", status.read(), re.M).group(1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
