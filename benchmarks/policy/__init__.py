"""A discrete-event simulation of scaling policies: what a change of policy costs, before any cluster runs it."""
