"""Changes of the customers' table."""
