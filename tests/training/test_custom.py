"""A user's own module: found, copied, tried on a few texts, trained and resumed; each mistake is a sentence."""

from __future__ import annotations

import importlib
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from sentiment.errors import InputError, ModelError, TrainingError
from sentiment.model.classifier import SentimentModel
from sentiment.model.config import ModelConfig
from sentiment.model.explanation import explain_in_full
from sentiment.model.features import FeatureConfig
from sentiment.scoring.worker import describe_model, load_model
from sentiment.training.config import TrainingConfig, TrainingJob
from sentiment.training.custom import Budget, copy_source, describe, try_out
from sentiment.training.fit import Progress, TrainingResult, fit
from tests.training.conftest import EXAMPLE
from tests.training.test_fit import FEATURES, write_subset

NAME = "my_package.my_module:build"


def job_of(folder: Path, rows: int = 600, seed: int = 1, model: str = NAME) -> TrainingJob:
    config = TrainingConfig(features=FEATURES, custom=describe(model), checkpoint_rows=150)
    assert config.custom is not None
    return TrainingJob(rows, config, seed, model=model, custom_folder=copy_source(model, config.custom, folder))


def train(tmp_path: Path, **options) -> TrainingResult:  # type: ignore[no-untyped-def]
    subset = write_subset(tmp_path / "subset.parquet", 600)
    return fit(job_of(tmp_path / "copy"), subset, fed_rows_path=tmp_path / "fed.parquet", **options)


def weights_of(result: TrainingResult) -> dict[str, list[float]]:
    return {name: value.flatten().tolist() for name, value in result.model.state_dict().items()}


def test_the_example_learns_and_counts_in_the_blend(package: Callable[..., Path], tmp_path: Path) -> None:
    package()
    model = train(tmp_path).model
    own = model.predict_part_logits(["lovely rain", "awful rain", ""])[:, 2]
    assert own[0] > own[1]
    assert model.config.custom_weight > 0
    assert (model.predict_probability(["lovely rain", "awful rain"]) > 0.5).tolist() == [True, False]


def test_a_saved_model_has_its_own_copy_of_the_code(package: Callable[..., Path], tmp_path: Path) -> None:
    folder = package()
    model = train(tmp_path).model
    model.save(tmp_path / "model")
    expected = model.predict_probability(["lovely rain", "awful bus"])
    (folder / "my_module.py").write_text("raise RuntimeError('edited later')")
    loaded = SentimentModel.load(tmp_path / "model")
    assert loaded.predict_probability(["lovely rain", "awful bus"]) == pytest.approx(expected, abs=1e-6)
    names = {
        path.relative_to(tmp_path / "model").as_posix() for path in (tmp_path / "model").rglob("*") if path.is_file()
    }
    assert names == {
        "config.json",
        "weights.safetensors",
        "custom/my_package/__init__.py",
        "custom/my_package/my_module.py",
    }


class KilledError(Exception):
    pass


@pytest.mark.parametrize("killed_after_groups", [1, 6, 11])
def test_a_killed_run_goes_on_to_the_same_weights(
    package: Callable[..., Path], tmp_path: Path, killed_after_groups: int
) -> None:
    package()
    whole = weights_of(train(tmp_path))
    calls: list[Progress] = []

    def kill(progress: Progress) -> None:
        calls.append(progress)
        if len(calls) == killed_after_groups:
            raise KilledError

    checkpoints = tmp_path / "checkpoints"
    with pytest.raises(KilledError):
        train(tmp_path, checkpoint_folder=checkpoints, on_progress=kill)
    assert (checkpoints / "checkpoint.safetensors").exists() == (killed_after_groups > 1)
    resumed = train(tmp_path, checkpoint_folder=checkpoints, on_progress=calls.append)
    assert len(calls) < killed_after_groups + 12 or killed_after_groups == 1
    assert weights_of(resumed) == whole
    assert list(checkpoints.iterdir()) == []


def test_a_slow_model_is_checkpointed_within_a_row_group(
    package: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package()
    monkeypatch.setattr("sentiment.training.fit.SECONDS_BETWEEN_CHECKPOINTS", 0)
    monkeypatch.setattr("sentiment.training.fit.GROUP_ROWS", 30)
    rows: list[int] = []

    def kill(progress: Progress) -> None:
        rows.append(progress.rows_done)
        if len(rows) == 3:
            raise KilledError

    checkpoints = tmp_path / "checkpoints"
    with pytest.raises(KilledError):
        train(tmp_path, checkpoint_folder=checkpoints, on_progress=kill)
    assert rows[-1] <= 90
    train(tmp_path, checkpoint_folder=checkpoints, on_progress=lambda progress: rows.append(progress.rows_done))
    assert rows[3] > rows[1]


def test_a_package_may_import_itself_by_name_and_from_within_functions(
    package: Callable[..., Path], tmp_path: Path
) -> None:
    source = EXAMPLE.replace(
        "import zlib", "import zlib\nimport my_package.sizes\nfrom my_package import sizes"
    ).replace(
        "return MeanOfWords()",
        "from my_package.sizes import WIDTH\n    assert my_package.sizes is sizes\n    return MeanOfWords(64, WIDTH)",
    )
    folder = package(source, sizes="from .unit import ONE\nWIDTH = 8 * ONE", unit="ONE = 1")
    train(tmp_path).model.save(tmp_path / "narrow")
    (folder / "sizes.py").write_text("WIDTH = 16")
    job = job_of(tmp_path / "second")
    wide = fit(job, tmp_path / "subset.parquet", fed_rows_path=tmp_path / "fed.parquet").model
    narrow = SentimentModel.load(tmp_path / "narrow")
    assert [model.custom.module.vectors.weight.shape for model in (narrow, wide)] == [(64, 8), (64, 16)]
    assert not [name for name in sys.modules if name.startswith("my_package")]


def test_weights_that_are_tied_or_called_words_are_stored_as_they_are(
    package: Callable[..., Path], tmp_path: Path
) -> None:
    source = EXAMPLE.replace("return MeanOfWords()", "module = MeanOfWords(64)\n    module.words = module.vectors.weight\n"
                             "    module.register_buffer('tied', module.vectors.weight.data)\n    return module")  # fmt: skip
    package(source)
    model = train(tmp_path).model
    expected = model.predict_probability(["lovely rain", "awful bus"])
    model.save(tmp_path / "model")
    assert (SentimentModel.load(tmp_path / "model").predict_probability(["lovely rain", "awful bus"]) == expected).all()


def test_features_can_be_asked_for_instead_of_texts(package: Callable[..., Path], tmp_path: Path) -> None:
    package(
        "import torch\nfrom torch import nn\n"
        "class Bag(nn.Module):\n    takes_features = True\n"
        "    def __init__(self):\n        super().__init__()\n        self.bag = nn.EmbeddingBag(1 << 8, 1, mode='sum')\n"
        "    def forward(self, batch):\n        return self.bag(batch.words.long(), batch.offsets[:-1])\n"
        "    def configure_optimizers(self):\n        return torch.optim.Adam(self.parameters(), lr=0.1)\n"
    )
    name = "my_package.my_module:Bag"
    subset = write_subset(tmp_path / "subset.parquet", 600)
    model = fit(job_of(tmp_path / "copy", model=name), subset, fed_rows_path=tmp_path / "fed.parquet").model
    own = model.predict_part_logits(["lovely rain", "awful rain"])[:, 2]
    assert own[0] > own[1]
    words = {word.token: word.encoder for word in explain_in_full(model, "lovely rain").words}
    assert words["lovely"] > abs(words["rain"])


def test_an_explanation_leaves_out_each_word_and_adds_up(package: Callable[..., Path], tmp_path: Path) -> None:
    package()
    model = train(tmp_path).model
    text = "Lovely!!! rain, http://example.org don't go @ann :)"
    found = explain_in_full(model, text)
    words = {word.token: word.encoder for word in found.words}
    assert words["lovely"] == words["!!"] > 0
    assert sum(
        word.total for word in found.words
    ) + found.every_tweet + found.together + found.calibration == pytest.approx(found.logit)


def test_models_without_one_are_described_as_before() -> None:
    assert "custom" not in TrainingConfig().model_dump(mode="json")
    assert "custom" not in ModelConfig().model_dump_json()


# -- Mistakes

MODULE = "import torch\nfrom torch import nn\n\n\nclass Model(nn.Module):\n{body}\n\ndef build():\n    return Model()\n"
LAYER = "    def __init__(self):\n        super().__init__()\n        self.layer = nn.Linear(1, 1)\n\n"
LENGTHS = "torch.tensor([[float(len(text))] for text in texts])"


def of_forward(line: str, layer: str = LAYER) -> str:
    return MODULE.format(body=f"{layer}    def forward(self, texts):\n        x = {LENGTHS}\n        {line}\n")


MISTAKES = {
    "raises": (
        of_forward("raise ValueError('no such thing')"),
        r"called with 5 texts, raised ValueError \(line 12 of .*no such",
    ),
    "nan": (of_forward("return self.layer(x) / x"), r"gives logits that are no finite numbers.*divide by at least 1"),
    "shape": (
        of_forward("return self.layer(x).expand(-1, 2)"),
        r"returns shape \(5, 2\) for 5 texts; expected \(5,\) or",
    ),
    "scalar": (of_forward("return self.layer(x).sum()"), r"returns shape \(\) for 5 texts"),
    "no tensor": (of_forward("return [0.0] * len(texts)"), r"returns a list; expected a tensor"),
    "integers": (of_forward("return x.long()"), r"returns torch.int64; expected logits as floating"),
    "detached": (of_forward("return self.layer(x).detach()"), r"do not depend on its weights; expected a gradient"),
    "two dtypes": (
        of_forward("return self.layer(x)", LAYER.rstrip() + "\n        self.half = nn.Linear(1, 1).half()\n\n"),
        r"weights of torch.float16 and torch.float32; expected torch.float32",
    ),
    "frozen": (
        of_forward("return self.layer(x)", LAYER.rstrip() + "\n        self.requires_grad_(False)\n\n"),
        r"has 2 weights and none requires a gradient",
    ),
    "lazy": (of_forward("return self.layer(x)", LAYER.replace("Linear(1, 1)", "LazyLinear(1)")), r"has lazy weights"),
    "neighbours": (of_forward("return self.layer(x) - x.mean()"), r"another logit when other texts are in the batch"),
    "random": (of_forward("return self.layer(x) + torch.rand(1)"), r"apart for the same text; expected equal"),
    "optimizer": (
        of_forward("return self.layer(x)\n\n    def configure_optimizers(self):\n        return {'lr': 1}"),
        r"configure_optimizers of .* gives dict; expected a torch.optim.Optimizer",
    ),
    "import": ("import not_installed_anywhere\n", r"needs the module 'not_installed_anywhere', which is not installed"),
    "own import": (
        "from my_package import other\nimport my_package.missing\n",
        r"cannot be imported|no module 'my_package",
    ),
    "syntax": ("def build(:\n", r"cannot be imported: it raised SyntaxError \(line 1 of my_package/my_module.py\)"),
    "exit": ("raise SystemExit(3)\n", r"cannot be imported: it raised SystemExit \(line 1"),
    "attribute": ("def make():\n    pass\n", r"has no 'build'; found make"),
    "no module": ("def build():\n    return 5\n", r"gives a int; expected a torch.nn.Module"),
    "build raises": (
        "def build():\n    return {}['x']\n",
        r"cannot be built: it raised KeyError \(line 2 of my_package",
    ),
    "no factory": ("build = 5\n", r"cannot be built: it raised TypeError"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_a_sentence_before_anything_is_trained(
    package: Callable[..., Path], tmp_path: Path, mistake: str
) -> None:
    source, words = MISTAKES[mistake]
    package(source)
    job = job_of(tmp_path / "copy")
    assert job.config.custom is not None
    with pytest.raises(TrainingError, match=words) as raised:
        try_out(job.config.custom, tmp_path / "copy", FeatureConfig(), None)
    assert "\n" not in str(raised.value)


def test_the_example_passes_the_try_out(package: Callable[..., Path], tmp_path: Path) -> None:
    package()
    custom = job_of(tmp_path / "copy").config.custom
    assert custom is not None
    texts = pl.Series([f"tweet {number}" for number in range(100)])
    try_out(custom, tmp_path / "copy", FeatureConfig(), Budget(600, 100_000, texts))


def test_a_module_that_is_too_slow_for_the_gate_is_refused_before_it_trains(
    package: Callable[..., Path], tmp_path: Path
) -> None:
    package(of_forward("import time; time.sleep(0.005 * len(texts)); return self.layer(x)"))
    custom = job_of(tmp_path / "copy").config.custom
    assert custom is not None
    texts = pl.Series([f"tweet {number}" for number in range(100)])
    with pytest.raises(
        TrainingError, match=r"scores \d+ tweets a second here, so all 1,000,000 would take .* allows 600 s"
    ):
        try_out(custom, tmp_path / "copy", FeatureConfig(), Budget(600, 1_000_000, texts))
    try_out(custom, tmp_path / "copy", FeatureConfig(), Budget(600, 1_000, texts))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("nowhere_at_all:build", "There is no module 'nowhere_at_all'"),
        ("os:getcwd", "no module with Python source of your own"),
        ("my_package.my_module", "expected my_package.my_module:build"),
        ("my_package.my-module:build", "expected my_package.my_module:build"),
        ("torch:nn", "up to 20 MiB are copied"),
    ],
)
def test_a_name_that_names_no_model_is_refused(package: Callable[..., Path], model: str, words: str) -> None:
    package()
    with pytest.raises(InputError, match=re.escape(words)):
        describe(model)


def test_a_loaded_model_whose_imports_are_missing_says_which(
    package: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "extra_of_mine.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    package(f"import extra_of_mine\n{EXAMPLE}")
    train(tmp_path).model.save(tmp_path / "model")
    (tmp_path / "extra_of_mine.py").unlink()
    sys.modules.pop("extra_of_mine")
    importlib.invalidate_caches()
    with pytest.raises(ModelError, match="needs the module 'extra_of_mine', which is not installed"):
        SentimentModel.load(tmp_path / "model")


def test_a_worker_loads_a_model_from_files_that_do_not_stay(package: Callable[..., Path], tmp_path: Path) -> None:
    folder = package()
    model = train(tmp_path).model
    model.save(tmp_path / "model")
    shutil.rmtree(folder)
    loaded = load_model(describe_model(tmp_path / "model"))
    assert not loaded.custom.folder.exists()
    texts = ["lovely rain", "awful bus"]
    assert loaded.predict_probability(texts) == pytest.approx(model.predict_probability(texts), abs=1e-6)


def test_a_text_that_gives_nan_is_named_when_it_is_scored(package: Callable[..., Path], tmp_path: Path) -> None:
    package(
        EXAMPLE.replace(
            "        return self.network(",
            "        nan = float('nan') if 'odd text' in texts else 0.0\n        return nan + self.network(",
        )
    )
    model = train(tmp_path).model
    with pytest.raises(ModelError, match="gives nan for the text 'odd text'"):
        model.predict(["odd text"])


def test_a_training_whose_loss_is_lost_stops(package: Callable[..., Path], tmp_path: Path) -> None:
    package(
        EXAMPLE.replace(
            "        return self.network(",
            "        nan = float('nan') if self.training else 0.0\n        return nan + self.network(",
        )
    )
    with pytest.raises(TrainingError, match="the training loss of the part custom is nan"):
        train(tmp_path)
