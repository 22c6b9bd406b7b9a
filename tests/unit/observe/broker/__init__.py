"""What a broker says and who asks it when: documents, keys and pauses, without a broker."""
