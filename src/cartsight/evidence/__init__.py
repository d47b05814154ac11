"""Tools that turn literature, curves, assays, logs and judgement into Quantities."""
