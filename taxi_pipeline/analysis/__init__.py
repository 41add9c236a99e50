"""Questions that are asked of the tables: of cause, and of kind.

Of cause: what turns rows of the warehouse into an estimate with an interval, and an estimate into a sentence. `panel`
asks the warehouse, `design` chooses zones and days, `estimation` fits, `inference` doubts, `study` puts it together,
`verdict` words it. Of kind: what divides zones into segments. `zone_profiles` asks the warehouse, `segments` divides,
`week_parts` names.

Nothing here knows Dagster, a file or a page; pages are in `outputs`, forecasts in `datasets`. The libraries, `pyfixest`
and `scipy`, come with the extra `analysis`, and are imported where they are used.
"""
