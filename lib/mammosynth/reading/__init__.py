"""The reader study: protocol, design, answers, statistics."""
