"""What training promises: any kill ends in the same weights, memory does not grow with the rows, any text gets a probability.

`python -m benchmarks.training [kills] [memory] [texts]`; all three unless named. On the real file if it is next to the
checkout.

- kills: one training with an encoder is killed at random moments, ten times, and started again each time;
  its weights and config must be those of a training that was not killed, byte for byte.
- memory: the peak of the default training on all rows against that on a quarter of them, each in a process of its own.
- texts: 10,000 arbitrary texts from empty to a megabyte, in all scripts, with emoji and control characters, through a
  trained model: alone, together, and in another order.

Writes `results/training.json`; what is not named keeps its figures.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.data import exported

RESULTS = Path(__file__).with_name("results") / "training.json"
KILLS = 10
KILLED_ROWS, KILLED_EFFORT, CHECKPOINT_ROWS = 400_000, 2, 20_000
LATEST_KILL = 0.18
"""Of the time that an undisturbed training takes: early enough that ten kills fit into one."""
TEXTS, LONG_TEXTS = 10_000, 3
# First and last code point of: control characters, ASCII, Latin, Greek and Cyrillic, Hebrew and Arabic, Devanagari, Thai,
# joiners and signs, kana, Chinese, Hangul, private use, full width, emoji, tags.
_SCRIPTS = (
    (0x0, 0x1F), (0x20, 0x7E), (0x80, 0x24F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F), (0x2000, 0x206F),
    (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xE000, 0xE0FF), (0xFF00, 0xFFEF), (0x1F300, 0x1FAFF), (0xE0000, 0xE007F),
)  # fmt: skip
_PIECES = (
    "@you ",
    "http://x.y/z ",
    "www. ",
    ":) ",
    "<3",
    "not ",
    "good ",
    "BAD!!! ",
    "\u200d",
    "'",
    "aaaaaa",
    "\r\n",
    "\ud83d",
    "&amp;",
)


def train(folder: Path, rows: int, effort: int, checkpoint_rows: int) -> None:
    """Train in this process, save the model into `folder`, and say what memory it took at most."""
    import resource

    from sentiment.training.config import TrainingConfig, TrainingJob
    from sentiment.training.fit import fit

    config = TrainingConfig(effort=effort, checkpoint_rows=checkpoint_rows)
    fed = folder / "fed.parquet"
    subset = exported() / "train.parquet"
    result = fit(TrainingJob(rows, config), subset, fed_rows_path=fed, checkpoint_folder=folder / "checkpoint")
    print(json.dumps({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
    result.model.save(folder / "model")


def _command(folder: Path, rows: int, effort: int, checkpoint_rows: int) -> list[str]:
    numbers = map(str, (rows, effort, checkpoint_rows))
    return [sys.executable, "-m", "benchmarks.training", "--train", str(folder), *numbers]


def _digest(folder: Path) -> str:
    files = sorted((folder / "model").iterdir())
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def measure_kills() -> dict[str, Any]:
    """Kill one training ten times, each time at a moment drawn evenly over the first part of its time."""
    dice = random.Random(0)
    with tempfile.TemporaryDirectory() as temporary:
        undisturbed, killed = Path(temporary) / "undisturbed", Path(temporary) / "killed"
        arguments = (KILLED_ROWS, KILLED_EFFORT, CHECKPOINT_ROWS)
        for folder in (undisturbed, killed):
            folder.mkdir()
        began = time.perf_counter()
        subprocess.run(_command(undisturbed, *arguments), check=True, stdout=subprocess.PIPE)
        seconds = time.perf_counter() - began
        killed_after = []
        while len(killed_after) < KILLS and not (killed / "model").exists():
            process = subprocess.Popen(_command(killed, *arguments), stdout=subprocess.DEVNULL)
            moment = dice.uniform(0, LATEST_KILL * seconds)
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed_after.append(round(moment, 1))
        subprocess.run(_command(killed, *arguments), check=True, stdout=subprocess.PIPE)
        return {
            "rows": KILLED_ROWS,
            "effort": KILLED_EFFORT,
            "undisturbed_seconds": round(seconds, 1),
            "killed_after": killed_after,
            "equal": _digest(killed) == _digest(undisturbed),
        }


def measure_memory() -> dict[str, Any]:
    """The peak of the default training on all rows and on a quarter of them."""
    whole = pq.read_metadata(exported() / "train.parquet").num_rows
    peaks = {}
    for rows in (whole // 4, whole):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                _command(Path(folder), rows, 1, 400_000), check=True, stdout=subprocess.PIPE, text=True
            )
        peaks[rows] = json.loads(done.stdout.splitlines()[-1])["peak_mb"]
    small, large = peaks.values()
    return {"peak_mb": peaks, "ratio": large / small}


def arbitrary_texts() -> list[str]:
    """Texts that no one would write, and some that people do."""
    dice = random.Random(0)

    def piece() -> str:
        if dice.random() < 0.2:
            return dice.choice(_PIECES)
        first, last = dice.choice(_SCRIPTS)
        return "".join(chr(dice.randint(first, last)) for _ in range(dice.randint(1, 12)))

    texts = ["".join(piece() for _ in range(dice.randint(0, 25))) for _ in range(TEXTS - LONG_TEXTS)]
    longest = ("a" * 1_000_000, "no " * 333_333, "".join(piece() for _ in range(150_000))[:1_000_000])
    for text in longest[:LONG_TEXTS]:
        texts.insert(dice.randrange(len(texts)), text)
    return texts


def measure_texts() -> dict[str, Any]:
    """Each text's probability alone, with all others, and with them in another order."""
    from sentiment.training.config import TrainingConfig, TrainingJob
    from sentiment.training.fit import fit

    with tempfile.TemporaryDirectory() as folder:
        job, fed = TrainingJob(25_000, TrainingConfig(effort=2)), Path(folder) / "fed.parquet"
        model = fit(job, exported() / "train.parquet", fed_rows_path=fed).model
    texts = arbitrary_texts()
    order = np.random.default_rng(0).permutation(len(texts))
    together = model.predict_probability(texts)
    shuffled = model.predict_probability([texts[place] for place in order])
    alone = np.concatenate([model.predict_probability([text]) for text in texts])
    return {
        "texts": len(texts),
        "longest_characters": max(map(len, texts)),
        "within_0_and_1": bool(np.all((together >= 0) & (together <= 1))),
        "largest_difference_alone": float(np.abs(together - alone).max()),
        "largest_difference_in_another_order": float(np.abs(together[order] - shuffled).max()),
    }


MEASURES = {"kills": measure_kills, "memory": measure_memory, "texts": measure_texts}


def main() -> None:
    """Measure what is named, write results."""
    if sys.argv[1:2] == ["--train"]:
        train(Path(sys.argv[2]), *map(int, sys.argv[3:]))
        return
    names = sys.argv[1:] or list(MEASURES)
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    exported()
    for name in names:
        print(name, file=sys.stderr, flush=True)
        found[name] = MEASURES[name]()
        RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
