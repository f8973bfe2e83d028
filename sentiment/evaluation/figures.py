"""What a model gets wrong, and whether its probabilities can be believed, as pictures. Half a second each."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sentiment.markdown import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 10


def confusion_figure(labels: NDArray[np.int8], probabilities: NDArray[np.float32]) -> bytes:
    """The confusion matrix as PNG, with counts and shares of each label.

    Args:
        labels: shape (rows,), 1 for positive and 0 for negative.
        probabilities: shape (rows,), probability of positive.
    """
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(labels == 1, probabilities >= 0.5, labels=[False, True])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = _canvas("Labels and predictions")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        axes.text(
            column,
            row,
            f"{count:,}\n{percent(share)}",
            ha="center",
            va="center",
            color="white" if share > 0.5 else "black",
        )
    names = ["negative", "positive"]
    axes.set_xticks([0, 1], names)
    axes.set_yticks([0, 1], names)
    axes.set_xlabel("Predicted")
    axes.set_ylabel("Label")
    return _png(figure)


def calibration_figure(labels: NDArray[np.int8], probabilities: NDArray[np.float32]) -> bytes:
    """Of tweets with a probability of 80 %, how many are positive: a reliability diagram as PNG, in ten bins of equal width."""
    place = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    filled = counts > 0
    stated = np.bincount(place, probabilities, BINS)[filled] / counts[filled]
    found = np.bincount(place, labels == 1, BINS)[filled] / counts[filled]
    figure, axes = _canvas("Stated probability and share of positives")
    axes.plot([0, 100], [0, 100], color="#999999", linewidth=0.8, linestyle="--", label="perfectly calibrated")
    axes.plot(stated * 100, found * 100, color="#1d3557", marker="o", label="this version")
    axes.set_xlabel("Mean probability of positive, %")
    axes.set_ylabel("Labelled positive, %")
    axes.grid(color="#e6e6e6", linewidth=0.7)
    axes.legend(loc="upper left", frameon=False)
    return _png(figure)


def _canvas(title: str) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4.5), dpi=120, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontweight="bold")
    return figure, axes


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()
