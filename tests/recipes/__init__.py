"""docs/recipes.md as data: what each recipe's tables, SQL and rows are, and what it says comes out."""
