"""The weather beside the trips: the extreme days with what taxis did on them, and the chart of the daily highs."""
