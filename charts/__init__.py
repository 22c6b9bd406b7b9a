"""The Helm chart, and the generator of what is made from it and from the CRD."""
