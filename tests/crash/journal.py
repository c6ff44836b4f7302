"""Reads a journal as docs/formats/journal.md has it: what was recorded, for tests that hold it
against what was answered.
"""

import glob
import os

REQUEST, LABEL, GAP = 1, 2, 7


def varint(data, at):
    value, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def text(data, at):
    size, at = varint(data, at)
    return data[at : at + size].decode(errors="replace"), at + size


def payloads(path, begin):
    """Whole records of a segment from byte `begin`, and where they end."""
    with open(path, "rb") as file:
        file.seek(begin)
        data = file.read()
    at, found = 0 if begin else 8, []
    while at + 9 <= len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        if size == 0 or at + 8 + size > len(data):
            break
        found.append(data[at + 8 : at + 8 + size])
        at += 8 + size
    return found, begin + at


def request_ids(spool):
    """Ids of the requests in a journal."""
    reader = Recorded(spool)
    reader.read()
    return reader.requests


class Recorded:
    """What a journal has, read further each time. Segments that were trimmed meanwhile stay known.
    `accounts`: only their requests.
    """

    def __init__(self, spool, accounts=()):
        self.spool, self.ends, self.accounts = (
            str(spool),
            {},
            tuple(each.encode() for each in accounts),
        )
        self.requests, self.labels, self.dropped = set(), set(), 0

    def read(self):
        for path in sorted(glob.glob(os.path.join(self.spool, "*.seg"))):
            found, self.ends[path] = payloads(path, self.ends.get(path, 0))
            for payload in found:
                if payload[0] == REQUEST and payload.endswith(
                    self.accounts or b""
                ):  # the account is its last part
                    self.requests.add(text(payload, 1)[0])
                elif payload[0] == LABEL:
                    self.labels.add(text(payload, 1)[0])
                elif payload[0] == GAP:
                    self.dropped += varint(payload, 1)[0]
        return self
