"""The linter: what works and may hurt later, told before it does. Pure rules, one file each, over spec and fleet.

The operator shows what they find in the condition NoWarnings, in status.warnings and in metrics; `celery-operator lint`
runs the same rules over files. What cannot work at all is no matter of the linter: see `reconcile.problems`.
"""
