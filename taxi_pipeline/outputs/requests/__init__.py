"""Requests for a chart: `request_files` has their format and which are new, `chart` what is counted and drawn."""
