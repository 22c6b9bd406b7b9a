"""The ledger suite: numbered tasks run while something happens to their workers; a ledger says what became of them."""
