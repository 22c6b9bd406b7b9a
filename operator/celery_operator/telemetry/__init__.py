"""Shows people how the operator itself is doing: logs, metrics and the web endpoints they are read from."""
