"""The monthly report: `figures` asks the warehouse for the month's numbers, `page` makes an HTML file of them.

Which months there are, and when they are made, is said by the asset `monthly_report`. No Dagster.
"""
