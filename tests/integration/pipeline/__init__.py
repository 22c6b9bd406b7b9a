"""The pipeline against a real API server: real objects, real garbage collection, the operator as a process."""
