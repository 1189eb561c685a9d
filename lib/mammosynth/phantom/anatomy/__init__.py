"""The breast itself: its outline, what grows in it (`breast`), and how it moves between the paddles. No X-rays here."""
