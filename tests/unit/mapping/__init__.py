"""Unit tests of the SQL mapping."""
