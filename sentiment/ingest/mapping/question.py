"""What cannot be known from a file, and the option that says it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """One thing that a person has to say.

    Attributes:
        about: what is not known: columns, labels, date_format, delimiter, encoding.
        sentence: what was found, and what is asked.
        choices: values for the option of the same name, the likeliest first; each with what it means.
    """

    about: str
    sentence: str
    choices: tuple[tuple[str, str], ...]

    @property
    def option(self) -> str:
        """The option that answers it as its first choice does."""
        return option_of(self.about, self.choices[0][0])

    def __str__(self) -> str:
        options = " or ".join(option_of(self.about, value) for value, _ in self.choices[:4])
        return f"{self.sentence} Say it with {options}."


def option_of(about: str, value: str) -> str:
    """An option as it is typed."""
    name = about.replace("_", "-")
    is_plain = all(letter.isalnum() or letter in "=,._-%/" for letter in value) and value
    return f"--{name} {value}" if is_plain else f'--{name} "{value}"'
