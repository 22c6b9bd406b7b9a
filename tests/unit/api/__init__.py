"""The API models and the CRD made from them, without a server."""
