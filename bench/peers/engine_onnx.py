#!/usr/bin/env python3
"""ONNX Runtime as a peer of bench/engine: reads `ROWS REPEATS` lines, scores that many rows that
often on one thread and answers the seconds a call took; `0 0` answers the first margin. Its library
has no C header in the wheel, so it is called from Python, by its own fastest call: `run` with the
input bound to memory.

    engine_onnx.py MODEL.onnx ROWS.bin COLUMNS
"""

import sys
import time

import numpy as np
import onnxruntime as ort


def main(model, rows, columns):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    output = session.get_outputs()[-1].name
    data = np.fromfile(rows, np.float32).reshape(-1, columns)
    for line in sys.stdin:
        count, repeats = map(int, line.split())
        if repeats == 0:
            probability = float(session.run([output], {name: data[:1]})[0][0][1])
            print(np.log(probability / (1 - probability)), flush=True)
            continue
        feeds = [{name: data[i : i + count]} for i in range(0, len(data) - count + 1, count)]
        run, outputs, many = session.run, [output], len(feeds)
        start = time.perf_counter()
        for i in range(repeats):
            run(outputs, feeds[i % many])
        print((time.perf_counter() - start) / repeats, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
