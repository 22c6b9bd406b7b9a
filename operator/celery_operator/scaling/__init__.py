"""How many workers a group needs, and which of them may go: decided from readings alone, without clock or I/O."""
