"""A disk that fails: the plan of faulty_disk.c, which a program is started with."""

import errno
import mmap
import struct

OPEN, WRITE, SYNC, RENAME = 1, 2, 4, 8
ALL = OPEN | WRITE | SYNC | RENAME
CODES = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "SIGKILL": 0xFFFF}
HEAD = struct.Struct("=IIIIQIII")
SIZE = 4096


class FaultyDisk:
    """Calls on files below `folder` fail while it is armed."""

    def __init__(self, library, path, folder, seed):
        self.library, self.path = library, str(path)
        with open(path, "wb") as file:
            file.write(HEAD.pack(0, 0, 0, 0, seed, 0, 0, 0) + (str(folder) + "/").encode())
            file.truncate(SIZE)
        with open(path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), SIZE)

    def environment(self):
        return {"LD_PRELOAD": self.library, "HEDDLE_TEST_DISK": self.path}

    def arm(self, code, one_in, kinds=ALL):
        """One call of `one_in` fails."""
        struct.pack_into("=II", self.page, 4, one_in, kinds)
        struct.pack_into("=I", self.page, 24, 0)
        struct.pack_into("=I", self.page, 0, code)

    def arm_call(self, code, number, rest=False):
        """The call with this number in its process fails; `rest`: and all after it."""
        struct.pack_into("=II", self.page, 4, 0, ALL)
        struct.pack_into("=III", self.page, 24, number, int(rest), 0)
        struct.pack_into("=I", self.page, 0, code)

    def clear(self):
        struct.pack_into("=I", self.page, 0, 0)

    def failed(self):
        """Calls that failed, of all processes."""
        return struct.unpack_from("=I", self.page, 12)[0]

    def calls(self):
        """Of the process that made most since `arm_call`."""
        return struct.unpack_from("=I", self.page, 32)[0]
