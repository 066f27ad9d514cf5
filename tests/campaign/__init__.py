"""The fault campaign: seeded scenarios of faults in the real, running chain.  `python -m tests.campaign --help`."""
