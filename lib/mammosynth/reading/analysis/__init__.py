"""From the records of a study to its endpoints: tables of answers, and the statistics that the protocol names."""
