"""The Spark engine: Iceberg tables in the storage, read and written by a cluster through Spark Connect.

What only Spark and Iceberg understand is here: the connection with the cluster, the translation of SQL, how tables are
laid out, and how the changes of a session become visible at once although Iceberg commits one table at a time.
"""

from taxi_pipeline.warehouse.spark.warehouse import SparkWarehouse

__all__ = ["SparkWarehouse"]
