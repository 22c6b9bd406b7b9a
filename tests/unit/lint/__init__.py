"""The linter: every rule finds what it is for, and nothing beside it."""
