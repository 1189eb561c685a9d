"""What evaluations of every task share: the seam, statistics, and scores in a bundle's metadata."""
