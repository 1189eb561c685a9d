"""What a model says of lesions that are drawn: their contrast, and the interval that it promises."""
