"""A small reader of the BibTeX subset that `sources.bib` uses: ``@kind{key, field = {text}, ...}``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cartsight.core.errors import InputError

_ENTRY = re.compile(r"@(?P<kind>[a-z]+)\{(?P<key>[^,\s]+),\s*\n(?P<body>(?:  [^\n]*\n)*)\}")
_FIELD = re.compile(r"^  (?P<name>[a-z]+) = \{(?P<text>.*)\},$")
_KNOWN_FIELDS = frozenset({"title", "year", "doi", "pmid", "pmcid", "url", "howpublished"})


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of the bibliography. What is not known is None, never guessed.

    Parameters
    ----------
    key : str
        BibTeX key, stable across versions.
    kind : str
        BibTeX entry type: ``article`` where a DOI, PubMed or PubMed Central number is known, else ``misc``.
    title : str
        The reference as it was recorded, with its authors where they are known.
    year : int or None
        Year of publication.
    doi, pmid, pmcid, url, howpublished : str or None
        Where to find it.
    """

    key: str
    kind: str
    title: str
    year: int | None = None
    doi: str | None = None
    pmid: str | None = None
    pmcid: str | None = None
    url: str | None = None
    howpublished: str | None = None

    @property
    def address(self) -> str | None:
        """The best address: DOI, then PubMed Central, PubMed, web address, other locator."""
        if self.doi:
            return f"https://doi.org/{self.doi}"
        if self.pmcid:
            return f"https://pmc.ncbi.nlm.nih.gov/articles/{self.pmcid}"
        if self.pmid:
            return f"https://pubmed.ncbi.nlm.nih.gov/{self.pmid}"
        return self.url or self.howpublished

    def citation(self) -> str:
        """Return the entry as one line of text."""
        text = self.title.rstrip(".")
        if self.year is not None and str(self.year) not in text:
            text += f", {self.year}"
        return f"{text}. {self.address}" if self.address else f"{text}."

    def bibtex(self) -> str:
        """Return the entry as BibTeX."""
        fields = {
            name: getattr(self, name) for name in ("title", "year", "doi", "pmid", "pmcid", "url", "howpublished")
        }
        lines = [f"  {name} = {{{text}}}," for name, text in fields.items() if text is not None]
        return "\n".join([f"@{self.kind}{{{self.key},", *lines, "}"])


def read_bibliography(path: Path) -> dict[str, Source]:
    """Return the sources of a bibliography by key.

    Raises
    ------
    InputError
        A line that is part of no entry and no comment, an unknown field, a missing title, a key given twice.
    """
    text = path.read_text(encoding="utf-8")
    sources: dict[str, Source] = {}
    consumed = 0
    for entry in _ENTRY.finditer(text):
        _only_comments(text[consumed : entry.start()], path, text.count("\n", 0, consumed) + 1)
        line = text.count("\n", 0, entry.start()) + 1
        source = _source(entry, path, line)
        if source.key in sources:
            raise InputError("bibliography key given twice", file=path, line=line, found=source.key)
        sources[source.key] = source
        consumed = entry.end()
    _only_comments(text[consumed:], path, text.count("\n", 0, consumed) + 1)
    return sources


def _only_comments(text: str, path: Path, first_line: int) -> None:
    for offset, line in enumerate(text.split("\n")):
        if line.strip() and not line.lstrip().startswith("%"):
            raise InputError(
                "not a bibliography entry",
                file=path,
                line=first_line + offset,
                found=line,
                allowed="@kind{key, then one `field = {text},` a line, then }",
            )


def _source(entry: re.Match[str], path: Path, line: int) -> Source:
    fields: dict[str, str] = {}
    for offset, text in enumerate(entry["body"].splitlines(), start=1):
        field = _FIELD.match(text)
        if field is None or field["name"] not in _KNOWN_FIELDS:
            allowed = "one of " + ", ".join(sorted(_KNOWN_FIELDS))
            raise InputError(
                "unreadable bibliography field",
                file=path,
                line=line + offset,
                found=text.strip(),
                allowed=allowed,
            )
        fields[field["name"]] = field["text"]
    if "title" not in fields:
        raise InputError("bibliography entry without a title", file=path, line=line, found=entry["key"])
    year = fields.get("year")
    if year is not None and not year.isdigit():
        raise InputError("year must be a number", file=path, line=line, found=year)
    return Source(
        key=entry["key"],
        kind=entry["kind"],
        title=fields["title"],
        year=None if year is None else int(year),
        doi=fields.get("doi"),
        pmid=fields.get("pmid"),
        pmcid=fields.get("pmcid"),
        url=fields.get("url"),
        howpublished=fields.get("howpublished"),
    )
