"""The registered model as MLflow runs it: models-from-code, so that nothing is pickled.

MLflow executes this file when the model is loaded; `sentiment_model` is the copy of our model code next to the
weights, so the model loads where this project is not installed, with the code that it was trained with.
"""

from __future__ import annotations

import os

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext


class TweetSentiment(PythonModel):
    """Takes texts as a list, an array, a series or a frame's first column; gives `label`, `probability_positive` and
    `probability_neutral`. With `SENTIMENT_LABELS=2` in the environment no label is neutral."""

    def load_context(self, context: PythonModelContext) -> None:
        from sentiment_model.classifier import SentimentModel

        self.model = SentimentModel.load(context.artifacts["model"])

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, object] | None = None
    ) -> pd.DataFrame:
        """Predict. By the model's signature, MLflow turns any input into a frame with one column."""
        texts = ["" if pd.isna(text) else str(text) for text in model_input.iloc[:, 0]]
        found = self.model.predict(texts)
        return pd.DataFrame(
            {
                "label": found.labels(2 if os.environ.get("SENTIMENT_LABELS") == "2" else 3),
                "probability_positive": found.probability_positive.astype("float64"),
                "probability_neutral": found.probability_neutral.astype("float64"),
            }
        )


mlflow.models.set_model(TweetSentiment())
