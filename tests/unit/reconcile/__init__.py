"""What to do and what to say: plans and status, decided from values alone."""
