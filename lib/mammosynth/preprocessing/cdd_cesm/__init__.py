"""CDD-CESM as its authors published it, brought into the folder layout that training and evaluation read."""
