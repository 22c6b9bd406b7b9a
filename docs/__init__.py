"""Documentation for people, and the generator of the pages that come from the code."""
