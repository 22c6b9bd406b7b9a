"""One command each file."""
