"""The studies by their code, imported when asked for."""

from __future__ import annotations

from importlib import import_module

from cartsight.core.errors import InputError, nearest
from cartsight.studies.answers import Study

_MODULES: dict[str, str] = {
    "1A": "cartsight.studies.autologous_manufacturing.study",
    "1B": "cartsight.studies.allogeneic_manufacturing.study",
    "1C": "cartsight.studies.in_vivo_manufacturing.study",
    "3C": "cartsight.studies.commercial_models.study",
    "4A": "cartsight.studies.quality.study",
}


def study_codes() -> tuple[str, ...]:
    """Return the codes of the studies, in the order of the agenda."""
    return tuple(_MODULES)


def find_study(code: str) -> Study:
    """Return a study by its code, upper or lower case.

    Raises
    ------
    InputError
        No such study.
    """
    name = code.strip().upper()
    if name not in _MODULES:
        raise InputError(
            "no such study", field="CODE", found=code, allowed=", ".join(_MODULES), hint=nearest(name, _MODULES)
        )
    study = import_module(_MODULES[name]).STUDY
    assert isinstance(study, Study)
    return study
