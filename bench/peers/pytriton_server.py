"""PyTriton: NVIDIA's Triton binary from the wheel, its Python backend calling XGBoost here.
    pytriton_server.py DIR HTTP_PORT GRPC_PORT
One core: one instance, and no queue delay in the dynamic batcher, so that a request that finds the
model idle is not held back.
"""

import os
import shutil
import sys

directory, http_port, grpc_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
workspace = os.path.join(directory, "pytriton")
shutil.rmtree(
    workspace, ignore_errors=True
)  # it makes the folder itself and refuses one that is there
os.environ["OMP_NUM_THREADS"] = "1"

import numpy  # noqa: E402
import xgboost  # noqa: E402
from pytriton.decorators import batch  # noqa: E402
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor  # noqa: E402
from pytriton.triton import Triton, TritonConfig  # noqa: E402

booster = xgboost.Booster(model_file=os.path.join(directory, "model.json"))
booster.set_param({"nthread": 1})


@batch
def infer(features):
    return {
        "probability": booster.inplace_predict(features, validate_features=False).reshape(-1, 1)
    }


with Triton(
    config=TritonConfig(
        http_address="127.0.0.1",
        grpc_address="127.0.0.1",
        http_port=http_port,
        grpc_port=grpc_port,
        allow_metrics=False,
        log_verbose=0,
        exit_timeout_secs=2,
        http_thread_count=1,
    ),
    workspace=workspace,
) as triton:
    triton.bind(
        model_name="flights",
        infer_func=infer,
        inputs=[Tensor(name="features", dtype=numpy.float32, shape=(12,))],
        outputs=[Tensor(name="probability", dtype=numpy.float32, shape=(1,))],
        config=ModelConfig(
            max_batch_size=64, batcher=DynamicBatcher(max_queue_delay_microseconds=0)
        ),
    )
    triton.serve()
