"""MLServer with its own XGBoost runtime, as its documentation serves a model: a folder with
settings.json and model-settings.json.
    mlserver_server.py DIR HTTP_PORT GRPC_PORT
One core: `parallel_workers` 0, because a pool of one worker process costs a hop on the same core;
`debug` off, which turns access logs off; metrics and gzip off, so that it answers and does nothing
else.
"""

import json
import os
import sys

directory, http_port, grpc_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
home = os.path.join(directory, "mlserver")
os.makedirs(home, exist_ok=True)
with open(os.path.join(home, "settings.json"), "w") as file:
    json.dump(
        {
            "debug": False,
            "host": "127.0.0.1",
            "http_port": http_port,
            "grpc_port": grpc_port,
            "metrics_endpoint": None,
            "parallel_workers": 0,
            "gzip_enabled": False,
            "environments_dir": os.path.join(home, "envs"),
            "metrics_dir": os.path.join(home, "metrics"),
        },
        file,
    )
with open(os.path.join(home, "model-settings.json"), "w") as file:
    json.dump(
        {
            "name": "flights",
            "implementation": "mlserver_xgboost.XGBoostModel",
            "parameters": {"uri": os.path.join(directory, "model.json")},
        },
        file,
    )
os.environ["OMP_NUM_THREADS"] = "1"
os.execv(
    sys.executable, [sys.executable, "-c", "from mlserver.cli import main; main()", "start", home]
)
