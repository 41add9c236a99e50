"""How published months changed: the comparisons of their versions, to publish as a page, JSON and CSV."""
