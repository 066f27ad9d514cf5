"""The servers of the local stack, one file each."""
