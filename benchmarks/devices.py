"""Training and scoring on the processor and on a GPU: `python -m benchmarks.devices [FOLDER]`.

Efforts 1 to 4, and of a classifier of the shape of BERT-base, with random weights, a few batches. Then what a GPU promises:
probabilities like those of the processor, the same weights for the same seed, and a killed training that goes on elsewhere.
Without a GPU only the processor is measured.

FOLDER holds `train.parquet` and `holdout.parquet`, as the project exports them; by default those of all tweets. Each row is
printed when it is measured; the last lines of output are what `results/devices.json` gets, one entry for each machine.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import torch

from sentiment.model.batch import Batch
from sentiment.model.classifier import SentimentModel
from sentiment.model.custom import CustomEncoder
from sentiment.model.features import FeatureConfig, extract
from sentiment.settings import Device
from sentiment.training.config import EFFORTS, TrainingConfig, TrainingJob
from sentiment.training.custom import by_length, copy_source, custom_part, describe
from sentiment.training.fit import Progress, fit
from sentiment.training.parts import Inputs

RESULTS = Path(__file__).with_name("results") / "devices.json"
REPEATED_ROWS = 50_000
BATCHES = {"cpu": 4, "cuda": 100}


class Killed(Exception):
    """Ends a training in its middle."""


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="with train.parquet and holdout.parquet")
    parser.add_argument("--efforts", nargs="*", type=int, default=list(EFFORTS), help="to measure; all by default")
    parser.add_argument("--rows", type=int, default=100_000, help="to train on; 100,000 by default")
    arguments = parser.parse_args()
    folder = arguments.folder or _exported()
    devices: list[Device] = ["cuda", "cpu"] if torch.cuda.is_available() else ["cpu"]
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(folder, Path(scratch), arguments.rows)
        found: dict[str, Any] = {"machine": machine(), "rows": bench.rows}
        for device in devices:
            found[device] = {"BERT-base": said(bench.bert, device)}
            found[device] |= {f"effort {effort}": said(bench.effort, effort, device) for effort in arguments.efforts}
            if device == "cuda":
                found["same_weights"] = said(bench.same_weights)
                found["goes_on_elsewhere"] = said(bench.goes_on_elsewhere)
    if not arguments.folder:
        kept = [other for other in json.loads(RESULTS.read_text()) if other["machine"] != found["machine"]]
        RESULTS.write_text(json.dumps([*kept, found], indent=2) + "\n")
    print(json.dumps(found, indent=2))


def said(measure: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """What a function measures, printed as soon as it is known."""
    row = measure(*arguments)
    print(measure.__name__, *arguments, json.dumps(row), flush=True)
    return row


class Bench:
    """The rows to train on and to score."""

    def __init__(self, folder: Path, scratch: Path, rows: int) -> None:
        self.train, self.scratch = folder / "train.parquet", scratch
        self.holdout = pl.read_parquet(folder / "holdout.parquet", columns=["label", "text"])
        self.rows = min(rows, pq.read_metadata(self.train).num_rows)

    def fit(self, rows: int, effort: int, device: Device, **options: Any) -> SentimentModel:
        """A trained model."""
        config = TrainingConfig(effort=effort, checkpoint_rows=20_000)
        job = TrainingJob(rows, config, device=device)
        model: SentimentModel = fit(job, self.train, fed_rows_path=self.scratch / "fed.parquet", **options).model
        return model

    def effort(self, effort: int, device: Device) -> dict[str, Any]:
        """Seconds of training, accuracy, tweets scored a second; of a model from a GPU, how far both devices are apart."""
        self.fit(5_000, effort, device)  # Compiles, and starts the GPU.
        began = time.perf_counter()
        model = self.fit(self.rows, effort, device)
        seconds = time.perf_counter() - began
        texts, labels = self.holdout["text"], self.holdout["label"].to_numpy()
        model.to(device).predict(texts)
        began = time.perf_counter()
        probabilities = model.predict_probability(texts)
        row = {
            "train_seconds": round(seconds, 1),
            "train_rows_per_second": round(self.rows / seconds),
            "score_tweets_per_second": round(len(texts) / (time.perf_counter() - began)),
            "holdout": round(float(np.mean((probabilities >= 0.5) == (labels == 1))), 4),
        }
        if device == "cuda":
            row |= apart(probabilities, model.to("cpu").predict_probability(texts))
        return row

    def bert(self, device: Device) -> dict[str, Any]:
        """Rows trained on and tweets scored a second by BERT-base, with its optimizer, padding and tokenizer."""
        texts = self.holdout["text"]
        model = f"hf:{write_bert_base(self.scratch / 'bert', texts)}"
        config = describe(model)
        encoder = CustomEncoder(config, copy_source(model, config, self.scratch / "copy")).to(device)
        part = custom_part(encoder, model, None)
        rows = BATCHES[device] * part.batch_rows
        ordered = texts.head(rows)[by_length(texts.head(rows), np.random.default_rng(0), part.batch_rows)]
        batch = Batch.of(extract(ordered, FeatureConfig()), device, ordered.to_list())
        inputs = Inputs(batch, torch.zeros(rows, device=device))
        labels = torch.from_numpy(self.holdout["label"].head(rows).to_numpy().astype(np.float32)).to(device)

        def train() -> float:
            encoder.train()
            for first in range(0, rows, part.batch_rows):
                last = first + part.batch_rows
                with torch.autocast("cuda", torch.bfloat16, enabled=device == "cuda"):
                    logits = part.forward(inputs.rows(first, last))
                loss = part.loss(logits, labels[first:last])
                loss.backward()  # type: ignore[no-untyped-call]
                for optimizer in part.optimizers:
                    optimizer.step()
                    optimizer.zero_grad()
            return float(loss.detach())

        def score() -> float:
            encoder.eval()
            return float(encoder(batch).sum())

        return {
            "train_rows_per_second": round(rows_per_second(train, rows)),
            "score_tweets_per_second": round(rows_per_second(score, rows)),
        }

    def same_weights(self) -> dict[str, Any]:
        """Whether two trainings on the GPU with one seed end in the same weights."""
        states = [self.fit(REPEATED_ROWS, 2, "cuda").cpu().state_dict() for _ in range(2)]
        different = [name for name, value in states[0].items() if not torch.equal(value, states[1][name])]
        return {"rows": REPEATED_ROWS, "tensors": len(states[0]), "different": different}

    def goes_on_elsewhere(self) -> dict[str, Any]:
        """The accuracy of a training that was killed on the GPU and went on on the processor, and how much was left to do."""
        checkpoint, before, after = self.scratch / "checkpoint", list[Progress](), list[Progress]()

        def kill(progress: Progress) -> None:
            before.append(progress)
            if progress.rows_done > 1.2 * REPEATED_ROWS:
                raise Killed

        try:
            self.fit(REPEATED_ROWS, 2, "cuda", checkpoint_folder=checkpoint, on_progress=kill)
        except Killed:
            model = self.fit(REPEATED_ROWS, 2, "cpu", checkpoint_folder=checkpoint, on_progress=after.append)
        texts, labels = self.holdout["text"], self.holdout["label"].to_numpy()
        accuracy = np.mean((model.predict_probability(texts) >= 0.5) == (labels == 1))
        # The last group before the kill is in no checkpoint.
        groups = {"groups_on_the_gpu": len(before) - 1, "groups_on_the_processor": len(after)}
        return groups | {"holdout": round(float(accuracy), 4)}


def rows_per_second(work: Callable[[], float], rows: int) -> float:
    """How fast a function gets through rows the second time; it returns a number, so the GPU has finished."""
    work()
    began = time.perf_counter()
    work()
    return rows / (time.perf_counter() - began)


def apart(on_gpu: np.ndarray, on_cpu: np.ndarray) -> dict[str, Any]:
    """How far the probabilities of one model on two devices are apart."""
    return {
        "largest_difference": float(np.abs(on_gpu - on_cpu).max()),
        "other_labels": int(((on_gpu >= 0.5) != (on_cpu >= 0.5)).sum()),
        "of_tweets": len(on_cpu),
    }


def write_bert_base(folder: Path, texts: pl.Series) -> Path:
    """A sequence classifier of the shape of BERT-base with random weights, and a tokenizer trained on texts."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    if folder.is_dir():
        return folder
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=30_522, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts.to_list(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {f"{name.strip('[]').lower()}_token": name for name in special}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    torch.manual_seed(0)
    transformers.BertForSequenceClassification(transformers.BertConfig()).save_pretrained(folder)
    return folder


def machine() -> dict[str, Any]:
    """What it was measured on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"cores": os.cpu_count(), "gpu": gpu, "torch": torch.__version__, "cuda": torch.version.cuda}


def _exported() -> Path:
    from benchmarks.data import exported  # Needs the whole project; a folder does not.

    return exported()


if __name__ == "__main__":
    main()
