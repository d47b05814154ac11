"""What every study gives back: questions, answers made of figures with intervals, what would change them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Figure:
    """A computed number.

    Parameters
    ----------
    label : str
    value : float
    low, high : float or None
        None where the number has no spread (a rule, a date).
    unit : str
    spread : str
        What low and high are, in words.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    unit: str = ""
    spread: str = "95 % over parameter draws"


@dataclass(frozen=True, slots=True)
class Answer:
    """One question of a study and its answer.

    Parameters
    ----------
    question : str
    answer : str
        A few sentences; every number in it is computed.
    figures : tuple of Figure
    rows : tuple of dict
        The table behind the answer.
    chart : str
        Inline SVG.
    would_change : tuple of str
        What would turn the answer, with the value at which it turns where that is computed.
    weakest : tuple of str
        The numbers the answer trusts least.
    """

    question: str
    answer: str
    figures: tuple[Figure, ...]
    rows: tuple[dict[str, Any], ...]
    chart: str
    would_change: tuple[str, ...]
    weakest: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StudyResult:
    """A finished study."""

    code: str
    title: str
    summary: str
    scenario: str
    money: str
    seed: int
    draws: int
    answers: tuple[Answer, ...]
    assumptions: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    seconds: float = 0.0

    def as_dict(self, *, charts: bool = True) -> dict[str, Any]:
        """Return JSON types; without charts the SVG texts are left out."""
        document = asdict(self)
        if not charts:
            for answer in document["answers"]:
                answer.pop("chart")
        return document


@dataclass(frozen=True, slots=True)
class Study:
    """A study of the agenda.

    Parameters
    ----------
    code : str
        Of the agenda, for example "3C".
    title : str
    questions : tuple of str
    run : callable
        ``run(seed=..., draws=..., progress=...)`` returns a `StudyResult`; None stands for the study's own setting.
    """

    code: str
    title: str
    questions: tuple[str, ...]
    run: Callable[..., StudyResult] = field(repr=False)
