"""Tryton, a real ERP, in an environment of its own: installed, its database made, and driven as a person would."""
