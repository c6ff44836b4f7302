"""What a team would write: FastAPI, pydantic and XGBoost over the same model JSON, raw rows in,
features by hand. Run by bench/harness/peers.py: `uvicorn fastapi_server:app`, with the folder of
model and rows in BENCH_DIR.
"""

import collections
import csv
import datetime
import os

import numpy
import xgboost
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field

SMOOTHING = 100.0
directory = os.environ["BENCH_DIR"]
booster = xgboost.Booster(model_file=os.path.join(directory, "model.json"))
booster.set_param({"nthread": 1})


def keys(date, origin, destination):
    return (origin,), (destination,), (origin, destination), (origin, date.hour)


rows = []
airports = set()
distances = {}
tables = [collections.defaultdict(lambda: [0, 0]) for _ in range(4)]
with open(os.path.join(directory, "rows.csv")) as file:
    for row in csv.DictReader(file):
        late = int(row["late"])
        rows.append(late)
        airports.add(row["origin"])
        distances[row["origin"], row["destination"]] = int(row["distance"])
        for table, key in zip(
            tables,
            keys(datetime.datetime.fromisoformat(row["date"]), row["origin"], row["destination"]),
        ):
            table[key][0] += late
            table[key][1] += 1
prior = sum(rows) / len(rows)
encoded = [
    {
        key: ((late + SMOOTHING * prior) / (n + SMOOTHING), n / len(rows))
        for key, (late, n) in table.items()
    }
    for table in tables
]


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid")
    date: datetime.datetime
    distance: int = Field(ge=10, le=6000)
    origin: str = Field(pattern="^[A-Z0-9]{3}$")
    destination: str = Field(pattern="^[A-Z0-9]{3}$")


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rows: list[Row] = Field(max_length=1024)


app = FastAPI()


@app.post("/predict")
async def predict(request: Request):
    matrix = numpy.empty((len(request.rows), 12), dtype=numpy.float32)
    for i, row in enumerate(request.rows):
        if row.origin not in airports or row.destination not in airports:
            raise HTTPException(422, "unknown airport")
        if distances.get((row.origin, row.destination), row.distance) != row.distance:
            raise HTTPException(422, "another distance than the route's")
        found = [
            table.get(key, (prior, 0.0))
            for table, key in zip(encoded, keys(row.date, row.origin, row.destination))
        ]
        matrix[i] = (
            row.date.hour,
            row.date.hour * 60 + row.date.minute,
            row.date.isoweekday() % 7,
            row.distance,
            *(late for late, _ in found),
            *(share for _, share in found),
        )
    return {
        "predictions": [
            {"probability": float(p)}
            for p in booster.inplace_predict(matrix, validate_features=False)
        ]
    }
