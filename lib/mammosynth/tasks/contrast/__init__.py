"""Contrast: the iodine image of contrast-enhanced mammography from a low-energy one."""
