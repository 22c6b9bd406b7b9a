"""Brokers as the operator sees them: one module a transport, raw protocol clients only, never a kombu consumer."""
