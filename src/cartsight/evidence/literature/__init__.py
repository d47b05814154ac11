"""Cited figures: typed tables with one bibliography, an origin and a caution for every number."""

from cartsight.evidence.literature.bibliography import Source
from cartsight.evidence.literature.rows import EvidenceRow, ExcludedRow
from cartsight.evidence.literature.tables import THEMES, EvidenceTable, load_evidence, read_tables
from cartsight.evidence.literature.vocabulary import INTERVAL_MEANING, PRICE_YEAR_BASES, STATISTICS

__all__ = [
    "INTERVAL_MEANING",
    "PRICE_YEAR_BASES",
    "STATISTICS",
    "THEMES",
    "EvidenceRow",
    "EvidenceTable",
    "ExcludedRow",
    "Source",
    "load_evidence",
    "read_tables",
]
