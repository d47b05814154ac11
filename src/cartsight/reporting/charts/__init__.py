"""The report's charts: each function takes the results document and returns an inline SVG.

Static SVG and not an interactive chart: it opens in any mail viewer, prints sharply, needs no script and no network, and
a report stays under two megabytes. Every number behind a chart is in the tables beside it and in results.json.
"""
