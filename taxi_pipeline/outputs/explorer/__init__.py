"""The zone explorer: `data` counts trips by zone, week and hour, `page` makes an HTML file of them.

The page draws with Vega (`vega.min.js`, unchanged as published, version 6.4.0).
"""
