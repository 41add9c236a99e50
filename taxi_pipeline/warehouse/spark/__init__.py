"""The Spark engine: Iceberg tables in the storage, read and written by a cluster through Spark Connect.

Code for Spark and Iceberg alone is here: the connection with the cluster, the translation of SQL, the layout of tables,
and the commit that makes all changes of a session visible at once although Iceberg commits one table at a time.
"""

from taxi_pipeline.warehouse.spark.warehouse import SparkWarehouse

__all__ = ["SparkWarehouse"]
