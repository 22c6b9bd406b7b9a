"""The operator's own settings, from environment variables."""
