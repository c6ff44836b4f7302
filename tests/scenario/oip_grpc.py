"""The Open Inference Protocol over gRPC by what the server itself says of its messages
(reflection): no generated code.
"""

import functools
import re

import grpc
import numpy
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "inference.GRPCInferenceService"
_MEMBERS = {
    "FP64": "fp64_contents",
    "FP32": "fp32_contents",
    "INT64": "int64_contents",
    "BOOL": "bool_contents",
    "BYTES": "bytes_contents",
}


def _field(number, payload):
    """One length-delimited field of a message, shorter than 128 bytes."""
    return bytes([number << 3 | 2, len(payload)]) + payload


def _varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at


def _fields(data):
    """(number, payload) of the length-delimited fields of a message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        size, end = _varint(data, at)
        if key & 7 == 2:
            yield key >> 3, data[end : end + size]
            end += size
        at = end


@functools.cache
def _messages(address, metadata):
    with grpc.insecure_channel(address) as channel:
        ask = channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            request_serializer=bytes,
            response_deserializer=bytes,
        )
        reply = next(ask(iter([_field(4, SERVICE.encode())]), timeout=10, metadata=metadata))
    pool = descriptor_pool.DescriptorPool()
    for number, described in _fields(reply):
        if number != 4:
            continue
        for _, file in _fields(described):
            pool.Add(descriptor_pb2.FileDescriptorProto.FromString(file))
    service = pool.FindServiceByName(SERVICE).methods_by_name["ModelInfer"]
    return message_factory.GetMessageClass(service.input_type), message_factory.GetMessageClass(
        service.output_type
    )


def infer(project, model, tensors):
    """Outputs by name as numpy arrays of their shapes; texts as `str`."""
    port = re.search(r"^grpc_port: (\d+)", (project.root / "services/late.yaml").read_text(), re.M)[
        1
    ]
    address, metadata = (
        f"127.0.0.1:{port}",
        (("authorization", "Bearer " + project.token("caller")),),
    )
    request_type, response_type = _messages(address, metadata)
    request = request_type(model_name=model)
    for tensor in tensors:
        sent = request.inputs.add(
            name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"]
        )
        getattr(sent.contents, _MEMBERS[tensor["datatype"]]).extend(tensor["data"])
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(
            f"/{SERVICE}/ModelInfer",
            request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString,
        )
        answer = call(request, timeout=30, metadata=metadata)
    outputs = {}
    for tensor in answer.outputs:
        values = list(getattr(tensor.contents, _MEMBERS[tensor.datatype]))
        outputs[tensor.name] = numpy.array(
            [each.decode() for each in values] if tensor.datatype == "BYTES" else values
        ).reshape(tensor.shape)
    return outputs
