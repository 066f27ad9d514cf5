"""Databases of the systems under `connect-configs/ready`: their tables, rows with their quirks, and what rows mean."""
