"""How the task and its inputs are named."""

MASK = "mask"
LABEL_MAP = "label_map"
BREAST = "breast"
