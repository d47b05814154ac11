"""Results for people: the results document, the answer in three sentences, tables, the HTML report, the run folder."""

from cartsight.reporting.answer import answer
from cartsight.reporting.html import report_html
from cartsight.reporting.point_values import run_point_values
from cartsight.reporting.run_folder import RunRecord, read_results, write_run_folder
from cartsight.reporting.summary import DOCUMENT_VERSION, summarise, summarise_point_values

__all__ = [
    "DOCUMENT_VERSION",
    "RunRecord",
    "answer",
    "read_results",
    "report_html",
    "run_point_values",
    "summarise",
    "summarise_point_values",
    "write_run_folder",
]
