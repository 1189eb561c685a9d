"""Draw the icon of the Slicer module: one breast, half as acquired, half as synthesized."""

from pathlib import Path

from PIL import Image, ImageDraw

ICON = Path("monailabel_app/viewers/slicer/MammoSynth/Resources/Icons/MammoSynth.png")
SIZE, DRAWN = 128, 1024  # pixels; drawn large and made smaller, for smooth edges
CARD, LINE = (24, 28, 38, 255), (240, 240, 240, 255)
ACQUIRED = ((150, 158, 172, 255), (214, 219, 228, 255))  # breast, dense tissue
SYNTHESIZED = ((196, 120, 20, 255), (255, 196, 84, 255))
DENSE = ((430, 400, 70), (560, 540, 95), (430, 640, 60), (620, 380, 45))  # column, row, radius


def breast(colour: tuple[int, ...], dense: tuple[int, ...]) -> Image.Image:
    """A breast in two colours on nothing."""
    layer = Image.new("RGBA", (DRAWN, DRAWN))
    draw = ImageDraw.Draw(layer)
    draw.ellipse((182, 150, 842, 874), fill=colour)
    for column, row, radius in DENSE:
        draw.ellipse((column - radius, row - radius, column + radius, row + radius), fill=dense)
    return layer


def main() -> None:
    """Write the icon."""
    middle = DRAWN // 2
    icon = Image.new("RGBA", (DRAWN, DRAWN))
    draw = ImageDraw.Draw(icon)
    draw.rounded_rectangle((40, 40, DRAWN - 40, DRAWN - 40), radius=180, fill=CARD)
    for colours, left, right in ((ACQUIRED, 0, middle - 12), (SYNTHESIZED, middle + 12, DRAWN)):
        half = breast(*colours).crop((left, 0, right, DRAWN))
        icon.alpha_composite(half, (left, 0))
    draw.line((middle, 110, middle, DRAWN - 110), fill=LINE, width=16)
    icon.resize((SIZE, SIZE), Image.Resampling.LANCZOS).save(ICON, optimize=True)


if __name__ == "__main__":
    main()
