"""Other stream processors given the lane's work: one step function, one thin adapter per framework."""
