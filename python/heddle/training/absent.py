"""An environment without what the helper itself needs: said before anything else is imported."""

from __future__ import annotations

import json
import os
import pathlib
import sys


def say(error: ModuleNotFoundError) -> None:
    """Leaves the result of a training that could not begin, and ends."""
    out = pathlib.Path(os.environ["TMPDIR"]) / "out"
    out.mkdir(parents=True, exist_ok=True)
    job = json.loads(pathlib.Path(sys.argv[1]).read_text())
    result = {
        "format": "heddle.exec-result/1",
        "failed": "package",
        "type": type(error).__name__,
        "message": f"{error}: a trainer's environment needs it",
        "hint": f"install {error.name} into it, and lock it again with `heddle trainer lock`",
        "file": job["file"],
        "line": 0,
        "function": "",
        "trace": [],
    }
    (out / "result.json").write_text(json.dumps(result))
    sys.exit(1)
