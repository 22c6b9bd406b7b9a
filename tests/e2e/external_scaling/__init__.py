"""Groups that an HPA or KEDA scales: the number is theirs, out and in again, and handing over changes none."""
