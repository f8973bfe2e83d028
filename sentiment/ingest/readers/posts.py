"""The JSON in which networks give their posts, as flat rows: X (API v1.1 and v2, the export of an account), Bluesky,
Mastodon, Reddit.

Each layout is known by keys that no other has, and gives `id`, `text`, `created_at`, `user` and `lang` as far as it
has them. What is known to go wrong is set right here: a retweet's own text is cut off at 140 characters, so the
retweeted one's is taken; pages of v2 keep user names apart; Mastodon's content is HTML; deleted posts of Reddit have
a text that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from sentiment.ingest.mapping.names import rank

Row = dict[str, Any]

# Of an object that is flattened; one with more holds values by key, not properties.
_MOST_INNER_KEYS = 60
REMOVED_TEXTS = frozenset({"[deleted]", "[removed]", "Not Available", "nan", "NaN", "<NA>"})
"""What replaces a text that its author or a moderator removed, and what pandas writes for one that is missing."""


@dataclass(frozen=True)
class Layout:
    """A layout known by sight.

    `namespace` names whose ids these are where they are no tweet ids, `rows` flattens one JSON value.
    """

    name: str
    fits: Callable[[Row], bool]
    rows: Callable[[Row], Iterator[Row]]
    namespace: str | None = None


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self.parts.append("\n")
        elif tag in ("p", "li", "blockquote") and self.parts:
            self.parts.append("\n" if tag == "li" else "\n\n")


def html_to_text(content: str) -> str:
    """The text of HTML, paragraphs apart; character references resolved."""
    parser = _Text()
    parser.feed(content)
    parser.close()
    return "".join(parser.parts).strip()


def _in(row: Any, *path: str | int) -> Any:
    for step in path:
        if isinstance(step, int):
            row = row[step] if isinstance(row, list) and len(row) > step else None
        else:
            row = row.get(step) if isinstance(row, dict) else None
    return row


def _objects(value: Any) -> Iterator[Row]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


# -- X


def _full_text(tweet: Row) -> Any:
    return (
        _in(tweet, "extended_tweet", "full_text")
        or _in(tweet, "note_tweet", "text")
        or tweet.get("full_text")
        or tweet.get("text")
    )


def _v1_rows(tweet: Row) -> Iterator[Row]:
    text = _full_text(tweet)
    original = tweet.get("retweeted_status")
    if isinstance(original, dict) and isinstance(whole := _full_text(original), str):
        text = f"RT @{_in(original, 'user', 'screen_name') or ''}: {whole}"
    yield {
        "id": tweet.get("id_str") or tweet.get("id"),
        "text": text,
        "created_at": tweet.get("created_at"),
        "user": _in(tweet, "user", "screen_name"),
        "lang": tweet.get("lang"),
        **_labels(tweet),
    }


def _v2_rows(page: Row) -> Iterator[Row]:
    """Posts of a page, or one post of v2; of posts that others refer to only the text is taken."""
    posts = page.get("data", page)
    users = {user.get("id"): user.get("username") for user in _objects(_in(page, "includes", "users"))}
    others = {post.get("id"): post for post in _objects(_in(page, "includes", "tweets"))}
    for post in _objects(posts if isinstance(posts, list) else [posts]):
        text = _full_text(post)
        for reference in _objects(post.get("referenced_tweets")):
            original = others.get(reference.get("id"))
            if reference.get("type") == "retweeted" and original is not None and isinstance(_full_text(original), str):
                author = users.get(original.get("author_id")) or str(text).removeprefix("RT @").partition(":")[0]
                text = f"RT @{author}: {_full_text(original)}"
        yield {
            "id": post.get("id"),
            "text": text,
            "created_at": post.get("created_at"),
            "user": users.get(post.get("author_id")) or _in(post, "author", "username") or post.get("username"),
            "lang": post.get("lang"),
            **_labels(post),
        }


def _archive_rows(entry: Row) -> Iterator[Row]:
    yield from _v1_rows(entry["tweet"] if isinstance(entry.get("tweet"), dict) else entry)


def _is_v2(row: Row) -> bool:
    posts = row.get("data")
    if isinstance(posts, dict):
        posts = [posts]
    if isinstance(posts, list):
        first = next(_objects(posts), None)
        return first is not None and "text" in first and "id" in first
    return "text" in row and "id" in row and ("edit_history_tweet_ids" in row or "author_id" in row)


# -- Bluesky


def _bluesky_rows(row: Row) -> Iterator[Row]:
    for name in ("feed", "posts", "records"):
        if isinstance(row.get(name), list):
            for item in _objects(row[name]):
                yield from _bluesky_rows(item)
            return
    if isinstance(row.get("post"), dict):
        row = row["post"]
    commit = row.get("commit")
    if isinstance(commit, dict):
        if commit.get("operation", "create") != "create" or not isinstance(commit.get("record"), dict):
            return
        address = f"at://{row.get('did')}/{commit.get('collection')}/{commit.get('rkey')}"
        row = {"uri": address, "record": commit["record"], "author": {"did": row.get("did")}, **_labels(row)}
    record = next((row[name] for name in ("record", "value") if isinstance(row.get(name), dict)), row)
    author = row.get("author")
    yield {
        "id": row.get("uri"),
        "text": record.get("text"),
        "created_at": record.get("createdAt") or record.get("created_at") or row.get("indexedAt"),
        "user": (author.get("handle") or author.get("did")) if isinstance(author, dict) else author,
        "lang": _in(record, "langs", 0),
        **_labels(row),
    }


def _is_bluesky(row: Row) -> bool:
    def is_post(item: Any) -> bool:
        post = _in(item, "post") or item
        record = _in(post, "record") or _in(post, "value")
        return str(_in(post, "uri")).startswith("at://") and isinstance(record, dict) and "text" in record

    lists = [row[name] for name in ("feed", "posts", "records") if isinstance(row.get(name), list)]
    return (
        any(is_post(item) for items in lists for item in items[:3])
        or is_post(row)
        or _in(row, "commit", "collection") == "app.bsky.feed.post"
    )


# -- Mastodon


def _mastodon_rows(row: Row) -> Iterator[Row]:
    if isinstance(row.get("orderedItems"), list):
        for item in _objects(row["orderedItems"]):
            if isinstance(item.get("object"), dict):
                yield from _mastodon_rows(item["object"])
        return
    if isinstance(row.get("statuses"), list):
        for item in _objects(row["statuses"]):
            yield from _mastodon_rows(item)
        return
    boosted = row.get("reblog")
    said = boosted if isinstance(boosted, dict) else row
    content = said.get("content")
    warning = said.get("spoiler_text") or said.get("summary")
    text = html_to_text(content) if isinstance(content, str) else content
    author = row.get("attributedTo")
    yield {
        "id": row.get("id"),
        "text": f"{warning}\n\n{text}" if isinstance(text, str) and isinstance(warning, str) and warning else text,
        "created_at": row.get("created_at") or row.get("published"),
        "user": _in(row, "account", "acct")
        or _in(row, "account", "username")
        or (author.rstrip("/").rpartition("/")[2] if isinstance(author, str) else None),
        "lang": row.get("language"),
        **_labels(row),
    }


def _is_mastodon(row: Row) -> bool:
    if isinstance(row.get("orderedItems"), list):
        return any(_in(item, "object", "type") == "Note" for item in row["orderedItems"])
    if isinstance(row.get("statuses"), list):
        return any(_is_mastodon(item) for item in _objects(row["statuses"]))
    return "content" in row and "created_at" in row and isinstance(row.get("account"), dict)


# -- Reddit


def _reddit_rows(row: Row) -> Iterator[Row]:
    if row.get("kind") == "Listing":
        for child in _objects(_in(row, "data", "children")):
            yield from _reddit_rows(child)
        return
    if isinstance(row.get("kind"), str) and isinstance(row.get("data"), dict):
        if row["kind"] == "more":
            return
        row = row["data"]
    body = row.get("body") if "body" in row else row.get("selftext")
    title = row.get("title")
    if isinstance(title, str):
        has_body = isinstance(body, str) and body.strip() and body not in REMOVED_TEXTS
        body = f"{title}\n\n{body}" if has_body else title
    author = row.get("author")
    yield {
        "id": row.get("id") or row.get("name"),
        "text": body,
        "created_at": row.get("created_utc") or row.get("created"),
        "user": None if author in REMOVED_TEXTS else author,
        "query": row.get("subreddit"),
        **_labels(row),
    }


def _is_reddit(row: Row) -> bool:
    if row.get("kind") == "Listing" or row.get("kind") in ("t1", "t3"):
        return isinstance(row.get("data"), dict)
    return "created_utc" in row and ("subreddit" in row or "author" in row) and ("body" in row or "title" in row)


# -- Any other JSON


def _labels(row: Row) -> Row:
    """Labels that somebody added to what a network gave."""
    return {name: row[name] for name in ("label", "sentiment", "target", "polarity") if name in row}


def _plain_rows(row: Row) -> Iterator[Row]:
    flat: Row = {}
    for name, value in row.items():
        if isinstance(value, dict) and 0 < len(value) <= _MOST_INNER_KEYS:
            flat.update({f"{name}.{inner}": found for inner, found in value.items()})
        else:
            flat[name] = value
    yield flat


# -- A page: one object around a list of posts

_ITEMS = (
    *("messages", "items", "results", "posts", "comments", "tweets", "reviews", "records", "rows", "docs"),
    *("documents", "entries", "hits", "children", "statuses", "data"),
)


def _items_of(page: Row) -> list[Row]:
    """The posts of a page: its list of objects, by a usual name, else the longest; none where the object is a post itself."""
    if any(isinstance(value, str) and (rank(name, "text") or (9, 9))[0] == 0 for name, value in page.items()):
        return []
    inner = [pair for value in page.values() if isinstance(value, dict) for pair in value.items()]
    lists = [(name, value) for name, value in [*page.items(), *inner] if isinstance(value, list) and value]
    lists = [(name, value) for name, value in lists if all(isinstance(item, dict) for item in value)]
    if not lists:
        return _rows_of_columns(page)
    places = {name: place for place, name in enumerate(_ITEMS)}
    lists.sort(key=lambda pair: (places.get(pair[0], len(places)), -len(pair[1])))
    keys = set(lists[0][1][0])
    # Parts of one set, such as `train` and `test`.
    return [item for _, items in lists if set(items[0]) == keys for item in items]


def _rows_of_columns(page: Row) -> list[Row]:
    """The rows of a table as pandas writes it by default, a column at a time, or with `orient="split"`."""
    names, data = page.get("columns"), page.get("data")
    if isinstance(names, list) and isinstance(data, list) and all(isinstance(row, list) for row in data):
        return [dict(zip(map(str, names), row, strict=False)) for row in data]
    columns = [value for value in page.values() if isinstance(value, dict)]
    if len(columns) < len(page) or not columns or any("0" not in column for column in columns):
        return []
    return [{name: column.get(key) for name, column in page.items()} for key in columns[0]]


def _flat(row: Row, depth: int = 4) -> Row:
    """A row whose objects within objects are columns of their own."""
    (flat,) = _plain_rows(row)
    return _flat(flat, depth - 1) if depth and len(flat) > len(row) else flat


def _page_rows(page: Row) -> Iterator[Row]:
    for item in _items_of(page) or [page]:
        pieces = item.get("text")
        # Telegram writes a text with links in it as a list of pieces.
        joined = isinstance(pieces, list) and "".join(
            p if isinstance(p, str) else str(_in(p, "text") or "") for p in pieces
        )
        yield _flat(item if joined is False else {**item, "text": joined})


PLAIN = Layout("JSON objects", lambda row: True, _plain_rows)
PAGE = Layout("a JSON page of posts", lambda row: bool(_items_of(row)), _page_rows)
LAYOUTS = (
    Layout(
        "X account export (tweets.js)",
        lambda row: isinstance(row.get("tweet"), dict) and "full_text" in row["tweet"],
        _archive_rows,
    ),
    Layout(
        "X API v1.1",
        lambda row: (
            "created_at" in row
            and ("id_str" in row or "id" in row)
            and ("full_text" in row or "text" in row)
            and (isinstance(row.get("user"), dict) or "full_text" in row)
        ),
        _v1_rows,
    ),
    Layout("Bluesky", _is_bluesky, _bluesky_rows, "bluesky"),
    Layout("X API v2", _is_v2, _v2_rows),
    Layout("Mastodon", _is_mastodon, _mastodon_rows, "mastodon"),
    Layout("Reddit", _is_reddit, _reddit_rows, "reddit"),
)


def find_layout(rows: Iterable[Row], *, is_by_column: bool = False) -> Layout:
    """The layout that most of some JSON objects have; plain objects where none is known.

    Args:
        is_by_column: the document begins as a table does that is written a column at a time.
    """
    rows = list(rows)
    if is_by_column:
        return PAGE
    counts = {layout.name: sum(layout.fits(row) for row in rows) for layout in LAYOUTS}
    best = max(LAYOUTS, key=lambda layout: counts[layout.name])
    if rows and counts[best.name] > 0.5 * len(rows):
        return best
    return PAGE if len(rows) == 1 and PAGE.fits(rows[0]) else PLAIN


def layout_named(name: str) -> Layout:
    """A layout by its name."""
    return next((layout for layout in (*LAYOUTS, PAGE) if layout.name == name), PLAIN)
