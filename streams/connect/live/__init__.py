"""A mapping over live rows: what the database holds now, evaluated here; nothing is published, nothing written."""
