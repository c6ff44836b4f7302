#!/usr/bin/env python3
"""Verifies a Heddle ledger from its published bytes. Standard library only; shares no code with
Heddle.

    verify.py PROJECT [--vkey KEY|FILE] [--no-git]
    verify.py --tiles DIR --vkey KEY|FILE

Recomputes the Merkle tree (RFC 6962) from `.heddle/tiles/tile/entries`, and compares it with the
tiles, the signed checkpoint, every checkpoint of the history, and those committed to git
(`refs/heddle/anchor/KEYID`). docs/formats/ledger.md has the bytes. Exit: 0 all is as it was signed,
1 it is not (each finding on stderr), 2 it could not be checked.
"""

import argparse
import base64
import binascii
import datetime
import hashlib
import json
import os
import re
import subprocess
import sys

# --- Ed25519 (RFC 8032 5.1), verification only; plain integers, no secrets here, so no need for
# constant time.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_M1 = pow(2, (P - 1) // 4, P)
ZERO = (0, 1, 1, 0)  # extended coordinates X, Y, Z, T


def _add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _decode(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P != u:
        x = x * ROOT_M1 % P
    if v * x * x % P != u or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def _encode(p):
    inverse = pow(p[2], P - 2, P)
    x, y = p[0] * inverse % P, p[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = _decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519_verify(public, message, signature):
    if len(public) != 32 or len(signature) != 64:
        return False
    a = _decode(public)
    s = int.from_bytes(signature[32:], "little")
    if a is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    minus_a = (P - a[0], a[1], 1, P - a[3])
    both = _add(BASE, minus_a)
    r = ZERO  # s * BASE - k * A, both scalars at once
    for bit in range(252, -1, -1):
        r = _add(r, r)
        which = (s >> bit & 1) + 2 * (k >> bit & 1)
        if which:
            r = _add(r, (None, BASE, minus_a, both)[which])
    return _encode(r) == signature[:32]


# --- C2SP signed note and checkpoint.
class Bad(Exception):
    """A finding: not what was signed."""


def b64(text):
    try:
        data = base64.b64decode(text, validate=True)
        if base64.b64encode(data).decode() == text:  # else bits that mean nothing are set
            return data
    except (binascii.Error, ValueError):
        pass
    raise Bad("not base64: %r" % text[:40])


def parse_vkey(text):
    parts = text.strip().split("+", 2)
    if len(parts) != 3:
        raise Bad("not a verifier key: %r" % text)
    name, key_id, key = parts[0], parts[1], b64(parts[2])
    if (
        len(key) != 33
        or key[0] != 1
        or hashlib.sha256(name.encode() + b"\n" + key).hexdigest()[:8] != key_id
    ):
        raise Bad("not an Ed25519 verifier key: %r" % text)
    return name, bytes.fromhex(key_id), key[1:]


def open_checkpoint(note, vkey):
    """(size, root) of a note signed by `vkey`."""
    name, key_id, public = vkey
    body, blank, signatures = note.rpartition(b"\n\n")
    if not blank or not note.endswith(b"\n"):
        raise Bad("a checkpoint without a signature")
    body += b"\n"
    lines = body.split(b"\n")
    if len(lines) != 4 or lines[3]:
        raise Bad("a checkpoint has three lines")
    signed = False
    for line in signatures[:-1].split(b"\n"):
        words = line.split(b" ")
        if len(words) != 3 or words[0] != "\u2014".encode():
            raise Bad("a signature line is not one")
        data = b64(words[2].decode("ascii", "replace"))
        if words[1] != name.encode() or data[:4] != key_id:
            continue
        if signed or not ed25519_verify(public, body, data[4:]):
            raise Bad("the signature does not fit the checkpoint")
        signed = True
    if not signed:
        raise Bad("the checkpoint is not signed by %s" % name)
    if lines[0] != name.encode():
        raise Bad("the checkpoint is of another ledger: %r" % lines[0].decode("utf-8", "replace"))
    digits, root = lines[1].decode("ascii", "replace"), b64(lines[2].decode("ascii", "replace"))
    if not digits.isdigit() or str(int(digits)) != digits or len(root) != 32:
        raise Bad("a checkpoint's size or root is malformed")
    return int(digits), root


# --- RFC 6962 tree.
def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


class Range:
    """Roots of the perfect subtrees of a growing tree."""

    def __init__(self):
        self.size, self.hashes = 0, []

    def append(self, leaf):
        bits = self.size
        while bits & 1:
            leaf = node_hash(self.hashes.pop(), leaf)
            bits >>= 1
        self.hashes.append(leaf)
        self.size += 1

    def root(self):
        if not self.hashes:
            return hashlib.sha256(b"").digest()
        hash_ = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            hash_ = node_hash(left, hash_)
        return hash_


def fold(hashes):
    while len(hashes) > 1:
        hashes = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]


# --- C2SP tlog-tiles.
def tile_path(tiles, level, index, width):
    path = "%03d" % (index % 1000)
    while index >= 1000:
        index //= 1000
        path = "x%03d/%s" % (index % 1000, path)
    return os.path.join(tiles, "tile", str(level), path + ("" if width == 256 else ".p/%d" % width))


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise Bad("%s is missing" % path) from None


def parse_bundle(data, path):
    entries, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        if at + 2 + size > len(data):
            raise Bad("%s ends inside an entry" % path)
        entries.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return entries


def read_history(tiles):
    """Every whole note, and what a crash may have left after the last one."""
    path = os.path.join(tiles, "history")
    data = read(path) if os.path.exists(path) else b""
    notes, begin = [], 0
    while True:
        body = data.find(b"\n\n", begin)
        end = data.find(b"\n\n", body + 2) if body >= 0 else -1
        if end < 0:
            return notes, data[begin:]
        notes.append(data[begin : end + 1])
        begin = end + 2


BEGIN = re.compile(
    rb'\{"v":1,"seq":([0-9]+),"t":"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})'
    rb'(?:\.([0-9]{1,6}))?Z"'
)


def check_entry(index, data, last_time):
    begin = BEGIN.match(data)
    try:
        json.loads(data)
        datetime.datetime.strptime(begin[2].decode(), "%Y-%m-%dT%H:%M:%S")
    except (ValueError, TypeError):
        return "entry %d is no entry of version 1" % index, last_time
    if int(begin[1]) != index:
        return (
            "at place %d stands the entry that says it is %s" % (index, begin[1].decode()),
            last_time,
        )
    moment = begin[2].decode() + "." + (begin[3] or b"").decode().ljust(6, "0")
    if moment < last_time:
        return "entry %d is older than the one before it" % index, last_time
    return None, moment


def signed(entry):
    """The digest of the statement that a person signs."""
    return next(
        (
            each.get("digest")
            for each in entry.get("evidence", [])
            if each.get("name") == "statement"
        ),
        None,
    )


def ssh_strings(data):
    """The strings of SSH's encoding, each with its length before it (RFC 4251, 5)."""
    parts = []
    while data:
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 + size:
            raise Bad("not a whole SSH signature")
        parts.append(data[4 : 4 + size])
        data = data[4 + size :]
    return parts


def signs(armored, statement, namespace):
    """Whether an SSH signature (OpenSSH's PROTOCOL.sshsig) is one over `statement`; None: by a kind
    of key that is not checked here. Whose key it is stands in people.yaml of the commit that was
    applied then, which `heddle audit verify` reads.
    """
    lines = armored.strip().split("\n")
    if lines[0] != "-----BEGIN SSH SIGNATURE-----" or lines[-1] != "-----END SSH SIGNATURE-----":
        return False
    try:
        data = b64("".join(lines[1:-1]))
        if data[:10] != b"SSHSIG\0\0\0\1":
            return False
        key, space, reserved, algorithm, blob = ssh_strings(data[10:])
        key, blob = ssh_strings(key), ssh_strings(blob)
    except (Bad, ValueError):
        return False
    if space != namespace or algorithm not in (b"sha256", b"sha512"):
        return False
    if key[0] != b"ssh-ed25519":
        return None
    text = b"SSHSIG" + b"".join(
        len(part).to_bytes(4, "big") + part
        for part in (
            space,
            reserved,
            algorithm,
            hashlib.new(algorithm.decode(), statement).digest(),
        )
    )
    return (
        len(key) == 2
        and len(blob) == 2
        and blob[0] == key[0]
        and ed25519_verify(key[1], text, blob[1])
    )


class Approvals:
    """Whether each act that needed an approval has one: asked for, for the same act, approved
    before it by a person who did not ask, signed, to exactly what was asked, open still, used once.
    """

    def __init__(self):
        self.asked = {}

    def observe(self, index, data):
        if b'"approval":' not in data and b'"require_approval"' not in data:
            return None
        try:
            entry = json.loads(data)
            result, action, id_ = (
                entry.get("result"),
                entry.get("action"),
                entry.get("approval", ""),
            )
            decision = entry.get("policy", {}).get("decision")
        except (ValueError, AttributeError):
            return None  # told by check_entry
        known = self.asked.get(id_)
        if result == "applied" and decision == "require_approval":
            return self.applied(index, entry, known)
        if action == "approval.approve":
            return self.yes(index, entry, known)
        if result == "requested":
            self.asked[id_] = {"entry": entry, "approved": False, "closed": None}
        elif known and action in ("approval.reject", "approval.void", "approval.expire"):
            known["closed"] = result
        return None

    @staticmethod
    def yes(index, entry, known):
        who, asker = entry.get("actor", {}), known["entry"].get("actor", {}) if known else {}
        head = "entry %d, the yes of %s to %s: " % (index, who.get("id"), entry.get("approval"))
        if known is None:
            return head + "nothing was asked for under that id"
        if known["closed"]:
            return head + "it was %s before" % known["closed"]
        asked = known["entry"]
        if who.get("type") != "person":
            return head + "it is no person's"
        if who.get("id") in (asker.get("id"), asked.get("attributes", {}).get("claimed")):
            return head + "who says yes is who asked"
        if signed(entry) != signed(asked):
            return head + "it is to something else"
        said = entry.get("attributes", {})
        text, armored = said.get("statement"), said.get("signature")
        if isinstance(text, str) and isinstance(armored, str):
            if signed(entry) != "sha256:" + hashlib.sha256(text.encode()).hexdigest():
                return head + "the statement is not the one it names"
            if signs(armored, text.encode(), b"heddle-approval") is False:
                return head + "it is not signed"
        known["approved"] = known["approved"] or entry.get("result") == "approved"
        return None

    @staticmethod
    def applied(index, entry, known):
        head = "entry %d applied %s of %s, which needed an approval: " % (
            index,
            entry.get("action"),
            entry.get("target"),
        )
        if known is None:
            return head + "none was asked for"
        if known["closed"]:
            return head + "it was %s before" % known["closed"]
        if not known["approved"]:
            return head + "no person approved it"
        if any(
            known["entry"].get(member) != entry.get(member)
            for member in ("op_id", "action", "target", "subjects")
        ):
            return head + "it is for another act"
        known["closed"] = "used"
        return None


class Damage:
    """Published files that were found missing, until somebody had them written again."""

    def __init__(self):
        self.missing = {}

    def observe(self, index, data):
        if b'"action":"ledger.' not in data:
            return
        try:
            entry = json.loads(data)
            action, parts = entry.get("action"), entry.get("attributes", {}).get("missing", [])
        except (ValueError, AttributeError):
            return  # told by check_entry
        if action == "ledger.rebuild":
            self.missing.clear()
        elif action == "ledger.damage":
            for part in parts:
                self.missing.setdefault(part, index)


class Anchors:
    """What the entries say of checkpoints outside: that there are some, and which ones restores
    have given up.
    """

    def __init__(self):
        self.said_by, self.abandoned = None, set()

    def observe(self, index, data):
        if b'"action":"ledger.' not in data:
            return
        try:
            entry = json.loads(data)
            action, given_up = entry.get("action"), entry.get("attributes", {}).get("abandoned", [])
        except (ValueError, AttributeError):
            return  # told by check_entry
        if action == "ledger.anchored":
            self.said_by = index
        elif action == "ledger.restore":
            self.abandoned.update(each for each in given_up if isinstance(each, str))


def verify(tiles, vkey, anchors, say):
    """Findings go to `say`; returns (entries, root, checkpoints of the history). `anchors`: notes
    in git; None: not looked at.
    """
    note = read(os.path.join(tiles, "checkpoint"))
    size, root = open_checkpoint(note, vkey)
    history = []
    notes, torn = read_history(tiles)
    if not notes and not torn:
        say("the history of signed checkpoints is gone")
    for old in notes:
        try:
            opened = open_checkpoint(old, vkey)
        except Bad as bad:
            say("checkpoint %d of the history: %s" % (len(history), bad))
            break
        if history and opened[0] <= history[-1][0]:
            say("the history goes from %d entries to %d" % (history[-1][0], opened[0]))
            break
        history.append(opened)
    if not (note + b"\n").startswith(torn):
        say("the end of the history is no checkpoint")
    if history and history[-1][0] > size:
        say(
            "rolled back: the checkpoint covers %d entries, but one over %d was signed"
            % (size, history[-1][0])
        )
    wanted = [(s, r, "an earlier checkpoint") for s, r in history if s <= size]
    outside = []
    for anchor in anchors or []:
        try:
            outside.append(open_checkpoint(anchor, vkey))
        except Bad as bad:
            say("the checkpoint in git: %s" % bad)
    wanted += [(s, r, "the checkpoint in git") for s, r in outside if s <= size]
    wanted.sort(key=lambda item: item[0])

    tree, leaves, last_time, checked, approvals, damage, kept = (
        Range(),
        [],
        "",
        0,
        Approvals(),
        Damage(),
        Anchors(),
    )
    strange = []  # checkpoints outside with another root
    for number in range((size + 255) // 256):
        width = min(256, size - 256 * number)
        path = tile_path(tiles, "entries", number, width)
        entries = parse_bundle(read(path), path)
        if len(entries) != width:
            raise Bad("%s holds %d entries, %d were signed" % (path, len(entries), width))
        for data in entries:
            problem, last_time = check_entry(len(leaves), data, last_time)
            if problem:
                say(problem)
            wrong = approvals.observe(len(leaves), data)
            if wrong:
                say(wrong)
            damage.observe(len(leaves), data)
            kept.observe(len(leaves), data)
            leaves.append(leaf_hash(data))
            tree.append(leaves[-1])
            while checked < len(wanted) and wanted[checked][0] <= tree.size:
                at, expected, what = wanted[checked]
                if at == tree.size and expected != tree.root():
                    if what == "the checkpoint in git":
                        strange.append((at, expected))
                    else:
                        say("the first %d entries are not those of %s" % (at, what))
                checked += 1
    for at, expected in strange + [item for item in outside if item[0] > size]:
        if "%d sha256:%s" % (at, expected.hex()) in kept.abandoned:
            continue
        if at > size:
            say("rolled back: the checkpoint covers %d entries, the one in git %d" % (size, at))
        else:
            say("the first %d entries are not those of the checkpoint in git" % at)
    if anchors is not None and not outside and kept.said_by is not None:
        say("entry %d says that checkpoints are kept in git, and there is none" % kept.said_by)
    for part, index in sorted(damage.missing.items()):
        say("entry %d found the %s missing or damaged" % (index, part))
    if tree.root() != root:
        say("the %d entries do not have the signed root" % size)

    hashes, level = leaves, 0
    while hashes:
        above = []
        for number in range((len(hashes) + 255) // 256):
            part = hashes[256 * number : 256 * number + 256]
            path = tile_path(tiles, level, number, len(part))
            tile = read(path)
            if tile != b"".join(part):
                wrong = [i for i in range(len(part)) if tile[32 * i : 32 * i + 32] != part[i]]
                say(
                    "%s does not fit what is below it (first at %d)"
                    % (path, 256 * number + (wrong[0] if wrong else len(part)))
                )
            if len(part) == 256:
                above.append(fold(part))
        hashes, level = above, level + 1
    return size, root, len(history)


BEFORE = "refs/heddle/checkpoints"  # one for all work trees of a repository


def git(project, *words):
    """(whether it could, what it said); a machine without git has no repository either."""
    try:
        done = subprocess.run(["git", "-C", project, *words], capture_output=True, check=False)
    except FileNotFoundError:
        return False, b""
    return done.returncode == 0, done.stdout


def key_in_git(project, tiles):
    """The verifier key that git holds; None: there is none, or several, of several work trees."""
    _, refs = git(project, "for-each-ref", "--format=%(refname)", "refs/heddle/anchor/", BEFORE)
    refs = refs.decode().split()
    newer = [ref for ref in refs if ref != BEFORE]
    if len(newer) > 1:
        own = (
            "refs/heddle/anchor/" + parse_vkey(read(os.path.join(tiles, "vkey")).decode())[1].hex()
        )
        newer = [ref for ref in newer if ref == own]
    for ref in newer or refs:
        could, key = git(project, "show", ref + ":./vkey")
        if could:
            return key
    return None


def anchors_in_git(project, vkey, say):
    """The notes of this key that git holds: of the ref, of where its log says that it stood, and of
    the ref of before.
    """
    notes, ref = [], "refs/heddle/anchor/" + vkey[1].hex()
    there, tip = git(project, "rev-parse", "-q", "--verify", ref)
    if not there:  # a ref file that names no commit is not a ref that is not there
        could, path = git(project, "rev-parse", "--git-path", ref)
        if could and os.path.exists(os.path.join(project, path.decode().strip())):
            say("the anchor %s cannot be read" % ref)
    commits = [tip.decode().strip()] if there else []
    commits += (
        git(project, "log", "-g", "-n", "32", "--format=%H", ref)[1].decode().split()
        if there
        else []
    )
    for number, commit in enumerate(dict.fromkeys(commits)):
        could, note = git(project, "show", commit + ":./checkpoint")
        if could:
            notes.append(note)
        elif number == 0:
            say("the anchor %s cannot be read" % ref)
    could, note = git(project, "show", BEFORE + ":./checkpoint")
    if could and b" " + vkey[0].encode() + b" " + base64.b64encode(vkey[1])[:5] in note:
        notes.append(note)  # else of another work tree
    return notes


def main(argv):
    parser = argparse.ArgumentParser(description="Verify a Heddle ledger from its published bytes.")
    parser.add_argument("project", nargs="?", help="folder of the project (with .heddle in it)")
    parser.add_argument(
        "--tiles", help="folder of the published ledger; default PROJECT/.heddle/tiles"
    )
    parser.add_argument(
        "--vkey",
        help=(
            "verifier key, or a file with it; default: the one in git, else the one beside the"
            " tiles"
        ),
    )
    parser.add_argument(
        "--no-git", action="store_true", help="do not look at the checkpoints in git"
    )
    options = parser.parse_args(argv)
    if not options.project and not options.tiles:
        parser.error("name a PROJECT or --tiles DIR")
    tiles = options.tiles or os.path.join(options.project, ".heddle", "tiles")
    looks = options.project and not options.no_git
    findings = []
    try:
        key, pinned = options.vkey, True
        if key and os.path.exists(key):
            key = read(key).decode()
        if not key:
            pinned = False
            stored = key_in_git(options.project, tiles) if looks else None
            key = (stored or read(os.path.join(tiles, "vkey"))).decode()
        vkey = parse_vkey(key)
    except (Bad, OSError, UnicodeDecodeError) as problem:
        print("error: no verifier key: %s" % problem, file=sys.stderr)
        return 2
    try:
        anchors = anchors_in_git(options.project, vkey, findings.append) if looks else None
        size, root, checkpoints = verify(tiles, vkey, anchors, findings.append)
    except Bad as bad:
        findings.append(str(bad))
    except OSError as problem:
        print("error: %s" % problem, file=sys.stderr)
        return 2
    if findings:
        for finding in findings[:20]:
            print("error: %s" % finding, file=sys.stderr)
        if len(findings) > 20:
            print("error: and %d more" % (len(findings) - 20), file=sys.stderr)
        print("FAILED: the ledger is not as it was signed", file=sys.stderr)
        return 1
    print(
        "ok: %d entries, root %s, %d checkpoints in the history, %s, key %s%s"
        % (
            size,
            root.hex()[:12],
            checkpoints,
            (
                "anchored in git"
                if anchors
                else "no anchor looked at" if anchors is None else "not anchored"
            ),
            key.strip(),
            "" if pinned else " (not pinned: pass --vkey)",
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
