"""The rules, one file each, named after their id."""
