"""Where things are: one described settings class, and the layout of the home folder.

Settings say *where*; the flows' parameters say what a run does. Everything is read from the environment
(`SENTIMENT_…`), nothing from files that could be forgotten. All state lives under one folder, the home: deleting it is a
clean start, and two homes do not touch.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sentiment.errors import HomeError, InputError

LEAST_FREE_BYTES = 200 * 2**20
# A file of the inbox is taken once it has lain still for so long; programs that write under another name end it so.
SETTLE_SECONDS = 5.0
# SQLite's addresses end at `?`; the others, and `?` too, are patterns or escapes where files are read.
_NOT_IN_A_HOME = re.compile(r"[?*\[\]\\\x00-\x08\x0a-\x1f\x7f]")
UNFINISHED_SUFFIXES = frozenset({".part", ".tmp", ".crdownload", ".swp"})


Device = Literal["auto", "cpu", "cuda"]
"""Where models train and score."""
CheckName = Literal["no_leak", "loads", "floor", "better", "gold", "neutral", "slices", "behaviour", "speed"]


class GateThresholds(BaseModel, extra="forbid"):
    """Thresholds of the gate; each can be changed by a setting."""

    floor_accuracy: float = Field(default=0.70, ge=0, le=1, description="Least hold-out accuracy of any champion.")
    floor_calibration_error: float = Field(
        default=0.05, ge=0, le=1, description="What the calibration error of a champion must not be shown to exceed."
    )
    load_tolerance: float = Field(
        default=1e-5, gt=0, description="Largest difference of a probability after loading from the registry."
    )
    behaviour_rate: float = Field(
        default=0.70, ge=0, le=1, description="Least share of behaviour tests that must pass."
    )
    tradeoff: float = Field(
        default=2.0,
        ge=0,
        description="Points that a challenger may lose in `gold`, `slices` or `behaviour` for each point of hold-out accuracy "
        "that it is shown to gain; 0 forgives no loss.",
    )
    rescoring_seconds: float = Field(default=600, gt=0, description="Time in which all tweets must be scored again.")
    slice_rows: int = Field(default=500, ge=50, description="Slices of the hold-out with fewer rows are not compared.")
    switched_off: tuple[CheckName, ...] = Field(
        default=(), description="Checks that never refuse; recorded as switched off, with what they found."
    )
    alpha: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="Chance of a false promotion that a year of comparisons may add up to; a third is spent on the first.",
    )


class Settings(BaseSettings):
    """Settings of one process, from environment variables named `SENTIMENT_<FIELD>`; nested ones with two underscores.

    An empty variable is an unset one: else `SENTIMENT_INBOX=` would be the current directory, with all its files.
    """

    model_config = SettingsConfigDict(
        env_prefix="SENTIMENT_", env_nested_delimiter="__", env_ignore_empty=True, extra="ignore"
    )

    home: Path = Field(
        default=Path("var"), description="Folder that holds all state: warehouse, models, Prefect, reports."
    )
    inbox: Path | None = Field(
        default=None, description="Folder in which new files are looked for; `inbox` in the home unless given."
    )
    model_name: str = Field(
        default="tweet-sentiment", pattern=r"^[\w.-]+$", description="Name of the registered model in MLflow."
    )
    model: str | None = Field(
        default=None,
        description="Your own model that `retrain` trains unless it names one: `my_package.my_module:build` or `hf:FOLDER`.",
    )
    model_rows: int | None = Field(
        default=None, ge=1, description="Rows that your own model trains on, of both passes together; all unless given."
    )
    device: Device = Field(
        default="auto",
        description="Where models train and score: `cpu`, `cuda`, or `auto`, a GPU where there is one and it is faster.",
    )
    labels: Literal[2, 3] = Field(
        default=3,
        description="How many labels predictions have: negative, neutral and positive, or with 2 negative and positive alone.",
    )
    writer_wait_seconds: float = Field(
        default=300, ge=0, description="How long a run waits for another one that writes to the warehouse."
    )
    warehouse_memory: str = Field(
        default="800MB",
        pattern=r"^\d+(\.\d+)? ?[KMGT]i?B$",
        description="Memory that DuckDB may use before it spills to the home.",
    )
    keep_snapshots: int = Field(
        default=3, ge=1, description="Published snapshots that stay on disk for readers that opened an older one."
    )
    scoring_processes: int = Field(
        default=1, ge=1, le=256, description="Processes of this machine that score; each takes 500 MB and one core."
    )
    scheduler: str | None = Field(
        default=None,
        pattern=r"^(tcp|tls)://[^\s/]+:\d+$",
        description="Dask scheduler whose workers score, e.g. `tls://scheduler:8786`; this machine unless given.",
    )
    shards: str | None = Field(
        default=None,
        description="Folder or bucket that workers on other machines share, e.g. `s3://bucket/prefix`.",
    )
    needs_approval: bool = Field(
        default=False, description="Whether a challenger that passed the gate waits for `sentiment promote`."
    )
    time_zone: str | None = Field(
        default=None, description="Time zone of the schedules, e.g. `Europe/Berlin`; the machine's unless given."
    )
    notification_block: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9-]+/[a-z0-9-]+$",
        description="Prefect notification block that alerts go to, as TYPE/NAME, e.g. `slack-webhook/team`.",
    )
    api_key: SecretStr | None = Field(
        default=None, description="Key that requests to the API must bring; none is asked for unless given."
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Further names or addresses that the servers may be asked by, without a port and with commas between.",
    )
    gate: GateThresholds = Field(
        default_factory=GateThresholds,
        description="Thresholds of the gate, e.g. `SENTIMENT_GATE__FLOOR_ACCURACY=0.75`.",
    )

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _are_hosts(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        hosts = tuple(host.strip().removeprefix("[").removesuffix("]") for host in value.split(",") if host.strip())
        if wrong := next((host for host in hosts if not _is_host(host)), None):
            raise ValueError(f"{wrong!r} is no host name; expected names or addresses such as server,10.0.0.5")
        return hosts

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, name: str | None) -> str | None:
        if name is not None and name not in available_timezones():
            raise ValueError("Expected the name of a time zone, such as Europe/Berlin or UTC")
        return name


def _is_host(text: str) -> bool:
    """Whether this is a host name or an IP address, with nothing before or after it."""
    try:
        ip_address(text)
    except ValueError:
        return re.fullmatch(r"[A-Za-z0-9_]([\w.-]*[A-Za-z0-9_])?", text, flags=re.ASCII) is not None
    return True


@dataclass(frozen=True)
class Home:
    """A home at work: the paths below its folder, the settings in force, and what to call when it waits for a lock.

    Everything that works on a home takes this one value; nothing below the flows and commands reads the environment.

    Attributes:
        root: the home's folder.
        settings: the defaults unless given.
        on_wait: called once with a sentence for each lock that another process holds.
    """

    root: Path
    settings: Settings = field(default_factory=Settings.model_construct)
    on_wait: Callable[[str], None] | None = None

    def with_patience(self, seconds: float) -> Home:
        """The same home, for work that waits for other processes for so long at most."""
        return replace(self, settings=self.settings.model_copy(update={"writer_wait_seconds": seconds}))

    @property
    def is_shared(self) -> bool:
        """Whether the group of its folder may write it: then what is made in it is the group's as well."""
        return bool(self.root.stat().st_mode & 0o020)

    @property
    def folder_mode(self) -> int:
        """Permissions of folders that are made in it."""
        return 0o770 if self.is_shared else 0o700

    @property
    def secret_mode(self) -> int:
        """Permissions of files in it that nobody else may read, regardless of the umask."""
        return 0o660 if self.is_shared else 0o600

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        return self.root / "published" / "sentiment.duckdb"

    @property
    def inbox(self) -> Path:
        return self.root / "inbox"

    @property
    def mlflow(self) -> Path:
        return self.root / "mlflow"

    @property
    def mlflow_store(self) -> str:
        """Address of the MLflow store; give it to MLflow as MLFLOW_TRACKING_URI."""
        return f"sqlite:///{self.mlflow / 'mlflow.db'}"

    @property
    def prefect(self) -> Path:
        return self.root / "prefect"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def search_index(self) -> Path:
        """Search indexes of the published snapshot; derived, and safe to delete."""
        return self.root / "search"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def behaviour(self) -> Path:
        """The user's own behaviour tests, in addition to the project's."""
        return self.root / "behaviour"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def forget_key(self) -> Path:
        """The secret that digests of forgotten tweets and users are keyed with; never in what is published."""
        return self.root / "forget.key"

    @property
    def forgetting(self) -> Path:
        """What a request to forget still has to do; there only while it does, or after it was killed."""
        return self.root / "forgetting.json"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    def create(self) -> Home:
        """Make the folders, for their owner alone or, in a shared home, for its group, and prove that they can be written.

        Raises:
            HomeError: the path is not a folder, cannot be written, or holds a character that cannot be used.
        """
        _refuse_odd_path(self.root)
        folders = (self.published.parent, self.inbox, self.mlflow, self.prefect, self.exports, self.checkpoints)
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self.is_shared:
                # Else one person's umask would keep the others of the group out.
                os.umask(os.umask(0o077) & ~0o070)
            for folder in (*folders, self.work, self.reports, self.logs, self.locks):
                folder.mkdir(exist_ok=True, mode=self.folder_mode)
        except (FileExistsError, NotADirectoryError) as error:
            named = Path(error.filename)
            file = next((path for path in (named, *named.parents) if path.is_file()), named)
            raise HomeError(
                f"The home {self.root} cannot be used: {file} is a file, expected a folder. "
                "Set SENTIMENT_HOME to another folder."
            ) from error
        except OSError as error:
            raise HomeError(
                f"The home {self.root} cannot be written ({error.strerror}). "
                "Give yourself write permission, free some space, or set SENTIMENT_HOME to another folder."
            ) from error
        unwritable = next((folder for folder in (self.root, *folders) if not os.access(folder, os.W_OK)), None)
        if unwritable is not None:
            raise HomeError(
                f"The home {self.root} cannot be written: {unwritable} is read-only. "
                "Give yourself write permission or set SENTIMENT_HOME to another folder."
            )
        return self


def open_home(on_wait: Callable[[str], None] | None = None) -> Home:
    """The home that the environment names, with the settings from there, ready to be written and with room to work in.

    Args:
        on_wait: called once with a sentence for each lock that another process holds.

    Raises:
        HomeError: the home cannot be written, or its disk is full.
    """
    settings = load_settings()
    home = Home(settings.home, settings, on_wait).create()
    # Nothing is left outside of the home, such as a list of fonts in the user's folder.
    os.environ.setdefault("MPLCONFIGDIR", str(home.root / "cache" / "matplotlib"))
    free = shutil.disk_usage(home.root).free
    if free < LEAST_FREE_BYTES:
        raise HomeError(
            f"The disk that holds {home.root} is full: {free >> 20} MiB are free, {LEAST_FREE_BYTES >> 20} are needed "
            "to go on. What was finished is kept: free some space and run it again."
        )
    return home


def load_settings() -> Settings:
    """Read the settings from the environment; give a user id without a name one, for what is signed.

    Raises:
        InputError: a variable has a value that does not fit; the message names it.
        HomeError: the path of the home holds a character that cannot be used.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "SENTIMENT_" + "__".join(str(part) for part in first["loc"]).upper()
        raise InputError(f"{name}={first['input']!r} cannot be used: {first['msg']}.") from error
    # MLflow asks who a run is of, and fails for a user id without a name, as containers have it.
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = f"uid-{os.getuid()}"
    home = settings.home.expanduser().absolute()
    _refuse_odd_path(home)
    return settings.model_copy(update={"home": home})


def _refuse_odd_path(home: Path) -> None:
    if found := _NOT_IN_A_HOME.search(str(home)):
        raise HomeError(
            f"The home {str(home)!r} cannot be used: its path holds {found[0]!r}, which databases and readers take for "
            "something else. Set SENTIMENT_HOME to a folder without it."
        )
