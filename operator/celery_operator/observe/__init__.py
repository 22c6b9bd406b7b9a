"""What is: the watched objects, what users' references point at, and whether brokers answer."""
