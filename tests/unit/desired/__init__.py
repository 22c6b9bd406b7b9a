"""What should be: every builder of a child, from the models to Kubernetes manifests."""
