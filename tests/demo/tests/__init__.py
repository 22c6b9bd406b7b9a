"""Tests of the demo itself: what it refuses to touch."""
