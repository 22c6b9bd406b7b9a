"""The verbs of the command line, one file each. A verb is imported when it is asked for: `lint` needs no cluster."""
