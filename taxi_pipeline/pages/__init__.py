"""A small web server that shows the outputs to a browser, from a folder or from an object store.

The Dagster UI can only link to a URL, and browsers refuse `file://`. Nothing is drawn or written here. No Dagster.
"""
