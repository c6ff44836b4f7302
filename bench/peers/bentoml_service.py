"""The BentoML service that bentoml_server.py starts: feature rows in, probabilities out."""

import os

import bentoml
import numpy
import xgboost


# One worker: a second on the same core would only take turns with it. Metrics, tracing and access
# logs off. `async`: without it every call goes through a pool of threads.
@bentoml.service(
    workers=1,
    traffic={"timeout": 30, "max_concurrency": 1024},
    metrics={"enabled": False},
    tracing={"sample_rate": 0.0},
    logging={"access": {"enabled": False}},
)
class Flights:
    def __init__(self):
        self.booster = xgboost.Booster(
            model_file=os.path.join(os.environ["BENCH_DIR"], "model.json")
        )
        self.booster.set_param({"nthread": 1})

    @bentoml.api(route="/predict")
    async def predict(self, rows: list[list[float]]) -> list[float]:
        return self.booster.inplace_predict(
            numpy.array(rows, dtype=numpy.float32), validate_features=False
        ).tolist()
