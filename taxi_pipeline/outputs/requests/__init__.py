"""Requests for a chart: `request_files` has their format and finds new ones, `chart` counts and draws."""
