"""What is not known about a release specification: its centres and variances come from a number of lots, sites and labs.

A variance estimated with nu degrees of freedom is drawn from its scaled inverse chi-squared posterior, nu s^2 / chi^2_nu;
a centre from the normal sampling law of a mean; a share of terminated runs from the beta of its starts (Jeffreys). With
few sites or laboratories the upper tail is long, as it should be: four sites say little about how sites differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from cartsight.core.errors import InputError
from cartsight.core.normal import normal_quantile
from cartsight.core.streams import Stream
from cartsight.evidence.quality.release.specification import (
    Attribute,
    DataBehind,
    ReleaseSpecification,
)
from cartsight.evidence.quality.release.toml_table import Table

KEYS = ["lots", "sites", "laboratories", "assay_runs", "starts", "draws"]
LARGEST_FACTOR = 5.0
"""Largest factor on a standard deviation: with two or three sites the law has no mean, and a draw has to stay a plant."""


def read_data_behind(table: Table) -> DataBehind | None:
    """Return the ``[uncertainty]`` table of a specification, None when it is absent.

    Raises
    ------
    InputError
        Unknown keys, counts below two, or none of them.
    """
    table.only(KEYS)
    if not table.values:
        return None
    counts = {key: table.whole(key, 0, 2) if table.has(key) else 0 for key in KEYS[:-1]}
    if not any(counts.values()):
        raise InputError(
            "says nothing about where the numbers come from",
            file=table.file,
            field=table.place,
            allowed="lots, sites, laboratories, assay_runs or starts: how many stand behind the variances",
        )
    return DataBehind(**counts, draws=table.whole("draws", 32, 16, 2000))


def draw_specification(specification: ReleaseSpecification, seed: int, draw: int) -> ReleaseSpecification:
    """Return the specification at one draw of its centres, variances and share of terminated runs.

    Draws are keyed by attribute and component: another attribute moves none of them.

    Raises
    ------
    InputError
        The specification does not say what its numbers were estimated from.
    """
    data = specification.data_behind
    if data is None:
        raise InputError(
            "the specification states no [uncertainty]: the data behind its variances", field="uncertainty"
        )
    from scipy import stats

    stream = Stream(seed, "release uncertainty", [draw])

    def spread(name: str, count: int) -> float:
        if count < 2:
            return 1.0
        u = float(stream(name)[0])
        degrees = count - 1
        return min(math.sqrt(degrees / float(stats.chi2.ppf(u, degrees))), LARGEST_FACTOR)

    attributes = tuple(_drawn(attribute, data, stream, spread) for attribute in specification.attributes)
    process = specification.process
    share = process.termination_probability
    if data.starts and 0.0 < share < 1.0:
        law = stats.beta(0.5 + share * data.starts, 0.5 + (1.0 - share) * data.starts)
        process = replace(process, termination_probability=float(law.ppf(float(stream("termination")[0]))))
    return replace(specification, attributes=attributes, process=process)


def _drawn(attribute: Attribute, data: DataBehind, stream: Stream, spread: Callable[[str, int], float]) -> Attribute:
    name = attribute.name
    assay = replace(
        attribute.assay,
        lab_sd=attribute.assay.lab_sd * spread(f"{name}: lab", data.laboratories),
        session_sd=attribute.assay.session_sd * spread(f"{name}: session", data.assay_runs),
        replicate_sd=attribute.assay.replicate_sd * spread(f"{name}: replicate", data.assay_runs),
    )
    variance = 0.0
    if data.lots:
        variance += (attribute.donor_sd**2 + attribute.run_sd**2 + attribute.assay.result_sd**2) / data.lots
    if data.sites:
        variance += attribute.site_sd**2 / data.sites
    shift = math.sqrt(variance) * float(normal_quantile(stream(f"{name}: centre"))[0])
    centre = float(attribute.scale.inverse(np.asarray(attribute.mu + shift)))
    return replace(
        attribute,
        centre=centre,
        site_sd=attribute.site_sd * spread(f"{name}: site", data.sites),
        donor_sd=attribute.donor_sd * spread(f"{name}: donor", data.lots),
        run_sd=attribute.run_sd * spread(f"{name}: run", data.lots),
        assay=assay,
    )
