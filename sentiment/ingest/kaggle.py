"""The Sentiment140 training file from Kaggle, by Kaggle's own client, which is an optional extra.

The file is public, but Kaggle and the network are somebody else's: every failure ends in a sentence that says how to get
the file by hand, since that always works. 85 MB travel; the file takes 239 MB.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from sentiment.errors import DownloadError, HomeError, InputError
from sentiment.model.atomic import put_in_place

DATASET = "kazanova/sentiment140"
FILE = "training.1600000.processed.noemoticon.csv"
PAGE = f"https://www.kaggle.com/datasets/{DATASET}"
BY_HAND = f"By hand: open {PAGE} in a browser, download and unpack it, then: sentiment run {FILE}"


def download(folder: Path) -> Path:
    """Fetch the file into a folder, unless it is there already.

    Raises:
        InputError: the extra is not installed.
        DownloadError: no network, no access, or Kaggle refuses.
        HomeError: the folder cannot be written.
    """
    target = folder / FILE
    if target.exists():
        return target
    try:
        import kagglehub
    except ModuleNotFoundError as error:
        raise InputError(f"Kaggle's client is not installed. Install it: pip install kagglehub\n{BY_HAND}") from error
    logging.getLogger("kagglehub").setLevel(logging.ERROR)
    draft = folder / f".{FILE}.part"
    try:
        draft.mkdir(parents=True, exist_ok=True)
        # Into a folder next to the target: Kaggle's own cache in the user's home would stay for good.
        fetched = Path(kagglehub.dataset_download(DATASET, path=FILE, output_dir=str(draft)))
        put_in_place(fetched, target)
    except OSError as error:
        if not isinstance(error, ConnectionError | TimeoutError) and error.filename:
            raise HomeError(
                f"{folder} cannot be written: {error.strerror}. Name another, or free some space."
            ) from error
        raise _refused(error) from error
    # Kaggle's client raises errors of its HTTP library, and errors of its own without a common base.
    except Exception as error:
        raise _refused(error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _refused(error: Exception) -> DownloadError:
    said = " ".join(str(error).split())[:200] or type(error).__name__
    return DownloadError(
        f"Kaggle could not be reached or refused ({said}). If it asks for a key, put the one from kaggle.com, Settings, API, "
        f"into ~/.kaggle/kaggle.json or KAGGLE_API_TOKEN.\n{BY_HAND}"
    )
