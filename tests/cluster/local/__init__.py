"""The local provider: a real control plane and real kubelets as plain processes of this machine, without a registry."""
