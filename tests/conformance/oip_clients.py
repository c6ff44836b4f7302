#!/usr/bin/env python3
"""The clients that people have, with their defaults, against `heddle up` of a small project. What
each does is printed, and is the table of docs/oip.md. Then those that infer against the same rows
of a model of classes and of one of a number: every output that such models have.

    oip_clients.py HEDDLE      needs tests/clients.txt; exit 0 when everything holds
"""

import asyncio
import collections
import csv
import json
import os
import pathlib
import re
import subprocess
import sys
import traceback
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenario"))
warnings.filterwarnings("ignore")
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost"

import numpy  # noqa: E402

from harness import Planes, World, works  # noqa: E402

MODEL = "late"


PREDICTIONS = {"binary": "probability", "classes": "probabilities", "regression": "value"}


KINDS = {"label": str, "set": bool}


def task_of(prediction):
    return (
        "binary"
        if "probability" in prediction
        else "classes" if "label" in prediction else "regression"
    )


def outputs_of(predictions):
    """The outputs of the protocol from plain predictions, all served."""
    if task_of(predictions[0]) != "classes":
        return {
            name: [each[name] for each in predictions]
            for name in ("probability", "value", "lower", "upper")
            if name in predictions[0]
        }
    classes = list(predictions[0]["probabilities"])
    return {
        "probabilities": [list(each["probabilities"].values()) for each in predictions],
        "label": [each["label"] for each in predictions],
        "set": [[name in each["set"] for name in classes] for each in predictions],
    }


class Case:
    """What every client needs: where, with which token, the rows and the outputs that they have.
    Clients bring messages of the same names, so each runs in a process of its own, which reads this
    from a file.
    """

    def __init__(self, known):
        self.http, self.grpc, self._headers, self.bundle = (
            known["http"],
            known["grpc"],
            known["headers"],
            known["bundle"],
        )
        self.task, self.outputs = (
            known["task"],
            {
                name: numpy.array(values, dtype=KINDS.get(name, numpy.float32))
                for name, values in known["outputs"].items()
            },
        )
        self.wanted = self.outputs[PREDICTIONS[self.task]]
        self.columns = {
            name: (
                numpy.array(values, dtype=numpy.int64)
                if name == "distance"
                else numpy.array([v.encode() for v in values], dtype=object)
            )
            for name, values in known["columns"].items()
        }

    @property
    def headers(self):
        return dict(self._headers)  # tritonclient writes into the headers that it is given

    @staticmethod
    def known(project, planes):
        with open(project.root / "data/trips.csv") as file:
            rows = [row for row, _ in zip(csv.DictReader(file), range(3))]
        columns = {
            name: [int(row[name]) if name == "distance" else row[name] for row in rows]
            for name in ("date", "distance", "origin", "destination")
        }
        plain = planes.predict(
            {"rows": [{name: values[i] for name, values in columns.items()} for i in range(3)]}
        )
        assert plain.status == 200, plain
        grpc_port = re.search(
            r"^grpc_port: (\d+)", (project.root / "services/late.yaml").read_text(), re.M
        )[1]
        return {
            "http": f"127.0.0.1:{project.port()}",
            "grpc": f"127.0.0.1:{grpc_port}",
            "headers": {"authorization": "Bearer " + project.token("caller")},
            "columns": columns,
            "outputs": outputs_of(plain.json["predictions"]),
            "bundle": plain.json["bundle"],
            "task": task_of(plain.json["predictions"][0]),
        }

    def holds(self, probability, model_version=None):
        numpy.testing.assert_array_equal(
            numpy.asarray(probability, dtype=numpy.float32).reshape(-1), self.wanted
        )
        assert model_version in (None, self.bundle), model_version

    def holds_outputs(self, outputs):
        """Outputs by name as arrays: those of the task, of their shapes and types, with the values
        of the plain answer.
        """
        assert sorted(outputs) == sorted([*self.outputs, "validation"]), sorted(outputs)
        for name, wanted in self.outputs.items():
            got = numpy.asarray(outputs[name])
            if name == "label":
                got = numpy.array(
                    [each.decode() if isinstance(each, bytes) else each for each in got.reshape(-1)]
                ).reshape(got.shape)
                assert got.dtype.kind == "U", got
            assert got.shape == wanted.shape, (name, got.shape)
            assert name != "set" or got.dtype == bool, got.dtype
            numpy.testing.assert_array_equal(
                got if name in KINDS else got.astype(numpy.float32), wanted, name
            )

    def triton_inputs(self, module, shape=(3,), binary=None):
        inputs = []
        for name, values in self.columns.items():
            item = module.InferInput(name, list(shape), "INT64" if name == "distance" else "BYTES")
            if binary is None:
                item.set_data_from_numpy(values.reshape(shape))
            else:
                item.set_data_from_numpy(values.reshape(shape), binary_data=binary)
            inputs.append(item)
        return inputs


def triton_http(case):
    import tritonclient.http
    from tritonclient.utils import InferenceServerException

    client = tritonclient.http.InferenceServerClient(case.http)
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready(MODEL, headers=case.headers) and client.is_model_ready(
        MODEL, "standby", headers=case.headers
    )
    assert "binary_tensor_data" in client.get_server_metadata(headers=case.headers)["extensions"]
    assert [
        i["name"] for i in client.get_model_metadata(MODEL, headers=case.headers)["inputs"]
    ] == list(case.columns)
    assert client.get_model_config(MODEL, headers=case.headers)["max_batch_size"] == 1024
    index = client.get_model_repository_index(headers=case.headers)
    assert {entry["version"]: entry["state"] for entry in index} == {
        "primary": "READY",
        "standby": "READY",
    }, index
    client.load_model(MODEL, headers=case.headers)
    try:
        client.unload_model(MODEL, headers=case.headers)
        raise AssertionError("a client unloaded a model")
    except InferenceServerException as refused:
        assert "releases" in refused.message(), refused
    for shape in ((3,), (3, 1)):
        result = client.infer(
            MODEL,
            case.triton_inputs(tritonclient.http, shape),
            headers=case.headers,
            request_id="t-1",
        )
        case.holds(result.as_numpy("probability"), result.get_response()["model_version"])
        assert result.get_response()["id"] == "t-1" and list(result.as_numpy("validation")) == [
            b"",
            b"",
            b"",
        ]
    json_only = client.infer(
        MODEL,
        case.triton_inputs(tritonclient.http, binary=False),
        headers=case.headers,
        outputs=[tritonclient.http.InferRequestedOutput("probability", binary_data=False)],
    )
    case.holds(json_only.as_numpy("probability"))
    mixed = client.infer(
        MODEL,
        case.triton_inputs(tritonclient.http),
        headers=case.headers,
        outputs=[tritonclient.http.InferRequestedOutput("probability")],
    )
    case.holds(mixed.as_numpy("probability"))
    assert mixed.as_numpy("validation") is None
    for algorithm in ("gzip", "deflate"):
        by_algorithm = client.infer(
            MODEL,
            case.triton_inputs(tritonclient.http),
            headers=case.headers,
            request_compression_algorithm=algorithm,
        )
        case.holds(by_algorithm.as_numpy("probability"))
    for future in [
        client.async_infer(MODEL, case.triton_inputs(tritonclient.http), headers=case.headers)
        for _ in range(4)
    ]:
        case.holds(future.get_result().as_numpy("probability"))
    statistics = client.get_inference_statistics(MODEL, headers=case.headers)["model_stats"]
    assert statistics[0]["inference_count"] >= 3, statistics
    try:
        client.infer("other", case.triton_inputs(tritonclient.http), headers=case.headers)
        raise AssertionError("there is no such model")
    except InferenceServerException as refused:
        assert "no model" in refused.message(), refused
    try:
        client.infer(MODEL, case.triton_inputs(tritonclient.http))
        raise AssertionError("a call without a token was answered")
    except InferenceServerException as refused:
        assert "token" in refused.message(), refused
    client.close()
    return (
        "health, metadata, config, repository, statistics, infer (binary and JSON, [n] and [n,1],"
        " gzip, deflate), async infer"
    )


def triton_http_aio(case):
    import tritonclient.http.aio

    async def run():
        async with tritonclient.http.aio.InferenceServerClient(case.http) as client:
            assert await client.is_server_ready() and await client.is_model_ready(
                MODEL, headers=case.headers
            )
            results = await asyncio.gather(
                *[
                    client.infer(
                        MODEL, case.triton_inputs(tritonclient.http.aio), headers=case.headers
                    )
                    for _ in range(8)
                ]
            )
            for result in results:
                case.holds(result.as_numpy("probability"))

    asyncio.run(run())
    return "health, infer"


def triton_grpc(case):
    import tritonclient.grpc
    from tritonclient.utils import InferenceServerException

    client = tritonclient.grpc.InferenceServerClient(case.grpc)
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready(MODEL, headers=case.headers)
    assert client.get_server_metadata(headers=case.headers).name == "heddle"
    metadata = client.get_model_metadata(MODEL, headers=case.headers, as_json=True)
    assert [i["name"] for i in metadata["inputs"]] == list(case.columns) and metadata["inputs"][1][
        "datatype"
    ] == "INT64", metadata
    config = client.get_model_config(MODEL, headers=case.headers, as_json=True)["config"]
    assert (
        config["input"][1]["data_type"] == "TYPE_INT64"
        and config["output"][0]["data_type"] == "TYPE_FP32"
    ), config
    index = client.get_model_repository_index(headers=case.headers, as_json=True)["models"]
    assert {entry["version"]: entry["state"] for entry in index} == {
        "primary": "READY",
        "standby": "READY",
    }, index
    client.load_model(MODEL, headers=case.headers)
    try:
        client.unload_model(MODEL, headers=case.headers)
        raise AssertionError("a client unloaded a model")
    except InferenceServerException as refused:
        assert refused.status() == "StatusCode.PERMISSION_DENIED", refused
    result = client.infer(
        MODEL, case.triton_inputs(tritonclient.grpc), headers=case.headers, request_id="g-1"
    )
    case.holds(result.as_numpy("probability"), result.get_response().model_version)
    assert result.get_response().id == "g-1" and list(result.as_numpy("validation")) == [
        b"",
        b"",
        b"",
    ]
    by_gzip = client.infer(
        MODEL,
        case.triton_inputs(tritonclient.grpc),
        headers=case.headers,
        compression_algorithm="gzip",
    )
    case.holds(by_gzip.as_numpy("probability"))
    statistics = client.get_inference_statistics(MODEL, headers=case.headers, as_json=True)[
        "model_stats"
    ]
    assert int(statistics[0]["inference_count"]) >= 3, statistics
    answers = []
    client.start_stream(lambda result, error: answers.append((result, error)), headers=case.headers)
    for i in range(3):
        client.async_stream_infer(MODEL, case.triton_inputs(tritonclient.grpc), request_id=f"s-{i}")
    client.stop_stream()
    assert [r.get_response().id for r, e in answers] == ["s-0", "s-1", "s-2"], answers
    for result, error in answers:
        assert error is None, error
        case.holds(result.as_numpy("probability"))
    for call in (client.get_trace_settings, client.get_log_settings):
        try:
            call(headers=case.headers)
            raise AssertionError("an extension that is not spoken answered")
        except InferenceServerException as refused:
            assert refused.status() == "StatusCode.UNIMPLEMENTED", refused
    try:
        client.infer(MODEL, case.triton_inputs(tritonclient.grpc))
        raise AssertionError("a call without a token was answered")
    except InferenceServerException as refused:
        assert refused.status() == "StatusCode.UNAUTHENTICATED", refused
    client.close()
    return (
        "health, metadata, config, repository, statistics, infer, gzip, stream infer; trace and log"
        " settings: UNIMPLEMENTED"
    )


def triton_grpc_aio(case):
    import tritonclient.grpc.aio

    async def run():
        async with tritonclient.grpc.aio.InferenceServerClient(case.grpc) as client:
            assert await client.is_server_ready() and await client.is_model_ready(
                MODEL, headers=case.headers
            )
            results = await asyncio.gather(
                *[
                    client.infer(
                        MODEL, case.triton_inputs(tritonclient.grpc.aio), headers=case.headers
                    )
                    for _ in range(8)
                ]
            )
            for result in results:
                case.holds(result.as_numpy("probability"))

    asyncio.run(run())
    return "health, infer"


def open_inference_openapi(case):
    import httpx
    from open_inference.openapi.client import OpenInferenceClient, InferenceRequest

    with httpx.Client(headers=case.headers) as connection:
        client = OpenInferenceClient(base_url=f"http://{case.http}", httpx_client=connection)
        client.check_server_liveness()
        client.check_server_readiness()
        client.check_model_readiness(MODEL)
        assert client.read_server_metadata().name == "heddle"
        assert [i.name for i in client.read_model_metadata(MODEL).inputs] == list(case.columns)
        inputs = [
            {
                "name": name,
                "shape": [3],
                "datatype": "INT64" if name == "distance" else "BYTES",
                "data": [v if isinstance(v, int) else v.decode() for v in values.tolist()],
            }
            for name, values in case.columns.items()
        ]
        answer = client.model_infer(MODEL, request=InferenceRequest.parse_obj({"inputs": inputs}))
        output = {o.name: o for o in answer.outputs}["probability"]
        case.holds(output.data.__root__)
    return "health, metadata, infer"


def typed_tensors(module, case):
    inputs = []
    for name, values in case.columns.items():
        contents = module.InferTensorContents(
            **(
                {"int64_contents": values.tolist()}
                if name == "distance"
                else {"bytes_contents": values.tolist()}
            )
        )
        inputs.append(
            module.ModelInferRequest.InferInputTensor(
                name=name,
                datatype="INT64" if name == "distance" else "BYTES",
                shape=[3],
                contents=contents,
            )
        )
    return inputs


def open_inference_grpc(case):
    import grpc
    from open_inference.grpc import protocol
    from open_inference.grpc.service import GRPCInferenceServiceStub

    metadata = list(case.headers.items())
    with grpc.insecure_channel(case.grpc) as channel:
        stub = GRPCInferenceServiceStub(channel)
        assert (
            stub.ServerLive(protocol.ServerLiveRequest()).live
            and stub.ServerReady(protocol.ServerReadyRequest()).ready
        )
        assert stub.ModelReady(protocol.ModelReadyRequest(name=MODEL), metadata=metadata).ready
        answer = stub.ModelInfer(
            protocol.ModelInferRequest(model_name=MODEL, inputs=typed_tensors(protocol, case)),
            metadata=metadata,
        )
        assert not answer.raw_output_contents
        case.holds(list(answer.outputs[0].contents.fp32_contents), answer.model_version)
    return "health, infer with typed contents"


def kserve_rest(case):
    from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

    async def run():
        client = InferenceRESTClient(RESTConfig(protocol="v2"))
        base = f"http://{case.http}"
        assert await client.is_server_live(base) and await client.is_server_ready(base)
        assert await client.is_model_ready(base, MODEL, headers=case.headers)
        inputs = []
        for name, values in case.columns.items():
            item = InferInput(
                name=name, shape=[3], datatype="INT64" if name == "distance" else "BYTES"
            )
            item.set_data_from_numpy(values)
            inputs.append(item)
        for binary in (None, False):
            request = InferRequest(model_name=MODEL, infer_inputs=inputs)
            answer = await client.infer(base, request, model_name=MODEL, headers=dict(case.headers))
            case.holds(answer.outputs[0].as_numpy(), answer.model_version)
            for item, (name, values) in zip(inputs, case.columns.items()):
                item.set_data_from_numpy(values, binary_data=False)
        await client.close()

    asyncio.run(run())
    return "health, infer (binary and JSON)"


def kserve_grpc(case):
    from kserve import InferenceGRPCClient, InferInput, InferRequest

    async def run():
        async with InferenceGRPCClient(case.grpc) as client:
            metadata = list(case.headers.items())
            assert await client.is_server_live(headers=metadata) and await client.is_server_ready(
                headers=metadata
            )
            assert await client.is_model_ready(MODEL, headers=metadata)
            inputs = []
            for name, values in case.columns.items():
                item = InferInput(
                    name=name, shape=[3], datatype="INT64" if name == "distance" else "BYTES"
                )
                item.set_data_from_numpy(values)
                inputs.append(item)
            answer = await client.infer(
                InferRequest(model_name=MODEL, infer_inputs=inputs), headers=metadata
            )
            case.holds(answer.outputs[0].as_numpy(), answer.model_version)

    asyncio.run(run())
    return "health, infer"


def reflection(case):
    import grpc
    from google.protobuf.descriptor_pool import DescriptorPool
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
    from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
        ProtoReflectionDescriptorDatabase,
    )

    class Details(
        collections.namedtuple(
            "Details", "method timeout metadata credentials wait_for_ready compression"
        ),
        grpc.ClientCallDetails,
    ):
        pass

    class Authorized(grpc.StreamStreamClientInterceptor):
        def intercept_stream_stream(self, continuation, details, requests):
            fields = {
                name: getattr(details, name, None)
                for name in ("method", "timeout", "credentials", "wait_for_ready", "compression")
            }
            return continuation(Details(metadata=list(case.headers.items()), **fields), requests)

    with grpc.intercept_channel(grpc.insecure_channel(case.grpc), Authorized()) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert "inference.GRPCInferenceService" in database.get_services()
        service = DescriptorPool(database).FindServiceByName("inference.GRPCInferenceService")
        assert (
            service.methods_by_name["ModelInfer"]
            .input_type.fields_by_name["raw_input_contents"]
            .number
            == 7
        )
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        answer = next(
            stub.ServerReflectionInfo(
                iter(
                    [reflection_pb2.ServerReflectionRequest(file_containing_symbol="no.such.Thing")]
                )
            )
        )
        assert answer.error_response.error_code == 5, answer
    return "list, describe, unknown symbols"


# Of a model of classes or of a number: every output of one infer, by each client that infers.


def tasks_triton_http(case):
    import tritonclient.http

    client = tritonclient.http.InferenceServerClient(case.http)
    described = {
        each["name"]: each
        for each in client.get_model_metadata(MODEL, headers=case.headers)["outputs"]
    }
    assert sorted(described) == sorted([*case.outputs, "validation"]), described
    types = {"label": "BYTES", "set": "BOOL"}
    for name, values in case.outputs.items():
        assert described[name]["datatype"] == types.get(name, "FP32") and described[name][
            "shape"
        ] == [-1, *values.shape[1:]], described[name]
    # As the client asks by itself: raw bytes of all outputs.
    every = client.infer(MODEL, case.triton_inputs(tritonclient.http), headers=case.headers)
    case.holds_outputs({name: every.as_numpy(name) for name in described})
    listed = [
        tritonclient.http.InferRequestedOutput(name, binary_data=name == "label")
        for name in case.outputs
    ]
    some = client.infer(
        MODEL,
        case.triton_inputs(tritonclient.http, binary=False),
        headers=case.headers,
        outputs=listed,
    )
    assert some.as_numpy("validation") is None
    case.holds_outputs({**{name: some.as_numpy(name) for name in case.outputs}, "validation": None})
    client.close()


def tasks_triton_grpc(case):
    import tritonclient.grpc

    client = tritonclient.grpc.InferenceServerClient(case.grpc)
    config = client.get_model_config(MODEL, headers=case.headers, as_json=True)["config"]
    assert config["parameters"]["task"]["string_value"] == case.task, config
    if case.task == "classes":
        classes = json.loads(config["parameters"]["classes"]["string_value"])
        assert (
            set(case.outputs["label"]) <= set(classes) and len(classes) == case.wanted.shape[1]
        ), classes
    answer = client.infer(MODEL, case.triton_inputs(tritonclient.grpc), headers=case.headers)
    case.holds_outputs({name: answer.as_numpy(name) for name in [*case.outputs, "validation"]})
    client.close()


def tasks_open_inference_openapi(case):
    import httpx
    from open_inference.openapi.client import OpenInferenceClient, InferenceRequest

    with httpx.Client(headers=case.headers) as connection:
        client = OpenInferenceClient(base_url=f"http://{case.http}", httpx_client=connection)
        inputs = [
            {
                "name": name,
                "shape": [3],
                "datatype": "INT64" if name == "distance" else "BYTES",
                "data": [v if isinstance(v, int) else v.decode() for v in values.tolist()],
            }
            for name, values in case.columns.items()
        ]
        answer = client.model_infer(MODEL, request=InferenceRequest.parse_obj({"inputs": inputs}))
        # Its model of the answer makes floats of booleans; which they were, the datatype says.
        case.holds_outputs(
            {
                each.name: (
                    numpy.array(
                        each.data.__root__, dtype=bool if each.datatype == "BOOL" else None
                    ).reshape(each.shape)
                )
                for each in answer.outputs
            }
        )


def tasks_open_inference_grpc(case):
    import grpc
    from open_inference.grpc import protocol
    from open_inference.grpc.service import GRPCInferenceServiceStub

    members = {"FP32": "fp32_contents", "BOOL": "bool_contents", "BYTES": "bytes_contents"}
    with grpc.insecure_channel(case.grpc) as channel:
        answer = GRPCInferenceServiceStub(channel).ModelInfer(
            protocol.ModelInferRequest(model_name=MODEL, inputs=typed_tensors(protocol, case)),
            metadata=list(case.headers.items()),
        )
        case.holds_outputs(
            {
                each.name: (
                    numpy.array(
                        list(getattr(each.contents, members[each.datatype])),
                        dtype=object if each.datatype == "BYTES" else None,
                    ).reshape(each.shape)
                )
                for each in answer.outputs
            }
        )


def kserve_inputs(case):
    from kserve import InferInput

    inputs = []
    for name, values in case.columns.items():
        item = InferInput(name=name, shape=[3], datatype="INT64" if name == "distance" else "BYTES")
        item.set_data_from_numpy(values)
        inputs.append(item)
    return inputs


def tasks_kserve_rest(case):
    from kserve import InferenceRESTClient, InferRequest, RESTConfig

    async def run():
        client = InferenceRESTClient(RESTConfig(protocol="v2"))
        answer = await client.infer(
            f"http://{case.http}",
            InferRequest(model_name=MODEL, infer_inputs=kserve_inputs(case)),
            model_name=MODEL,
            headers=case.headers,
        )
        case.holds_outputs({each.name: each.as_numpy() for each in answer.outputs})
        await client.close()

    asyncio.run(run())


def tasks_kserve_grpc(case):
    from kserve import InferenceGRPCClient, InferRequest

    async def run():
        async with InferenceGRPCClient(case.grpc) as client:
            answer = await client.infer(
                InferRequest(model_name=MODEL, infer_inputs=kserve_inputs(case)),
                headers=list(case.headers.items()),
            )
            case.holds_outputs({each.name: each.as_numpy() for each in answer.outputs})

    asyncio.run(run())


CLIENTS = {
    "tritonclient.http": triton_http,
    "tritonclient.http.aio": triton_http_aio,
    "tritonclient.grpc": triton_grpc,
    "tritonclient.grpc.aio": triton_grpc_aio,
    "open-inference-openapi": open_inference_openapi,
    "open-inference-grpc": open_inference_grpc,
    "kserve InferenceRESTClient": kserve_rest,
    "kserve InferenceGRPCClient": kserve_grpc,
    "grpc reflection": reflection,
}
OF_A_TASK = {
    "tritonclient.http": tasks_triton_http,
    "tritonclient.grpc": tasks_triton_grpc,
    "open-inference-openapi": tasks_open_inference_openapi,
    "open-inference-grpc": tasks_open_inference_grpc,
    "kserve InferenceRESTClient": tasks_kserve_rest,
    "kserve InferenceGRPCClient": tasks_kserve_grpc,
}


def of_task(world, task):
    """The small project with a model of this task over the same rows."""
    project = world.copy(world.fresh)
    project.keys = world.keys
    classes = task == "classes"
    target = '\'delay > 20 ? "late" : delay > 5 ? "some" : "none"\'' if classes else "delay / 2.0"
    project.edit(
        "models/late.yaml", "target: delay > 15", f"target: {target}\ninterval: {{coverage: 0.9}}"
    )
    project.edit("models/late.yaml", "  objective: binary:logistic\n", "")
    project.edit("models/late.yaml", "standby:\n  trainer: logistic\n", "")
    project.edit(
        "features/trips.yaml",
        "  - name: origin_late\n    target_encoding: {inputs: [origin], smoothing: 50}\n",
        "",
    )
    project.edit(
        "evaluations/late.yaml",
        "  - name: auc\n  - name: log_loss\n",
        f"  - name: {'log_loss' if classes else 'mae'}\n",
    )
    project.edit(
        "evaluations/late.yaml",
        "metrics.auc > 0.55",
        "metrics.accuracy > 0.3" if classes else "metrics.mae < 30.0",
    )
    project.commit()
    works(project.run("run"))
    return project


def ask_all(world, project, clients):
    """How many of the clients failed, each in a process of its own."""
    with Planes(project) as planes:
        planes.release(world)
        known = world.dir / "case.json"
        known.write_text(json.dumps(Case.known(project, planes)))
        return sum(
            subprocess.run(
                [sys.executable, __file__, "--client", name, str(known)], timeout=120
            ).returncode
            != 0
            for name in clients
        )


def main(binary):
    world = World(binary)
    try:
        failed = ask_all(world, world.copy(world.built), CLIENTS)
        for task in ("classes", "regression"):
            failed += ask_all(world, of_task(world, task), OF_A_TASK)
    finally:
        world.close()
    print(f"{len(CLIENTS) + 2 * len(OF_A_TASK) - failed} passed, {failed} failed")
    return 1 if failed else 0


def one(name, known):
    try:
        case = Case(json.loads(pathlib.Path(known).read_text()))
        if case.task == "binary":
            print(f"{name}: {CLIENTS[name](case)}", flush=True)
        else:
            OF_A_TASK[name](case)
            print(f"{name}: {case.task}: {', '.join(case.outputs)}", flush=True)
        return 0
    except Exception as error:
        traceback.print_exc()
        print(f"{name}: FAILED: {type(error).__name__}: {error}", flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(one(*sys.argv[2:]) if sys.argv[1] == "--client" else main(sys.argv[1]))
