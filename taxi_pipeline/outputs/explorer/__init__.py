"""The zone explorer: `data` counts trips, `cube` packs them by zone, weekday, hour and week, `page` makes an HTML file.

The scripts: `cube.js` unpacks and adds up, `flows.js` from zone to zone, `counts.js` computes what follows from what is
chosen, `address.js` keeps that in the page's address, `map.js`, `charts.js`, `heatmap.js` and `tables.js` draw, and
`explorer.js` puts them together. They use D3 (`d3.min.js`, unchanged as published, version 7.9.0) for zooming, brushing
and axes.
"""
