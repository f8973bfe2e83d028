"""Names that the registry, the gate and scoring share: aliases, artifacts, and a registered version as a value."""

from __future__ import annotations

from dataclasses import dataclass

CHAMPION = "champion"
CHALLENGER = "challenger"
PREVIOUS = "previous"
TRAINING_KEY = "training_key"
FED_ROWS = "fed_rows.parquet"
REFERENCE_PREDICTIONS = "probe.parquet"
"""The file's name is that of versions registered earlier."""


MODEL_DIGEST = "model_digest"


def digest_tag(name: str) -> str:
    """The tag of a version that holds the SHA-256 of a file of its run."""
    return f"{name}.sha256"


EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Without it, MLflow's pages ask what it is for, and may show those for traces of language models."""
# MLflow's pages keep line breaks, so each paragraph is one line.
MODEL_DESCRIPTION = """\
**What it is for.** The probability that an English tweet is positive, to follow moods over days and topics. The version with \
the alias `champion` answers and scores every tweet; `challenger` was judged last, `previous` was champion before.

**Data.** Each version is trained on a subset of the tweets in this home, and measured on tweets that were held out. The tag \
`rows` says on how many; its run has the rule and the digests.

**Limits.** Where labels come from emoticons, as in Sentiment140, about one in ten is wrong, and irony and mixed moods are not \
in them. Single tweets are often wrong, so it is not made to judge persons. Other languages and times need labels of their own.

**Licence.** Yours to choose; the terms of the data that it was trained on go with it.
"""


@dataclass(frozen=True)
class RegisteredVersion:
    """A version in the registry."""

    model_version: int
    run_id: str
    training_key: str
