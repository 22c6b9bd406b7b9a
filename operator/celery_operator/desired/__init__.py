"""What should be: one pure builder per child of a CeleryCluster, from the models to Kubernetes manifests."""
