"""What the tests of several rooms share; pytest collects nothing here."""
