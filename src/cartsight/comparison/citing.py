"""What a scenario rests on, in the order a referee reads it: assumptions first, then sources, then methods."""

from __future__ import annotations

from typing import Any

from cartsight.evidence.literature import load_evidence
from cartsight.scenario import Scenario, describe

METHODS: tuple[tuple[str, str], ...] = (
    (
        "Common random numbers from keyed counter-based draws",
        "Steele GL, Lea D, Flood CH. Fast splittable pseudorandom number generators. OOPSLA 2014. doi:10.1145/2660193.2660195",
    ),
    ("Quantile of the normal distribution", "Wichura MJ. Algorithm AS 241. Appl Stat 1988;37:477. doi:10.2307/2347330"),
    (
        "Latin hypercube sampling of parameters",
        "McKay MD, Beckman RJ, Conover WJ. Technometrics 1979;21:239. doi:10.2307/1268522",
    ),
    (
        "Mixture cure model on background mortality",
        "Lambert PC, Thompson JR, Weston CL, Dickman PW. Biostatistics 2007;8:576. doi:10.1093/biostatistics/kxl030",
    ),
    (
        "Split of variance between patients and parameters",
        "O'Hagan A, Stevenson M, Madan J. Health Econ 2007;16:1009. doi:10.1002/hec.1199",
    ),
    (
        "Partial value of information by regression",
        "Strong M, Oakley JE, Brennan A. Med Decis Making 2014;34:311. doi:10.1177/0272989X13505910",
    ),
    (
        "Cost-effectiveness acceptability frontier",
        "Fenwick E, Claxton K, Sculpher M. Health Econ 2001;10:779. doi:10.1002/hec.635",
    ),
    ("Reporting", "Husereau D et al. CHEERS 2022. Value Health 2022;25:3. doi:10.1016/j.jval.2021.11.1351"),
)


def input_table(scenario: Scenario) -> list[dict[str, Any]]:
    """Return one row per number: path, value, unit, uncertainty, origin, statement, evidence id and source."""
    return [{"path": path, **describe(number)} for path, number in scenario.numbers().items()]


def citations(scenario: Scenario) -> dict[str, Any]:
    """Return assumptions, estimates, sources (with the evidence rows used) and methods of a scenario."""
    evidence = load_evidence()
    table = input_table(scenario)
    assumptions = [row for row in table if row["origin"] == "assumed" or not row["verified"]]
    by_source: dict[str, set[str]] = {}
    for row in table:
        if row["source"] is not None:
            by_source.setdefault(row["source"], set()).add(row["evidence_id"] or row["path"])
    for target in scenario.validation.values():
        provenance = target.published.quantity.provenance
        if provenance.source_key is not None:
            by_source.setdefault(provenance.source_key, set()).add(provenance.evidence_id or target.label)
    sources = []
    for key in sorted(by_source):
        source = evidence.source(key)
        sources.append({"key": key, "citation": source.citation(), "evidence_ids": sorted(by_source[key])})
    evidence_rows = {
        row_id: evidence.row(row_id).as_dict()
        for row_id in sorted(set().union(*by_source.values()))
        if row_id in evidence
    }
    return {
        "scenario": scenario.name,
        "assumptions": assumptions,
        "estimates": [row for row in table if row["origin"] in ("estimated", "elicited")],
        "sources": sources,
        "methods": [{"method": name, "citation": text} for name, text in METHODS],
        "evidence_rows": evidence_rows,
    }
