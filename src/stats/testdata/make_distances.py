"""Writes distances.tsv: pairs of samples and their distances as SciPy has them. binning_test.cpp
draws the same samples.

    python make_distances.py > distances.tsv      (numpy 2.4.6, scipy 1.17.1)

A sample is `FAMILY(a,b)xROWS` with `missing` percent of its rows without a value (NaN). Every
number is drawn with splitmix64 and exact arithmetic, so that another language draws the same.
Missing values sort before every number.
"""

import math

import numpy
import scipy
from scipy.spatial.distance import cityblock
from scipy.stats import ks_2samp

MASK = (1 << 64) - 1


class Random:
    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) % n


def draw(family, a, b, r):
    if family == "constant":
        return float(a)
    if family == "integers":  # b values from a on
        return float(a + r.below(b))
    if family == "atom":  # a percent zeros, else 1 to b
        return 0.0 if r.below(100) < a else float(1 + r.below(b))
    if family == "uniform":  # [a, a + b)
        return a + r.below(1 << 20) / 1048576 * b
    if family == "spread":  # sign and 2^(a - b) to 2^(a + b)
        sign = -1.0 if r.below(2) else 1.0
        return sign * 2.0 ** (a - b + r.below(2 * b + 1))
    if family == "infinite":  # a percent -inf, b percent +inf, else eighths
        u = r.below(100)
        return -math.inf if u < a else math.inf if u < a + b else r.below(1000) / 8
    if family == "zeros":  # both zeros, a percent ones
        return 1.0 if r.below(100) < a else (-0.0 if r.below(2) else 0.0)
    if family == "times":  # microseconds of b days from day a on
        return float((a * 86400 + r.below(b * 86400)) * 1_000_000)
    if family == "boolean":  # a percent true
        return 1.0 if r.below(100) < a else 0.0
    if family == "humps":  # half around -a, half around a, each b wide
        return (a if r.below(2) else -a) + r.below(1 << 16) / 65536 * b
    raise ValueError(family)


def sample(family, a, b, rows, missing, seed):
    r = Random(seed)
    return numpy.array(
        [math.nan if r.below(100) < missing else draw(family, a, b, r) for _ in range(rows)]
    )


def ordered(values):
    """NaN before everything, also before -inf."""
    return numpy.where(
        numpy.isnan(values), -math.inf, numpy.where(values == -math.inf, -1.7e308, values)
    )


def total_variation(a, b):
    a, b = ordered(a) + 0.0, ordered(b) + 0.0
    values = numpy.union1d(a, b)
    p = [numpy.count_nonzero(a == v) / len(a) for v in values]
    q = [numpy.count_nonzero(b == v) / len(b) for v in values]
    return cityblock(p, q) / 2


S = [  # (family, a, b, rows, missing) of the reference, then of the current rows
    (("constant", 7, 0, 1000, 0), ("constant", 8, 0, 500, 0)),
    (("constant", 7, 0, 1000, 0), ("constant", 6, 0, 500, 0)),
    (("constant", 7, 0, 1000, 0), ("constant", 7, 0, 500, 0)),
    (("constant", 7, 0, 1000, 0), ("integers", 6, 3, 700, 0)),
    (("atom", 98, 5, 4000, 0), ("constant", 3, 0, 1000, 0)),
    (("atom", 98, 500, 4000, 0), ("constant", 300, 0, 1000, 0)),
    (("atom", 98, 1000000, 4000, 0), ("atom", 60, 1000000, 1000, 0)),
    (("atom", 50, 3, 3000, 0), ("atom", 90, 3, 900, 0)),
    (("integers", 0, 10, 3000, 0), ("integers", 1, 10, 800, 0)),
    (("integers", 0, 2, 3000, 0), ("integers", 1, 2, 800, 0)),
    (("integers", -500, 1000, 6000, 0), ("integers", -450, 1000, 2000, 0)),
    (("integers", 0, 65, 5000, 0), ("integers", 10, 65, 2000, 0)),
    (("integers", 0, 66, 5000, 0), ("integers", 10, 66, 2000, 0)),
    (("integers", 0, 100000, 5000, 0), ("integers", 100000, 10, 400, 0)),
    (("integers", 9007199254740993, 1000, 3000, 0), ("integers", 9007199254741493, 1000, 900, 0)),
    (("boolean", 30, 0, 2000, 0), ("boolean", 70, 0, 700, 0)),
    (("boolean", 100, 0, 2000, 0), ("boolean", 0, 0, 700, 0)),
    (("uniform", 0, 1, 8000, 0), ("uniform", 0, 1, 3000, 0)),
    (("uniform", 0, 1, 8000, 0), ("uniform", 0, 2, 3000, 0)),
    (("uniform", 0, 1, 8000, 0), ("uniform", 5, 1, 3000, 0)),
    (("uniform", 0, 1, 8000, 0), ("uniform", -5, 1, 3000, 0)),
    (("uniform", 0, 64, 8000, 0), ("constant", 10, 0, 100, 0)),
    (("uniform", 0, 1, 90, 0), ("uniform", 0, 1, 40, 0)),
    (("uniform", 0, 1, 7, 0), ("uniform", 0, 1, 3, 0)),
    (("spread", 0, 300, 5000, 0), ("spread", 20, 300, 2000, 0)),
    (("spread", 0, 20, 5000, 0), ("spread", 0, 1000, 2000, 0)),
    (("infinite", 5, 5, 4000, 0), ("infinite", 5, 40, 1500, 0)),
    (("infinite", 0, 3, 4000, 0), ("infinite", 3, 0, 1500, 0)),
    (("infinite", 0, 0, 4000, 0), ("infinite", 20, 20, 1500, 0)),
    (("zeros", 0, 0, 1000, 0), ("zeros", 0, 0, 900, 0)),
    (("zeros", 10, 0, 1000, 0), ("zeros", 60, 0, 900, 0)),
    (("times", 11000, 60, 5000, 0), ("times", 11060, 1, 900, 0)),
    (("times", 11000, 60, 5000, 0), ("times", 11000, 60, 900, 0)),
    (("times", -400, 800, 5000, 0), ("times", -380, 800, 900, 0)),
    (("humps", 10, 1, 5000, 0), ("uniform", -10, 20, 2000, 0)),
    (("humps", 10, 1, 5000, 0), ("humps", 9, 1, 2000, 0)),
    (("uniform", 0, 1, 5000, 0), ("uniform", 0, 1, 2000, 40)),
    (("uniform", 0, 1, 5000, 40), ("uniform", 0, 1, 2000, 0)),
    (("uniform", 0, 1, 5000, 10), ("uniform", 1, 1, 2000, 30)),
    (("infinite", 10, 10, 5000, 20), ("infinite", 30, 10, 2000, 5)),
    (("constant", 7, 0, 1000, 0), ("constant", 7, 0, 1000, 100)),
    (("constant", 7, 0, 1000, 100), ("constant", 7, 0, 1000, 0)),
    (("constant", 7, 0, 1000, 50), ("constant", 8, 0, 1000, 50)),
    (("atom", 90, 4, 3000, 5), ("atom", 90, 4, 1000, 60)),
    (("boolean", 50, 0, 2000, 0), ("boolean", 50, 0, 700, 25)),
    (("boolean", 50, 0, 2000, 33), ("boolean", 20, 0, 700, 33)),
]

print(
    f"# scipy {scipy.__version__}, numpy {numpy.__version__}; src/stats/testdata/make_distances.py"
    " writes this file"
)
print(
    "# family a b rows missing% (reference), the same (current), seed, ks_2samp statistic, total"
    " variation"
)
for seed, (reference, current) in enumerate(S, start=1):
    x, y = sample(*reference, seed), sample(*current, 1000 + seed)
    d = ks_2samp(ordered(x), ordered(y), method="asymp").statistic
    print(*reference, *current, seed, repr(float(d)), repr(float(total_variation(x, y))), sep="\t")
