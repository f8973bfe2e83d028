"""What more data brings, measured and forecast: `python -m benchmarks.curve`. Takes some minutes.

Every rung is trained with five seeds on the real file and evaluated on the hold-out. From the rungs up to 400,000 rows the
accuracy on all rows is forecast and compared with the result; and where `retrain --until-flat` would have stopped.
Writes `results/curve.json` and a picture. How often the forecast's interval holds is shown by `simulations.gate`.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from benchmarks.data import training_csv
from sentiment.evaluation.comparison import alpha_of_look, detectable_difference
from sentiment.evaluation.metrics import evaluate
from sentiment.ingest.load import ingest_file
from sentiment.settings import Home, Settings
from sentiment.training.config import TrainingJob
from sentiment.training.fit import fit
from sentiment.training.learning_curve import USUAL_DISCORDANCE, CurvePoint, forecast, is_flat, noise_of_rung
from sentiment.training.learning_curve_plot import curve_figure
from sentiment.training.subsets import RUNGS, export
from sentiment.warehouse.connection import writer

SEEDS = 5
FORECAST_FROM = 400_000
RESULTS = Path(__file__).with_name("results")


def main() -> None:
    """Train, forecast, compare."""
    with training_csv() as tweets, tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home").create()
        settings = Settings(home=home.root)
        ingest_file(home, tweets)
        with writer(home) as warehouse:
            made = export(warehouse, home)
        holdout = pl.read_parquet(made.holdout, columns=["label", "text"])
        labels = holdout["label"].to_numpy()
        rungs = [rung for rung in RUNGS if rung < made.count_train_rows] + [made.count_train_rows]
        trained = []
        for rows in rungs:
            accuracies, seconds = [], []
            for seed in range(SEEDS):
                began = time.perf_counter()
                result = fit(TrainingJob(rows, seed=seed), made.train, fed_rows_path=Path(folder) / "fed.parquet")
                seconds.append(time.perf_counter() - began)
                accuracies.append(evaluate(labels, result.model.predict_probability(holdout["text"])).accuracy)
            found = evaluate(labels, result.model.predict_probability(holdout["text"]))
            trained.append(
                {
                    "rows": rows,
                    "accuracy": statistics.mean(accuracies),
                    "spread_over_seeds": statistics.stdev(accuracies),
                    "interval_of_one_seed": [found.lower, found.upper],
                    "seconds": statistics.median(seconds),
                    "accuracies": accuracies,
                }
            )
            print(json.dumps(trained[-1]), file=sys.stderr)
    noise = noise_of_rung(len(holdout))
    points = [CurvePoint(row["rows"], row["accuracy"], noise, row["seconds"]) for row in trained]
    known = [point for point in points if point.rows <= FORECAST_FROM]
    promised = forecast(known, rungs[-1])
    detectable = detectable_difference(len(holdout), USUAL_DISCORDANCE, alpha_of_look(2, settings.gate.alpha))
    came = trained[-1]["accuracy"]
    figures = {
        "holdout_rows": len(holdout),
        "rungs": trained,
        "forecast": {
            "from_rows_up_to": FORECAST_FROM,
            "rows": promised.rows,
            "expected": promised.expected,
            "lower": promised.lower,
            "upper": promised.upper,
            "width_points": (promised.upper - promised.lower) * 100,
            "came": came,
            "seeds_within": sum(promised.lower <= one <= promised.upper for one in trained[-1]["accuracies"]),
        },
        "until_flat": [
            is_flat(points[:count], following, detectable).reason
            for count, following in zip(range(1, len(rungs) + 1), [*rungs[1:], rungs[-1]], strict=True)
        ],
    }
    (RESULTS / "curve.json").write_text(json.dumps(figures, indent=2) + "\n")
    (RESULTS / "curve.png").write_bytes(
        curve_figure(known, rungs[-1], [point for point in points if point.rows > FORECAST_FROM])
    )
    print(json.dumps({key: figures[key] for key in ("forecast", "until_flat")}, indent=2))


if __name__ == "__main__":
    main()
