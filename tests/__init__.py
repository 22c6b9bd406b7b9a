"""Tests in three sizes: unit, integration on a real control plane, end to end on a real cluster."""
