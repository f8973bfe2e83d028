"""The registered model as MLflow runs it: models-from-code, so that nothing is pickled.

MLflow executes this file when the model is loaded; `sentiment_model` is the copy of our model code that lies beside the
weights, so the model loads where this project is not installed, and with the code that it was trained with.
"""

from __future__ import annotations

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext


class TweetSentiment(PythonModel):
    """Takes texts as a list, an array, a series or a frame's first column; gives `label` and `probability_positive`."""

    def load_context(self, context: PythonModelContext) -> None:
        from sentiment_model.classifier import SentimentModel

        self.model = SentimentModel.load(context.artifacts["model"])

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, object] | None = None
    ) -> pd.DataFrame:
        """Whatever was given, MLflow hands it over as a frame with one column, by the model's signature."""
        texts = ["" if pd.isna(text) else str(text) for text in model_input.iloc[:, 0]]
        probability = self.model.predict_probability(texts)
        label = ["positive" if value >= 0.5 else "negative" for value in probability]
        return pd.DataFrame({"label": label, "probability_positive": probability.astype("float64")})


mlflow.models.set_model(TweetSentiment())
