"""Datasets: runs as Parquet files that other engines read."""

from training_db.transfer.dataset.export import Dataset, DatasetTable, export_dataset

__all__ = ["Dataset", "DatasetTable", "export_dataset"]
