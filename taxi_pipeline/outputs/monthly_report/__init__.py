"""The monthly report: `figures` has the month's numbers, `page` makes an HTML file of them."""
