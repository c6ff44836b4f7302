"""Tensors of the Open Inference Protocol, version 2, as numpy arrays: JSON, and the binary
extension (docs/http.md).
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy

MOST_DIMENSIONS = 8

_DTYPES = {
    "BOOL": "?",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
_NAMES = {numpy.dtype(code): name for name, code in _DTYPES.items()}


class BadTensor(Exception):
    """The request's tensors cannot be read; the message says which and why."""


def read_request(
    body: bytes, header_length: str | None
) -> tuple[dict[str, Any], dict[str, numpy.ndarray]]:
    """The JSON of an infer request, and its inputs by name in their order. Every array's size was
    checked against its bytes before it was made; a missing value of a floating tensor (null in
    JSON) is NaN.
    """
    split = (
        len(body)
        if header_length is None
        else _integer(header_length, "Inference-Header-Content-Length")
    )
    if split > len(body):
        raise BadTensor("Inference-Header-Content-Length is over the body's length")
    try:
        request = json.loads(body[:split], parse_constant=_no_constant)
    except (ValueError, RecursionError) as failure:
        raise BadTensor(f"the body is no JSON: {failure}") from None
    if not isinstance(request, dict):
        raise BadTensor("the body is no JSON object")
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise BadTensor("`inputs` is no list of tensors")
    arrays: dict[str, numpy.ndarray] = {}
    at = split
    for tensor in inputs:
        name, datatype, shape = _described(tensor)
        if name in arrays:
            raise BadTensor(f"input `{name}` appears more than once")
        size = _parameters(tensor).get("binary_data_size")
        if size is None:
            arrays[name] = _from_json(name, datatype, shape, tensor.get("data"))
            continue
        size = _integer(size, f"binary_data_size of `{name}`")
        if "data" in tensor:
            raise BadTensor(f"input `{name}` has both `data` and `binary_data_size`")
        if size > len(body) - at:
            raise BadTensor(f"input `{name}` is over the end of the body")
        arrays[name] = _from_bytes(name, datatype, shape, memoryview(body)[at : at + size])
        at += size
    if at != len(body):
        raise BadTensor(f"{len(body) - at} bytes follow the last input")
    return request, arrays


def write_response(
    request: dict[str, Any], model: str, outputs: dict[str, numpy.ndarray]
) -> tuple[bytes, dict[str, str], str]:
    """(body, extra headers, content type): the outputs asked for, all when none is named, in binary
    where the request says so.
    """
    wanted = request.get("outputs") or []
    if not isinstance(wanted, list) or not all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in wanted
    ):
        raise BadTensor("`outputs` is no list of named tensors")
    everything_binary = _parameters(request).get("binary_data_output") is True
    binary = {
        each["name"]: _parameters(each).get("binary_data", everything_binary) is True
        for each in wanted
    }
    for name in binary:
        if name not in outputs:
            raise BadTensor(
                f"there is no output `{name}`: the model has"
                f" {', '.join(f'`{each}`' for each in outputs)}"
            )
    answer: dict[str, Any] = {"model_name": model, "model_version": "1", "outputs": []}
    if isinstance(request.get("id"), str):
        answer["id"] = request["id"]
    tail = []
    for name in binary or outputs:
        array = outputs[name]
        described: dict[str, Any] = {
            "name": name,
            "datatype": datatype_of(array),
            "shape": list(array.shape),
        }
        if binary.get(name, everything_binary):
            tail.append(_to_bytes(array))
            described["parameters"] = {"binary_data_size": len(tail[-1])}
        else:
            described["data"] = _to_json(array)
        answer["outputs"].append(described)
    head = json.dumps(answer, allow_nan=False, separators=(",", ":")).encode()
    if not tail:
        return head, {}, "application/json"
    return (
        head + b"".join(tail),
        {"Inference-Header-Content-Length": str(len(head))},
        "application/octet-stream",
    )


def datatype_of(array: numpy.ndarray) -> str:
    return "BYTES" if array.dtype.kind in "OUS" else _NAMES[array.dtype.newbyteorder("<")]


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


def _integer(value: Any, what: str) -> int:
    if isinstance(value, str) and value.isdecimal() and len(value) < 16:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise BadTensor(f"{what} is no size: {value!r}")


def _parameters(thing: dict[str, Any]) -> dict[str, Any]:
    found = thing.get("parameters") or {}
    if not isinstance(found, dict):
        raise BadTensor("`parameters` is no object")
    return found


def _described(tensor: Any) -> tuple[str, str, tuple[int, ...]]:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise BadTensor("an input has no `name`")
    name, datatype, shape = tensor["name"], tensor.get("datatype"), tensor.get("shape")
    if datatype != "BYTES" and datatype not in _DTYPES:
        raise BadTensor(
            f"input `{name}` has the datatype `{datatype}`, which is not read:"
            f" {', '.join(_DTYPES)}, BYTES are"
        )
    if not isinstance(shape, list) or not 1 <= len(shape) <= MOST_DIMENSIONS:
        raise BadTensor(f"the shape of `{name}` is no list of 1 to {MOST_DIMENSIONS} sizes")
    return (
        name,
        datatype,
        tuple(_integer(size, f"a size in the shape of `{name}`") for size in shape),
    )


def _from_json(name: str, datatype: str, shape: tuple[int, ...], data: Any) -> numpy.ndarray:
    if not isinstance(data, list):
        raise BadTensor(f"input `{name}` has no `data`")
    flat = data
    for _ in range(MOST_DIMENSIONS):  # nested lists mean the same as flat ones
        if not any(isinstance(each, list) for each in flat):
            break
        if not all(isinstance(each, list) for each in flat):
            raise BadTensor(f"the data of `{name}` is uneven")
        flat = [value for each in flat for value in each]
    if len(flat) != math.prod(shape):
        raise BadTensor(
            f"input `{name}` has {len(flat)} values, its shape {list(shape)} asks for"
            f" {math.prod(shape)}"
        )
    try:
        if datatype == "BYTES":
            if not all(value is None or isinstance(value, str) for value in flat):
                raise ValueError("text was expected")
            array = numpy.empty(len(flat), dtype=object)
            array[:] = flat
            return array.reshape(shape)
        floating = datatype.startswith("FP")
        allowed = (int, float) if floating else (bool,) if datatype == "BOOL" else (int,)
        for value in flat:
            if not (
                isinstance(value, allowed)
                and isinstance(value, bool) == (datatype == "BOOL")
                or value is None
                and floating
            ):
                raise ValueError(f"{json.dumps(value)[:40]} is no {datatype}")
        return numpy.array(
            [math.nan if value is None else value for value in flat], dtype=_DTYPES[datatype]
        ).reshape(shape)
    except (ValueError, OverflowError, TypeError) as failure:
        raise BadTensor(f"input `{name}`: {failure}") from None


def _from_bytes(
    name: str, datatype: str, shape: tuple[int, ...], data: memoryview
) -> numpy.ndarray:
    count = math.prod(shape)
    if datatype != "BYTES":
        dtype = numpy.dtype(_DTYPES[datatype])
        if count * dtype.itemsize != len(data):
            raise BadTensor(
                f"input `{name}` has {len(data)} bytes, its shape {list(shape)} asks for"
                f" {count * dtype.itemsize}"
            )
        return numpy.frombuffer(data, dtype).reshape(shape).copy()
    if count * 4 > len(
        data
    ):  # each value has at least its length: nothing is made for a count that the bytes cannot hold
        raise BadTensor(f"input `{name}` has {len(data)} bytes, too few for {count} values")
    array = numpy.empty(count, dtype=object)
    at = 0
    for i in range(count):
        end = at + 4
        if end > len(data):
            raise BadTensor(f"input `{name}` ends within a value")
        length = int.from_bytes(data[at:end], "little")
        at = end + length
        if at > len(data):
            raise BadTensor(f"input `{name}` ends within a value")
        try:
            array[i] = str(data[end:at], "utf-8")
        except UnicodeDecodeError:
            raise BadTensor(f"value {i} of `{name}` is no UTF-8") from None
    if at != len(data):
        raise BadTensor(f"input `{name}` has {len(data) - at} bytes after its last value")
    return array.reshape(shape)


def _to_bytes(array: numpy.ndarray) -> bytes:
    if datatype_of(array) != "BYTES":
        return numpy.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
    values = [("" if value is None else str(value)).encode() for value in array.ravel()]
    return b"".join(len(value).to_bytes(4, "little") + value for value in values)


def _to_json(array: numpy.ndarray) -> list[Any]:
    """Flat; what JSON has no number for (NaN, infinities) is null."""
    if array.dtype.kind == "f":
        return [value if math.isfinite(value) else None for value in array.ravel().tolist()]
    if datatype_of(array) == "BYTES":
        return ["" if value is None else str(value) for value in array.ravel()]
    return array.ravel().tolist()
