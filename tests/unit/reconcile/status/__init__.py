"""The status of clusters whose worker groups follow their load."""
