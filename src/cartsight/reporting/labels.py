"""What a field path of a scenario is called in a sentence or on an axis."""

from __future__ import annotations

import re
from collections.abc import Mapping

_GROUP = re.compile(r"(all|the \d+ most influential of \d+) of ([^.:]+)(?:: ([^.:]+))?$")
"""Names that groups of parameters get when their value of information is computed."""

_WORDS = {
    "care pathway": "pathway",
    "health states": "while waiting",
    "steps": "",
    "events": "",
    "sites": "plant",
    "regions": "",
    "utility by age": "utility by age",
    "costs": "plant costs",
    "hospital": "hospital cost",
    "lots": "",
    "process": "",
    "efficacy": "",
    "population": "population",
    "long term": "after infusion",
    "lines": "",
}


def words(name: str) -> str:
    """Return a key of a scenario file as words."""
    return name.replace("_", " ").replace("-", " ")


def label_of(path: str, arm_labels: Mapping[str, str]) -> str:
    """Return the label of a field path or of a group of parameters.

    Parameters
    ----------
    path : str
        For example ``arms.autologous-central.efficacy.complete_response``, or ``all of autologous-central: efficacy``.
    arm_labels : mapping of str to str
        Label of each arm by its key.

    Returns
    -------
    str
        For example ``Autologous, central plants: complete response``.
    """
    group = _GROUP.match(path)
    if group is not None:
        share, name, part = group.groups()
        whose = "" if part is None else f"{arm_labels.get(name, words(name))}: "
        return f"{whose}{share} {words(part or name)} parameters"
    parts = path.split(".")
    if parts[0] == "arms" and len(parts) > 2:
        return f"{arm_labels.get(parts[1], words(parts[1]))}: {_tail(parts[2:])}"
    if parts[0] in ("population", "care_pathway"):
        text = _tail(parts[1:])
        return text[0].upper() + text[1:] if text else words(path)
    return _tail(parts) or words(path)


def _tail(parts: list[str]) -> str:
    if parts[-2:] == ["price", "per_patient"]:
        parts = [*parts[:-2], "price per patient"]
    named = [_WORDS.get(words(part), words(part)) for part in parts]
    return ", ".join(part for part in named if part)


def short_label(label: str, width: int = 46) -> str:
    """Return a label cut to a width at a word, for axes."""
    if len(label) <= width:
        return label
    return label[: width - 1].rsplit(" ", 1)[0].rstrip(",:") + "…"


def anchor(text: str) -> str:
    """Return a name that may stand in an HTML id and in a link to it; different texts give different names."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else f"~{ord(c):x}" for c in text)
