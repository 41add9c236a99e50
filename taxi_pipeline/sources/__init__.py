"""Facts from other sources than the TLC, beside the trips."""
