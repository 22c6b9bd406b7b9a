"""The scaling decision, by table and by property."""
