"""Datasets: a fleet's month as a data frame and a file, for people who want files and no warehouse.

Their columns, what fills them and how they become bytes. Where the files lie and when they are made belongs to `defs`,
pages and pictures to `outputs`.
"""
