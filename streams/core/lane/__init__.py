"""The source lane: rows of one source, joined and mapped, summed into balances and order parts."""
