"""One tidy result table from anybody's files: readers, validation, bridging between laboratories, exports, data report."""

from cartsight.evidence.quality.results_table.allotrope import allotrope_document, read_allotrope, read_instrument
from cartsight.evidence.quality.results_table.bridging import Bridged, bridge
from cartsight.evidence.quality.results_table.export import to_csv, write_table
from cartsight.evidence.quality.results_table.flow_cytometry import (
    Gate,
    gated_shares,
    read_compensation,
    read_fcs,
    read_gates,
)
from cartsight.evidence.quality.results_table.mapping import ColumnMapping, build_mapping, read_mapping
from cartsight.evidence.quality.results_table.spillover import Spillover
from cartsight.evidence.quality.results_table.spreadsheets import read_spreadsheet
from cartsight.evidence.quality.results_table.table import DataReport, Result, ResultTable, data_report

__all__ = [
    "Bridged",
    "ColumnMapping",
    "DataReport",
    "Gate",
    "Result",
    "ResultTable",
    "Spillover",
    "allotrope_document",
    "bridge",
    "build_mapping",
    "data_report",
    "gated_shares",
    "read_allotrope",
    "read_compensation",
    "read_fcs",
    "read_gates",
    "read_instrument",
    "read_mapping",
    "read_spreadsheet",
    "to_csv",
    "write_table",
]
