"""A model as files, and back: what a worker starts from."""

from __future__ import annotations

import importlib
import io
import json
import os
import pathlib
import pickle
import sys
from typing import Any

from .answers import is_of


class NotKept(ValueError):
    """The model cannot be written, or not be read again."""


def import_file(root: pathlib.Path, file: str) -> Any:
    """The trainer's file as the module that pickles of its classes name."""
    path = root / file
    for folder in (str(path.parent), str(root)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    return importlib.import_module(path.stem)


def save(model: Any, folder: pathlib.Path) -> dict[str, str]:
    """Writes it into `folder`; says how it is read again."""
    folder.mkdir(parents=True, exist_ok=True)
    if is_of(model, "onnx", "ModelProto") or isinstance(model, bytes):
        whole = model if isinstance(model, bytes) else model.SerializeToString()
        (folder / "model.onnx").write_bytes(whole)
        return {"how": "onnx", "file": "model.onnx"}
    if is_of(model, "torch.nn", "Module"):
        import torch

        torch.save(model, folder / "model.pt")
        return {"how": "torch", "file": "model.pt"}
    (folder / "model.pickle").write_bytes(_pickled(model))
    return {"how": "pickle", "file": "model.pickle"}


def _pickled(model: Any) -> bytes:
    try:
        out = io.BytesIO()
        pickle.Pickler(out, protocol=5).dump(model)
        return out.getvalue()
    except Exception as plain:  # of any class that it holds
        try:
            import cloudpickle

            return cloudpickle.dumps(model)
        except ImportError:
            raise NotKept(
                f"the model cannot be pickled: {plain}. Define what it is made of at the top of"
                " the file, or add cloudpickle to the environment"
            ) from plain
        except Exception as whole:
            raise NotKept(f"the model cannot be pickled: {whole}") from whole


def load(folder: pathlib.Path, how: dict[str, str]) -> Any:
    path = folder / how["file"]
    if how["how"] == "onnx":
        return path.read_bytes()
    if how["how"] == "torch":
        import torch

        return torch.load(path, weights_only=False)
    with open(path, "rb") as file:
        return pickle.load(file)


def write_json(path: pathlib.Path, value: Any) -> None:
    """Whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, allow_nan=False))
    os.replace(part, path)
