"""Applications that write down each start and each end of a task, in the file LEDGER_FILE."""
