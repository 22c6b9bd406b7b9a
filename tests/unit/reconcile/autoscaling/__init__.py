"""The autoscaler without a cluster: looks at made-up fleets, and what each leads to."""
