"""`celery-operator lint` as people run it: a process, files, an exit code."""
