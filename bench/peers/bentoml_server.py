"""BentoML, as `bentoml serve` starts it.   bentoml_server.py DIR HTTP_PORT"""

import os
import sys

directory, port = sys.argv[1], sys.argv[2]
os.environ.update(
    BENCH_DIR=directory,
    BENTOML_HOME=os.path.join(directory, "bentoml"),
    BENTOML_DO_NOT_TRACK="True",
    OMP_NUM_THREADS="1",
    PATH=os.path.dirname(sys.executable) + ":" + os.environ["PATH"],
)
os.makedirs(os.environ["BENTOML_HOME"], exist_ok=True)
os.chdir(os.path.dirname(os.path.abspath(__file__)))
os.execv(
    sys.executable,
    [
        sys.executable,
        "-m",
        "bentoml",
        "serve",
        "bentoml_service:Flights",
        "--host",
        "127.0.0.1",
        "--port",
        port,
    ],
)
