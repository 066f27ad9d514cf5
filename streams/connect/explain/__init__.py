"""Why a sku or an order has its value: from the promise back to every row of every source.  All of it only reads."""
