"""Where a service of a project listens and with which token it is called: HEDDLE_URL and
HEDDLE_TOKEN, else the project's folder.
"""

from __future__ import annotations

import os
import pathlib
import re

from .errors import ProjectError

DEFAULT_URL = "http://127.0.0.1:8000"


def find(start: str | os.PathLike[str] | None) -> pathlib.Path | None:
    """`start`, or the nearest folder at or above the working one, that has a heddle.yaml; None when
    there is none above.
    """
    if start is not None:
        root = pathlib.Path(start).resolve()
        if not (root / "heddle.yaml").is_file():
            raise ProjectError(
                f"no `heddle.yaml` in `{root}`",
                id="project-not-found",
                hint="name a project's folder",
            )
        return root
    here = pathlib.Path.cwd()
    return next(
        (folder for folder in (here, *here.parents) if (folder / "heddle.yaml").is_file()), None
    )


def url(root: pathlib.Path, service: str) -> str:
    """The address in the Service's definition, with its defaults."""
    known = []
    for document in _documents(root, "Service"):
        name = _top(document, "name")
        if name == service:
            return (
                f"http://{_top(document, 'host') or '127.0.0.1'}:{_top(document, 'port') or '8000'}"
            )
        known.append(f"`{name}`")
    raise ProjectError(
        f"the project `{root}` has no service `{service}`",
        id="service-unknown",
        hint=f"it has {', '.join(sorted(known))}" if known else "it has no Service at all",
    )


def batch_rows(root: pathlib.Path, service: str) -> int | None:
    """`limits.batch_rows` of the Service; None when it is not written there."""
    for document in _documents(root, "Service"):
        if _top(document, "name") == service and (
            match := re.search(r"^\s+batch_rows:\s*(\d+)\s*(?:#.*)?$", document, re.M)
        ):
            return int(match[1])
    return None


def token(root: pathlib.Path, permission: str, account: str | None) -> str:
    """The token of `account`, else of the first service account that holds `permission`."""
    holders = (
        [account] if account else [name for name, held in _accounts(root) if permission in held]
    )
    if not holders:
        raise ProjectError(
            f"no service account of `{root}` may {permission}",
            id="account-missing",
            hint=f"give one the permission `{permission}` in people.yaml, or set HEDDLE_TOKEN",
        )
    for name in holders:
        file = root / ".heddle" / "tokens" / name
        try:
            return file.read_text().strip()
        except FileNotFoundError:
            continue
        except OSError as failure:
            raise ProjectError(
                f"`{file}` cannot be read: {failure.strerror}",
                id="token-unreadable",
                hint="run as the project's owner, or set HEDDLE_TOKEN",
            ) from None
    raise ProjectError(
        f"`{root}/.heddle/tokens` has no token of {', '.join(f'`{name}`' for name in holders)}",
        id="token-missing",
        hint="`heddle up` makes the tokens; or set HEDDLE_TOKEN",
    )


def _documents(root: pathlib.Path, kind: str) -> list[str]:
    """The YAML documents of a kind in the project, as text. Heddle's definitions keep their
    top-level keys at the line's start.
    """
    out = []
    for file in sorted(root.rglob("*.yaml")):
        if any(part.startswith(".") for part in file.relative_to(root).parts):
            continue
        for document in re.split(r"^---.*$", file.read_text(errors="replace"), flags=re.M):
            if _top(document, "kind") == kind:
                out.append(document)
    return out


def _top(document: str, key: str) -> str | None:
    match = re.search(rf"^{key}:[ \t]*(?:\"([^\"]*)\"|'([^']*)'|([^\s#]+))", document, re.M)
    return next((group for group in match.groups() if group is not None), None) if match else None


def _accounts(root: pathlib.Path) -> list[tuple[str, set[str]]]:
    """(name, permissions) of each service account of people.yaml, in either of YAML's list
    forms.
    """
    out: list[tuple[str, set[str]]] = []
    for document in _documents(root, "People"):
        match = re.search(
            r"^service_accounts:[^\n]*\n((?:[ \t-][^\n]*\n?|#[^\n]*\n?|\n)*)", document, re.M
        )
        for item in re.split(
            r"^\s*-\s+(?=\{?\s*name:|permissions:)", match[1] if match else "", flags=re.M
        )[1:]:
            name = re.search(r"name:\s*[\"']?([\w.-]+)", item)
            if name is None:
                continue
            flow = re.search(r"permissions:\s*\[([^\]]*)\]", item)
            block = re.search(r"permissions:[^\S\n]*\n((?:\s*-\s*\S+[^\S\n]*\n?)+)", item)
            held = (
                re.findall(r"[\w.-]+", flow[1])
                if flow
                else re.findall(r"-\s*[\"']?([\w.-]+)", block[1]) if block else []
            )
            out.append((name[1], set(held)))
    return out
