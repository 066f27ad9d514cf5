"""The audit: the mapping's own SQL, run by the database row by row, against what the lane holds."""
