"""One file a command: `add(subparsers)` declares its options, and imports nothing slow; `run` does it."""
