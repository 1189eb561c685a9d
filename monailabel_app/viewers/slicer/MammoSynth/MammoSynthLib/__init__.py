"""What the MammoSynth module of 3D Slicer is made of; only `widget` knows Qt."""
