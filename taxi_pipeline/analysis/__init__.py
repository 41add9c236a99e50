"""Questions of cause that are asked of the tables: how they are estimated, tested, and answered in words.

Here is what turns rows of the warehouse into an estimate with an interval, and an estimate into a sentence: `panel`
asks the warehouse, `design` chooses zones and days, `estimation` fits, `inference` doubts, `study` puts it together,
`verdict` words it. Nothing here knows Dagster, a file or a page; pages are in `outputs`, forecasts in `datasets`. The
library for regressions, `pyfixest`, comes with the extra `analysis`, and is imported where it is used.
"""
