"""What people wrote shows in reports as it is."""

import pytest
from markdown_it import MarkdownIt

from sentiment.markdown import plain, table


@pytest.mark.parametrize(
    "text",
    [
        "<img src=x onerror=alert(1)>.csv",
        "[a](javascript:alert(1)) *b* _c_ `d` \\e",
        "a&lt;b & c",
        "train_2009_04.csv",
    ],
)
def test_a_plain_text_shows_as_it_is(text: str) -> None:
    (paragraph,) = (token for token in MarkdownIt().parse(plain(text)) if token.type == "inline")
    assert "".join(child.content for child in paragraph.children or []) == text
    assert {child.type for child in paragraph.children or []} <= {"text", "text_special"}


def test_a_cell_does_not_end_its_row() -> None:
    assert table(["a", "b"], [["x|y\nz", 1234]]).splitlines()[-1] == "| x\\|y z | 1,234 |"
