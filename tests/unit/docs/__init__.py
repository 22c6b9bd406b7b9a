"""The documentation is true to the code: links, anchors, fields, metrics, YAML, and the tests that it names."""
