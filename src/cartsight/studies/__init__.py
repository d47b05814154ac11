"""The agenda's topics: each study asks its questions of a scenario and answers with computed figures.

A study is a folder with `study.py`, which holds a `STUDY`, and the scenario and contract files it runs. Adding one means
adding its folder and a line to `cartsight.studies.catalogue`.
"""

from cartsight.studies.answers import Answer, Figure, Study, StudyResult
from cartsight.studies.catalogue import find_study, study_codes

__all__ = ["Answer", "Figure", "Study", "StudyResult", "find_study", "study_codes"]
