"""What an address asks a page for: read, checked, and handed to SQL as parameters."""

from __future__ import annotations

import re
from datetime import date
from typing import Any, Literal, TypeVar

from fastapi import Request
from pydantic import BaseModel, Field, ValidationError

from sentiment.errors import InputError

ROWS_PER_PAGE = 50
Asked = TypeVar("Asked", bound=BaseModel)
MOST_PAGES = 200
_PHRASE = re.compile(r'"([^"]*)"')
_WORD = re.compile(r"[#@]?[^\W_][\w']*|[#@]\w[\w']*|_[\w']+")
# As `sql/desk/index/create_tokens.sql` takes a text apart.
_TOKEN = re.compile(r"[#@]?[\w']+")
SORTS = {
    "newest": "newest first",
    "oldest": "oldest first",
    "negative": "most negative first",
    "positive": "most positive first",
    "unsure": "least certain first",
    "surest": "most certain first",
}


class TweetFilter(BaseModel, extra="ignore", populate_by_name=True):
    """The filters of `/tweets`; none selects every tweet."""

    q: str | None = Field(default=None, max_length=200)
    first: date | None = Field(default=None, alias="from")
    last: date | None = Field(default=None, alias="until")
    user: str | None = Field(default=None, max_length=100)
    query: str | None = Field(default=None, max_length=500)
    source: str | None = Field(default=None, max_length=500)
    label: Literal["negative", "neutral", "positive"] | None = None
    given: Literal["negative", "neutral", "positive", "none"] | None = None
    least: float | None = Field(default=None, ge=0, le=100)
    most: float | None = Field(default=None, ge=0, le=100)
    disputed: bool = False
    sort: Literal["newest", "oldest", "negative", "positive", "unsure", "surest"] = "newest"
    page: int = Field(default=1, ge=1, le=MOST_PAGES)

    @property
    def is_narrowed(self) -> bool:
        """Whether anything is filtered."""
        return bool(self.in_address(sort=None, page=None))

    def in_address(self, **changed: Any) -> dict[str, Any]:
        """The parameters of the address that shows this, with some changed; None leaves one out."""
        shown = self.model_dump(by_alias=True, exclude_defaults=True)
        return {name: value for name, value in {**shown, **changed}.items() if value not in (None, False)}

    def parameters(self) -> dict[str, Any]:
        """Parameters of the macro `matching` (`sql/desk/index/create_matching.sql`)."""
        words, phrases = parse_search(self.q or "")
        return {
            "words": words,
            "phrases": phrases,
            "first": self.first,
            "last": self.last,
            "author": self.user.removeprefix("@") if self.user else None,
            "query": self.query,
            "source": self.source,
            "label": self.label,
            "given": self.given,
            "least": None if self.least is None else self.least / 100,
            "most": None if self.most is None else self.most / 100,
            "is_disputed": self.disputed,
        }


def read_address(request: Request, asked: type[Asked]) -> Asked:
    """The parameters of an address; fields that a form left empty count as not given.

    Raises:
        InputError: a value cannot be used.
    """
    given = {name: value for name, value in request.query_params.items() if value.strip()}
    try:
        return asked.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise InputError(f"{name}={str(first['input'])[:100]!r} cannot be used: {first['msg']}.") from error


def parse_search(text: str) -> tuple[list[str], list[str]]:
    """Words, each of which has to be in a tweet, and phrases in quotation marks or signs that are no words, as they are.

    Words of a phrase are looked up as well: only tweets that have them all need to be read.
    """
    text = text.lower()
    phrases = [phrase.strip() for phrase in _PHRASE.findall(text) if phrase.strip()]
    words = [word for phrase in phrases for word in _TOKEN.findall(phrase)]
    for part in _PHRASE.sub(" ", text).split():
        if _WORD.fullmatch(part):
            words.append(part)
        elif found := _WORD.findall(part):
            words += found
        else:
            phrases.append(part)
    return sorted(set(words)), phrases
