"""From readings to replicas: looks at the load of each autoscaled group, decides, drains, and says what it did."""
