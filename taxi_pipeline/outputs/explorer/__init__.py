"""The zone explorer: `data` counts trips by zone, week and hour, `page` makes an HTML file of them.

The scripts: `counts.js` computes what follows from what is chosen, `address.js` keeps that in the page's address,
`map.js` and `charts.js` draw, and `explorer.js` puts them together. They use D3 (`d3.min.js`, unchanged as published,
version 7.9.0) for zooming, brushing and axes.
"""
