"""What is: the cache, the references and the cost of looking."""
