"""End to end: the operator installed by Helm into a real cluster, real pods, real tasks, one file a promise."""
