"""The SQL mapping of a source: its files compiled once into Python that means what the database means."""
