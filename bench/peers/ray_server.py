"""Ray Serve: one replica behind its HTTP proxy, feature rows in, probabilities out.   ray_server.py
    DIR HTTP_PORT
One core: one replica (a second would take turns with it), no dashboard, no access log,
`RAY_SERVE_THROUGHPUT_OPTIMIZED` as its documentation advises for throughput. The handler is
Starlette's request itself: FastAPI on top costs more.
"""

import os
import signal
import sys
import threading

directory, port = sys.argv[1], int(sys.argv[2])
os.environ.update(
    OMP_NUM_THREADS="1",
    RAY_SERVE_THROUGHPUT_OPTIMIZED="1",
    RAY_USAGE_STATS_ENABLED="0",
    RAY_DISABLE_IMPORT_WARNING="1",
)

import ray  # noqa: E402
from ray import serve  # noqa: E402
from ray.serve.config import HTTPOptions  # noqa: E402
from ray.serve.schema import LoggingConfig  # noqa: E402


@serve.deployment(
    num_replicas=1,
    max_ongoing_requests=1024,
    ray_actor_options={"num_cpus": 0.5},
    logging_config=LoggingConfig(enable_access_log=False, log_level="ERROR"),
)
class Flights:
    def __init__(self, path):
        import numpy
        import xgboost

        self.numpy = numpy
        self.booster = xgboost.Booster(model_file=path)
        self.booster.set_param({"nthread": 1})

    async def __call__(self, request):
        rows = (await request.json())["rows"]
        return self.booster.inplace_predict(
            self.numpy.array(rows, dtype=self.numpy.float32), validate_features=False
        ).tolist()


# Short: Unix sockets live under it.
ray.init(
    num_cpus=2,
    include_dashboard=False,
    log_to_driver=False,
    configure_logging=False,
    object_store_memory=100 << 20,
    _temp_dir=f"/tmp/ray-{os.getpid()}",
)
serve.start(
    http_options=HTTPOptions(host="127.0.0.1", port=port),
    logging_config=LoggingConfig(enable_access_log=False, log_level="ERROR"),
)
serve.run(Flights.bind(os.path.join(directory, "model.json")), route_prefix="/predict")
done = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: done.set())
done.wait()
serve.shutdown()
ray.shutdown()
