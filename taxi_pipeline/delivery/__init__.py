"""What leaves the pipeline for people: mail, chat messages, and the record of what was delivered to whom.

Here belongs how something is sent, and the promise that nothing is sent twice. What a message says is in `outputs`;
when it is sent is in `defs`. No Dagster.
"""
