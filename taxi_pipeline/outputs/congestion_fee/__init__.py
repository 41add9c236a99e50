"""What the congestion fee changed, to publish: a page, a picture and a table of all estimates."""
