"""Groups that size themselves on the real cluster: to the wanted number at once, and back without disturbing a task."""
